import type { Redis } from 'ioredis';
import type { AlertWebhook } from '../limits/alert-settings';
import { streamEntry } from '../log/stream';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { type Alert, alertOf } from './alert';
import type { AlertQueue } from './queue';
import type { AlertStore, Receiver } from './store';
import { wanting } from './webhooks';

/** Moves alerts from their stream into the queue. */
export interface AlertRelay {
  /** Lets what has begun end, and begins nothing else. `now`: does not wait for Redis. */
  stop(now: boolean): Promise<void>;
}

/** An entry as it is read: null fields are those of one that was trimmed meanwhile. */
type Entry = [id: string, fields: string[] | null];

const GROUP = 'relay';
const ENTRIES_PER_TURN = 100;
/** How long a turn waits for entries, in milliseconds. */
const BLOCK_MS = 500;
/** With so many jobs to do, no alert is moved: what is not moved in time the stream's bound takes away. */
const DEPTH_MAX = 10_000;
/** An entry that another relay read this long ago, in milliseconds, and has not moved, is moved here: that one died. */
const CLAIM_AFTER_MS = 10_000;
const CLAIM_EVERY_MS = 5_000;
/** The name of a relay that has not been heard of for this long, in milliseconds, is forgotten. */
const FORGET_AFTER_MS = 3_600_000;
const TRIM_EVERY_MS = 600_000;
/** How soon a turn that failed is made again, in milliseconds. */
const RETRY_MS = 500;

/**
 * Begins. Entries are read by a consumer group, so that of any number of relays each alert is moved by one; put into the
 * queue under ids that follow from alert and receiver; and only then acknowledged. They stay in the stream, for whoever looks
 * at the alerts.
 *
 * @param deps.redis a patient connection, which is duplicated for reading; it is not closed at the stop
 * @param deps.consumer a name that no other relay has
 * @param deps.webhooks the webhooks of the workspace, as they are now
 * @param deps.mails whether there is anybody to mail to
 * @param deps.pause resolves after so many milliseconds
 */
export function startAlertRelay(deps: {
  redis: RedisClient;
  keys: Keys;
  workspace: string;
  queue: AlertQueue;
  store: Pick<AlertStore, 'trim'>;
  consumer: string;
  webhooks: () => Promise<readonly AlertWebhook[]>;
  mails: boolean;
  nowMs: () => number;
  observer: {
    /** There was an alert. */
    raised(type: Alert['type']): void;
    /** A turn failed, and is made again. */
    failed(error: unknown): void;
  };
  pause: (ms: number) => Promise<void>;
}): AlertRelay {
  const { redis, keys, workspace, queue, store, consumer, webhooks, mails, nowMs, observer, pause } = deps;
  // Reading blocks its connection.
  const reader = (redis as Redis).duplicate();
  reader.on('error', () => undefined);
  let stopped = false;
  let hasGroup = false;
  /** Whether there may be entries that were read here and not moved, because a turn failed. They come first. */
  let recovers = false;
  let nextClaimMs = 0;
  let nextTrimMs = 0;

  async function makeGroup(): Promise<void> {
    await redis.xgroup('CREATE', keys.alerts, GROUP, '0', 'MKSTREAM').catch((error: Error) => {
      // It is there already.
      if (!error.message.startsWith('BUSYGROUP')) throw error;
    });
    hasGroup = true;
  }

  function receiversOf(alert: Alert, all: readonly AlertWebhook[]): Receiver[] {
    const posted = wanting(all, alert.type).map(({ url }): Receiver => ({ to: 'webhook', url }));
    return mails ? [...posted, { to: 'mail' }] : posted;
  }

  async function move(found: readonly (Entry | null)[]): Promise<void> {
    const entries = found.filter((entry) => entry !== null);
    if (entries.length === 0) return;
    const all = await webhooks();
    const jobs = entries.flatMap(([id, flat]) => {
      if (flat === null) return [];
      const entry = streamEntry([id, flat]);
      const alert = alertIn(entry);
      if (alert === null || entry.fields.told === '1') return [];
      observer.raised(alert.type);
      return receiversOf(alert, all).map((receiver) => ({ alert, receiver }));
    });
    if (jobs.length > 0) await queue.add(jobs);
    await redis.xack(keys.alerts, GROUP, ...entries.map(([id]) => id));
  }

  /** The alert of an entry. One that cannot be read keeps none of those behind it waiting. */
  function alertIn(entry: Parameters<typeof alertOf>[1]): Alert | null {
    try {
      const alert = alertOf(workspace, entry);
      if (alert === null) observer.failed(new Error(`The alert ${entry.id} is of a type that is not known here.`));
      return alert;
    } catch (error) {
      observer.failed(error);
      return null;
    }
  }

  /** Moves what a relay that died has read. */
  async function claim(): Promise<void> {
    let cursor = '0-0';
    do {
      const [next, entries] = (await redis.xautoclaim(
        keys.alerts,
        GROUP,
        consumer,
        CLAIM_AFTER_MS,
        cursor,
        'COUNT',
        ENTRIES_PER_TURN,
      )) as [string, (Entry | null)[]];
      await move(entries);
      cursor = next;
    } while (cursor !== '0-0' && !stopped);
    const consumers = (await redis.xinfo('CONSUMERS', keys.alerts, GROUP)) as unknown[][];
    for (const one of consumers) {
      const { name, pending, idle } = streamEntry(['', one as string[]]).fields as unknown as {
        name: string;
        pending: number;
        idle: number;
      };
      if (pending === 0 && idle > FORGET_AFTER_MS) await redis.xgroup('DELCONSUMER', keys.alerts, GROUP, name);
    }
  }

  async function turn(): Promise<void> {
    if (!hasGroup) await makeGroup();
    if ((await queue.depth()) >= DEPTH_MAX) {
      await pause(BLOCK_MS);
      return;
    }
    if (nowMs() >= nextClaimMs) {
      nextClaimMs = nowMs() + CLAIM_EVERY_MS;
      await claim();
    }
    if (nowMs() >= nextTrimMs) {
      nextTrimMs = nowMs() + TRIM_EVERY_MS;
      await store.trim(nowMs());
    }
    if (stopped) return;
    const read = (await reader.xreadgroup(
      ...(['GROUP', GROUP, consumer, 'COUNT', ENTRIES_PER_TURN, 'BLOCK', BLOCK_MS, 'STREAMS'] as const),
      keys.alerts,
      recovers ? '0' : '>',
    )) as [stream: string, entries: Entry[]][] | null;
    for (const [, entries] of read ?? []) await move(entries);
    recovers &&= read?.some(([, entries]) => entries.length > 0) ?? false;
  }

  async function run(): Promise<void> {
    while (!stopped) {
      try {
        await turn();
      } catch (error) {
        if (stopped) return;
        // The database may be another one now, without the group.
        hasGroup = false;
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
