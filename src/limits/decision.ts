import type { Dimension, Period } from './limit';

/** A limit as a decision saw it. */
export interface LimitView {
  id: string;
  per: readonly Dimension[];
  period: Period;
  max: number | null;
  startMs: number;
  endMs: number;
  mode: 'enforce' | 'shadow';
}

/** A limit in an answer, with its use after the decision. Instants are RFC 3339 in UTC with milliseconds. */
export interface LimitUsage {
  limit_id: string;
  per: readonly Dimension[];
  period: Period;
  max: number | null;
  used: number;
  remaining: number | null;
  window_start: string;
  resets_at: string;
  mode: 'enforce' | 'shadow';
  /** Whether this message was, or in shadow mode would have been, too much for the limit. */
  exceeded: boolean;
}

export type DecisionKind = 'accepted' | 'throttled' | 'filtered';

/** The answer to "may this one go out now?". */
export interface Decision {
  allowed: boolean;
  decision: DecisionKind;
  message_id: string | null;
  replayed: boolean;
  degraded: boolean;
  limits: LimitUsage[];
  /** The ids of the enforced limits that had no room. */
  throttled_by: string[];
  /** The latest reset among those, or null when nothing was throttled or the cost never fits. */
  retry_at: string | null;
}

/** How a message was decided, as the store found it. */
export interface Verdict {
  kind: DecisionKind;
  messageId: string | null;
  replayed: boolean;
  degraded: boolean;
  cost: number;
  /** Whether the counters were raised: `used` then includes the cost. */
  counted: boolean;
  /** Every limit that was looked at, with the use of its counter after the decision. */
  limits: readonly { limit: LimitView; used: number }[];
}

/** A window bound as text, remembered: thousands of answers in a row name the same few. */
const instantTexts = new Map<number, string>();
const INSTANT_TEXTS_MAX = 1_000;

/** RFC 3339 in UTC with milliseconds. */
export function instantText(instantMs: number): string {
  let text = instantTexts.get(instantMs);
  if (text === undefined) {
    if (instantTexts.size >= INSTANT_TEXTS_MAX) instantTexts.clear();
    text = new Date(instantMs).toISOString();
    instantTexts.set(instantMs, text);
  }
  return text;
}

/** Words a verdict: which limits were exceeded, what remains, and when a retry can succeed. */
export function decide(verdict: Verdict): Decision {
  const limits: LimitUsage[] = [];
  const throttledBy: string[] = [];
  let retryAtMs = 0;
  let neverFits = false;
  const pending = verdict.counted ? 0 : verdict.cost;
  for (const { limit, used } of verdict.limits) {
    const { max } = limit;
    const exceeded = max !== null && used + pending > max;
    limits.push({
      limit_id: limit.id,
      per: limit.per,
      period: limit.period,
      max,
      used,
      remaining: max === null ? null : Math.max(0, max - used),
      window_start: instantText(limit.startMs),
      resets_at: instantText(limit.endMs),
      mode: limit.mode,
      exceeded,
    });
    if (verdict.kind === 'throttled' && exceeded && limit.mode === 'enforce') {
      throttledBy.push(limit.id);
      retryAtMs = Math.max(retryAtMs, limit.endMs);
      neverFits ||= verdict.cost > max;
    }
  }
  return {
    allowed: verdict.kind === 'accepted',
    decision: verdict.kind,
    message_id: verdict.messageId,
    replayed: verdict.replayed,
    degraded: verdict.degraded,
    limits,
    throttled_by: throttledBy,
    retry_at: throttledBy.length === 0 || neverFits ? null : instantText(retryAtMs),
  };
}
