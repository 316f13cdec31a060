import { hash } from 'node:crypto';
import { z } from 'zod';
import { ALERT_TYPES } from '../limits/alert-settings';
import { DIMENSIONS, PERIODS } from '../limits/limit';
import { entryMs, type StreamEntry } from '../log/stream';
import { decodeAlertedLimit } from '../store/shapes';

/** What a test alert is called, which everybody gets whatever it asked for. */
export const TEST_TYPE = 'alert.test';

const commonFields = {
  alert_id: z.string().describe("The alert's id: the same as `webhook-id`, and in every attempt."),
  workspace: z.string().describe('The workspace that it is about.'),
};

const limitFields = {
  ...commonFields,
  limit_id: z.string(),
  per: z.array(z.enum(DIMENSIONS)).describe('What the limit counts by.'),
  period: z.enum(PERIODS),
  user_id: z.string().optional().describe('Whose counter it is; only of a limit that counts by user.'),
  account_id: z.string().optional().describe('Whose counter it is; only of a limit that counts by account.'),
  topic_id: z.string().optional().describe('Whose counter it is; only of a limit that counts by topic.'),
  channel: z.string().optional().describe('Whose counter it is; only of a limit that counts by channel.'),
  window_start: z.iso.datetime(),
  resets_at: z.iso.datetime(),
  max: z.number(),
  used: z.number().describe('The count after the decision.'),
  mode: z.enum(['enforce', 'shadow']).describe('A shadow limit only counts: it stops nothing.'),
};

/** What is in the body of a request to a webhook, by type: by the Standard Webhooks scheme, {type, timestamp, data}. */
export const ALERT_SCHEMAS = {
  'limit.threshold': z
    .object({
      type: z.literal('limit.threshold'),
      timestamp: z.iso.datetime().describe('When it happened, by the clock of Redis.'),
      data: z.object({
        ...limitFields,
        threshold: z.int().describe('The part of max that the use has passed, in percent.'),
      }),
    })
    .meta({ id: 'LimitThresholdAlert' }),
  'limit.throttled': z
    .object({
      type: z.literal('limit.throttled'),
      timestamp: z.iso.datetime().describe('When it happened, by the clock of Redis.'),
      data: z.object({
        ...limitFields,
        held: z.boolean().describe('Whether the message waits for room, because the limit defers.'),
      }),
    })
    .meta({ id: 'LimitThrottledAlert' }),
  'provider.stopped': z
    .object({
      type: z.literal('provider.stopped'),
      timestamp: z.iso.datetime().describe('When it happened, by the clock of Redis.'),
      data: z.object({
        ...commonFields,
        provider: z.string(),
        code: z.string().describe("The provider's own code for why it takes no messages."),
        reason: z.string().describe('The same in words.'),
        until: z.iso.datetime().describe('When it is tried again. Its messages wait until then.'),
      }),
    })
    .meta({ id: 'ProviderStoppedAlert' }),
  'redis.degraded': z
    .object({
      type: z.literal('redis.degraded'),
      timestamp: z.iso.datetime().describe('When it was noticed.'),
      data: z.object({
        ...commonFields,
        since: z.iso.datetime().describe('Since when Redis does not answer.'),
        reason: z.string().describe('What was seen last.'),
        replica: z.string().describe('Which process says so: each tells for itself.'),
      }),
    })
    .meta({ id: 'RedisDegradedAlert' }),
  [TEST_TYPE]: z
    .object({
      type: z.literal(TEST_TYPE),
      timestamp: z.iso.datetime(),
      data: z.object({ ...commonFields, message: z.string() }),
    })
    .meta({ id: 'TestAlert' }),
} as const;

type Schemas = typeof ALERT_SCHEMAS;
export type AnyAlertType = keyof Schemas;
/** An alert, as receivers get it. */
export type Alert = { [T in AnyAlertType]: z.output<Schemas[T]> }[AnyAlertType];
/** What one type of alert tells, beside what all do. */
export type AlertData<T extends AnyAlertType> = Omit<z.output<Schemas[T]>['data'], 'alert_id' | 'workspace'>;

/** Any alert, in answers. */
export const alertSchema = z.discriminatedUnion('type', [
  ALERT_SCHEMAS['limit.threshold'],
  ALERT_SCHEMAS['limit.throttled'],
  ALERT_SCHEMAS['provider.stopped'],
  ALERT_SCHEMAS['redis.degraded'],
]);

/** What an alert is told apart by. Another workspace's with an entry of the same id has another. */
export function alertIdOf(workspace: string, entryId: string): string {
  return `al_${hash('sha256', `${workspace}\n${entryId}`, 'hex').slice(0, 24)}`;
}

/** Makes an alert. @param atMs when it happened, in epoch milliseconds @throws ZodError when it is not as its schema says */
export function makeAlert<T extends AnyAlertType>(
  type: T,
  common: { id: string; workspace: string; atMs: number },
  data: AlertData<T>,
): Alert {
  return ALERT_SCHEMAS[type].parse({
    type,
    timestamp: instant(common.atMs),
    data: { alert_id: common.id, workspace: common.workspace, ...data },
  }) as Alert;
}

/** An alert as the stream holds it, see lua/lib/alerts.lua; null for a type that only a later version knows. */
export function alertOf(workspace: string, { id: entryId, fields }: StreamEntry): Alert | null {
  const common = {
    id: fields.id ?? alertIdOf(workspace, entryId),
    workspace,
    atMs: Number(fields.at ?? entryMs(entryId)),
  };
  const type = ALERT_TYPES.find((known) => known === fields.type);
  switch (type) {
    case 'limit.threshold':
      return makeAlert(type, common, { ...limitData(fields), threshold: Number(fields.threshold) });
    case 'limit.throttled':
      return makeAlert(type, common, { ...limitData(fields), held: fields.held === '1' });
    case 'provider.stopped':
    case 'redis.degraded':
      return makeAlert(type, common, JSON.parse(fields.data ?? ''));
    case undefined:
      return null;
  }
}

function limitData({ limit = '', used, user, account, topic, channel }: StreamEntry['fields']) {
  const { id, per, period, max, startMs, endMs, mode } = decodeAlertedLimit(limit);
  const values = { user_id: user, account_id: account, topic_id: topic, channel };
  const counted = { user_id: 'user', account_id: 'account', topic_id: 'topic', channel: 'channel' } as const;
  // Of a message only what the counter is of: whose message it was that passed a threshold of all is a matter of chance.
  const names = (Object.keys(counted) as (keyof typeof counted)[]).filter((name) => per.includes(counted[name]));
  return {
    limit_id: id,
    per: [...per],
    period,
    max: max!,
    mode,
    ...Object.fromEntries(names.map((name) => [name, values[name]])),
    window_start: instant(startMs),
    resets_at: instant(endMs),
    used: Number(used),
  };
}

/** What an alert is about: of the same there is one mail in a day. */
export function subjectOf({ type, data }: Alert): string {
  switch (type) {
    case 'limit.threshold':
    case 'limit.throttled':
      return `limit:${data.limit_id}`;
    case 'provider.stopped':
      return `provider:${data.provider}`;
    case 'redis.degraded':
      return 'redis';
    case 'alert.test':
      return `test:${data.alert_id}`;
  }
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
