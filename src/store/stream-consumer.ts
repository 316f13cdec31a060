import type { Redis } from 'ioredis';
import type { RedisClient } from './connection';

/** An entry of a stream as it is read: its id, and its fields, name and value in turn. */
export type ReadEntry = readonly [id: string, fields: string[]];

/** Takes entries from streams. */
export interface StreamConsumer {
  /** Lets what has begun end, and begins nothing else. `now`: does not wait for Redis. */
  stop(now: boolean): Promise<void>;
}

/** How long a turn waits for entries, in milliseconds; streams that nothing was taken from are asked for again after that. */
const BLOCK_MS = 500;
/** An entry that another consumer read this long ago, in milliseconds, and has not taken, is taken here: that one died. */
const CLAIM_AFTER_MS = 10_000;
/** How often such entries are looked for, in milliseconds. */
const CLAIM_EVERY_MS = 5_000;
/** The name of a consumer that has not been heard of for this long, in milliseconds, is forgotten. */
const FORGET_AFTER_MS = 3_600_000;
/** How soon a turn that failed is made again, in milliseconds. */
const RETRY_MS = 500;

/**
 * Begins. Of any number of consumers of a group each entry is taken by one, and only then acknowledged. One that dies in
 * between has its entries taken by another, so `take` must be safe to repeat; one whose turn failed takes them again itself.
 * An entry that was deleted before it could be taken is acknowledged, and `take` is not told of it.
 *
 * @param deps.redis a patient connection, which is duplicated for reading; it is not closed at the stop
 * @param deps.streams the keys of all of them
 * @param deps.consumer a name that no other consumer has
 * @param deps.entriesPerTurn the most entries that are read at a time
 * @param deps.deletes whether an entry goes from the stream once it has been taken
 * @param deps.open begins each turn: the keys of the streams that entries are taken from now
 * @param deps.take does what is to be done with entries of a stream, one or more
 * @param deps.onFailed a turn failed, and is made again
 * @param deps.pause resolves after so many milliseconds
 */
export function consumeStreams(deps: {
  redis: RedisClient;
  streams: readonly string[];
  group: string;
  consumer: string;
  entriesPerTurn: number;
  deletes: boolean;
  open: () => Promise<readonly string[]>;
  take: (stream: string, entries: readonly ReadEntry[]) => Promise<void>;
  nowMs: () => number;
  onFailed: (error: unknown) => void;
  pause: (ms: number) => Promise<void>;
}): StreamConsumer {
  const { redis, streams, group, consumer, entriesPerTurn, deletes, open, take, nowMs, onFailed, pause } = deps;
  // Reading blocks its connection.
  const reader = (redis as Redis).duplicate();
  reader.on('error', () => undefined);
  let stopped = false;
  let hasGroups = false;
  /** Whether there may be entries that were read here and not taken, because a turn failed. They come first. */
  let recovers = false;
  let nextClaimMs = 0;

  async function makeGroups(): Promise<void> {
    for (const stream of streams) {
      await redis.xgroup('CREATE', stream, group, '0', 'MKSTREAM').catch((error: Error) => {
        // It is there already.
        if (!error.message.startsWith('BUSYGROUP')) throw error;
      });
    }
    hasGroups = true;
  }

  /** @param found fields are null, or in Redis 6 the whole entry, where it was deleted meanwhile */
  async function takeOf(
    stream: string,
    found: readonly ([id: string, fields: string[] | null] | null)[],
  ): Promise<void> {
    const entries = found.filter((entry) => entry !== null);
    if (entries.length === 0) return;
    const there = entries.filter((entry): entry is [string, string[]] => entry[1] !== null);
    if (there.length > 0) await take(stream, there);
    const ids = entries.map(([id]) => id);
    const ended = redis.multi().xack(stream, group, ...ids);
    if (deletes) ended.xdel(stream, ...ids);
    for (const [error] of (await ended.exec()) ?? []) if (error) throw error;
  }

  /** Takes what a consumer that died has read. */
  async function claim(stream: string): Promise<void> {
    let cursor = '0-0';
    do {
      const [next, entries] = (await redis.xautoclaim(
        stream,
        group,
        consumer,
        CLAIM_AFTER_MS,
        cursor,
        'COUNT',
        entriesPerTurn,
      )) as [string, Parameters<typeof takeOf>[1]];
      await takeOf(stream, entries);
      cursor = next;
    } while (cursor !== '0-0' && !stopped);
  }

  async function forgetDead(stream: string): Promise<void> {
    for (const flat of (await redis.xinfo('CONSUMERS', stream, group)) as unknown[][]) {
      const one = Object.fromEntries(flat.flatMap((value, at) => (at % 2 === 0 ? [[value, flat[at + 1]]] : []))) as {
        name: string;
        pending: number;
        idle: number;
      };
      if (one.pending === 0 && one.idle > FORGET_AFTER_MS) await redis.xgroup('DELCONSUMER', stream, group, one.name);
    }
  }

  async function turn(): Promise<void> {
    if (!hasGroups) await makeGroups();
    const taken = await open();
    if (nowMs() >= nextClaimMs) {
      nextClaimMs = nowMs() + CLAIM_EVERY_MS;
      for (const stream of taken) await claim(stream);
      for (const stream of streams) await forgetDead(stream);
    }
    if (stopped) return;
    if (taken.length === 0) {
      await pause(BLOCK_MS);
      return;
    }
    const read = (await reader.xreadgroup(
      ...(['GROUP', group, consumer, 'COUNT', entriesPerTurn, 'BLOCK', BLOCK_MS, 'STREAMS'] as const),
      ...taken,
      ...taken.map(() => (recovers ? '0' : '>')),
    )) as [stream: string, entries: Parameters<typeof takeOf>[1]][] | null;
    for (const [stream, entries] of read ?? []) await takeOf(stream, entries);
    recovers &&= read?.some(([, entries]) => entries.length > 0) ?? false;
  }

  async function run(): Promise<void> {
    while (!stopped) {
      try {
        await turn();
      } catch (error) {
        if (stopped) return;
        // The database may be another one now, without the groups.
        hasGroups = false;
        recovers = true;
        onFailed(error);
        await pause(RETRY_MS);
      }
    }
  }
  const running = run();

  return {
    async stop(now) {
      stopped = true;
      if (!now) await running;
      reader.disconnect();
    },
  };
}
