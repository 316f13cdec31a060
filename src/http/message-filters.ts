import { z } from 'zod';
import { identifierProblem } from '../limits/identifier';
import { instantSchema } from '../limits/limit';
import { MESSAGE_STATUSES, type MessageFilter } from '../log/messages';
import { emptyIsAbsent, filterSchema, listQueryFields } from './list';

/** What Courier knows besides, and no message here ever is: asked for, there are none. */
const FOREIGN_STATUSES = ['CLICKED', 'DIGESTED', 'OPENED', 'ROUTED', 'SIMULATED', 'UNROUTABLE'] as const;
const ASKED_STATUSES: readonly string[] = [...MESSAGE_STATUSES, ...FOREIGN_STATUSES];

/** As many tags as a message has at most: each is an index that is looked through. */
const LIST_FILTER_MAX = 20;
/** As many messages as a page has at most. */
const MESSAGE_IDS_MAX = 100;

function isAskedStatus(status: string): boolean {
  return ASKED_STATUSES.includes(status);
}

/**
 * What may be said once or several times, or with commas. An empty part is one that is not there: that is how Courier's
 * SDK sends null in a list.
 */
const partsSchema = z
  .union([z.string(), z.array(z.string())])
  .optional()
  .transform((value) => {
    const parts = new Set([value ?? []].flat().flatMap((text) => text.split(',')));
    parts.delete('');
    return parts.size === 0 ? undefined : [...parts];
  });

/** One status or several, in any case. */
const statusSchema = partsSchema
  .transform((statuses) => statuses?.map((status) => status.toUpperCase()))
  .refine((statuses) => statuses?.every(isAskedStatus) ?? true, {
    error: `must be one or several of ${ASKED_STATUSES.join(', ')}`,
  })
  .transform((statuses) => statuses && MESSAGE_STATUSES.filter((status) => statuses.includes(status)))
  .describe('Only messages of these statuses, with commas or several times.');

/** Some ids. */
function listFilterSchema(description: string) {
  return partsSchema
    .refine((values) => (values?.length ?? 0) <= LIST_FILTER_MAX, { error: `must be at most ${LIST_FILTER_MAX}` })
    .refine((values) => values?.every((value) => identifierProblem(value) === null) ?? true, {
      error: 'must be ids, separated by commas',
    })
    .describe(description);
}

/** One id or several, by saying it again: an id may have a comma in it. */
const messageIdsSchema = z
  .preprocess(emptyIsAbsent, z.union([z.string(), z.array(z.string())]).optional())
  .transform((value) => (value === undefined ? undefined : [...new Set([value].flat())]))
  .refine((ids) => (ids?.length ?? 0) <= MESSAGE_IDS_MAX, { error: `must be at most ${MESSAGE_IDS_MAX}` })
  .refine((ids) => ids?.every((id) => identifierProblem(id) === null) ?? true, { error: 'must be ids of messages' })
  .describe('Only messages with this id, or these, by saying it several times: all on one page.');

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

/** Which messages are asked for. */
export const messageQuerySchema = z
  .strictObject({
    ...listQueryFields,
    status: statusSchema,
    recipient: filterSchema('Only messages to this user.'),
    account_id: filterSchema('Only messages for this account.'),
    tenant_id: filterSchema('The same as account_id.'),
    topic: filterSchema('Only messages about this topic.'),
    topic_id: filterSchema('The same as topic.'),
    traceId: filterSchema('Only sends with this metadata.trace_id.'),
    request_id: filterSchema('Only the sends of the request that was answered this requestId.'),
    requestId: filterSchema('The same as request_id.'),
    tags: listFilterSchema('Only sends with any of these metadata.tags, with commas.'),
    tag: listFilterSchema('The same as tags; with both, any of all of them.'),
    enqueued_after: momentSchema('Only messages that were taken at this moment or later.'),
    enqueued_before: momentSchema('Only messages that were taken before this moment.'),
    messageId: messageIdsSchema,
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
  .superRefine(({ account_id, tenant_id, topic, topic_id, request_id, requestId }, context) => {
    if (account_id !== undefined && tenant_id !== undefined && account_id !== tenant_id) {
      context.addIssue({ code: 'custom', path: ['tenant_id'], message: 'must be the same as account_id' });
    }
    if (request_id !== undefined && requestId !== undefined && request_id !== requestId) {
      context.addIssue({ code: 'custom', path: ['requestId'], message: 'must be the same as request_id' });
    }
    if (topic !== undefined && topic_id !== undefined && topic !== topic_id) {
      context.addIssue({ code: 'custom', path: ['topic_id'], message: 'must be the same as topic' });
    }
  });

/** What a query asks the log for. */
export function messageFilterOf(query: z.output<typeof messageQuerySchema>): MessageFilter {
  return {
    // No message is to a list.
    statuses: query.list === undefined ? query.status : [],
    user: query.recipient,
    account: query.account_id ?? query.tenant_id,
    topic: query.topic ?? query.topic_id,
    traceId: query.traceId,
    request: query.request_id ?? query.requestId,
    tags: query.tags && query.tag ? [...query.tags, ...query.tag] : (query.tags ?? query.tag),
    fromMs: query.enqueued_after,
    untilMs: query.enqueued_before,
    event: query.event,
    template: query.notification,
    providers: query.provider,
  };
}
