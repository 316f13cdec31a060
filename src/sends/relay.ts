import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { consumeStreams, type StreamConsumer } from '../store/stream-consumer';
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

/** The most entries of one turn; each has as many attempts as one call decided. */
const ENTRIES_PER_TURN = 32;

/**
 * Begins to move what was accepted from the outbox into the queues of its providers. Of any number of relays each entry is
 * moved by one; put into the queue under an id that follows from the attempt; and only then acknowledged and deleted. A relay
 * that dies in between has its entries moved by another one: an attempt that was in the queue already is not in it twice, and
 * one that has been made is not made again, because its message is not queued any more.
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
}): StreamConsumer {
  const { redis, keys, queues, providers, consumer, maxDepth, nowMs, observer, pause } = deps;
  const providerOf = new Map(providers.map((provider) => [keys.outbox(provider), provider]));
  const outboxes = [...providerOf.keys()];
  const isHeld = new Map<string, boolean>();

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

  return consumeStreams({
    ...{ redis, streams: outboxes, group: 'relay', consumer, entriesPerTurn: ENTRIES_PER_TURN, deletes: true },
    ...{ nowMs, pause, onFailed: observer.failed, open: withRoom },
    async take(outbox, entries) {
      const provider = providerOf.get(outbox)!;
      const attempts = entries.flatMap(([, fields]) => attemptsOf(fields));
      await queues.add(provider, attempts, nowMs());
      observer.relayed(provider, attempts.length);
    },
  });
}

/** The attempts of an entry: when they are due, then each one's message and number. See lua/lib/send.lua. */
function attemptsOf([, due = '', ...pairs]: readonly string[]): Attempt[] {
  const dueMs = due === '' ? null : Number(due);
  return pairs.flatMap((id, index) => (index % 2 === 0 ? [{ id, attempt: Number(pairs[index + 1]), dueMs }] : []));
}
