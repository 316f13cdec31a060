import { setMaxListeners } from 'node:events';
import { Queue, Worker } from 'bullmq';
import type { AlertWebhook } from '../limits/alert-settings';
import { type Backoff, pauseMs } from '../sends/backoff';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { type Alert, subjectOf } from './alert';
import type { Attempted, DeliverAlert } from './deliver';
import { alertLabel, alertMail, collectedMail } from './mail-words';
import type { AlertDelivery, AlertStore, Receiver } from './store';
import { receiverKey } from './store';

/** One alert for one receiver, or what was collected for a mail about a subject. */
export type AlertJob = { alert: Alert; receiver: Receiver } | { collected: { subject: string; id: string } };

/** The queue of alerts that are on their way. */
export interface AlertQueue {
  /** Puts alerts in, one job for each receiver; those that are in it already stay as they are. */
  add(jobs: readonly { alert: Alert; receiver: Receiver }[]): Promise<void>;
  /** How many jobs are still to be done. */
  depth(): Promise<number>;
  close(): Promise<void>;
}

/** What takes alerts out of the queue and delivers them. */
export interface AlertWorker {
  /** Lets the attempts that are being made end, and begins no other. `now`: does not wait, nor for Redis. */
  stop(now: boolean): Promise<void>;
  /** Makes the attempts that are being made end. */
  abort(): void;
}

const QUEUE = 'alerts';
/** Jobs that are done are kept so long that a relay which died can put none of them in a second time. */
const KEEP_JOBS = { count: 500 };
const EVENTS_MAX = 100;
const CONCURRENCY = 8;
/** A fault that is not a receiver's is tried again after this, in milliseconds, without end. */
const FAULT_RETRY_MS = 5_000;
const FAULT_ATTEMPTS = 1_000_000;
/** After how long what a mail that could not be sent would have told is mailed, if it can be then, in milliseconds. */
const MAIL_LATER_MS = 3_600_000;
const LOCK_MS = 30_000;
const STALLED_EVERY_MS = 4_000;
const STALLED_MAX = Number.MAX_SAFE_INTEGER;
const RUN_RETRY_MS = 1_000;

/** Opens the queue. @param deps.redis a patient connection; it is not closed at the end */
export function openAlertQueue(deps: {
  redis: RedisClient;
  keys: Keys;
  onTrouble: (error: unknown) => void;
}): AlertQueue & { collect(subject: string, dueMs: number, nowMs: number): Promise<void> } {
  const { redis, keys, onTrouble } = deps;
  const queue = new Queue<AlertJob>(QUEUE, {
    connection: redis,
    prefix: keys.queuePrefix,
    defaultJobOptions: {
      removeOnComplete: KEEP_JOBS,
      removeOnFail: KEEP_JOBS,
      attempts: FAULT_ATTEMPTS,
      backoff: { type: 'custom' },
    },
    streams: { events: { maxLen: EVENTS_MAX } },
    skipVersionCheck: true,
  });
  queue.on('error', onTrouble);
  return {
    async add(jobs) {
      await queue.addBulk(
        jobs.map(({ alert, receiver }) => ({
          name: alert.type,
          data: { alert, receiver },
          opts: { jobId: `${alert.data.alert_id}-${receiverKey(receiver)}` },
        })),
      );
    },
    async collect(subject, dueMs, nowMs) {
      // One for each mail that was sent, however many alerts it collects.
      const id = `collected-${Buffer.from(subject).toString('hex')}-${dueMs}`;
      await queue.add('collected', { collected: { subject, id } }, { jobId: id, delay: Math.max(0, dueMs - nowMs) });
    },
    async depth() {
      const counts = await queue.getJobCounts('waiting', 'active', 'delayed');
      return Object.values(counts).reduce((sum, count) => sum + count, 0);
    },
    close: () => queue.close(),
  };
}

/** A receiver that is to be tried again, as BullMQ takes it. */
interface TryAgain extends Error {
  pauseMs: number;
}

/**
 * Begins to deliver. A receiver that does not take an alert is tried again as the receivers of messages are: with
 * exponential backoff and jitter, or when it asks for it.
 * @param deps.webhooks the webhooks of the workspace, as they are now
 * @param deps.mails whether there is anybody to mail to
 * @param deps.nowMs Redis's time, in epoch milliseconds
 */
export function startAlertWorker(deps: {
  redis: RedisClient;
  keys: Keys;
  workspace: string;
  queue: ReturnType<typeof openAlertQueue>;
  store: AlertStore;
  deliver: DeliverAlert;
  webhooks: () => Promise<readonly AlertWebhook[]>;
  mails: boolean;
  backoff: Backoff;
  nowMs: () => number;
  random: () => number;
  observer: {
    /** A mail is not sent now, and the next one counts its alert. */
    collected(type: Alert['type']): void;
    /** A job met a fault that is not its receiver's; it is done again. */
    failed(error: unknown): void;
    /** The queue's connection has trouble. Comes often while Redis is away. */
    trouble(error: unknown): void;
  };
}): AlertWorker {
  const { redis, keys, workspace, queue, store, deliver, webhooks, mails, backoff, nowMs, random, observer } = deps;
  const aborting = new AbortController();
  setMaxListeners(0, aborting.signal);

  /** Notes what an attempt came to, and has the job done again when it is to be. */
  async function noted({ delivery, retryAfterMs }: Attempted, kept: boolean): Promise<void> {
    await store.noteDelivery(delivery, kept);
    if (delivery.state !== 'retrying') return;
    const waitMs = Math.max(retryAfterMs ?? 0, pauseMs(delivery.tries, backoff, random()));
    throw Object.assign(new Error(delivery.error ?? ''), { pauseMs: waitMs }) satisfies TryAgain;
  }

  /** An alert that is delivered to nobody, and why not. */
  function undelivered(alert: Alert, receiver: Receiver, state: 'collected' | 'dropped'): AlertDelivery {
    const { type, data } = alert;
    const atMs = Math.floor(nowMs());
    return { receiver, alertId: data.alert_id, type, state, atMs, tries: 0, status: null, error: null };
  }

  async function post(alert: Alert, receiver: Receiver & { to: 'webhook' }, tries: number): Promise<void> {
    const webhook = (await webhooks()).find(({ url }) => url === receiver.url);
    if (webhook === undefined) return store.noteDelivery(undelivered(alert, receiver, 'dropped'), true);
    await noted(await deliver({ webhook, alert }, tries, aborting.signal), true);
  }

  async function mail(alert: Alert, tries: number): Promise<void> {
    const receiver: Receiver = { to: 'mail' };
    if (!mails) return store.noteDelivery(undelivered(alert, receiver, 'dropped'), true);
    const [subject, id, label] = [subjectOf(alert), alert.data.alert_id, alertLabel(alert)];
    const claim = await store.claimMail(subject, id, label);
    if (claim.kind !== 'send') {
      if (claim.kind === 'collected') await queue.collect(subject, claim.nextMs, nowMs());
      observer.collected(alert.type);
      return store.noteDelivery(undelivered(alert, receiver, 'collected'), true);
    }
    const written = alertMail(alert, { counts: claim.since, lastMs: claim.lastMs });
    const attempted = await deliver({ mail: written, type: alert.type }, tries, aborting.signal);
    if (attempted.delivery.state === 'failed') await mailLater(subject, id, label);
    await noted(attempted, true);
  }

  /** Keeps what a mail that could not be sent would have told for the next one, which is not long in coming. */
  async function mailLater(subject: string, id: string, label: string): Promise<void> {
    await store.releaseMail(subject, id, label);
    await queue.collect(subject, Math.floor(nowMs()) + MAIL_LATER_MS, nowMs());
  }

  async function mailCollected(subject: string, id: string, tries: number): Promise<void> {
    if (!mails) return;
    const claim = await store.claimMail(subject, id, '');
    if (claim.kind !== 'send') return;
    const written = collectedMail(workspace, subject, id, { counts: claim.since, lastMs: claim.lastMs });
    const attempted = await deliver({ mail: written, type: 'collected' }, tries, aborting.signal);
    if (attempted.delivery.state === 'failed') await mailLater(subject, id, '');
    await noted(attempted, false);
  }

  const worker = new Worker<AlertJob>(
    QUEUE,
    async ({ data, attemptsMade }) => {
      const tries = attemptsMade + 1;
      if ('collected' in data) return mailCollected(data.collected.subject, data.collected.id, tries);
      const { alert, receiver } = data;
      return receiver.to === 'mail' ? mail(alert, tries) : post(alert, receiver, tries);
    },
    {
      connection: redis,
      prefix: keys.queuePrefix,
      concurrency: CONCURRENCY,
      settings: {
        backoffStrategy: (_made, _type, error) => (error as Partial<TryAgain>).pauseMs ?? FAULT_RETRY_MS,
      },
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_EVERY_MS,
      maxStalledCount: STALLED_MAX,
      runRetryDelay: RUN_RETRY_MS,
      removeOnComplete: KEEP_JOBS,
      removeOnFail: KEEP_JOBS,
      skipVersionCheck: true,
    },
  );
  worker.on('failed', (_job, error) => {
    if (!('pauseMs' in error)) observer.failed(error);
  });
  worker.on('error', observer.trouble);
  return {
    stop: (now) => worker.close(now),
    abort: () => aborting.abort(),
  };
}
