import type { Redis } from 'ioredis';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import type { Attempt, Queues } from './queue';

/** Told of what the relay does. */
export interface RelayObserver {
  /** Attempts were moved into their provider's queue. */
  relayed(provider: string, count: number): void;
  /** Whether a queue is so deep that nothing is moved into it. */
  held(provider: string, isHeld: boolean): void;
  /** A turn failed, and is made again. */
  failed(error: unknown): void;
}

/** Moves what was accepted from the outbox into the queues of its providers. */
export interface Relay {
  /** Lets what has begun end, and begins nothing else. `now`: does not wait for Redis. */
  stop(now: boolean): Promise<void>;
}

/** An entry as it is read: null fields are those of one that was deleted meanwhile. */
type Entry = [id: string, fields: string[] | null];

const GROUP = 'relay';
/** The most entries of one turn; each has as many attempts as one call decided. */
const ENTRIES_PER_TURN = 32;
/** How long a turn waits for entries, in milliseconds; a queue that was too deep is looked at again after that. */
const BLOCK_MS = 500;
/** An entry that another relay read this long ago, in milliseconds, and has not moved, is moved here: that one died. */
const CLAIM_AFTER_MS = 10_000;
/** How often such entries are looked for, in milliseconds. */
const CLAIM_EVERY_MS = 5_000;
/** The name of a relay that has not been heard of for this long, in milliseconds, is forgotten. */
const FORGET_AFTER_MS = 3_600_000;
/** How soon a turn that failed is made again, in milliseconds. */
const RETRY_MS = 500;

/**
 * Begins. Entries are read by a consumer group, so that of any number of relays each entry is moved by one; put into the
 * queue under an id that follows from the attempt; and only then acknowledged and deleted. A relay that dies in between
 * has its entries moved by another one: an attempt that was in the queue already is not in it twice, and one that has
 * been made is not made again, because its message is not queued any more.
 *
 * @param deps.redis a patient connection, which is duplicated for reading; it is not closed at the stop
 * @param deps.consumer a name that no other relay has
 * @param deps.maxDepth a queue with so many waiting attempts gets no more for now
 * @param deps.pause resolves after so many milliseconds
 */
export function startRelay(deps: {
  redis: RedisClient;
  keys: Keys;
  queues: Queues;
  providers: readonly string[];
  consumer: string;
  maxDepth: number;
  nowMs: () => number;
  observer: RelayObserver;
  pause: (ms: number) => Promise<void>;
}): Relay {
  const { redis, keys, queues, providers, consumer, maxDepth, nowMs, observer, pause } = deps;
  // Reading blocks its connection.
  const reader = (redis as Redis).duplicate();
  reader.on('error', () => undefined);
  const providerOf = new Map(providers.map((provider) => [keys.outbox(provider), provider]));
  const outboxes = [...providerOf.keys()];
  const isHeld = new Map<string, boolean>();
  let stopped = false;
  let hasGroups = false;
  /** Whether there may be entries that were read here and not moved, because a turn failed. They come first. */
  let recovers = false;
  let nextClaimMs = 0;

  async function makeGroups(): Promise<void> {
    for (const outbox of outboxes) {
      await redis.xgroup('CREATE', outbox, GROUP, '0', 'MKSTREAM').catch((error: Error) => {
        // It is there already.
        if (!error.message.startsWith('BUSYGROUP')) throw error;
      });
    }
    hasGroups = true;
  }

  /** The outboxes whose queue has room. */
  async function withRoom(): Promise<string[]> {
    const depths = await Promise.all(outboxes.map((outbox) => queues.waiting(providerOf.get(outbox)!)));
    return outboxes.filter((outbox, index) => {
      const held = depths[index]! >= maxDepth;
      if (isHeld.get(outbox) !== held) observer.held(providerOf.get(outbox)!, held);
      isHeld.set(outbox, held);
      return !held;
    });
  }

  async function move(outbox: string, found: readonly (Entry | null)[]): Promise<void> {
    const entries = found.filter((entry) => entry !== null);
    if (entries.length === 0) return;
    const provider = providerOf.get(outbox)!;
    // An entry that was deleted is one that was moved.
    const attempts = entries.flatMap(([, fields]) => (fields === null ? [] : attemptsOf(fields)));
    await queues.add(provider, attempts, nowMs());
    const ids = entries.map(([id]) => id);
    const done = await redis
      .multi()
      .xack(outbox, GROUP, ...ids)
      .xdel(outbox, ...ids)
      .exec();
    for (const [error] of done ?? []) if (error) throw error;
    observer.relayed(provider, attempts.length);
  }

  /** Moves what a relay that died has read. */
  async function claim(open: readonly string[]): Promise<void> {
    for (const outbox of open) {
      let cursor = '0-0';
      do {
        const [next, entries] = (await redis.xautoclaim(
          outbox,
          GROUP,
          consumer,
          CLAIM_AFTER_MS,
          cursor,
          'COUNT',
          ENTRIES_PER_TURN,
        )) as [string, (Entry | null)[]];
        await move(outbox, entries);
        cursor = next;
      } while (cursor !== '0-0' && !stopped);
    }
    for (const outbox of outboxes) {
      const consumers = (await redis.xinfo('CONSUMERS', outbox, GROUP)) as unknown[][];
      for (const one of consumers) {
        const { name, pending, idle } = Object.fromEntries(
          one.flatMap((value, index) => (index % 2 === 0 ? [[value, one[index + 1]]] : [])),
        ) as { name: string; pending: number; idle: number };
        if (pending === 0 && idle > FORGET_AFTER_MS) await redis.xgroup('DELCONSUMER', outbox, GROUP, name);
      }
    }
  }

  async function turn(): Promise<void> {
    if (!hasGroups) await makeGroups();
    const open = await withRoom();
    if (nowMs() >= nextClaimMs) {
      nextClaimMs = nowMs() + CLAIM_EVERY_MS;
      await claim(open);
    }
    if (stopped) return;
    if (open.length === 0) {
      await pause(BLOCK_MS);
      return;
    }
    const read = (await reader.xreadgroup(
      ...(['GROUP', GROUP, consumer, 'COUNT', ENTRIES_PER_TURN, 'BLOCK', BLOCK_MS, 'STREAMS'] as const),
      ...open,
      ...open.map(() => (recovers ? '0' : '>')),
    )) as [outbox: string, entries: Entry[]][] | null;
    for (const [outbox, entries] of read ?? []) await move(outbox, entries);
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
        observer.failed(error);
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

/** The attempts of an entry: when they are due, then each one's message and number. See lua/lib/send.lua. */
function attemptsOf([, due = '', ...pairs]: readonly string[]): Attempt[] {
  const dueMs = due === '' ? null : Number(due);
  return pairs.flatMap((id, index) => (index % 2 === 0 ? [{ id, attempt: Number(pairs[index + 1]), dueMs }] : []));
}
