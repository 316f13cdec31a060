import { once } from 'node:events';
import type { AlertWebhook } from '../limits/alert-settings';
import { type Alert, alertOf, makeAlert, TEST_TYPE } from './alert';
import { type Attempt, type DeliverAlert, receiverOf } from './deliver';
import type { AdminMail } from './mail';
import { alertMail } from './mail-words';
import type { AlertDelivery, AlertStore } from './store';

/** An alert with what became of it. */
export interface RecentAlert {
  alert: Alert;
  deliveries: AlertDelivery[];
}

/** What one receiver said to a test. */
export interface TestResult {
  delivery: AlertDelivery;
  /** How long it took, in milliseconds. */
  tookMs: number;
}

/** Alerts, for whoever looks at them. @throws each of them whatever Redis fails with */
export interface Alerts {
  /** To whom mails go; none when mail is not configured. */
  readonly mailTo: readonly string[];
  /**
   * Alerts older than the entry `beforeId`, or the newest for null, the newest first; and the entry to go on before, null when
   * there are no older ones.
   */
  page(beforeId: string | null, most: number): Promise<{ alerts: RecentAlert[]; next: string | null }>;
  /** The last delivery to each receiver. */
  lastDeliveries(): Promise<AlertDelivery[]>;
  /** Sends a test to each of these, once, and says what they said. Takes no longer than {@link TEST_MS} or so. */
  test(webhooks: readonly AlertWebhook[], byMail: boolean): Promise<TestResult[]>;
}

/** How long a receiver of a test may take, in milliseconds. */
export const TEST_MS = 8_000;

/**
 * Makes them.
 * @param deps.deliver makes attempts of which each is the last
 * @param deps.newId makes the id of a test
 * @param deps.nowMs Redis's time, in epoch milliseconds
 */
export function createAlerts(deps: {
  workspace: string;
  store: AlertStore;
  mail: AdminMail | null;
  deliver: DeliverAlert;
  newId: () => string;
  nowMs: () => number;
  monotonicMs: () => number;
}): Alerts {
  const { workspace, store, mail, deliver, newId, nowMs, monotonicMs } = deps;

  async function tested(alert: Alert, attempt: Attempt): Promise<TestResult> {
    const beganMs = monotonicMs();
    const timeout = AbortSignal.timeout(TEST_MS);
    const late = once(timeout, 'abort').then(() => null);
    // A server for mail is not told of an abort.
    const attempted = await Promise.race([deliver(attempt, 1, timeout), late]);
    const delivery: AlertDelivery =
      attempted !== null && (!timeout.aborted || attempted.delivery.state === 'delivered')
        ? attempted.delivery
        : {
            receiver: receiverOf(attempt),
            ...{ alertId: alert.data.alert_id, type: alert.type, state: 'failed', atMs: Math.floor(nowMs()), tries: 1 },
            ...{ status: null, error: `There was no answer within ${TEST_MS} ms.` },
          };
    await store.noteDelivery(delivery, false);
    return { delivery, tookMs: Math.round(monotonicMs() - beganMs) };
  }

  return {
    mailTo: mail?.recipients ?? [],
    async page(beforeId, most) {
      const entries = await store.page(beforeId, most + 1);
      const shown = entries.slice(0, most);
      const alerts = shown.flatMap((entry) => {
        const alert = alertOf(workspace, entry);
        return alert === null ? [] : [alert];
      });
      const deliveries = await store.deliveries(alerts.map(({ data }) => data.alert_id));
      return {
        alerts: alerts.map((alert, index) => ({ alert, deliveries: deliveries[index]! })),
        next: entries.length > most ? shown.at(-1)!.id : null,
      };
    },
    lastDeliveries: store.lastDeliveries,
    test(webhooks, byMail) {
      const message = 'This is a test of the alerts of Sendgate. Nothing has happened.';
      const alert = makeAlert(TEST_TYPE, { id: newId(), workspace, atMs: nowMs() }, { message });
      const attempts: Attempt[] = webhooks.map((webhook) => ({ webhook, alert }));
      if (byMail) attempts.push({ mail: alertMail(alert), type: alert.type });
      return Promise.all(attempts.map((attempt) => tested(alert, attempt)));
    },
  };
}
