import { z } from 'zod';
import { type JsonObject, jsonDepthProblem } from '../../limits/json-object';
import type { AcceptSend, SendOutcome } from '../../sends/accept';
import { isRoute, providerFor, type Routing, routeWords } from '../../sends/providers/names';
import { type Due, type Payload, RECIPIENTS_MAX, type SendRequest } from '../../sends/request';
import { type Reply, type Route, route } from '../contract';
import { problemSchema } from '../decision-schemas';
import { DO_NOT_RETRY, DO_NOT_RETRY_WORDS, type InputError, invalidInput, problem, withHeaders } from '../problem';
import { DELAY_MAX_MS, firstChannel, PAYLOAD_MAX_BYTES, type SendBody, sendBodySchema } from '../send-schemas';

/** Room for that many recipients with a few hundred bytes each. */
const BODY_MAX_BYTES = 4_194_304;
const IDEMPOTENCY_KEY_MAX_CHARACTERS = 255;
const IDEMPOTENCY_KEY = 'Idempotency-Key';

/** What sends can go by. */
export interface SendConfiguration {
  routing: Routing;
  /** The providers that are configured. */
  configured: readonly string[];
}

/** The route that takes a message to send, in Courier's shape: https://www.courier.com/docs/reference/send/message */
export function sendRoutes(services: {
  acceptSend: AcceptSend;
  sends: SendConfiguration;
  nowMs: () => number;
}): Route[] {
  const { acceptSend, sends, nowMs } = services;
  return [
    route({
      method: 'post',
      path: '/send',
      operationId: 'send',
      tag: 'Sends',
      summary: 'Send this message when the limits allow',
      description: `Takes a message for one recipient or up to ${RECIPIENTS_MAX.toLocaleString('en')}, members of accounts included. Each recipient's is a message with an id and a decision of its own, throttled or not: GET /messages says what became of it. With one recipient the requestId is the message's id. With an ${IDEMPOTENCY_KEY} header the same call again sends nothing twice, and goes on where it was cut off.`,
      role: 'check',
      body: sendBodySchema,
      bodyMaxBytes: BODY_MAX_BYTES,
      bodyExample: {
        message: {
          to: { user_id: 'ann', account_id: 'acme' },
          template: 'order-shipped',
          data: { order: 81 },
          preferences: { subscription_topic_id: 'orders' },
        },
      },
      replies: {
        202: {
          description: 'Taken: every message is written down.',
          schema: z.object({
            requestId: z.string().describe("For one recipient the message's id."),
          }),
        },
        409: {
          description: `The ${IDEMPOTENCY_KEY} was used with another body.`,
          schema: problemSchema,
          headers: DO_NOT_RETRY_WORDS,
        },
      },
      async handle({ body, header }) {
        const read = requestOf(body, header(IDEMPOTENCY_KEY), sends, nowMs());
        if ('errors' in read) return invalidInput(read.errors);
        return replyOf(await acceptSend(read.request), body);
      },
    }),
  ];
}

/** What a body asks for, or everything that is wrong with it beside its form. */
function requestOf(
  body: SendBody,
  idempotencyKey: string | undefined,
  { routing, configured }: SendConfiguration,
  nowMs: number,
): { request: SendRequest } | { errors: InputError[] } {
  const { message } = body;
  const errors: InputError[] = [];
  const wrong = (path: string, words: string) => errors.push({ path, message: words });

  // What a recipient holds is in four: the body, the message, the list and the recipient.
  const depthProblem = jsonDepthProblem(body, 4);
  if (depthProblem !== null) return { errors: [{ path: 'message', message: depthProblem }] };
  if (idempotencyKey !== undefined && !isIdempotencyKey(idempotencyKey)) {
    wrong(IDEMPOTENCY_KEY, `must be 1 to ${IDEMPOTENCY_KEY_MAX_CHARACTERS} printable characters of ASCII`);
  }
  const channel = firstChannel(message.routing);
  if (typeof channel === 'object' && channel !== null) wrong('message.routing.channels.0', channel.problem);
  const channelName = typeof channel === 'string' ? channel : null;
  const provider = providerFor(channelName, routing);
  if (channelName !== null && !isRoute(channelName, routing)) {
    wrong('message.routing.channels.0', `is neither a channel nor a provider here: ${routeWords(routing)}`);
  } else if (!configured.includes(provider)) {
    wrong('message.routing.channels.0', `leads to the provider ${provider}, which is not configured`);
  }
  const due = dueOf(message.delay);
  const untilMs = due !== null && 'atMs' in due ? due.atMs : null;
  if (untilMs !== null && untilMs > nowMs + DELAY_MAX_MS) {
    wrong('message.delay.until', 'must be at most 365 days from now');
  }

  const payload = JSON.stringify({
    template: message.template,
    content: message.content ?? null,
    data: message.data,
    metadata: message.metadata as JsonObject | null,
  } satisfies Payload);
  if (Buffer.byteLength(payload) > PAYLOAD_MAX_BYTES) {
    wrong('message', `must be at most ${PAYLOAD_MAX_BYTES.toLocaleString('en')} bytes of JSON without its recipients`);
  }

  if (errors.length > 0) return { errors };
  return {
    request: {
      recipients: [message.to].flat().map((to) => ({
        user: to.user_id ?? null,
        account: to.account_id ?? to.tenant_id ?? accountOf(to.context) ?? accountOf(message.context) ?? null,
        to: to as JsonObject,
      })),
      payload,
      template: message.template,
      topic: message.preferences?.subscription_topic_id ?? null,
      channel: channelName,
      provider,
      event: message.metadata?.event ?? null,
      traceId: message.metadata?.trace_id ?? null,
      tags: [...new Set(message.metadata?.tags ?? [])],
      due,
      isPast: untilMs !== null && untilMs < nowMs,
      idempotencyKey: idempotencyKey ?? null,
      body,
    },
  };
}

function accountOf(
  context: { account_id?: string | null | undefined; tenant_id?: string | null | undefined } | null | undefined,
) {
  return context?.account_id ?? context?.tenant_id;
}

function isIdempotencyKey(key: string): boolean {
  return key.length <= IDEMPOTENCY_KEY_MAX_CHARACTERS && /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(key);
}

function dueOf(delay: SendBody['message']['delay']): Due | null {
  if (delay === null) return null;
  if (delay.duration !== null) return delay.duration === 0 ? null : { afterMs: delay.duration };
  return delay.until === null ? null : { atMs: Date.parse(delay.until) };
}

function replyOf(outcome: SendOutcome, { message: { to } }: SendBody): Reply {
  const placeOf = (index: number) => (Array.isArray(to) ? `message.to.${index}` : 'message.to');
  const fieldOf = (index: number) => {
    const recipient = [to].flat()[index]!;
    return `${placeOf(index)}.${recipient.account_id ? 'account_id' : 'tenant_id'}`;
  };
  switch (outcome.kind) {
    case 'taken':
      return { status: 202, body: { requestId: outcome.requestId } };
    case 'conflict':
      return withHeaders(
        problem(409, 'Idempotency key in use', `This ${IDEMPOTENCY_KEY} was used before with another body.`, {
          errors: [{ path: IDEMPOTENCY_KEY, message: 'was used before with another body' }],
        }),
        DO_NOT_RETRY,
      );
    case 'past':
      return invalidInput([{ path: 'message.delay.until', message: 'must not be in the past' }]);
    case 'no-members':
      return invalidInput([{ path: fieldOf(outcome.index), message: 'names an account without members' }]);
    case 'too-many':
      return invalidInput([
        {
          path: fieldOf(outcome.index),
          message: `names more members than make ${RECIPIENTS_MAX.toLocaleString('en')} recipients altogether`,
        },
      ]);
    case 'unavailable':
      return withHeaders(
        problem(
          503,
          'Cannot take it now',
          `Redis does not answer, and what cannot be written down is not taken. Try again, with the same ${IDEMPOTENCY_KEY} so that nothing is sent twice.`,
          { degraded: true },
        ),
        { 'retry-after': '1' },
      );
  }
}
