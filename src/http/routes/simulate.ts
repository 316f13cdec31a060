import { z } from 'zod';
import { instantSchema, type Limit, type LimitInput, limitIdSchema, limitInputSchema } from '../../limits/limit';
import type { Configuration } from '../../limits/plan';
import type { WhatIf, WhatIfs } from '../../log/what-if';
import type { ConfigurationStore } from '../../store/configuration';
import { type Route, route } from '../contract';
import { problemSchema } from '../decision-schemas';
import { invalidInput, problem, withHeaders } from '../problem';
import { inConflict, stored } from './limits';

const amountSchema = z.object({ messages: z.int(), users: z.int().describe('Of how many users.') });
const talliesSchema = z.object({
  throttled: z.int().describe('Messages that would have been throttled.'),
  users: z.int().describe('Of how many users.'),
  delayed: z.int().describe('Messages that would have waited for room, and not been throttled.'),
});
const affectedSchema = z
  .array(
    z.object({
      id: z.string(),
      messages: z.int().describe('How many of its messages would have fared otherwise.'),
      throttled_before: z.int(),
      throttled_after: z.int(),
      delayed_before: z.int(),
      delayed_after: z.int(),
    }),
  )
  .describe('The first ten.');
const simulationSchema = z
  .object({
    summary: z.string().describe('All of it in a sentence.'),
    notes: z.array(z.string()).describe('What else there is to know, and what is not certain, a sentence or two each.'),
    from: z.iso
      .datetime()
      .describe('Since when messages were decided again: later than asked for when the log is shorter.'),
    to: z.iso.datetime(),
    asked_from: z.iso.datetime(),
    events: z.int().describe('How much of the log was replayed, what came before `from` included.'),
    messages: z.int().describe('How many messages were decided for the first time between from and to.'),
    before: talliesSchema.describe('What became of them by what is in force.'),
    after: talliesSchema.describe('What would have become of them by the changed limits.'),
    newly_throttled: amountSchema,
    no_longer_throttled: amountSchema,
    newly_delayed: amountSchema,
    no_longer_delayed: amountSchema,
    most_affected: z.object({ users: affectedSchema, accounts: affectedSchema, topics: affectedSchema }),
    by_limit: z
      .array(
        z.object({
          limit_id: z.string(),
          mode: z.enum(['enforce', 'shadow']),
          before: z.int().nullable().describe('null: it is not in force.'),
          after: z.int().nullable().describe('null: it would not be in force.'),
        }),
      )
      .describe('How many messages limits had no room for. What a shadow has no room for goes out all the same.'),
    uncertain: z
      .object({
        messages: z.int().describe('Of how many messages it is not certain what would have become of them.'),
        why: z.array(
          z.object({
            limit_id: z.string(),
            messages: z.int(),
            window_start: z.iso.datetime().describe('The first window that it is not known of what was counted in it.'),
            reason: z
              .enum(['window_began_before', 'depends_on_others'])
              .describe('It began before `known_from`; or messages that are not certain may have been counted in it.'),
          }),
        ),
      })
      .describe('All others agree with what would really have been decided.'),
    known_from: z.iso
      .datetime()
      .nullable()
      .describe('Since when all that was counted is in the log; null: it has all that ever was.'),
    known_from_reason: z
      .enum(['log_trimmed', 'log_too_long', 'not_read', 'checks_not_logged', 'log_incomplete'])
      .nullable()
      .describe('Why not from before.'),
    not_logged: z
      .object({ until: z.iso.datetime().describe('When the last such check was counted.') })
      .nullable()
      .describe('Checks that were accepted and are not in the log: see the setting log_checks.'),
  })
  .meta({ id: 'LimitSimulation' });

const DAY_MS = 86_400_000;
/** How far back the past may be tried, in days: the log is kept for as long, unless configured otherwise. */
const DAYS_MAX = 30;
const DAYS_DEFAULT = 7;
const CHANGED_MAX = 1_000;
/** When another simulation may be asked for while one is under way, in seconds. */
const BUSY_SECONDS = '2';

const simulateBodySchema = z
  .strictObject({
    limits: z
      .array(limitInputSchema)
      .max(CHANGED_MAX)
      .default([])
      .describe(
        'Put over those in force, by id. One without an id takes the place of the one with the same per, period, mode and where, or is a new one.',
      ),
    delete: z.array(limitIdSchema).max(CHANGED_MAX).default([]).describe('The ids of limits that would be gone.'),
    replace: z.boolean().default(false).describe('Whether `limits` would be all that there are.'),
    days: z.int().min(1).max(DAYS_MAX).optional().describe('How many days back; 7 unless said otherwise.'),
    since: instantSchema.optional().describe('Since when, instead of days.'),
  })
  .superRefine(({ limits, delete: removed, replace, days, since }, context) => {
    const issue = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
    const ids = new Set<string>();
    limits.forEach(({ id }, index) => {
      if (id === undefined) return;
      if (ids.has(id)) issue(['limits', index, 'id'], 'is the id of another of these limits too');
      ids.add(id);
    });
    removed.forEach((id, index) => {
      if (ids.has(id)) issue(['delete', index], 'is the id of one of `limits` too');
    });
    if (replace && removed.length > 0) issue(['delete'], 'may not be given with replace');
    if (days !== undefined && since !== undefined) issue(['since'], 'may not be given with days');
  });

/** The route that says what changed limits would have done. It changes nothing. */
export function simulationRoutes(deps: {
  configuration: ConfigurationStore;
  whatIfs: WhatIfs;
  /** Redis's time, in epoch milliseconds. */
  nowMs: () => number;
}): Route[] {
  const { configuration, whatIfs, nowMs } = deps;
  return [
    route({
      method: 'post',
      path: '/limits/simulate',
      operationId: 'simulateLimits',
      tag: 'Limits',
      summary: 'What changed limits would have done',
      description:
        'Decides the messages of the log again, in order, with all that was given back and reset in between, under what is in force and under the changed limits, and compares the two. Nothing is changed. What is not certain, because the log does not reach back far enough or has not everything that was counted, is said. One is worked out at a time.',
      role: 'read',
      body: simulateBodySchema,
      bodyExample: { limits: [{ id: 'user-daily', per: ['user'], period: 'day', max: 20 }] },
      replies: {
        200: { description: 'What would have become of the messages.', schema: simulationSchema },
        409: { description: 'A limit may not stand beside another.', schema: problemSchema },
        429: {
          description: 'Another simulation is under way.',
          schema: problemSchema,
          headers: { 'Retry-After': 'When to ask again, in seconds.' },
        },
      },
      async handle({ body }) {
        await configuration.refresh();
        const current = configuration.planner()!.configuration;
        const now = nowMs();
        const sinceMs = body.since === undefined ? null : Date.parse(body.since);
        const errors = [
          ...body.delete.flatMap((id, index) =>
            current.limits.get(id) === undefined
              ? [{ path: `delete.${index}`, message: `is "${id}", and there is no limit of that id` }]
              : [],
          ),
          ...(sinceMs !== null && (sinceMs > now || sinceMs < now - DAYS_MAX * DAY_MS)
            ? [{ path: 'since', message: `must be in the last ${DAYS_MAX} days` }]
            : []),
        ];
        if (errors.length > 0) return invalidInput(errors);
        const put = putIn(body.limits, current.limits, now);
        const kept = new Set(put.map(({ id }) => id));
        const removed = body.replace ? [...current.limits.values()].map(({ id }) => id) : body.delete;
        const tried = await whatIfs.try(
          current,
          { put, removed: removed.filter((id) => !kept.has(id)) },
          sinceMs ?? ((nowMs) => nowMs - (body.days ?? DAYS_DEFAULT) * DAY_MS),
        );
        switch (tried.kind) {
          case 'busy':
            return withHeaders(
              problem(429, 'Busy', 'Another simulation is under way, and one is worked out at a time. Ask again soon.'),
              { 'retry-after': BUSY_SECONDS },
            );
          case 'conflict':
            return inConflict(tried.limit, tried.other, `limits.${put.indexOf(tried.limit)}.where`);
          case 'done':
            return { status: 200, body: simulationOf(tried.whatIf) };
        }
      },
    }),
  ];
}

/**
 * Limits to try. One without an id is tried in the place of the one that it could not stand beside, and else under an id that
 * there is none of.
 */
function putIn(inputs: readonly LimitInput[], limits: Configuration['limits'], nowMs: number): Limit[] {
  const taken = new Set(inputs.map(({ id }) => id));
  let count = 0;
  const newId = () => {
    for (;;) {
      count += 1;
      const id = count === 1 ? 'new' : `new-${count}`;
      if (!taken.has(id) && limits.get(id) === undefined) return id;
    }
  };
  return inputs.map((input) => {
    if (input.id !== undefined) return stored(input, input.id, nowMs, limits.get(input.id) ?? null);
    const limit = stored(input, newId(), nowMs, null);
    const present = limits.conflict(limit);
    if (present === null || taken.has(present.id)) return limit;
    taken.add(present.id);
    return stored(input, present.id, nowMs, present);
  });
}

/** What changed limits would have done, as it is answered. */
function simulationOf({ span, comparison, known, unloggedMs, events, summary, notes }: WhatIf) {
  const { before, after, affected, uncertain } = comparison;
  const instant = (ms: number) => new Date(ms).toISOString();
  const tally = ({ throttled, delayed }: typeof before) => ({
    throttled: throttled.messages,
    users: throttled.users,
    delayed: delayed.messages,
  });
  const rows = (all: typeof affected.users) =>
    all.map(({ id, messages, throttledBefore, throttledAfter, delayedBefore, delayedAfter }) => ({
      ...{ id, messages, throttled_before: throttledBefore, throttled_after: throttledAfter },
      ...{ delayed_before: delayedBefore, delayed_after: delayedAfter },
    }));
  return {
    ...{ summary, notes, events },
    from: instant(span.fromMs),
    to: instant(span.toMs),
    asked_from: instant(span.askedFromMs),
    messages: comparison.messages,
    before: tally(before),
    after: tally(after),
    newly_throttled: comparison.newlyThrottled,
    no_longer_throttled: comparison.noLongerThrottled,
    newly_delayed: comparison.newlyDelayed,
    no_longer_delayed: comparison.noLongerDelayed,
    most_affected: {
      users: rows(affected.users),
      accounts: rows(affected.accounts),
      topics: rows(affected.topics),
    },
    by_limit: comparison.limits.map(({ id, mode, before: had, after: would }) => ({
      ...{ limit_id: id, mode, before: had, after: would },
    })),
    uncertain: {
      messages: uncertain.messages,
      why: uncertain.limits.map(({ id, messages, windowStartMs }) => ({
        ...{ limit_id: id, messages, window_start: instant(windowStartMs) },
        reason: known !== null && windowStartMs < known.fromMs ? 'window_began_before' : 'depends_on_others',
      })),
    },
    known_from: known === null ? null : instant(known.fromMs),
    known_from_reason: known?.why ?? null,
    not_logged: unloggedMs === null ? null : { until: instant(unloggedMs) },
  };
}
