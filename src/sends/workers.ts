import { setMaxListeners } from 'node:events';
import { Worker } from 'bullmq';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import type { ProcessAttempt } from './process';
import type { AttemptJob } from './queue';

/** The workers of a process: one for each provider's queue. */
export interface Workers {
  /**
   * Lets the attempts that are being made end, and begins no other. `now`: does not wait, nor for Redis; what is not
   * recorded is made again elsewhere.
   */
  stop(now: boolean): Promise<void>;
  /** Makes the providers end what they are doing. */
  abort(): void;
}

/** BullMQ's codes for a job that is gone, whose lock is gone or another's, or that is not being worked on. */
const JOB_CODES = new Set([-1, -2, -3, -6]);

/**
 * Whether an error says that a job had ended, or belonged to another worker, by the time that its end was recorded: so it is
 * after Redis was away in between, or this process was held up for longer than its lock. The message's own state says
 * what became of it, so nothing is wrong.
 */
export function isJobTakenOver(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    JOB_CODES.has((error as { code?: number }).code ?? 0) || error.message.startsWith('could not renew lock for job')
  );
}

/** Told of what goes wrong. */
export interface WorkersObserver {
  /** An attempt met a fault that is not the provider's; it is made again. */
  failed(error: unknown): void;
  /** A queue's connection has trouble. Comes often while Redis is away. */
  trouble(error: unknown): void;
}

/**
 * How long a job belongs to a worker that is not heard of, and how often it is looked for such jobs, in milliseconds. A job
 * whose worker died is found at the first look after its lock has ended, if it was there at the look before. A look keeps
 * everybody from another for just as long as a worker waits before its own next one, which may come a moment too soon and
 * be skipped: two may be twice as far apart. So it is found after 14 s at most.
 */
const LOCK_MS = 8_000;
const STALLED_EVERY_MS = 3_000;
/** Workers that die never fail a message: its attempts are counted elsewhere. */
const STALLED_MAX = Number.MAX_SAFE_INTEGER;
/** After an error of Redis a queue is asked again after this, in milliseconds. */
const RUN_RETRY_MS = 1_000;

/**
 * Begins to make attempts.
 * @param deps.redis a patient connection; it is duplicated, and not closed at the stop
 * @param deps.concurrency how many attempts of each provider are made at once
 * @param deps.ratesPerSecond how many attempts of a provider are begun per second at most, by all workers together
 */
export function startWorkers(deps: {
  redis: RedisClient;
  keys: Keys;
  providers: readonly string[];
  concurrency: number;
  ratesPerSecond: Readonly<Record<string, number>>;
  keepJobs: number;
  processAttempt: ProcessAttempt;
  observer: WorkersObserver;
}): Workers {
  const { redis, keys, providers, concurrency, ratesPerSecond, keepJobs, processAttempt, observer } = deps;
  const aborting = new AbortController();
  // As many as there are attempts at once.
  setMaxListeners(0, aborting.signal);
  const keep = { count: keepJobs };
  const workers = providers.map((provider) => {
    const rate = ratesPerSecond[provider];
    const worker = new Worker<AttemptJob>(
      provider,
      ({ data: { id, attempt } }) => processAttempt(id, attempt, aborting.signal),
      {
        connection: redis,
        prefix: keys.queuePrefix,
        concurrency,
        ...(rate === undefined ? {} : { limiter: limiterOf(rate) }),
        lockDuration: LOCK_MS,
        stalledInterval: STALLED_EVERY_MS,
        maxStalledCount: STALLED_MAX,
        runRetryDelay: RUN_RETRY_MS,
        removeOnComplete: keep,
        removeOnFail: keep,
        skipVersionCheck: true,
      },
    );
    worker.on('failed', (_job, error) => observer.failed(error));
    worker.on('error', observer.trouble);
    return worker;
  });
  return {
    async stop(now) {
      await Promise.all(workers.map((worker) => worker.close(now)));
    },
    abort: () => aborting.abort(),
  };
}

/**
 * How many windows make a second, about, and one more: that many may have a part in a second that begins in one of them.
 * Shorter ones would lose more of the rate, as workers have to wake up for each.
 */
const WINDOWS_IN_A_SECOND = 11;

/**
 * A rate per second, as so many attempts in so many milliseconds: such that in no second there are more, wherever it
 * begins. With windows as long as a second there might be twice as many, at the end of one and the beginning of the next.
 *
 * A window begins with the first attempt in it. So of the windows that begin within a second there are `windowsPerSecond` at
 * most, and of the one that had begun before it all attempts but the first may be in it:
 * `windowsPerSecond * max + max - 1` in all, which must not be more than the rate. Of one attempt each, windows may be as
 * long as the rate says, whole or not: 1.5 is one every 667 ms.
 */
export function limiterOf(ratePerSecond: number): { max: number; duration: number } {
  const max = Math.max(1, Math.floor(ratePerSecond / WINDOWS_IN_A_SECOND));
  const windowsPerSecond = max === 1 ? ratePerSecond : Math.floor((Math.floor(ratePerSecond) + 1) / max) - 1;
  return { max, duration: Math.ceil(1_000 / windowsPerSecond) };
}
