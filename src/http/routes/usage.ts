import { z } from 'zod';
import type { Gate } from '../../gate/gate';
import { instantText } from '../../limits/decision';
import { DIMENSIONS, dimensionValuesSchema, PERIODS } from '../../limits/limit';
import { type Route, route } from '../contract';
import { limitUsageSchema, messageOfQuery, usageQuerySchema } from '../decision-schemas';
import { unavailable } from './check';

/** The routes that show what has been used, and set it to zero. */
export function usageRoutes({ gate }: { gate: Gate }): Route[] {
  return [
    route({
      method: 'get',
      path: '/usage',
      operationId: 'usage',
      tag: 'Decisions',
      summary: 'Every limit that would apply, with its use',
      description: 'Counts nothing. `exceeded` says whether one more message would be too much.',
      role: 'read',
      query: usageQuerySchema,
      replies: {
        200: { description: 'The limits.', schema: z.object({ limits: z.array(limitUsageSchema) }) },
      },
      async handle({ query }) {
        const limits = await gate.usage(messageOfQuery(query));
        return limits === null ? unavailable() : { status: 200, body: { limits } };
      },
    }),
    route({
      method: 'post',
      path: '/usage/reset',
      operationId: 'resetUsage',
      tag: 'Decisions',
      summary: 'Set a present counter to zero',
      description:
        'The counter of those values over the present window of the period. What messages counted before the reset is not given back a second time by a release.',
      role: 'admin',
      body: z.strictObject({
        per: dimensionValuesSchema.describe('The values of the counter: {} is the counter of all messages.'),
        period: z.enum(PERIODS),
      }),
      bodyExample: { per: { user: 'ann' }, period: 'day' },
      replies: {
        200: {
          description: 'The counter after the reset.',
          schema: z.object({
            per: z.partialRecord(z.enum(DIMENSIONS), z.string()),
            period: z.enum(PERIODS),
            used: z.literal(0),
            used_before: z.number(),
            window_start: z.iso.datetime(),
            resets_at: z.iso.datetime(),
          }),
        },
      },
      async handle({ body: { per, period }, actor }) {
        const { usedBefore, windowStartMs, resetsAtMs } = await gate.reset(per, period, actor, 'api');
        return {
          status: 200,
          body: {
            per,
            period,
            used: 0,
            used_before: usedBefore,
            window_start: instantText(windowStartMs),
            resets_at: instantText(resetsAtMs),
          },
        };
      },
    }),
  ];
}
