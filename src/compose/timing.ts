import { setTimeout as delay } from 'node:timers/promises';
import type { Schedule } from '../access/key-ring';

/** Faults of the same kind are written once in this time, in milliseconds. */
const FAULT_PAUSE_MS = 1_000;

/** Writes a fault, unless one was written a moment ago. */
export function occasionally(nowMs: () => number, write: (error: unknown, unwritten: number) => void) {
  let nextMs = Number.NEGATIVE_INFINITY;
  let unwritten = 0;
  return (error: unknown) => {
    if (nowMs() < nextMs) {
      unwritten += 1;
      return;
    }
    nextMs = nowMs() + FAULT_PAUSE_MS;
    write(error, unwritten);
    unwritten = 0;
  };
}

export const monotonicMs = () => performance.now();

export const schedule: Schedule = (work, delayMs) => {
  const timer = setTimeout(work, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
};

/** Does something again and again while Redis can be asked, one time after the other. Returns what stops it. */
export function repeat(
  everyMs: number,
  isReady: () => boolean,
  work: () => Promise<unknown>,
  onFailure: (error: unknown) => void,
): () => void {
  let working = false;
  const timer = setInterval(async () => {
    if (working || !isReady()) return;
    working = true;
    try {
      await work();
    } catch (error) {
      onFailure(error);
    } finally {
      working = false;
    }
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}

export const pause = (ms: number) => delay(ms, undefined, { ref: false });
