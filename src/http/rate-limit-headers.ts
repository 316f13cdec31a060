import type { Decision } from '../limits/decision';

/** How much of a window is kept of those that were read last: they are the same few in thousands of answers. */
const READ_INSTANTS_MAX = 1_000;
const readInstants = new Map<string, number>();

/** Epoch milliseconds of an instant in an answer, remembered. */
function instantMs(text: string): number {
  let ms = readInstants.get(text);
  if (ms === undefined) {
    if (readInstants.size >= READ_INSTANTS_MAX) readInstants.clear();
    ms = Date.parse(text);
    readInstants.set(text, ms);
  }
  return ms;
}

/**
 * The headers of a decision: `RateLimit-Policy` and `RateLimit`, a list of structured fields (RFC 9651) with a member
 * for each enforced limit that has a max, as in
 * https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ ; and `Retry-After` (RFC 9110, section
 * 10.2.3) when it was throttled and a retry can succeed by itself.
 *
 * - `q` is the limit's max, `w` the length of its present window: calendar windows differ in length.
 * - `r` is what remains, `t` the seconds until the window ends, rounded up so that nobody comes back too early.
 *
 * @param nowMs the time of the decision, in epoch milliseconds by Redis's clock
 */
export function rateLimitHeaders(decision: Decision, nowMs: number): Record<string, string> {
  let policy = '';
  let state = '';
  for (const limit of decision.limits) {
    if (limit.mode !== 'enforce' || limit.max === null) continue;
    const endMs = instantMs(limit.resets_at);
    const windowSeconds = Math.round((endMs - instantMs(limit.window_start)) / 1_000);
    // Ids hold nothing that a structured string would have to escape.
    const member = policy === '' ? `"${limit.limit_id}"` : `, "${limit.limit_id}"`;
    policy += `${member};q=${limit.max};w=${windowSeconds}`;
    state += `${member};r=${limit.remaining};t=${secondsUntil(endMs, nowMs, 0)}`;
  }
  const headers: Record<string, string> = {};
  if (policy !== '') {
    headers['ratelimit-policy'] = policy;
    headers.ratelimit = state;
  }
  if (decision.decision === 'throttled' && decision.retry_at !== null) {
    headers['retry-after'] = `${secondsUntil(instantMs(decision.retry_at), nowMs, 1)}`;
  }
  return headers;
}

function secondsUntil(endMs: number, nowMs: number, leastSeconds: number): number {
  return Math.max(leastSeconds, Math.ceil((endMs - nowMs) / 1_000));
}
