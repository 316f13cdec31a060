import type { LimitUsage } from '../api/limits';
import type { UsageOf } from '../api/usage';

/** The values that a limit counts by, of those that were asked about. */
export function counterOf({ per }: Pick<LimitUsage, 'per'>, of: UsageOf): UsageOf {
  const counter: UsageOf = {};
  for (const dimension of per) {
    const value = of[dimension];
    if (value !== undefined) counter[dimension] = value;
  }
  return counter;
}

/** Whether two limits count with one counter: it belongs to values and a period, and to no limit. */
export function shareCounter(one: LimitUsage, other: LimitUsage): boolean {
  return one.period === other.period && [...one.per].sort().join() === [...other.per].sort().join();
}
