import { z } from 'zod';
import type { CheckOutcome } from '../../gate/check';
import type { Gate } from '../../gate/gate';
import type { Decision } from '../../limits/decision';
import { identifierSchema } from '../../limits/identifier';
import { type Reply, type Route, route } from '../contract';
import { checkBodySchema, checkRequestOf, decisionSchema, problemSchema } from '../decision-schemas';
import { problem, withHeaders } from '../problem';
import { rateLimitHeaders } from '../rate-limit-headers';

/** The most messages in one batch. */
const BATCH_MAX = 1_000;
/** Room for that many with five ids of 256 emoji each, every one of them written as two JSON escapes of 6 bytes. */
const BATCH_MAX_BYTES = 16_777_216;

const querySchema = z.strictObject({
  on_throttled: z.enum(['200', '429']).default('200').describe('The status of a throttled decision.'),
});

/** The routes that decide: whether a message may go out now, and taking that back. */
export function checkRoutes({ gate, nowMs }: { gate: Gate; nowMs: () => number }): Route[] {
  return [
    route({
      method: 'post',
      path: '/check',
      operationId: 'check',
      tag: 'Decisions',
      summary: 'May this message go out now?',
      description:
        'Decides over every limit that applies, all or nothing, and counts the message if it is accepted. A throttled decision is a 200, or with `?on_throttled=429` a 429 problem with the same members.',
      role: 'check',
      query: querySchema,
      body: checkBodySchema,
      bodyExample: { user_id: 'ann', account_id: 'acme', topic_id: 'weekly-digest', message_id: 'm-81' },
      replies: {
        200: { description: 'The decision, throttled or not.', schema: decisionSchema, headers: RATE_LIMIT_HEADERS },
        409: { description: 'The message_id was accepted with other content.', schema: problemSchema },
        429: {
          description: 'Throttled, with `?on_throttled=429`.',
          schema: problemSchema,
          headers: RATE_LIMIT_HEADERS,
        },
      },
      async handle({ body, query }) {
        const outcome = await gate.check(checkRequestOf(body));
        if (outcome.kind !== 'decided') return refusal(outcome);
        const { decision } = outcome;
        const headers = rateLimitHeaders(decision, nowMs());
        if (query.on_throttled === '429' && decision.decision === 'throttled') {
          return withHeaders(problem(429, 'Throttled', throttledDetail(decision), { ...decision }), headers);
        }
        return { status: 200, body: decision, headers };
      },
    }),
    route({
      method: 'post',
      path: '/check/batch',
      operationId: 'checkBatch',
      tag: 'Decisions',
      summary: 'May these messages go out now?',
      description:
        "Decides up to 1,000 messages, in order, each by itself. What stops one message (a message_id with other content, say) is that item's problem. One malformed item makes the whole call a 400, and nothing is counted.",
      role: 'check',
      body: z.strictObject({ messages: z.array(checkBodySchema).min(1).max(BATCH_MAX) }),
      bodyMaxBytes: BATCH_MAX_BYTES,
      bodyExample: { messages: [{ user_id: 'ann' }, { user_id: 'bob', cost: 2 }] },
      replies: {
        200: {
          description: 'A decision or a problem for each message, in order.',
          schema: z.object({ results: z.array(z.union([decisionSchema, problemSchema])) }),
        },
      },
      async handle({ body }) {
        const outcomes = await gate.checkAll(body.messages.map(checkRequestOf));
        const results = outcomes.map((outcome) =>
          outcome.kind === 'decided' ? outcome.decision : refusal(outcome).body,
        );
        return { status: 200, body: { results } };
      },
    }),
    route({
      method: 'delete',
      path: '/check/{message_id}',
      operationId: 'release',
      tag: 'Decisions',
      summary: 'Give back what an accepted message counted',
      description:
        'To the windows that it was counted in, once. The same message_id asked again is decided and counted afresh.',
      role: 'check',
      params: z.strictObject({ message_id: identifierSchema }),
      replies: {
        200: {
          description: 'Whether this call released it: false when it had been released before.',
          schema: z.object({ released: z.boolean() }),
        },
        404: { description: 'No message with that id was accepted, or too long ago.', schema: problemSchema },
      },
      async handle({ params }) {
        const released = await gate.release(params.message_id);
        if (released === null) {
          return problem(
            404,
            'Unknown message',
            'No message with that message_id was accepted, or it was too long ago.',
          );
        }
        return { status: 200, body: { released } };
      },
    }),
  ];
}

const RATE_LIMIT_HEADERS = {
  'RateLimit-Policy': 'Each enforced limit: q is its max, w the length of its window in seconds.',
  RateLimit: 'Each enforced limit: r is what remains, t the seconds until its window ends.',
  'Retry-After': 'When throttled: the seconds until a retry can succeed by itself.',
};

/** The answer to a check without a decision. */
function refusal(outcome: Exclude<CheckOutcome, { kind: 'decided' }>): Reply {
  switch (outcome.kind) {
    case 'conflict':
      return problem(409, 'Message id in use', 'This message_id was accepted before with other content.', {
        errors: [{ path: 'message_id', message: 'was accepted before with other content' }],
      });
    case 'unavailable':
      return unavailable();
  }
}

/** The answer to what cannot be decided without Redis. */
export function unavailable(): Reply {
  return withHeaders(
    problem(503, 'Cannot decide now', 'Redis does not answer, and a limit that applies may not pass without it.', {
      degraded: true,
    }),
    { 'retry-after': '1' },
  );
}

function throttledDetail({ throttled_by: limits, retry_at: retryAt }: Decision): string {
  const room =
    retryAt === null ? 'The cost is larger than the limit ever allows.' : `There is room again at ${retryAt}.`;
  return `${limits.length === 1 ? 'The limit' : 'The limits'} ${limits.join(', ')} ${limits.length === 1 ? 'has' : 'have'} no room. ${room}`;
}
