import { type JobsOptions, Queue } from 'bullmq';
import type { RedisClient } from '../store/connection';
import { escapeKeyPart, type Keys } from '../store/keys';

/** One attempt to deliver a message. */
export interface Attempt {
  id: string;
  attempt: number;
  /** When it is to be made, in epoch milliseconds; null for at once. */
  dueMs: number | null;
}

/** What a job of a provider's queue holds. */
export interface AttemptJob {
  id: string;
  attempt: number;
}

/** What waits for a provider. */
export interface Depth {
  provider: string;
  /** Entries that no relay has moved yet, each of an attempt or some, and since when the oldest waits, in epoch milliseconds. */
  outbox: number;
  oldestOutboxMs: number | null;
  /** Attempts that wait for a worker, are being made, and wait for their time. */
  waiting: number;
  active: number;
  delayed: number;
}

/** The queues of the providers, one each. */
export interface Queues {
  /** By provider. */
  readonly byProvider: ReadonlyMap<string, Queue<AttemptJob>>;
  /** Puts attempts into a queue; those that are in it already stay as they are. */
  add(provider: string, attempts: readonly Attempt[], nowMs: number): Promise<void>;
  /**
   * Has no attempts of a provider begun, by any worker, for so long, in milliseconds; those that have begun go on. It ends
   * by itself, whoever is alive then. Only of a provider whose workers have a rate.
   */
  hold(provider: string, ms: number): Promise<void>;
  /** How many attempts wait for a worker. */
  waiting(provider: string): Promise<number>;
  /** What waits, for every provider. */
  depths(): Promise<Depth[]>;
  close(): Promise<void>;
}

/** A fault that nothing expected, of Redis or of ours, is tried again after this, in milliseconds, without end. */
const FAULT_RETRY_MS = 5_000;
const FAULT_ATTEMPTS = 1_000_000;
/** Events of a queue that are kept for whoever looks at it. */
const EVENTS_MAX = 1_000;

/**
 * Opens the queues.
 * @param deps.keepJobs how many finished jobs each queue keeps for whoever looks at it
 * @param deps.onTrouble told of a connection's trouble: often, while Redis is away
 */
export function openQueues(deps: {
  redis: RedisClient;
  keys: Keys;
  providers: readonly string[];
  keepJobs: number;
  onTrouble: (error: unknown) => void;
}): Queues {
  const { redis, keys, providers, keepJobs, onTrouble } = deps;
  const keep = keepJobs === 0 ? true : { count: keepJobs };
  const options: JobsOptions = {
    removeOnComplete: keep,
    // Unexpected faults do not end a job: see FAULT_ATTEMPTS.
    removeOnFail: keep,
    attempts: FAULT_ATTEMPTS,
    backoff: { type: 'fixed', delay: FAULT_RETRY_MS },
  };
  const byProvider = new Map(
    providers.map((provider) => {
      const queue = new Queue<AttemptJob>(provider, {
        connection: redis,
        prefix: keys.queuePrefix,
        defaultJobOptions: options,
        streams: { events: { maxLen: EVENTS_MAX } },
        skipVersionCheck: true,
      });
      queue.on('error', onTrouble);
      return [provider, queue];
    }),
  );
  const queueOf = (provider: string) => byProvider.get(provider)!;

  return {
    byProvider,
    async add(provider, attempts, nowMs) {
      await queueOf(provider).addBulk(
        attempts.map(({ id, attempt, dueMs }) => ({
          name: 'send',
          data: { id, attempt },
          opts: {
            // Of two jobs for the same attempt the second is none, as long as the first is there. BullMQ takes no colon.
            jobId: `${escapeKeyPart(id)}-${attempt}`,
            ...(dueMs !== null && dueMs > nowMs ? { delay: dueMs - nowMs } : {}),
          },
        })),
      );
    },
    hold: (provider, ms) => queueOf(provider).rateLimit(Math.ceil(ms)),
    waiting: (provider) => queueOf(provider).getWaitingCount(),
    depths: () =>
      Promise.all(
        providers.map(async (provider): Promise<Depth> => {
          const [{ waiting = 0, active = 0, delayed = 0 }, outbox, [oldest]] = await Promise.all([
            queueOf(provider).getJobCounts('waiting', 'active', 'delayed'),
            redis.xlen(keys.outbox(provider)),
            redis.xrange(keys.outbox(provider), '-', '+', 'COUNT', 1),
          ]);
          return {
            provider,
            outbox,
            oldestOutboxMs: oldest === undefined ? null : Number.parseInt(oldest[0], 10),
            waiting,
            active,
            delayed,
          };
        }),
      ),
    async close() {
      await Promise.all([...byProvider.values()].map((queue) => queue.close()));
    },
  };
}
