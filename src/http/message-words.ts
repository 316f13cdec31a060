import { z } from 'zod';
import type { Explanation } from '../log/explain';
import type { MessageEvent } from '../log/history';
import { type LoggedMessage, MESSAGE_STATUSES } from '../log/messages';
import { limitUsageSchema } from './decision-schemas';

const epochMs = (description: string) => z.int().optional().describe(`${description}, in epoch milliseconds.`);

const messageFields = {
  id: z.string().describe("A send's id; a check's message_id, else an id of ours."),
  log_id: z
    .string()
    .describe(
      'The same for a send; for a check the id of this one decision: a message_id may have been checked often.',
    ),
  status: z.enum(MESSAGE_STATUSES),
  recipient: z.string().describe('The user.'),
  event: z.string().describe('Its metadata.event, or the name of the event that it comes from; empty for a check.'),
  notification: z.string().describe('Its template; empty for a check.'),
  enqueued: z.int().describe('When it was taken, or a check was decided, in epoch milliseconds.'),
  sent: epochMs('When its provider took it'),
  delivered: epochMs('When its provider said that it arrived'),
  due: epochMs('When a delayed message is decided'),
  held_since: epochMs('Since when a delayed message waits for room'),
  error: z.string().nullable().describe('What went wrong, in words.'),
  reason: z
    .enum(['FILTERED', 'FAILED', 'PROVIDER_ERROR', 'BOUNCED'])
    .nullable()
    .describe(
      'Why it was FILTERED (the user is not in the account, and the workspace requires membership) or UNDELIVERABLE.',
    ),
  kind: z
    .enum(['check', 'send'])
    .describe('Whether its caller asked and sends it, or handed it over, an event included.'),
  request_id: z.string().nullable().describe('The requestId of the POST /send that it came with.'),
  account_id: z.string().nullable(),
  tenant_id: z.string().nullable().describe('The same as account_id.'),
  topic: z.string().nullable(),
  channel: z.string().nullable(),
  provider: z
    .string()
    .nullable()
    .describe('The provider of a send; null for a check, and for an event without a mapping.'),
  tags: z.array(z.string()),
  trace_id: z.string().nullable(),
  tries: z.int().describe('How often it was tried to deliver it since it was decided last.'),
  cost: z.int(),
  throttled_by: z.array(z.string()).describe('The limits that had no room.'),
  limits: z.array(limitUsageSchema).describe('Every limit that was looked at, as it was then.'),
  retry_at: z.iso.datetime().nullable().describe('The earliest that a retry could succeed by itself.'),
};
/** A message in a list. */
export const messageSchema = z.object(messageFields).meta({ id: 'LoggedMessage' });

const wholeMessageFields = {
  ...messageFields,
  providers: z
    .array(
      z.object({
        provider: z.string(),
        status: z.string(),
        channel: z.object({ key: z.string() }).nullable(),
        tries: z.int(),
        sent: epochMs('When it took it'),
        delivered: epochMs('When it said that it arrived'),
        error: z.string().nullable(),
        code: z.string().optional().describe("The provider's code for the error, where it has given one."),
        meaning: z.string().optional().describe('What that code means.'),
        what_to_do: z.string().optional().describe('What to do about it.'),
        reference: z.string().nullable().describe("The provider's own id of it."),
      }),
    )
    .describe('The provider that it was given to; empty before that, and for a check.'),
};
/** A message by itself. */
export const wholeMessageSchema = z.object(wholeMessageFields).meta({ id: 'WholeLoggedMessage' });
/** The same with why nothing was done with it. */
export const refusedMessageSchema = z
  .object({ type: z.string(), title: z.string(), detail: z.string(), ...wholeMessageFields })
  .meta({ id: 'RefusedMessage' });

/** Something that happened to a message. */
export const eventSchema = z
  .looseObject({
    id: z.string(),
    ts: z.int().describe('In epoch milliseconds.'),
    type: z
      .string()
      .describe(
        'The status that it got; RETRYING after a try that failed, REDELIVERED when a delivery was begun again whose worker had died, STOPPED when its provider took no messages, RECEIPT when the provider said something that is not final.',
      ),
  })
  .meta({ id: 'MessageEvent' });

/** Why a message is where it is. */
export const explanationSchema = z
  .object({
    message_id: z.string(),
    status: z.enum(MESSAGE_STATUSES),
    summary: z.string().describe('Why it is where it is, in a sentence or two.'),
    decided: z.int().nullable().describe('When the limits were looked at, in epoch milliseconds.'),
    checks_logged: z
      .boolean()
      .describe(
        'Whether accepted checks are logged now (log_checks "all"). Without that, those that used room by asking are not named.',
      ),
    what_to_do: z.string().optional().describe('What to do about it, where the provider has given a code for it.'),
    limits: z.array(
      limitUsageSchema.extend({
        stopped: z.boolean().describe('Whether it kept the message from going.'),
        opens_at: z.iso.datetime().nullable().describe('When it opens; null when it never has room for so much.'),
        last_used_by: z
          .array(
            z.object({
              message_id: z.string(),
              status: z.enum(MESSAGE_STATUSES),
              decided: z.int().describe('In epoch milliseconds.'),
              recipient: z.string(),
              account_id: z.string().nullable(),
              topic: z.string().nullable(),
              cost: z.int(),
            }),
          )
          .describe('The messages that used its room last before that, the last first, as far as the log has them.'),
      }),
    ),
  })
  .meta({ id: 'Explanation' });

/** When the limits were looked at, in epoch milliseconds; null when they were not. */
function decidedMs({ atMs, send }: LoggedMessage): number | null {
  return send === null ? atMs : send.decidedMs;
}

/** The times that there are. */
function times(all: Record<string, number | null | undefined>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}

/** A message as a list shows it. */
export function messageInWords(message: LoggedMessage) {
  const { id, logId, status, atMs, user, account, topic, channel, cost, decision, send } = message;
  return {
    id,
    log_id: logId,
    status,
    recipient: user,
    event: send?.event ?? '',
    notification: send?.template ?? '',
    enqueued: atMs,
    ...times({ sent: send?.sentMs, delivered: send?.deliveredMs, due: send?.dueMs, held_since: send?.heldSinceMs }),
    error: status === 'FILTERED' ? NOT_A_MEMBER : (send?.error ?? null),
    reason: status === 'FILTERED' ? 'FILTERED' : (send?.reason ?? null),
    kind: send === null ? 'check' : 'send',
    request_id: send?.requestId ?? null,
    account_id: account,
    tenant_id: account,
    topic,
    channel,
    // An event without a mapping goes to none.
    provider: send?.provider || null,
    tags: send?.tags ?? [],
    trace_id: send?.traceId ?? null,
    tries: send?.tries ?? 0,
    cost,
    throttled_by: decision.throttled_by,
    limits: decision.limits,
    retry_at: decision.retry_at,
  };
}

/** A message as it is shown by itself. */
export function wholeMessage(message: LoggedMessage) {
  const { status, channel, send } = message;
  const given = send !== null && (send.counts !== null || send.sentMs !== null);
  return {
    ...messageInWords(message),
    providers: given
      ? [
          {
            provider: send.provider,
            status,
            channel: channel === null ? null : { key: channel },
            tries: send.tries,
            ...times({ sent: send.sentMs, delivered: send.deliveredMs }),
            error: send.error,
            ...(send.code === null
              ? {}
              : { code: send.code.code, meaning: send.code.meaning, what_to_do: send.code.whatToDo }),
            reference: send.reference,
          },
        ]
      : [],
  };
}

const NOT_A_MEMBER = 'The user is not in the account, and the workspace requires membership.';

/** Why a message is where it is. */
function summaryOf({ status, account, decision, cost, send }: LoggedMessage): string {
  const opens =
    decision.retry_at === null ? 'They never have room for so much.' : `There is room at ${decision.retry_at}.`;
  const stopped = decision.limits
    .filter(({ limit_id }) => decision.throttled_by.includes(limit_id))
    .map(
      ({ limit_id, max, period, used }) =>
        `${limit_id} allows ${max} in ${period === 'hour' ? 'an' : 'a'} ${period.replace('_', ' ')}, and ${used} were used`,
    )
    .join('; ');
  const needed = cost === 1 ? '' : ` The message counts ${cost}.`;
  switch (status) {
    case 'THROTTLED':
      return `Throttled: ${stopped}.${needed} ${opens}`;
    case 'FILTERED':
      return `Filtered: the user is not in the account ${account}, and the workspace requires membership.`;
    case 'DELAYED':
      if (send?.dueMs) return `Delayed by its sender: it is decided at ${new Date(send.dueMs).toISOString()}.`;
      return `Held until there is room: ${stopped}.${needed} ${opens}`;
    case 'ENQUEUED':
      if (send?.sending) return `Accepted; it is being given to the provider ${send.provider} at this moment.`;
      if (send?.error && send.tries === 0) {
        return `Accepted; it waits, as its provider takes no messages now: ${sentence(send.error)} It is tried again.`;
      }
      if (send?.error)
        return `Accepted, but ${triesText(send.tries)} failed: ${sentence(send.error)} It is tried again.`;
      return `Accepted; it waits for the provider ${send?.provider}.`;
    case 'SENT':
      return `Sent: the provider ${send?.provider} took it.`;
    case 'DELIVERED':
      return `Delivered: the provider ${send?.provider} says that it arrived.`;
    case 'UNDELIVERABLE':
      return `Undeliverable after ${triesText(send?.tries ?? 0)}: ${sentence(send?.error ?? '')}`;
    case 'CANCELED':
      return 'Canceled before it was sent.';
    case 'UNMAPPED':
      return `Unmapped: no mapping makes a message of the event ${send?.event}.`;
    case 'ACCEPTED':
      return 'Accepted: its caller was told that it may go out.';
  }
}

function triesText(count: number): string {
  return count === 1 ? 'one try' : `${count} tries`;
}

/** What went wrong, in words that may or may not end as a sentence does. */
function sentence(words: string): string {
  return words.endsWith('.') ? words : `${words}.`;
}

/** An event of a message's history. */
export function eventInWords({ id, atMs, type, detail }: MessageEvent) {
  return { ...detail, id, ts: atMs, type };
}

/** Why a message is where it is. */
export function explanationInWords({ message, limits }: Explanation, checksLogged: boolean) {
  return {
    message_id: message.id,
    status: message.status,
    summary: summaryOf(message),
    decided: decidedMs(message),
    checks_logged: checksLogged,
    ...(message.send?.code ? { what_to_do: message.send.code.whatToDo } : {}),
    limits: limits.map(({ usage, stopped, opensAt, lastUsedBy }) => ({
      ...usage,
      stopped,
      opens_at: opensAt,
      last_used_by: lastUsedBy.map((other) => ({
        message_id: other.id,
        status: other.status,
        decided: decidedMs(other)!,
        recipient: other.user,
        account_id: other.account,
        topic: other.topic,
        cost: other.cost,
      })),
    })),
  };
}
