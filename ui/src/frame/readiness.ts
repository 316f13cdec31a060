import { useQuery } from '@tanstack/react-query';
import { call } from '../api/call';
import { againAfterMs, LIVE_MS } from './queries';

/** Whether Sendgate can decide. */
export interface Readiness {
  /** Whether Redis answers. */
  redis: boolean;
  /** Whether checks are answered without it. */
  degraded: boolean;
}

/** How soon it is asked again whether Redis is back, in milliseconds. */
const BACK_MS = 2_000;

/** Whether Sendgate can decide, asked again and again. */
export function useReadiness() {
  return useQuery({
    queryKey: ['readiness'],
    queryFn: async ({ signal }): Promise<Readiness> => {
      try {
        return await call('GET', 'readyz', { signal });
      } catch (failure) {
        // It answers 503 with the same body.
        const body = (failure as { body?: Partial<Readiness> }).body;
        if (typeof body?.redis === 'boolean') return body as Readiness;
        throw failure;
      }
    },
    refetchInterval: ({ state }) => againAfterMs(state.error, state.data?.redis === false ? BACK_MS : LIVE_MS / 2),
  });
}
