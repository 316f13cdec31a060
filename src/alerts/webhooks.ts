import type { AlertWebhook } from '../limits/alert-settings';
import type { DeliveryOutcome } from '../sends/providers/provider';
import type { Resolve } from '../sends/providers/targets';
import { createWebhookTarget, type WebhookTarget } from '../sends/providers/webhook';
import { type Alert, TEST_TYPE } from './alert';

/** Posts alerts to webhooks. */
export interface AlertWebhooks {
  /** Makes one attempt, signed. Never throws for anything that the other end does. */
  post(webhook: AlertWebhook, alert: Alert, signal: AbortSignal): Promise<DeliveryOutcome>;
  close(): Promise<void>;
}

/** The most receivers whose connections are kept. */
const TARGETS_MAX = 50;

/** The webhooks of some that want an alert. Everybody gets a test. */
export function wanting(webhooks: readonly AlertWebhook[], type: Alert['type']): AlertWebhook[] {
  return webhooks.filter(({ events }) => events === null || type === TEST_TYPE || events.includes(type));
}

/**
 * Makes what posts alerts. A receiver is reached as the provider `webhook` reaches its own: no redirect is followed, and no
 * address that is not public called, unless that is allowed.
 */
export function createAlertWebhooks(deps: {
  timeoutMs: number;
  allowPrivateTargets: boolean;
  /** The time of day, in milliseconds since 1970. */
  nowMs: () => number;
  lookup?: Resolve;
}): AlertWebhooks {
  /** In the order in which they were used. */
  const targets = new Map<string, WebhookTarget>();

  function targetOf({ url, secret }: AlertWebhook): WebhookTarget {
    const key = `${url}\n${secret}`;
    const target = targets.get(key) ?? createWebhookTarget({ ...deps, url: new URL(url), secret });
    targets.delete(key);
    targets.set(key, target);
    if (targets.size > TARGETS_MAX) {
      const [[oldest, unused]] = targets as unknown as [[string, WebhookTarget]];
      targets.delete(oldest);
      void unused.close();
    }
    return target;
  }

  return {
    post: (webhook, alert, signal) => targetOf(webhook).post(alert.data.alert_id, JSON.stringify(alert), signal),
    async close() {
      await Promise.all([...targets.values()].map((target) => target.close()));
      targets.clear();
    },
  };
}
