import type { RedisClient } from '../store/connection';
import { isRedisUnavailable } from '../store/failure';
import type { Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';
import { bucketStartMs, bucketStarts, countName, expireAtMs, LEVELS, type Level, pointsOf, type Range } from './ranges';
import { type Counts, noCounts, OUTCOMES, type TenMinutes, TOP_KINDS, type TopKind, type TrafficTally } from './tally';

/** What happened in a range of time that ends now. Instants are in epoch milliseconds. */
export interface Traffic {
  startMs: number;
  stepMs: number;
  /** From the start to now, without gaps. */
  points: { startMs: number; counts: Counts }[];
  totals: Counts;
  /** Those with the most throttled messages, the most first. */
  top: Record<TopKind, { id: string; throttled: number }[]>;
}

/** The statistics of a workspace, which all of its processes add to. */
export interface TrafficStore {
  /**
   * Adds what the tally has counted to what Redis keeps. Whatever Redis fails with, nothing is added twice, and what was
   * not added is added the next time.
   * @throws whatever Redis fails with
   */
  flush(): Promise<void>;
  /** What happened in a range that ends now. @throws whatever Redis fails with */
  read(range: Range, nowMs: number): Promise<Traffic>;
}

/** How many of each kind are added to what is kept, of those that a process has told apart: the most throttled. */
export const TOP_FLUSHED = 1_000;
/** How many of each kind are kept of a bucket. */
export const TOP_KEPT = 1_000;
/** How many of each kind are read of a bucket: with all that are kept, a range of 25 buckets would take a tenth of a second. */
export const TOP_READ = 200;
/** How many of each kind are shown. */
const TOP_SHOWN = 10;
/** How many of them one call adds, all kinds together: Redis is held for well under a millisecond. */
const MEMBERS_PER_CALL = 100;
/** How long it is remembered which part a process has added last, in milliseconds. */
const MARK_MS = 4 * 3_600_000;
/** How long a part that may have been added is sent again, in milliseconds; then it is given up, while the mark is there. */
const GIVE_UP_MS = MARK_MS / 2;

/** As much of what was counted in ten minutes as one call adds. */
interface Part {
  startMs: number;
  minutes: ReadonlyMap<number, Counts>;
  members: Record<TopKind, (string | number)[]>;
  /** The number by which it is known whether it was added, and when it was sent first; null while it was not sent. */
  sent: { number: number; atMs: number } | null;
}

/**
 * Makes the store of one process.
 * @param deps.processId a name that no other process has, nor had
 * @param deps.monotonicMs a clock that never jumps, in milliseconds
 */
export function createTrafficStore(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  tally: TrafficTally;
  processId: string;
  monotonicMs: () => number;
}): TrafficStore {
  const { redis, scripts, keys, tally, processId, monotonicMs } = deps;
  const levels = Object.values(LEVELS);
  let waiting: Part[] = [];
  let lastNumber = 0;

  async function add(part: Part): Promise<void> {
    const { startMs: tenMs, minutes, members } = part;
    if (part.sent === null) {
      lastNumber += 1;
      part.sent = { number: lastNumber, atMs: monotonicMs() };
    }
    const names = [keys.trafficMark(processId)];
    const encoded = levels.map((level) => {
      const startMs = bucketStartMs(level, tenMs);
      names.push(keys.traffic(level.name, startMs));
      for (const kind of TOP_KINDS) names.push(keys.trafficTop(level.name, startMs, kind));
      return [startMs, expireAtMs(level, startMs), countsAt(level, startMs, minutes)];
    });
    const tops = TOP_KINDS.map((kind) => members[kind]);
    const args = [part.sent.number, MARK_MS, TOP_KEPT, JSON.stringify(encoded), JSON.stringify(tops)];
    await runScript(redis, scripts.traffic_add, names, args);
  }

  /** Adds what waits, one part after the other: by its number the script knows only the last one. */
  async function addWaiting(): Promise<void> {
    for (let part = waiting[0]; part !== undefined; part = waiting[0]) {
      if (part.sent === null || monotonicMs() - part.sent.atMs < GIVE_UP_MS) {
        try {
          await add(part);
        } catch (error) {
          // A fault of ours would be one again, and keep everything behind it from being added.
          if (!isRedisUnavailable(error)) waiting.shift();
          throw error;
        }
      }
      waiting.shift();
    }
  }

  let last: Promise<unknown> = Promise.resolve();

  async function read(range: Range, nowMs: number): Promise<Traffic> {
    const level = LEVELS[range];
    const starts = bucketStarts(level, nowMs);
    const reads = redis.pipeline();
    for (const startMs of starts) {
      reads.hgetall(keys.traffic(level.name, startMs));
      for (const kind of TOP_KINDS)
        reads.zrange(keys.trafficTop(level.name, startMs, kind), '0', `${TOP_READ - 1}`, 'REV', 'WITHSCORES');
    }
    const replies = ((await reads.exec()) ?? []).map(([error, reply]) => {
      if (error) throw error;
      return reply;
    });
    const perBucket = 1 + TOP_KINDS.length;
    const held = new Map(
      starts.map((startMs, index) => [startMs, replies[index * perBucket] as Record<string, string>]),
    );
    const points = pointsOf(level, held, nowMs);
    const totals = noCounts();
    for (const { counts } of points) for (const outcome of OUTCOMES) totals[outcome] += counts[outcome];
    const topOf = (kind: number) =>
      highest(starts.map((_, index) => replies[index * perBucket + 1 + kind] as string[]));
    const top = Object.fromEntries(TOP_KINDS.map((kind, index) => [kind, topOf(index)])) as Traffic['top'];
    return { startMs: starts[0]!, stepMs: level.stepMs, points, totals, top };
  }

  return {
    flush() {
      const flushed = last.then(async () => {
        await addWaiting();
        waiting = tally.take().flatMap(partsOf);
        await addWaiting();
      });
      last = flushed.catch(() => undefined);
      return flushed;
    },
    read,
  };
}

/** What is added to the counts of a level: names and counts by turns. */
function countsAt(level: Level, startMs: number, minutes: ReadonlyMap<number, Counts>): (string | number)[] {
  const sums = new Map<string, number>();
  for (const [minuteMs, counts] of minutes) {
    for (const outcome of OUTCOMES) {
      if (counts[outcome] === 0) continue;
      const name = countName(level, startMs, minuteMs, outcome);
      sums.set(name, (sums.get(name) ?? 0) + counts[outcome]);
    }
  }
  return [...sums].flat();
}

/** What was counted in ten minutes, in parts: the first has the counts. */
function partsOf({ startMs, minutes, throttled }: TenMinutes): Part[] {
  const begun = (counts: ReadonlyMap<number, Counts>): Part => ({
    startMs,
    minutes: counts,
    members: { users: [], accounts: [], topics: [], limits: [] },
    sent: null,
  });
  const parts = [begun(minutes)];
  let room = MEMBERS_PER_CALL;
  for (const kind of TOP_KINDS) {
    const most = [...throttled[kind]].sort(([, a], [, b]) => b - a).slice(0, TOP_FLUSHED);
    for (const [id, count] of most) {
      if (room === 0) {
        parts.push(begun(new Map()));
        room = MEMBERS_PER_CALL;
      }
      parts.at(-1)!.members[kind].push(id, count);
      room -= 1;
    }
  }
  return parts;
}

/** Those that have the highest sums of their scores, of lists in which members and scores come by turns. */
function highest(lists: readonly (readonly string[])[]): { id: string; throttled: number }[] {
  const sums = new Map<string, number>();
  for (const list of lists) {
    for (let index = 0; index < list.length; index += 2) {
      sums.set(list[index]!, (sums.get(list[index]!) ?? 0) + Number(list[index + 1]));
    }
  }
  // Ten of perhaps thousands: sorting them all would take most of the time.
  const first: { id: string; throttled: number }[] = [];
  for (const [id, throttled] of sums) {
    const place = first.findIndex((one) => throttled > one.throttled || (throttled === one.throttled && id < one.id));
    if (place !== -1) first.splice(place, 0, { id, throttled });
    else if (first.length < TOP_SHOWN) first.push({ id, throttled });
    if (first.length > TOP_SHOWN) first.pop();
  }
  return first;
}
