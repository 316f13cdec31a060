import { RateLimiterMemory } from 'rate-limiter-flexible';

/** One counter of this replica's memory, and what it may hold. */
export interface LocalLimit {
  /** The counter's name: that of its window, so that a new window begins at zero. */
  key: string;
  /** This replica's share of the limit's max. */
  share: number;
  /** When the window ends, in epoch milliseconds. */
  endMs: number;
}

/** Counts, in this process's memory, what is let pass while Redis does not answer. */
export interface LocalShare {
  /**
   * Counts a message against all limits, or against none when one of them has no room.
   * @param nowMs the time, in epoch milliseconds
   * @returns whether there was room, and the use of each counter afterwards
   */
  take(limits: readonly LocalLimit[], cost: number, nowMs: number): Promise<{ allowed: boolean; used: number[] }>;
}

const SWEEP_INTERVAL_MS = 60_000;

/** Makes an empty one. What it has counted is never carried back to Redis. */
export function createLocalShare(): LocalShare {
  // Without a duration the limiter sets no timer of its own: its timers overflow above 24.8 days, after which a month
  // would begin again at once. The window is in the key instead, and old keys are swept here.
  const limiter = new RateLimiterMemory({ points: Number.MAX_SAFE_INTEGER, duration: 0 });
  const endMsByKey = new Map<string, number>();
  let sweepAtMs = 0;
  let last: Promise<unknown> = Promise.resolve();

  async function sweep(nowMs: number): Promise<void> {
    if (nowMs < sweepAtMs) return;
    sweepAtMs = nowMs + SWEEP_INTERVAL_MS;
    for (const [key, endMs] of endMsByKey) {
      if (endMs > nowMs) continue;
      endMsByKey.delete(key);
      await limiter.delete(key);
    }
  }

  async function takeNow(limits: readonly LocalLimit[], cost: number, nowMs: number) {
    await sweep(nowMs);
    const used = await Promise.all(limits.map(async ({ key }) => (await limiter.get(key))?.consumedPoints ?? 0));
    const allowed = limits.every(({ share }, index) => used[index]! + cost <= share);
    if (!allowed) return { allowed, used };
    return {
      allowed,
      used: await Promise.all(
        limits.map(async ({ key, endMs }) => {
          endMsByKey.set(key, endMs);
          return (await limiter.penalty(key, cost)).consumedPoints;
        }),
      ),
    };
  }

  return {
    take(limits, cost, nowMs) {
      // One at a time: looking and counting are two calls to the limiter, with other messages in between.
      const result = last.then(() => takeNow(limits, cost, nowMs));
      last = result.catch(() => undefined);
      return result;
    },
  };
}
