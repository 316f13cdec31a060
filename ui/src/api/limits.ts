import { type Answer, call, callWithHeaders, segment } from './call';

export const DIMENSIONS = ['account', 'user', 'topic', 'channel'] as const;
export type Dimension = (typeof DIMENSIONS)[number];
export const PERIODS = ['hour', 'day', 'week', 'month', 'billing_period'] as const;
export type Period = (typeof PERIODS)[number];

/** A limit, as it is written. Instants are RFC 3339 in UTC. */
export interface LimitInput {
  id?: string;
  per: Dimension[];
  period: Period;
  /** Null counts without a limit. */
  max: number | null;
  where: Partial<Record<Dimension, string>> | null;
  mode: 'enforce' | 'shadow';
  on_exceeded: 'throttle' | 'defer';
  on_redis_down: 'deny' | 'allow' | 'local';
  /** In percent of max; null for the workspace's. */
  alert_thresholds: number[] | null;
  from: string | null;
  until: string | null;
  reason: string | null;
}

/** A limit, as it is. */
export interface Limit extends LimitInput {
  id: string;
  source: 'api' | 'file';
  created_at: string;
  updated_at: string;
}

/** A limit with its use, in a decision or for somebody who asks. */
export interface LimitUsage {
  limit_id: string;
  per: Dimension[];
  period: Period;
  max: number | null;
  used: number;
  remaining: number | null;
  window_start: string;
  resets_at: string;
  mode: 'enforce' | 'shadow';
  exceeded: boolean;
}

/** A span of time, half-open. */
export interface WindowSpan {
  start: string;
  end: string;
}

/** What a limit would mean. */
export interface LimitPreview {
  description: string;
  window: WindowSpan;
  next_window: WindowSpan;
  timezone: string;
}

/** How many messages, and of how many users. */
interface Amount {
  messages: number;
  users: number;
}

/** Who or what is affected by a change: `messages` would have fared otherwise. */
export interface Affected {
  id: string;
  messages: number;
  throttled_before: number;
  throttled_after: number;
  delayed_before: number;
  delayed_after: number;
}

/** What changed limits would have done. */
export interface LimitSimulation {
  summary: string;
  /** What else there is to know, and what is not certain. */
  notes: string[];
  from: string;
  to: string;
  messages: number;
  before: { throttled: number; users: number; delayed: number };
  after: { throttled: number; users: number; delayed: number };
  newly_throttled: Amount;
  no_longer_throttled: Amount;
  most_affected: { users: Affected[]; accounts: Affected[]; topics: Affected[] };
  by_limit: { limit_id: string; mode: LimitInput['mode']; before: number | null; after: number | null }[];
  uncertain: { messages: number };
}

/** What is tried on the past. */
export interface LimitChange {
  limits?: LimitInput[];
  delete?: string[];
  days: number;
}

/** A limit and its version, for a change that must not undo somebody else's. */
export interface VersionedLimit {
  limit: Limit;
  etag: string;
}

export async function fetchLimits(signal?: AbortSignal): Promise<Limit[]> {
  return (await call<{ items: Limit[] }>('GET', 'limits', { signal })).items;
}

export async function fetchLimit(id: string, signal?: AbortSignal): Promise<VersionedLimit> {
  return versioned(await callWithHeaders<Limit>('GET', `limits/${segment(id)}`, { signal }));
}

/** Creates a limit. @throws CallError, with status 409 or 412 when there is one already */
export function createLimit(input: LimitInput): Promise<Limit> {
  if (input.id === undefined) return call('POST', 'limits', { body: input });
  return call('PUT', `limits/${segment(input.id)}`, { body: input, headers: { 'if-none-match': '*' } });
}

/**
 * Replaces a limit, if it is still at that version; null replaces it whatever it is.
 * @throws CallError, with status 412 and `current` in its body when it is not
 */
export async function replaceLimit(id: string, input: LimitInput, etag: string | null): Promise<VersionedLimit> {
  const headers: Record<string, string> = etag === null ? {} : { 'if-match': etag };
  return versioned(await callWithHeaders<Limit>('PUT', `limits/${segment(id)}`, { body: input, headers }));
}

/** Deletes a limit, if it is still at that version. @throws CallError as {@link replaceLimit} */
export function deleteLimit(id: string, etag: string | null): Promise<void> {
  return call('DELETE', `limits/${segment(id)}`, { headers: etag === null ? {} : { 'if-match': etag } });
}

export function previewLimit(input: LimitInput, signal?: AbortSignal): Promise<LimitPreview> {
  return call('POST', 'limits/preview', { body: input, signal });
}

/** Tries changed limits on the past. @throws CallError, with status 429 while another is worked out */
export function simulateLimits(change: LimitChange, signal?: AbortSignal): Promise<LimitSimulation> {
  return call('POST', 'limits/simulate', { body: change, signal });
}

function versioned({ body, headers }: Answer<Limit>): VersionedLimit {
  return { limit: body, etag: headers.get('etag') ?? '' };
}
