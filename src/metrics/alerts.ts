import type { Registry } from 'prom-client';
import { createTally } from './tally';

/** What is told of alerts. */
export interface AlertMetrics {
  /** There was an alert. */
  raised(type: string): void;
  /** One attempt to deliver one: `delivered`, `retry` or `failed`; or it is counted by a later mail: `collected`. */
  attempted(to: string, type: string, outcome: string): void;
}

const TYPES = ['limit.threshold', 'limit.throttled', 'provider.stopped', 'redis.degraded'];

/** Makes them. Nothing in them is named after a limit, a user, or a receiver. */
export function createAlertMetrics(registry: Registry): AlertMetrics {
  const raised = createTally(registry, {
    name: 'sendgate_alerts_total',
    help: 'Alerts that this process has passed on, by type.',
    labelNames: ['type'],
  });
  const deliveries = createTally(registry, {
    name: 'sendgate_alert_deliveries_total',
    help: 'Attempts to deliver an alert, by whether to a webhook or by mail, by type (collected: a mail that counts some) and outcome: delivered, retry (it is tried again), failed, or collected (the next mail counts it).',
    labelNames: ['to', 'type', 'outcome'],
  });
  // Those that somebody watches are there from the start, at 0.
  for (const type of TYPES) {
    raised.series(type);
    for (const to of ['webhook', 'mail']) deliveries.series(to, type, 'failed');
  }
  return {
    raised(type) {
      raised.series(type).value += 1;
    },
    attempted(to, type, outcome) {
      deliveries.series(to, type, outcome).value += 1;
    },
  };
}
