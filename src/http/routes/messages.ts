import { z } from 'zod';
import { identifierSchema } from '../../limits/identifier';
import {
  type LoggedMessage,
  MESSAGE_STATUSES,
  type MessageLog,
  type MessageStatus,
  SCAN_MAX_ROWS,
} from '../../log/messages';
import { isRowNumber } from '../../log/rows';
import { type Route, route } from '../contract';
import { decodeCursor, encodeCursor } from '../cursor';
import { limitUsageSchema, problemSchema } from '../decision-schemas';
import { emptyIsAbsent, listQueryFields } from '../list';
import { pagingSchema } from '../paging';
import { invalidInput, problem } from '../problem';

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

const querySchema = z
  .strictObject({
    ...listQueryFields,
    status: statusSchema,
    recipient: filterSchema('Only messages to this user.'),
    account_id: filterSchema('Only messages for this account.'),
    tenant_id: filterSchema('The same as account_id.'),
    topic: filterSchema('Only messages about this topic.'),
    topic_id: filterSchema('The same as topic.'),
  })
  .superRefine(({ account_id, tenant_id, topic, topic_id }, context) => {
    if (account_id !== undefined && tenant_id !== undefined && account_id !== tenant_id) {
      context.addIssue({ code: 'custom', path: ['tenant_id'], message: 'must be the same as account_id' });
    }
    if (topic !== undefined && topic_id !== undefined && topic !== topic_id) {
      context.addIssue({ code: 'custom', path: ['topic_id'], message: 'must be the same as topic' });
    }
  });

const messageSchema = z
  .object({
    id: z.string().describe("The caller's message_id, else an id of ours."),
    status: z.enum(MESSAGE_STATUSES),
    recipient: z.string().describe('The user.'),
    event: z.string().describe('Empty for a check: it knows of none.'),
    notification: z.string().describe('Empty for a check: it knows of none.'),
    enqueued: z.int().describe('When it was decided, in epoch milliseconds.'),
    account_id: z.string().nullable(),
    tenant_id: z.string().nullable().describe('The same as account_id.'),
    topic: z.string().nullable(),
    channel: z.string().nullable(),
    cost: z.int(),
    reason: z
      .enum(['NOT_A_MEMBER'])
      .nullable()
      .describe('Why it was FILTERED: the user is not in the account, and the workspace requires membership.'),
    throttled_by: z.array(z.string()).describe('The limits that had no room.'),
    limits: z.array(limitUsageSchema).describe('Every limit that was looked at, as it was then.'),
    retry_at: z.iso.datetime().nullable().describe('The earliest that a retry could succeed by itself.'),
  })
  .meta({ id: 'LoggedMessage' });

/** The routes of the message log, in the words of Courier's: https://www.courier.com/docs/reference/logs */
export function messageRoutes({ messageLog }: { messageLog: MessageLog }): Route[] {
  return [
    route({
      method: 'get',
      path: '/messages',
      operationId: 'listMessages',
      tag: 'Messages',
      summary: 'What became of messages',
      description: `The newest first. Every throttled and filtered message is here; accepted checks too, with the setting log_checks "all". A filter is looked up in an index. With several, one call looks at no more than ${SCAN_MAX_ROWS.toLocaleString('en')} messages: when few of them match all, a page may be short or empty and yet say more.`,
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
        const filter = {
          statuses: query.status,
          user: query.recipient,
          account: query.account_id ?? query.tenant_id,
          topic: query.topic ?? query.topic_id,
        };
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
      description: 'Where an id was decided several times, the last decision that is in the log.',
      role: 'read',
      params: z.strictObject({ message_id: identifierSchema }),
      replies: {
        200: { description: 'The message.', schema: messageSchema },
        404: { description: 'The log has no such message, or no longer.', schema: problemSchema },
      },
      async handle({ params }) {
        const message = await messageLog.get(params.message_id);
        if (message === null) {
          return problem(
            404,
            'Unknown message',
            'The log has no message with this id, or no longer. An accepted check is there only with the setting log_checks "all".',
          );
        }
        return { status: 200, body: messageInWords(message) };
      },
    }),
  ];
}

function messageInWords({ id, status, atMs, user, account, topic, channel, cost, decision }: LoggedMessage) {
  return {
    id,
    status,
    recipient: user,
    event: '',
    notification: '',
    enqueued: atMs,
    account_id: account,
    tenant_id: account,
    topic,
    channel,
    cost,
    reason: status === 'FILTERED' ? 'NOT_A_MEMBER' : null,
    throttled_by: decision.throttled_by,
    limits: decision.limits,
    retry_at: decision.retry_at,
  };
}
