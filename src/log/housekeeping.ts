import { Queue, Worker } from 'bullmq';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import type { Trimmed } from './trim';

/** Told of what the housekeeping does. */
export interface HousekeepingObserver {
  /** Old entries were removed, or there were none. */
  trimmed(trimmed: Trimmed): void;
  /** A turn failed; the next one makes up for it. */
  failed(error: unknown): void;
  /** The queue's connection has trouble. Comes often while Redis is away. */
  trouble(error: unknown): void;
}

/** What has to be done for a workspace now and then, by one worker of all that run. */
export interface Housekeeping {
  /** Resolves once its turns are planned in Redis: it waits for Redis as long as it takes. */
  readonly planned: Promise<void>;
  /** Lets the turn that runs end, and begins no other. `now`: does not wait for it, nor for Redis. */
  stop(now: boolean): Promise<void>;
}

const QUEUE = 'housekeeping';
const TRIM = 'trim';
/** After an error of Redis the queue is asked again after this, in milliseconds. */
const RETRY_MS = 1_000;

/**
 * Begins. The turns are jobs that BullMQ plans in Redis, one after the other, so that each is taken by exactly one of
 * the workers that run; a turn that nobody was there for is not made up for.
 *
 * @param deps.redis a patient connection; it is not closed at the stop
 * @param deps.everyMs how often, in milliseconds
 */
export function startHousekeeping(deps: {
  redis: RedisClient;
  keys: Keys;
  everyMs: number;
  trim: () => Promise<Trimmed>;
  observer: HousekeepingObserver;
}): Housekeeping {
  const { redis, keys, everyMs, trim, observer } = deps;
  const common = {
    connection: redis,
    prefix: keys.queuePrefix,
    // What server this is has been looked at, and said in the log rather than on the console.
    skipVersionCheck: true,
  };
  const queue = new Queue(QUEUE, { ...common, streams: { events: { maxLen: 100 } } });
  const worker = new Worker(QUEUE, async () => observer.trimmed(await trim()), {
    ...common,
    runRetryDelay: RETRY_MS,
  });
  queue.on('error', observer.trouble);
  worker.on('error', observer.trouble);
  worker.on('failed', (_job, error) => observer.failed(error));

  let stopped = false;
  async function plan(): Promise<void> {
    // Jobs that are done tell nobody anything: none is kept.
    const opts = { removeOnComplete: true, removeOnFail: true };
    await queue.upsertJobScheduler(TRIM, { every: everyMs }, { name: TRIM, opts });
  }
  const planned = plan().catch((error) => {
    // The plan may also be there already, made by another worker.
    if (!stopped) observer.failed(error);
  });

  return {
    planned,
    async stop(now) {
      stopped = true;
      await worker.close(now);
      await queue.close();
    },
  };
}
