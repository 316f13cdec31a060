import { z } from 'zod';
import { identifierSchema } from '../../limits/identifier';
import { explain } from '../../log/explain';
import type { MessageEvent } from '../../log/history';
import { type LoggedMessage, type MessageLog, matchesFilter, SCAN_MAX_ROWS } from '../../log/messages';
import { isRowNumber } from '../../log/rows';
import type { ActionOutcome, SendActions } from '../../sends/actions';
import { type Reply, type Route, route } from '../contract';
import { decodeCursor, encodeCursor } from '../cursor';
import { problemSchema } from '../decision-schemas';
import { filterSchema } from '../list';
import { messageFilterOf, messageQuerySchema } from '../message-filters';
import {
  eventInWords,
  eventSchema,
  explanationInWords,
  explanationSchema,
  messageInWords,
  messageSchema,
  refusedMessageSchema,
  wholeMessage,
  wholeMessageSchema,
} from '../message-words';
import { pagingSchema } from '../paging';
import { DO_NOT_RETRY, DO_NOT_RETRY_WORDS, invalidInput, problem, withHeaders } from '../problem';
import { unavailable } from './check';

const CURSOR_KIND = 'messages';

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
      query: messageQuerySchema,
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
        const filter = messageFilterOf(query);
        if (query.messageId !== undefined) {
          const found = await Promise.all(query.messageId.map((id) => messageLog.get(id)));
          const results = found.flatMap((message) =>
            message !== null && matchesFilter(message, filter) ? [messageInWords(message)] : [],
          );
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
        return { status: 200, body: { results: events.map(eventInWords) } };
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
        return { status: 200, body: explanationInWords(await explain(messageLog, message), checksLogged()) };
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
          headers: DO_NOT_RETRY_WORDS,
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
          headers: DO_NOT_RETRY_WORDS,
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
      const { body, ...reply } = withHeaders(problem(409, refusal, outcome.why), DO_NOT_RETRY);
      return { ...reply, body: { ...(body as object), ...wholeMessage(outcome.message) } };
    }
  }
}
