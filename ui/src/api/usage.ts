import { call } from './call';
import type { Dimension, LimitUsage, Period } from './limits';

/** Whose use is asked for. */
export type UsageOf = Partial<Record<Dimension, string>>;

/** Every limit that would apply, with its use. Counts nothing. */
export async function fetchUsage(of: UsageOf, signal?: AbortSignal): Promise<LimitUsage[]> {
  const query = { user_id: of.user, account_id: of.account, topic_id: of.topic, channel: of.channel };
  return (await call<{ limits: LimitUsage[] }>('GET', 'usage', { query, signal })).limits;
}

/** A counter that was set to zero. */
export interface ResetCounter {
  used_before: number;
  window_start: string;
  resets_at: string;
}

/** Sets the present counter of some values to zero. */
export function resetUsage(per: UsageOf, period: Period): Promise<ResetCounter> {
  return call('POST', 'usage/reset', { body: { per, period } });
}
