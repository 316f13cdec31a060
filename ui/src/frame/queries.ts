import { QueryClient } from '@tanstack/react-query';
import { CallError } from '../api/call';

/** How soon something that failed is tried again by itself, in milliseconds. */
export const RECOVERY_MS = 3_000;
/** How often what is shown is asked for again, in milliseconds. */
export const LIVE_MS = 10_000;

/** What was asked for is kept, shown again when something fails, and asked for again until it is there. */
export function createQueries(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        // The machine may be without a network, and Sendgate on it.
        networkMode: 'always',
        retry: false,
        staleTime: 2_000,
        refetchInterval: (query) => againAfterMs(query.state.error, false),
      },
      mutations: { networkMode: 'always', retry: false },
    },
  });
}

/**
 * When to ask again by oneself: soon after what may pass, never after what will not.
 * @param otherwise what holds when nothing is wrong, in milliseconds; false for never
 */
export function againAfterMs(error: unknown, otherwise: number | false): number | false {
  if (error === null) return otherwise;
  if (!(error instanceof CallError) || error.isPassing) return RECOVERY_MS;
  // A key that was revoked is not tried again and again: who does that is kept out for a while.
  return error.status === 401 ? false : otherwise;
}

/** For a query whose answer changes while it is looked at. */
export const live = {
  refetchInterval: (query: { state: { error: unknown } }) => againAfterMs(query.state.error, LIVE_MS),
};
