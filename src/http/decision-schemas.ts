import { z } from 'zod';
import type { CheckRequest } from '../gate/check';
import { identifierSchema } from '../limits/identifier';
import { COST_MAX, DIMENSIONS, instantSchema, type Message, PERIODS } from '../limits/limit';

/** An optional field of a request: null says the same as leaving it out. */
function optional<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform((value) => value ?? null);
}

/** The years in which windows can be asked for. */
const AT_EARLIEST_MS = Date.UTC(1970, 0, 1);
const AT_LATEST_MS = Date.UTC(2100, 0, 1);

/** A message that asks whether it may go out. */
export const checkBodySchema = z
  .strictObject({
    user_id: identifierSchema.describe('The recipient.'),
    account_id: optional(identifierSchema).describe('The account that the message is sent for.'),
    tenant_id: optional(identifierSchema).describe('The same as account_id.'),
    topic_id: optional(identifierSchema).describe('What the message is about.'),
    channel: optional(identifierSchema).describe('The way it goes out, for limits by channel.'),
    message_id: optional(identifierSchema).describe('Makes the check safe to repeat: an accepted id counts once.'),
    cost: z.int().min(1).max(COST_MAX).default(1).describe('How much the message counts.'),
    dry_run: z.boolean().default(false).describe('Decides, but counts nothing.'),
    at: optional(instantSchema).describe('The instant to decide for, instead of now. Only with dry_run.'),
  })
  .superRefine((body, context) => {
    if (body.at !== null && !body.dry_run) {
      context.addIssue({ code: 'custom', path: ['at'], message: 'may only be given with dry_run' });
    }
    if (body.at !== null) {
      const atMs = Date.parse(body.at);
      if (atMs < AT_EARLIEST_MS || atMs >= AT_LATEST_MS) {
        context.addIssue({ code: 'custom', path: ['at'], message: 'must be in the years 1970 to 2099' });
      }
    }
    if (body.tenant_id !== null && body.account_id !== null && body.tenant_id !== body.account_id) {
      context.addIssue({ code: 'custom', path: ['tenant_id'], message: 'must be the same as account_id' });
    }
  })
  .meta({ id: 'Check' });

/** What the gate is asked for a body. */
export function checkRequestOf(body: z.output<typeof checkBodySchema>): CheckRequest {
  return {
    message: {
      user: body.user_id,
      account: body.account_id ?? body.tenant_id,
      topic: body.topic_id,
      channel: body.channel,
    },
    messageId: body.message_id,
    cost: body.cost,
    dry: body.dry_run,
    atMs: body.at === null ? null : Date.parse(body.at),
  };
}

/** The dimensions of a message in a query: at least one. */
export const usageQuerySchema = z
  .strictObject({
    user_id: identifierSchema.optional(),
    account_id: identifierSchema.optional(),
    tenant_id: identifierSchema.optional().describe('The same as account_id.'),
    topic_id: identifierSchema.optional(),
    channel: identifierSchema.optional(),
  })
  .superRefine((query, context) => {
    if (Object.values(query).every((value) => value === undefined)) {
      context.addIssue({
        code: 'custom',
        path: ['user_id'],
        message: 'must be given, or account_id, topic_id or channel',
      });
    }
    if (query.tenant_id !== undefined && query.account_id !== undefined && query.tenant_id !== query.account_id) {
      context.addIssue({ code: 'custom', path: ['tenant_id'], message: 'must be the same as account_id' });
    }
  });

/** The message that a usage query describes. */
export function messageOfQuery(query: z.output<typeof usageQuerySchema>): Message {
  return {
    user: query.user_id ?? null,
    account: query.account_id ?? query.tenant_id ?? null,
    topic: query.topic_id ?? null,
    channel: query.channel ?? null,
  };
}

/** A limit with its use, in answers. */
export const limitUsageSchema = z
  .object({
    limit_id: z.string(),
    per: z.array(z.enum(DIMENSIONS)),
    period: z.enum(PERIODS),
    max: z.number().nullable(),
    used: z.number().describe('The count after the decision.'),
    remaining: z.number().nullable(),
    window_start: z.iso.datetime(),
    resets_at: z.iso.datetime(),
    mode: z.enum(['enforce', 'shadow']),
    exceeded: z.boolean().describe('Whether the message was, or in shadow mode would have been, too much for it.'),
  })
  .meta({ id: 'LimitUsage' });

/** A decision, in answers. */
export const decisionSchema = z
  .object({
    allowed: z.boolean(),
    decision: z.enum(['accepted', 'throttled', 'filtered']),
    message_id: z.string().nullable(),
    replayed: z.boolean().describe('Whether this is the stored verdict of an id that was accepted before.'),
    degraded: z.boolean().describe('Whether it was decided without Redis, by on_redis_down.'),
    limits: z.array(limitUsageSchema).describe('Every limit that was looked at.'),
    throttled_by: z.array(z.string()).describe('The ids of the enforced limits that had no room.'),
    retry_at: z.iso.datetime().nullable().describe('The earliest that a retry can succeed by itself.'),
  })
  .meta({ id: 'Decision' });

/** A problem, in answers. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .loose()
  .meta({ id: 'Problem' });
