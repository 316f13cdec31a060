import { hash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { entriesBefore, type StreamEntry } from '../log/stream';
import type { RedisClient } from '../store/connection';
import { escapeKeyPart, type Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';
import type { Alert, AnyAlertType } from './alert';

/** Whom an alert goes to: a webhook, by its URL, or the administrators, by mail. */
export type Receiver = { to: 'webhook'; url: string } | { to: 'mail' };

/**
 * What became of an alert for one receiver. `collected` is one that the next mail will count; `dropped` one whose receiver is
 * not there any more.
 */
export type DeliveryState = 'delivered' | 'retrying' | 'failed' | 'collected' | 'dropped';

/** What is delivered: an alert, or a mail that counts some. */
export type DeliveredType = AnyAlertType | 'collected';

/** The last that happened to an alert for one receiver. */
export interface AlertDelivery {
  receiver: Receiver;
  alertId: string;
  type: DeliveredType;
  state: DeliveryState;
  /** When, in epoch milliseconds. */
  atMs: number;
  tries: number;
  /** The status of HTTP, where there was one. */
  status: number | null;
  error: string | null;
}

/** A provider that takes no messages for now. */
export interface ProviderStop {
  provider: string;
  /** The provider's own code for why. */
  code: string;
  /** The same in words. */
  words: string;
  /** When it is tried again, in epoch milliseconds. */
  untilMs: number;
}

/** Whether a mail is sent now. */
export type MailClaim =
  /** `since` is how often what has happened since the last one, `lastMs` when that was, in epoch milliseconds, or null. */
  | { kind: 'send'; since: Record<string, number>; lastMs: number | null }
  /** It is counted, and may be told then, in epoch milliseconds. */
  | { kind: 'collected'; nextMs: number }
  | { kind: 'nothing' };

/** Everything about alerts that is kept in Redis. @throws each of them whatever Redis fails with */
export interface AlertStore {
  /**
   * Tells that a provider has stopped, once for each stop: one that stops again for the same reason as soon as it is tried
   * again goes on with the same stop.
   * @returns whether there is an alert of it now that was not there before
   */
  providerStopped(stop: ProviderStop): Promise<boolean>;
  /** Notes an alert that has been sent without Redis. */
  addTold(alert: Alert): Promise<void>;
  /** Alerts older than the entry `beforeId`, or the newest for null. */
  page(beforeId: string | null, most: number): Promise<StreamEntry[]>;
  /** What became of alerts, in their order. */
  deliveries(alertIds: readonly string[]): Promise<AlertDelivery[][]>;
  /** The last delivery to each receiver. */
  lastDeliveries(): Promise<AlertDelivery[]>;
  /** Notes what became of an alert. @param kept whether it is one of those that `page` gives */
  noteDelivery(delivery: AlertDelivery, kept: boolean): Promise<void>;
  /**
   * Decides whether a mail about a subject is sent now.
   * @param label what has happened, to be counted; '' for nothing
   */
  claimMail(subject: string, id: string, label: string): Promise<MailClaim>;
  /** Takes a claimed mail back that could not be sent. */
  releaseMail(subject: string, id: string, label: string): Promise<void>;
  /** Removes alerts older than that, in milliseconds. */
  trim(nowMs: number): Promise<void>;
}

const DAY_MS = 86_400_000;
/** How long after a mail about something there is no other about the same, in milliseconds. */
export const MAIL_GAP_MS = DAY_MS;
/** How long alerts, and what became of them, are kept, in milliseconds. */
export const KEEP_MS = 30 * DAY_MS;

/** Keeps alerts under the keys of one workspace. @param nowMs Redis's time, in epoch milliseconds */
export function createAlertStore(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  nowMs: () => number;
}): AlertStore {
  const { redis, scripts, keys, nowMs } = deps;

  return {
    async providerStopped({ provider, code, words, untilMs }) {
      const until = new Date(untilMs).toISOString();
      // As long again as the pause: whoever is stopped again at the next try has not begun another stop.
      const keepUntilMs = Math.max(untilMs + (untilMs - nowMs()), untilMs);
      const mark = keys.alertMark(`p:${escapeKeyPart(provider)}:${escapeKeyPart(code)}`);
      const data = JSON.stringify({ provider, code, reason: words, until });
      const args = [Math.ceil(keepUntilMs), 'type', 'provider.stopped', 'data', data];
      return (await runScript(redis, scripts.alert_add, [keys.alerts, mark], args)) !== '';
    },

    async addTold({ type, timestamp, data }) {
      const { alert_id, workspace: _workspace, ...rest } = data;
      const told = ['id', alert_id, 'at', Date.parse(timestamp), 'told', '1'];
      const args = [0, 'type', type, 'data', JSON.stringify(rest), ...told];
      await runScript(redis, scripts.alert_add, [keys.alerts], args);
    },

    page: (beforeId, most) => entriesBefore(redis, keys.alerts, beforeId, most),

    async deliveries(alertIds) {
      if (alertIds.length === 0) return [];
      const pipeline = redis.pipeline();
      for (const id of alertIds) pipeline.hvals(keys.alertDeliveries(id));
      const replies = (await pipeline.exec()) ?? [];
      return replies.map(([error, values]) => {
        if (error) throw error;
        return (values as string[]).map(decodeDelivery);
      });
    },

    lastDeliveries: async () => (await redis.hvals(keys.alertReceivers)).map(decodeDelivery),

    async noteDelivery(delivery, kept) {
      const field = receiverKey(delivery.receiver);
      const text = JSON.stringify(delivery);
      const multi = redis.multi();
      if (kept) {
        const key = keys.alertDeliveries(delivery.alertId);
        multi.hset(key, field, text).pexpire(key, KEEP_MS);
      }
      // That one is counted in the next mail says nothing of whether mails get through.
      if (delivery.state !== 'collected' && delivery.state !== 'dropped') {
        multi.hset(keys.alertReceivers, field, text).pexpire(keys.alertReceivers, KEEP_MS);
      } else if (delivery.state === 'dropped') multi.hdel(keys.alertReceivers, field);
      for (const [error] of (await multi.exec()) ?? []) if (error) throw error;
    },

    async claimMail(subject, id, label) {
      const [code, first, before] = (await runScript(
        redis,
        scripts.alert_mail_claim,
        [keys.alertMail(subject)],
        [id, label, MAIL_GAP_MS, KEEP_MS],
      )) as [number, ...(string | number)[]];
      if (code === 0) return { kind: 'collected', nextMs: first as number };
      if (code === 2) return { kind: 'nothing' };
      return { kind: 'send', since: JSON.parse(first as string), lastMs: before === '' ? null : Number(before) };
    },

    async releaseMail(subject, id, label) {
      await runScript(redis, scripts.alert_mail_release, [keys.alertMail(subject)], [id, label]);
    },

    async trim(atMs) {
      await (redis as Redis).xtrim(keys.alerts, 'MINID', '~', Math.floor(atMs - KEEP_MS));
    },
  };
}

/** What a receiver is called in Redis: a name in which no part of a URL can be read. */
export function receiverKey(receiver: Receiver): string {
  return receiver.to === 'mail' ? 'mail' : `w${hash('sha256', receiver.url, 'hex').slice(0, 20)}`;
}

function decodeDelivery(text: string): AlertDelivery {
  return JSON.parse(text) as AlertDelivery;
}
