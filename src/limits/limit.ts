import { z } from 'zod';
import { alertThresholdsSchema } from './alert-settings';
import { identifierSchema } from './identifier';

/** What a limit can count by, in the order in which `where` clauses outrank each other. */
export const DIMENSIONS = ['user', 'account', 'topic', 'channel'] as const;
export type Dimension = (typeof DIMENSIONS)[number];

/** From the shortest to the longest: verdicts list limits in this order. */
export const PERIODS = ['hour', 'day', 'week', 'month', 'billing_period'] as const;
export type Period = (typeof PERIODS)[number];

/** The largest `max` of a limit. With costs of at most {@link COST_MAX} counters stay far below 2^53. */
export const LIMIT_MAX = 1_000_000_000_000;
/** The largest cost of one message. */
export const COST_MAX = 1_000_000;

/** An instant in a request: RFC 3339 with an offset, kept in UTC with milliseconds. */
export const instantSchema = z.iso
  .datetime({ offset: true, error: 'must be an RFC 3339 date-time with an offset, such as 2026-03-07T05:00:00.000Z' })
  .refine((value) => !Number.isNaN(Date.parse(value)), { error: 'must be an instant that exists', abort: true })
  .transform((value) => new Date(value).toISOString());

export const limitIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, { error: 'must be 1 to 64 of the characters A-Z a-z 0-9 . _ -' });

/** Values of dimensions, as a caller writes them: an account is also called a tenant. */
export const dimensionValuesSchema = z
  .strictObject({
    user: identifierSchema.optional(),
    account: identifierSchema.optional(),
    tenant: identifierSchema.optional().describe('The same as account.'),
    topic: identifierSchema.optional(),
    channel: identifierSchema.optional(),
  })
  .superRefine(({ account, tenant }, context) => {
    if (account !== undefined && tenant !== undefined && account !== tenant) {
      context.addIssue({ code: 'custom', path: ['tenant'], message: 'must be the same as account' });
    }
  })
  .transform(({ tenant, ...values }): Where => {
    if (tenant === undefined) return values;
    const { user, topic, channel } = values;
    return { ...(user && { user }), account: tenant, ...(topic && { topic }), ...(channel && { channel }) };
  });

const whereSchema = dimensionValuesSchema.refine((where) => Object.values(where).some((value) => value !== undefined), {
  error: 'must name a user, account, topic or channel',
});

const perSchema = z
  .array(z.enum([...DIMENSIONS, 'tenant']))
  .max(DIMENSIONS.length)
  .transform((per) => per.map((dimension) => (dimension === 'tenant' ? 'account' : dimension)))
  .superRefine((per, context) => {
    const repeated = per.find((dimension, index) => per.indexOf(dimension) !== index);
    if (repeated !== undefined) context.addIssue({ code: 'custom', message: `repeats "${repeated}"` });
  })
  .meta({ uniqueItems: true });

const limitFields = {
  per: perSchema.describe(
    'What is counted: any subset of account (or tenant, the same), user, topic, channel. [] counts all messages.',
  ),
  period: z.enum(PERIODS).describe('The calendar period over which messages are counted.'),
  max: z
    .int()
    .min(0)
    .max(LIMIT_MAX)
    .nullable()
    .describe('The most that may be counted in one window. 0 blocks; null lifts the limit but still counts.'),
  where: whereSchema
    .nullish()
    .transform((where) => where ?? null)
    .describe('Applies the limit only to messages that match, overriding a broader one of the same per and period.'),
  mode: z.enum(['enforce', 'shadow']).default('enforce').describe('shadow counts and reports, but never throttles.'),
  on_exceeded: z
    .enum(['throttle', 'defer'])
    .default('throttle')
    .describe('What becomes of a handed-over send: throttle ends it, defer holds it until there is room.'),
  on_redis_down: z
    .enum(['deny', 'allow', 'local'])
    .default('deny')
    .describe("What a check is answered while Redis does not: deny, allow, or this replica's share of max."),
  alert_thresholds: alertThresholdsSchema
    .nullish()
    .transform((value) => value ?? null)
    .describe(
      "Parts of max, in percent, of which there is an alert when the use passes them; [] for none, null for the workspace's.",
    ),
  from: instantSchema
    .nullish()
    .transform((value) => value ?? null)
    .describe('In force from this instant on.'),
  until: instantSchema
    .nullish()
    .transform((value) => value ?? null)
    .describe('In force until this instant.'),
  reason: z
    .string()
    .max(1_000)
    .nullish()
    .transform((value) => value ?? null)
    .describe('Why the limit or override is there, for whoever finds it later.'),
};

function untilAfterFrom(limit: { from: string | null; until: string | null }): boolean {
  return limit.from === null || limit.until === null || Date.parse(limit.from) < Date.parse(limit.until);
}
const untilAfterFromError = { path: ['until'], error: 'must be later than from' };

/** What answers add to a limit: taken and ignored in a request, so that what was read can be sent back changed. */
const readOnlyFields = {
  source: z.unknown().optional().meta({ readOnly: true }),
  created_at: z.unknown().optional().meta({ readOnly: true }),
  updated_at: z.unknown().optional().meta({ readOnly: true }),
};

/** A limit as a caller writes it: `id` is generated when it is missing. */
export const limitInputSchema = z
  .strictObject({ id: limitIdSchema.optional(), ...limitFields, ...readOnlyFields })
  .refine(untilAfterFrom, untilAfterFromError)
  .meta({ id: 'LimitInput' });
export type LimitInput = z.output<typeof limitInputSchema>;

export type Where = { [D in Dimension]?: string | undefined };

/** A limit as it is stored and in force. Instants are RFC 3339 in UTC. */
export interface Limit {
  id: string;
  per: Dimension[];
  period: Period;
  max: number | null;
  where: Where | null;
  mode: 'enforce' | 'shadow';
  on_exceeded: 'throttle' | 'defer';
  on_redis_down: 'deny' | 'allow' | 'local';
  /** In percent of max, rising; null for the workspace's. */
  alert_thresholds: number[] | null;
  from: string | null;
  until: string | null;
  reason: string | null;
  /** Where it came from: only the limits file may change a limit of source `file`. */
  source: 'api' | 'file';
  created_at: string;
  updated_at: string;
}

/** What one message is, as far as limits care. An absent dimension is null. */
export interface Message {
  user: string | null;
  account: string | null;
  topic: string | null;
  channel: string | null;
}

/** The bit of a dimension in a mask; user outranks account outranks topic outranks channel. */
export const DIMENSION_BIT: Record<Dimension, number> = { user: 8, account: 4, topic: 2, channel: 1 };

/** The dimensions as a set of bits. Of two `where` clauses that both match, the one with the larger mask wins. */
export function dimensionMask(dimensions: readonly Dimension[]): number {
  return dimensions.reduce((mask, dimension) => mask | DIMENSION_BIT[dimension], 0);
}

/** The mask of the dimensions that a `where` names; 0 for a limit without one. */
export function whereMask(where: Where | null): number {
  return where === null ? 0 : dimensionMask(DIMENSIONS.filter((dimension) => where[dimension] !== undefined));
}

/** A limit with `from` or `until` is temporary: while in force it wins over a lasting one with the same `where`. */
export function isTemporary(limit: Pick<Limit, 'from' | 'until'>): boolean {
  return limit.from !== null || limit.until !== null;
}
