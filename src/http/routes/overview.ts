import { z } from 'zod';
import type { Depth } from '../../sends/queue';
import { RANGES } from '../../traffic/ranges';
import type { TrafficStore } from '../../traffic/store';
import { type Route, route } from '../contract';
import { emptyIsAbsent } from '../list';
import type { Readiness } from './health';

const countFields = {
  accepted: z.int(),
  throttled: z.int(),
  filtered: z.int().describe('Not sent because the user is not in the account.'),
  failed: z.int().describe('Accepted, and given up because it could not be delivered.'),
  degraded: z.int().describe('Checks answered without Redis. One that was decided counts as that too.'),
};

const topSchema = z.array(z.object({ id: z.string(), throttled: z.int() }));

const overviewSchema = z
  .object({
    range: z.enum(RANGES),
    start: z.iso.datetime().describe('When the first point begins.'),
    end: z.iso.datetime().describe('Now. The last point has only begun.'),
    step_seconds: z.int().describe('The length of a point.'),
    points: z.array(z.object({ start: z.iso.datetime(), ...countFields })).describe('From start to end, without gaps.'),
    totals: z.object(countFields),
    top: z
      .object({ users: topSchema, accounts: topSchema, topics: topSchema, limits: topSchema })
      .describe('Those with the most throttled messages between start and end, ten of each.'),
    queue: z.object({
      depth: z.number().nullable().describe('What waits to be delivered; null when it is not known.'),
      providers: z
        .array(
          z.object({
            provider: z.string(),
            outbox: z.int().describe('Entries of the outbox that are not in the queue yet.'),
            waiting: z.int().describe('Attempts that wait for a worker.'),
            active: z.int().describe('Attempts that are being made.'),
            delayed: z.int().describe('Attempts that wait for their time, after one that failed.'),
            oldest_outbox_age_seconds: z.number().nullable().describe('How long the oldest entry of the outbox waits.'),
          }),
        )
        .nullable()
        .describe('The same by provider.'),
    }),
    redis: z.object({
      up: z.boolean().describe('Whether Redis answers.'),
      degraded: z.boolean().describe('Whether checks are answered without Redis, by on_redis_down.'),
    }),
  })
  .meta({ id: 'Overview' });

/** The route of what the console shows first. */
export function overviewRoutes(services: {
  traffic: Pick<TrafficStore, 'read'>;
  readiness: () => Readiness;
  /** What waits for the providers; null when that is not known. */
  depths: () => readonly Depth[] | null;
  /** Redis's time, in epoch milliseconds. */
  nowMs: () => number;
}): Route[] {
  const { traffic, readiness, depths, nowMs } = services;
  return [
    route({
      method: 'get',
      path: '/overview',
      operationId: 'getOverview',
      tag: 'Overview',
      summary: 'How much was decided and delivered, and what waits',
      description:
        'Of checks and handed-over messages alike, by all processes together. What a process has counted shows within some seconds. Dry runs, usage and verdicts that are given again are not counted; a message that waits is once it is decided. `top` is exact as long as no more than 200 different users, accounts and so on are throttled in ten minutes, an hour or a day, as the range goes; of more, those that are seldom throttled may be shown with less than they had.',
      role: 'read',
      query: z.strictObject({
        range: z
          .preprocess(emptyIsAbsent, z.enum(RANGES).default('hour'))
          .describe(
            'An hour by the minute, a day by the half-hour, or a week by the hour, up to now; it begins a little earlier.',
          ),
      }),
      replies: { 200: { description: 'The overview.', schema: overviewSchema } },
      async handle({ query: { range } }) {
        const now = nowMs();
        const { startMs, stepMs, points, totals, top } = await traffic.read(range, now);
        const { redis, degraded, queue_depth: depth } = readiness();
        return {
          status: 200,
          body: {
            range,
            start: instant(startMs),
            end: instant(now),
            step_seconds: stepMs / 1_000,
            points: points.map(({ startMs: pointMs, counts }) => ({ start: instant(pointMs), ...counts })),
            totals,
            top,
            queue: { depth, providers: depths()?.map((one) => depthInWords(one, now)) ?? null },
            redis: { up: redis, degraded },
          },
        };
      },
    }),
  ];
}

const instant = (ms: number) => new Date(ms).toISOString();

function depthInWords({ provider, outbox, oldestOutboxMs, waiting, active, delayed }: Depth, nowMs: number) {
  return {
    provider,
    outbox,
    waiting,
    active,
    delayed,
    oldest_outbox_age_seconds: oldestOutboxMs === null ? null : Math.max(0, nowMs - oldestOutboxMs) / 1_000,
  };
}
