import { type Counts, noCounts, OUTCOMES, type Outcome } from './tally';

/** How far back the statistics are looked at. */
export const RANGES = ['hour', 'day', 'week'] as const;
export type Range = (typeof RANGES)[number];

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How the statistics are kept for a range: in buckets that begin at whole multiples of their length, in UTC. */
export interface Level {
  name: 'ten' | 'hour' | 'day';
  bucketMs: number;
  /** The points of a plot, of which a bucket has several. */
  stepMs: number;
  /** How many buckets the range takes: the one that now is in, which has only begun, comes on top of the whole range. */
  buckets: number;
}

export const LEVELS: Readonly<Record<Range, Level>> = {
  hour: { name: 'ten', bucketMs: 10 * MINUTE_MS, stepMs: MINUTE_MS, buckets: 7 },
  day: { name: 'hour', bucketMs: HOUR_MS, stepMs: HOUR_MS / 2, buckets: 25 },
  week: { name: 'day', bucketMs: DAY_MS, stepMs: HOUR_MS, buckets: 8 },
};

/** When the bucket that an instant is in begins, in epoch milliseconds. */
export function bucketStartMs({ bucketMs }: Level, instantMs: number): number {
  return Math.floor(instantMs / bucketMs) * bucketMs;
}

/** The buckets of a range that ends now, by when they begin, the oldest first. */
export function bucketStarts(level: Level, nowMs: number): number[] {
  const lastMs = bucketStartMs(level, nowMs);
  return Array.from({ length: level.buckets }, (_, index) => lastMs - (level.buckets - 1 - index) * level.bucketMs);
}

/** When a bucket is in no range any more, with a bucket's length to spare, in epoch milliseconds. */
export function expireAtMs(level: Level, startMs: number): number {
  return startMs + (level.buckets + 1) * level.bucketMs;
}

/** The name of a count within its bucket: the number of its point, and its outcome. */
export function countName({ stepMs }: Level, startMs: number, minuteMs: number, outcome: Outcome): string {
  return `${Math.floor((minuteMs - startMs) / stepMs)}:${outcome}`;
}

/**
 * Every point from the first bucket to now, of what buckets hold.
 * @param buckets by when they begin, each with its counts by {@link countName}
 */
export function pointsOf(
  level: Level,
  buckets: ReadonlyMap<number, Readonly<Record<string, string>>>,
  nowMs: number,
): { startMs: number; counts: Counts }[] {
  const points: { startMs: number; counts: Counts }[] = [];
  for (const [startMs, held] of buckets) {
    for (let pointMs = startMs; pointMs < startMs + level.bucketMs && pointMs <= nowMs; pointMs += level.stepMs) {
      const counts = noCounts();
      for (const outcome of OUTCOMES) counts[outcome] = Number(held[countName(level, startMs, pointMs, outcome)] ?? 0);
      points.push({ startMs: pointMs, counts });
    }
  }
  return points;
}
