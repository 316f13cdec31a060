import { z } from 'zod';
import type { Metrics } from '../../metrics/metrics';
import { type Route, route } from '../contract';
import { problemSchema } from '../decision-schemas';
import { problem } from '../problem';

/** Whether this process can decide, and what an operator wants to know besides. */
export interface Readiness {
  /** Ready to be sent requests: Redis answers, limits are loaded, and it is not stopping. */
  ready: boolean;
  redis: boolean;
  limits_loaded: boolean;
  /** Whether checks are answered without Redis now. */
  degraded: boolean;
  /** What waits to be delivered; null when nobody has counted it. No reason to be unready. */
  queue_depth: number | null;
  stopping: boolean;
}

const readinessSchema = z
  .object({
    ready: z.boolean(),
    redis: z.boolean().describe('Whether Redis answers.'),
    limits_loaded: z.boolean().describe('Whether the limits have been read.'),
    degraded: z.boolean().describe('Whether checks are answered without Redis, by on_redis_down.'),
    queue_depth: z.number().nullable().describe('What waits to be delivered; null when it is not known.'),
    stopping: z.boolean().describe('Whether the process is on its way to its end.'),
  })
  .meta({ id: 'Readiness' });

/** The routes that machines look after this process by. They need no key. */
export function healthRoutes({ readiness, metrics }: { readiness: () => Readiness; metrics: Metrics }): Route[] {
  return [
    route({
      method: 'get',
      path: '/healthz',
      operationId: 'health',
      tag: 'Operations',
      summary: 'Whether the process lives',
      description: 'It says nothing about Redis: a restart would not bring that back.',
      role: null,
      replies: { 200: { description: 'It does.', schema: z.object({ status: z.literal('ok') }) } },
      handle: () => ({ status: 200, body: { status: 'ok' } }),
    }),
    route({
      method: 'get',
      path: '/readyz',
      operationId: 'readiness',
      tag: 'Operations',
      summary: 'Whether the process should be sent requests',
      role: null,
      replies: {
        200: { description: 'Redis answers and the limits are loaded.', schema: readinessSchema },
        503: { description: 'Not yet, or no more; with the same members.', schema: problemSchema },
      },
      handle() {
        const state = readiness();
        if (state.ready) return { status: 200, body: state };
        return problem(503, 'Not ready', notReadyWords(state), { ...state });
      },
    }),
    route({
      method: 'get',
      path: '/metrics',
      operationId: 'metrics',
      tag: 'Operations',
      summary: 'What Prometheus reads',
      role: null,
      replies: { 200: { description: "Prometheus' text format.", contentType: 'text/plain' } },
      async handle() {
        return { status: 200, text: await metrics.text(), headers: { 'content-type': metrics.contentType } };
      },
    }),
  ];
}

function notReadyWords({ stopping, redis, limits_loaded: limitsLoaded }: Readiness): string {
  if (stopping) return 'The process is stopping.';
  if (!redis) return 'Redis does not answer.';
  return limitsLoaded ? 'The process is starting.' : 'The limits have not been read yet.';
}
