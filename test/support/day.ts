import { setTimeout as delay } from 'node:timers/promises';

const DAY_MS = 86_400_000;

/**
 * Waits, when the day of UTC is about to end, until the next has begun: what a test counts by the day, or by anything longer,
 * would begin anew in the middle of it. A hook that waits for this needs a timeout above it.
 *
 * @param forMs how long the test may take
 */
export async function dayThatLasts(forMs: number): Promise<void> {
  const leftMs = DAY_MS - (Date.now() % DAY_MS);
  // A moment more: a Redis may have a clock of its own.
  if (leftMs < forMs) await delay(leftMs + 500);
}
