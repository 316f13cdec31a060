/** Redis's clock, as far as this process can know it between answers. */
export interface RedisClock {
  /** Redis's time now, in epoch milliseconds: at most the true one, short by no more than an answer takes to arrive. */
  nowMs(): number;
  /** This process's own clock, in milliseconds since some moment: it never jumps. */
  monotonicMs(): number;
  /**
   * Learns from an answer that carried Redis's time.
   * @param redisMs what Redis's clock showed while it answered
   * @param sentMs when the question was sent, by `monotonicMs`
   */
  observe(redisMs: number, sentMs: number): void;
}

/**
 * Makes the clock. Redis read its own clock at some moment between sending and now, so the true offset is within
 * `[redisMs - now, redisMs - sent]`: an estimate inside that is kept, one outside is moved to the nearer end. (This is
 * the intersection step of Marzullo's algorithm, as NTP uses it.)
 *
 * It is never ahead of Redis after the first answer, unless Redis's clock went back: a deadline worked out from it
 * comes rather too early than too late.
 *
 * @param monotonicMs a clock that never jumps
 * @param wallMs epoch milliseconds, for the time before the first answer
 */
export function createRedisClock(monotonicMs: () => number, wallMs: () => number): RedisClock {
  let offsetMs = wallMs() - monotonicMs();
  let observed = false;
  return {
    nowMs: () => Math.floor(monotonicMs() + offsetMs),
    monotonicMs,
    observe(redisMs, sentMs) {
      const lowestMs = redisMs - monotonicMs();
      const highestMs = redisMs - sentMs;
      offsetMs = observed ? Math.min(Math.max(offsetMs, lowestMs), highestMs) : lowestMs;
      observed = true;
    },
  };
}
