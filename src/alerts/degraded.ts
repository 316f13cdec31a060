import type { AlertWebhook } from '../limits/alert-settings';
import { type Backoff, pauseMs } from '../sends/backoff';
import { type Alert, makeAlert } from './alert';
import type { Attempt, DeliverAlert } from './deliver';
import type { Mail } from './mail';
import { alertMail } from './mail-words';
import { type AlertDelivery, type AlertStore, MAIL_GAP_MS } from './store';
import { wanting } from './webhooks';

/** Tells that Redis does not answer, without it: there is nothing that could say which replica is to. */
export interface DegradedAlerts {
  /** Redis has begun or ceased to answer. @param reason what was seen last, in words */
  changed(answers: boolean, reason: string): void;
  /** Begins nothing else, and breaks off what is under way. */
  stop(): Promise<void>;
}

/** How long after such an alert this process sends no other, in milliseconds. */
export const DEGRADED_GAP_MS = 15 * 60_000;

/**
 * Makes what tells it, for one process: to the webhooks that were known last, and by mail at most once in 24 hours, with
 * a count of the times since. What became of it is written down once Redis answers again.
 * @param deps.webhooks those that are known; null when none have ever been read
 * @param deps.mails whether there is anybody to mail to
 * @param deps.nowMs the best that is known of Redis's time, in epoch milliseconds
 * @param deps.pause resolves after so many milliseconds, or at once when it is aborted
 */
export function createDegradedAlerts(deps: {
  workspace: string;
  /** What this process is called, for whoever gets several such alerts. */
  replica: string;
  webhooks: () => readonly AlertWebhook[] | null;
  mails: boolean;
  deliver: DeliverAlert;
  store: Pick<AlertStore, 'addTold' | 'noteDelivery'>;
  backoff: Backoff;
  newId: () => string;
  nowMs: () => number;
  random: () => number;
  pause: (ms: number, signal: AbortSignal) => Promise<void>;
  observer: { raised(type: Alert['type']): void; failed(error: unknown): void };
}): DegradedAlerts {
  const { workspace, replica, webhooks, mails, deliver, store, backoff, newId, nowMs, random, pause, observer } = deps;
  const stopping = new AbortController();
  const under = new Set<Promise<void>>();
  let isUp = false;
  let lastMs = Number.NEGATIVE_INFINITY;
  let mailedMs = Number.NEGATIVE_INFINITY;
  let unmailed = 0;
  /** What is still to be written down. */
  let alertsToWrite: Alert[] = [];
  let deliveriesToWrite: AlertDelivery[] = [];
  /** One after the other, so that what was last is written last. */
  let writing: Promise<void> = Promise.resolve();

  function begin(work: Promise<void>): void {
    const caught = work.catch(observer.failed);
    under.add(caught);
    void caught.then(() => under.delete(caught));
  }

  function tell(reason: string): void {
    const known = webhooks();
    const atMs = Math.floor(nowMs());
    if (known === null || atMs - lastMs < DEGRADED_GAP_MS) return;
    lastMs = atMs;
    const since = new Date(atMs).toISOString();
    const alert = makeAlert('redis.degraded', { id: newId(), workspace, atMs }, { since, reason, replica });
    observer.raised(alert.type);
    alertsToWrite.push(alert);
    for (const webhook of wanting(known, alert.type)) begin(send({ webhook, alert }));
    const mail = mails ? nextMail(alert, atMs) : null;
    if (mail !== null) begin(send({ mail, type: alert.type }));
  }

  function nextMail(alert: Alert, atMs: number): Mail | null {
    if (atMs - mailedMs < MAIL_GAP_MS) {
      unmailed += 1;
      return null;
    }
    const counts: Record<string, number> = unmailed === 0 ? {} : { 'Redis did not answer': unmailed };
    const mail = alertMail(alert, { counts, lastMs: Number.isFinite(mailedMs) ? mailedMs : null });
    mailedMs = atMs;
    unmailed = 0;
    return mail;
  }

  async function send(attempt: Attempt): Promise<void> {
    for (let tries = 1; !stopping.signal.aborted; tries += 1) {
      const { delivery, retryAfterMs } = await deliver(attempt, tries, stopping.signal);
      deliveriesToWrite.push(delivery);
      if (isUp) writeSoon();
      if (delivery.state !== 'retrying') return;
      await pause(Math.max(retryAfterMs ?? 0, pauseMs(tries, backoff, random())), stopping.signal);
    }
  }

  function writeSoon(): void {
    writing = writing.then(write).catch(observer.failed);
    begin(writing);
  }

  /** Writes down what can be. What cannot is kept for the next time. */
  async function write(): Promise<void> {
    const [alerts, deliveries] = [alertsToWrite, deliveriesToWrite];
    alertsToWrite = [];
    deliveriesToWrite = [];
    try {
      for (const alert of [...alerts]) {
        await store.addTold(alert);
        alerts.shift();
      }
      for (const delivery of [...deliveries]) {
        await store.noteDelivery(delivery, true);
        deliveries.shift();
      }
    } catch (error) {
      alertsToWrite = [...alerts, ...alertsToWrite];
      deliveriesToWrite = [...deliveries, ...deliveriesToWrite];
      throw error;
    }
  }

  return {
    changed(answers, reason) {
      if (stopping.signal.aborted) return;
      const wasUp = isUp;
      isUp = answers;
      if (answers) writeSoon();
      else if (wasUp) tell(reason);
    },
    async stop() {
      stopping.abort();
      await Promise.all(under);
    },
  };
}
