import { z } from 'zod';
import { identifierProblem, identifierSchema } from '../../limits/identifier';
import { instantSchema } from '../../limits/limit';
import { explain } from '../../log/explain';
import type { MessageEvent } from '../../log/history';
import {
  type LoggedMessage,
  MESSAGE_STATUSES,
  type MessageFilter,
  type MessageLog,
  type MessageStatus,
  matchesFilter,
  SCAN_MAX_ROWS,
} from '../../log/messages';
import { isRowNumber } from '../../log/rows';
import type { ActionOutcome, SendActions } from '../../sends/actions';
import { type Reply, type Route, route } from '../contract';
import { decodeCursor, encodeCursor } from '../cursor';
import { limitUsageSchema, problemSchema } from '../decision-schemas';
import { emptyIsAbsent, listQueryFields } from '../list';
import { pagingSchema } from '../paging';
import { invalidInput, problem } from '../problem';
import { unavailable } from './check';

const CURSOR_KIND = 'messages';

/** What Courier knows besides, and no message here ever is: asked for, there are none. */
const FOREIGN_STATUSES = ['CLICKED', 'DIGESTED', 'OPENED', 'ROUTED', 'SIMULATED', 'UNMAPPED', 'UNROUTABLE'] as const;
const ASKED_STATUSES: readonly string[] = [...MESSAGE_STATUSES, ...FOREIGN_STATUSES];

function isAskedStatus(status: string): boolean {
  return ASKED_STATUSES.includes(status);
}

function isMessageStatus(status: string): status is MessageStatus {
  return MESSAGE_STATUSES.some((ours) => ours === status);
}

/** One status or several, in any case, with commas or by saying `status` again. */
const statusSchema = z
  .preprocess(emptyIsAbsent, z.union([z.string(), z.array(z.string())]).optional())
  .transform((value) =>
    value === undefined ? undefined : [value].flat().flatMap((text) => text.toUpperCase().split(',')),
  )
  .refine((statuses) => statuses?.every(isAskedStatus) ?? true, {
    error: `must be one or several of ${ASKED_STATUSES.join(', ')}`,
  })
  .transform((statuses) => statuses?.filter(isMessageStatus))
  .describe('Only messages of these statuses, with commas or several times.');

function filterSchema(description: string) {
  return z.preprocess(emptyIsAbsent, identifierSchema.optional()).describe(description).meta({ type: 'string' });
}

/** What may be said once or several times, or with commas. */
function listFilterSchema(description: string) {
  return z
    .preprocess(emptyIsAbsent, z.union([z.string(), z.array(z.string())]).optional())
    .transform((value) => (value === undefined ? undefined : [value].flat().flatMap((text) => text.split(','))))
    .refine((values) => values?.every((value) => identifierProblem(value) === null) ?? true, {
      error: 'must be ids, separated by commas',
    })
    .describe(description);
}

/** A moment: RFC 3339 with an offset, or epoch milliseconds. */
function momentSchema(description: string) {
  return z
    .preprocess(
      emptyIsAbsent,
      z
        .string()
        .refine((text) => momentMs(text) !== null, {
          error: 'must be an RFC 3339 date-time with an offset, or epoch milliseconds',
        })
        .optional(),
    )
    .transform((text) => (text === undefined ? undefined : momentMs(text)!))
    .describe(description)
    .meta({ type: 'string' });
}

function momentMs(text: string): number | null {
  if (/^\d{1,14}$/.test(text)) return Number(text);
  // A day without a time is its beginning in UTC.
  const read = instantSchema.safeParse(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  return read.success ? Date.parse(read.data) : null;
}

const querySchema = z
  .strictObject({
    ...listQueryFields,
    status: statusSchema,
    recipient: filterSchema('Only messages to this user.'),
    account_id: filterSchema('Only messages for this account.'),
    tenant_id: filterSchema('The same as account_id.'),
    topic: filterSchema('Only messages about this topic.'),
    topic_id: filterSchema('The same as topic.'),
    traceId: filterSchema('Only sends with this metadata.trace_id.'),
    tags: listFilterSchema('Only sends with any of these metadata.tags, with commas.'),
    tag: listFilterSchema('The same as tags.'),
    enqueued_after: momentSchema('Only messages that were taken at this moment or later.'),
    enqueued_before: momentSchema('Only messages that were taken before this moment.'),
    messageId: filterSchema('Only messages with this id.'),
    event: filterSchema('Only sends with this metadata.event. What the other filters find is looked through for it.'),
    notification: filterSchema('Only sends of this template. What the other filters find is looked through for it.'),
    provider: listFilterSchema(
      'Only sends of these providers. What the other filters find is looked through for them.',
    ),
    list: filterSchema("Courier's: no message is to a list here."),
    archived: z
      .preprocess(emptyIsAbsent, z.enum(['true', 'false']).optional())
      .describe("Courier's: no message is archived here.")
      .meta({ type: 'boolean' }),
  })
  .superRefine(({ account_id, tenant_id, topic, topic_id, tags, tag }, context) => {
    if (account_id !== undefined && tenant_id !== undefined && account_id !== tenant_id) {
      context.addIssue({ code: 'custom', path: ['tenant_id'], message: 'must be the same as account_id' });
    }
    if (topic !== undefined && topic_id !== undefined && topic !== topic_id) {
      context.addIssue({ code: 'custom', path: ['topic_id'], message: 'must be the same as topic' });
    }
    if (tags !== undefined && tag !== undefined) {
      context.addIssue({ code: 'custom', path: ['tag'], message: 'must not be given together with tags' });
    }
  });

const epochMs = (description: string) => z.int().optional().describe(`${description}, in epoch milliseconds.`);

const messageFields = {
  id: z.string().describe("A send's id; a check's message_id, else an id of ours."),
  status: z.enum(MESSAGE_STATUSES),
  recipient: z.string().describe('The user.'),
  event: z.string().describe('Its metadata.event; empty for a check.'),
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
  kind: z.enum(['check', 'send']).describe('Whether its caller asked and sends it, or handed it over.'),
  request_id: z.string().nullable().describe('The requestId of the POST /send that it came with.'),
  account_id: z.string().nullable(),
  tenant_id: z.string().nullable().describe('The same as account_id.'),
  topic: z.string().nullable(),
  channel: z.string().nullable(),
  provider: z.string().nullable().describe('The provider of a send.'),
  tags: z.array(z.string()),
  trace_id: z.string().nullable(),
  tries: z.int().describe('How often it was tried to deliver it since it was decided last.'),
  cost: z.int(),
  throttled_by: z.array(z.string()).describe('The limits that had no room.'),
  limits: z.array(limitUsageSchema).describe('Every limit that was looked at, as it was then.'),
  retry_at: z.iso.datetime().nullable().describe('The earliest that a retry could succeed by itself.'),
};
const messageSchema = z.object(messageFields).meta({ id: 'LoggedMessage' });

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
        reference: z.string().nullable().describe("The provider's own id of it."),
      }),
    )
    .describe('The provider that it was given to; empty before that, and for a check.'),
};
const wholeMessageSchema = z.object(wholeMessageFields).meta({ id: 'WholeLoggedMessage' });
const refusedMessageSchema = z
  .object({ type: z.string(), title: z.string(), detail: z.string(), ...wholeMessageFields })
  .meta({ id: 'RefusedMessage' });

const eventSchema = z
  .looseObject({
    id: z.string(),
    ts: z.int().describe('In epoch milliseconds.'),
    type: z
      .string()
      .describe(
        'The status that it got; RETRYING after a try that failed, REDELIVERED when a delivery was begun again whose worker had died.',
      ),
  })
  .meta({ id: 'MessageEvent' });

const explanationSchema = z
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

const params = z.strictObject({ message_id: identifierSchema });

/** What the routes of messages stand on. */
export interface MessageServices {
  messageLog: MessageLog;
  history: (message: LoggedMessage) => Promise<MessageEvent[]>;
  sendActions: SendActions;
  /** Whether accepted checks are logged. */
  checksLogged: () => boolean;
}

/** The routes of the message log, in the words of Courier's: https://www.courier.com/docs/reference/logs */
export function messageRoutes({ messageLog, history, sendActions, checksLogged }: MessageServices): Route[] {
  const unknown = { description: 'The log has no such message, or no longer.', schema: problemSchema };
  return [
    route({
      method: 'get',
      path: '/messages',
      operationId: 'listMessages',
      tag: 'Messages',
      summary: 'What became of messages',
      description: `The newest first. Every send is here, and every throttled and filtered check; accepted checks too, with the setting log_checks "all". A filter is looked up in an index. With several, one call looks at no more than ${SCAN_MAX_ROWS.toLocaleString('en')} messages: when few of them match all, a page may be short or empty and yet say more.`,
      role: 'read',
      query: querySchema,
      replies: {
        200: {
          description: 'A page of messages.',
          schema: z.object({ paging: pagingSchema, results: z.array(messageSchema) }),
        },
      },
      async handle({ query }) {
        const before = query.cursor === undefined ? null : decodeCursor(CURSOR_KIND, query.cursor);
        if (query.cursor !== undefined && (before === null || !isRowNumber(before))) {
          return invalidInput([{ path: 'cursor', message: 'must be a cursor from this list' }]);
        }
        const filter: MessageFilter = {
          // No message is to a list.
          statuses: query.list === undefined ? query.status : [],
          user: query.recipient,
          account: query.account_id ?? query.tenant_id,
          topic: query.topic ?? query.topic_id,
          traceId: query.traceId,
          tags: query.tags ?? query.tag,
          fromMs: query.enqueued_after,
          untilMs: query.enqueued_before,
          event: query.event,
          template: query.notification,
          providers: query.provider,
        };
        if (query.messageId !== undefined) {
          const message = await messageLog.get(query.messageId);
          const results = message !== null && matchesFilter(message, filter) ? [messageInWords(message)] : [];
          return { status: 200, body: { paging: { cursor: null, more: false }, results } };
        }
        const { messages, next } = await messageLog.page(filter, before, query.limit);
        const paging = { cursor: next === null ? null : encodeCursor(CURSOR_KIND, next), more: next !== null };
        return { status: 200, body: { paging, results: messages.map(messageInWords) } };
      },
    }),
    route({
      method: 'get',
      path: '/messages/{message_id}',
      operationId: 'getMessage',
      tag: 'Messages',
      summary: 'What became of a message',
      description: 'Where an id was checked several times, the last decision that is in the log.',
      role: 'read',
      params,
      replies: { 200: { description: 'The message.', schema: wholeMessageSchema }, 404: unknown },
      async handle({ params }) {
        const message = await messageLog.get(params.message_id);
        return message === null ? unknownMessage() : { status: 200, body: wholeMessage(message) };
      },
    }),
    route({
      method: 'get',
      path: '/messages/{message_id}/history',
      operationId: 'getMessageHistory',
      tag: 'Messages',
      summary: 'What happened to a message, in order',
      role: 'read',
      params,
      query: z.strictObject({ type: filterSchema('Only events of this type.') }),
      replies: {
        200: {
          description: 'Everything that happened, the first thing first.',
          schema: z.object({ results: z.array(eventSchema) }),
        },
        404: unknown,
      },
      async handle({ params, query }) {
        const message = await messageLog.get(params.message_id);
        if (message === null) return unknownMessage();
        const wanted = query.type?.toUpperCase();
        const events = (await history(message)).filter(({ type }) => wanted === undefined || type === wanted);
        return {
          status: 200,
          body: { results: events.map(({ id, atMs, type, detail }) => ({ ...detail, id, ts: atMs, type })) },
        };
      },
    }),
    route({
      method: 'get',
      path: '/messages/{message_id}/explain',
      operationId: 'explainMessage',
      tag: 'Messages',
      summary: 'Why a message was not sent, or was',
      description:
        'Every limit that it was held against, its use at that moment, the messages that used the room last, and when it opens.',
      role: 'read',
      params,
      replies: { 200: { description: 'Why.', schema: explanationSchema }, 404: unknown },
      async handle({ params }) {
        const message = await messageLog.get(params.message_id);
        if (message === null) return unknownMessage();
        const { limits } = await explain(messageLog, message);
        return {
          status: 200,
          body: {
            message_id: message.id,
            status: message.status,
            summary: summaryOf(message),
            decided: decidedMs(message),
            checks_logged: checksLogged(),
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
          },
        };
      },
    }),
    route({
      method: 'post',
      path: '/messages/{message_id}/cancel',
      operationId: 'cancelMessage',
      tag: 'Messages',
      summary: 'Stop a message that has not been sent',
      description: 'And give back what it counted. Canceling it again changes nothing.',
      role: 'check',
      params,
      replies: {
        200: { description: 'The message, canceled.', schema: wholeMessageSchema },
        404: unknown,
        409: {
          description:
            'There is nothing to stop any more. The message as it is, with the title and detail of a problem.',
          schema: refusedMessageSchema,
        },
      },
      async handle({ params, actor }) {
        return actionReply(await sendActions.cancel(params.message_id, actor), 200, 'Cannot be canceled');
      },
    }),
    route({
      method: 'post',
      path: '/messages/{message_id}/retry',
      operationId: 'retryMessage',
      tag: 'Messages',
      summary: 'Send a throttled or failed message again',
      description: 'Under a new decision: it may be throttled again.',
      role: 'check',
      params,
      replies: {
        202: { description: 'The message as it has been decided now.', schema: wholeMessageSchema },
        404: unknown,
        409: {
          description:
            'It is not one that can be sent again. The message as it is, with the title and detail of a problem.',
          schema: refusedMessageSchema,
        },
      },
      async handle({ params, actor }) {
        return actionReply(await sendActions.retry(params.message_id, actor), 202, 'Cannot be sent again');
      },
    }),
  ];
}

function unknownMessage(): Reply {
  return problem(
    404,
    'Unknown message',
    'The log has no message with this id, or no longer. An accepted check is there only with the setting log_checks "all".',
  );
}

function actionReply(outcome: ActionOutcome, status: number, refusal: string): Reply {
  switch (outcome.kind) {
    case 'done':
      return { status, body: wholeMessage(outcome.message) };
    case 'unknown':
      return unknownMessage();
    case 'unavailable':
      return unavailable();
    case 'refused': {
      // Courier answers with the record here; a problem has a status of its own only where the record has none.
      const { body, ...reply } = problem(409, refusal, outcome.why);
      return { ...reply, body: { ...(body as object), ...wholeMessage(outcome.message) } };
    }
  }
}

function decidedMs({ atMs, send }: LoggedMessage): number | null {
  return send === null ? atMs : send.decidedMs;
}

/** The times that there are. */
function times(all: Record<string, number | null | undefined>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}

function messageInWords(message: LoggedMessage) {
  const { id, status, atMs, user, account, topic, channel, cost, decision, send } = message;
  return {
    id,
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
    provider: send?.provider ?? null,
    tags: send?.tags ?? [],
    trace_id: send?.traceId ?? null,
    tries: send?.tries ?? 0,
    cost,
    throttled_by: decision.throttled_by,
    limits: decision.limits,
    retry_at: decision.retry_at,
  };
}

function wholeMessage(message: LoggedMessage) {
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
        `${limit_id} allows ${max} in a ${period.replace('_', ' ')}, and ${used} were used`,
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
      if (send?.error) return `Accepted, and tried ${triesText(send.tries)}: ${send.error}. It is tried again.`;
      return `Accepted; it waits for the provider ${send?.provider}.`;
    case 'SENT':
      return `Sent: the provider ${send?.provider} took it.`;
    case 'DELIVERED':
      return `Delivered: the provider ${send?.provider} says that it arrived.`;
    case 'UNDELIVERABLE':
      return `Undeliverable after ${triesText(send?.tries ?? 0)}: ${send?.error}.`;
    case 'CANCELED':
      return 'Canceled before it was sent.';
    case 'ACCEPTED':
      return 'Accepted: its caller was told that it may go out.';
  }
}

function triesText(count: number): string {
  return count === 1 ? 'one try' : `${count} tries`;
}
