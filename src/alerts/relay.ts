import type { AlertWebhook } from '../limits/alert-settings';
import { streamEntry } from '../log/stream';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { consumeStreams, type StreamConsumer } from '../store/stream-consumer';
import { type Alert, alertOf } from './alert';
import type { AlertQueue } from './queue';
import type { AlertStore, Receiver } from './store';
import { wanting } from './webhooks';

const ENTRIES_PER_TURN = 100;
/** With so many jobs to do, no alert is moved: what is not moved in time the stream's bound takes away. */
const DEPTH_MAX = 10_000;
const TRIM_EVERY_MS = 600_000;

/**
 * Begins to move alerts from their stream into the queue. Of any number of relays each alert is moved by one; put into the
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
}): StreamConsumer {
  const { redis, keys, workspace, queue, store, consumer, webhooks, mails, nowMs, observer, pause } = deps;
  let nextTrimMs = 0;

  function receiversOf(alert: Alert, all: readonly AlertWebhook[]): Receiver[] {
    const posted = wanting(all, alert.type).map(({ url }): Receiver => ({ to: 'webhook', url }));
    return mails ? [...posted, { to: 'mail' }] : posted;
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

  return consumeStreams({
    ...{ redis, streams: [keys.alerts], group: 'relay', consumer, entriesPerTurn: ENTRIES_PER_TURN, deletes: false },
    ...{ nowMs, pause, onFailed: observer.failed },
    async open() {
      if (nowMs() >= nextTrimMs) {
        nextTrimMs = nowMs() + TRIM_EVERY_MS;
        await store.trim(nowMs());
      }
      return (await queue.depth()) >= DEPTH_MAX ? [] : [keys.alerts];
    },
    async take(_, entries) {
      const all = await webhooks();
      const jobs = entries.flatMap(([id, fields]) => {
        const entry = streamEntry([id, fields]);
        const alert = alertIn(entry);
        if (alert === null || entry.fields.told === '1') return [];
        observer.raised(alert.type);
        return receiversOf(alert, all).map((receiver) => ({ alert, receiver }));
      });
      if (jobs.length > 0) await queue.add(jobs);
    },
  });
}
