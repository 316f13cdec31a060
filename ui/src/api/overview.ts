import { call } from './call';

/** How far back it is looked. */
export const RANGES = ['hour', 'day', 'week'] as const;
export type Range = (typeof RANGES)[number];

/**
 * What became of messages. Of those that were accepted, `failed` could not be delivered; of all, `degraded` were decided
 * without Redis.
 */
export const OUTCOMES = ['accepted', 'throttled', 'filtered', 'failed', 'degraded'] as const;
export type Outcome = (typeof OUTCOMES)[number];
export type Counts = Record<Outcome, number>;

/** What happened within a step that begins at an instant, RFC 3339. */
export interface Point extends Counts {
  start: string;
}

/** Whom or what throttled messages are counted by. */
export const TOP_KINDS = ['users', 'accounts', 'topics', 'limits'] as const;
export type TopKind = (typeof TOP_KINDS)[number];

/** One of those that were throttled most. */
export interface TopEntry {
  id: string;
  throttled: number;
}

/** What waits for a provider. */
export interface ProviderQueue {
  provider: string;
  outbox: number;
  waiting: number;
  active: number;
  delayed: number;
  /** Since how long the oldest in the outbox waits. */
  oldest_outbox_age_seconds: number | null;
}

/** How much was decided and delivered, and what waits. */
export interface Overview {
  range: Range;
  start: string;
  /** Now: the last point has only begun. */
  end: string;
  step_seconds: number;
  /** From start to end, without gaps. */
  points: Point[];
  totals: Counts;
  top: Record<TopKind, TopEntry[]>;
  queue: { depth: number | null; providers: ProviderQueue[] | null };
  redis: { up: boolean; degraded: boolean };
}

export function fetchOverview(range: Range, signal?: AbortSignal): Promise<Overview> {
  return call('GET', 'overview', { query: { range }, signal });
}
