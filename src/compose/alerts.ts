import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { createDegradedAlerts, type DegradedAlerts } from '../alerts/degraded';
import { type AlertObserver, createDeliverAlert, type DeliverAlert } from '../alerts/deliver';
import { type AdminMail, createAdminMail } from '../alerts/mail';
import type { AlertStore } from '../alerts/store';
import { createAlertWebhooks } from '../alerts/webhooks';
import type { Config } from '../config';
import type { Logger } from '../logger';
import type { Metrics } from '../metrics/metrics';
import type { ConfigurationStore } from '../store/configuration';
import { redisFailureReason } from '../store/failure';

/** What alerts are delivered with. */
interface AlertDelivering {
  mail: AdminMail | null;
  /** Makes what makes attempts. @param triesMax after how many it is given up */
  deliver(triesMax: number): DeliverAlert;
  close(): Promise<void>;
}

export function composeAlertDelivering(config: Config, nowMs: () => number, observer: AlertObserver): AlertDelivering {
  const { smtpUrl, alertMailFrom, alertMailTo, webhookTimeoutMs: timeoutMs, allowPrivateTargets } = config;
  // With one of the three there are all: see contradictionsIn.
  const mail = smtpUrl === null ? null : createAdminMail({ url: smtpUrl, from: alertMailFrom!, to: alertMailTo! });
  const webhooks = createAlertWebhooks({ timeoutMs, allowPrivateTargets, nowMs: Date.now });
  return {
    mail,
    deliver: (triesMax) => createDeliverAlert({ webhooks, mail, triesMax, nowMs, observer }),
    async close() {
      mail?.close();
      await webhooks.close();
    },
  };
}

/** The id of an alert that no script has made. */
export const newAlertId = () => `al_${randomBytes(12).toString('hex')}`;

/** What tells that answers are given without Redis, which cannot carry that itself. */
export function composeDegradedAlerts(deps: {
  config: Config;
  alerting: AlertDelivering;
  store: AlertStore;
  configuration: ConfigurationStore;
  nowMs: () => number;
  metrics: Metrics;
  logger: Logger;
}): DegradedAlerts {
  const { config, alerting, store, configuration, nowMs, metrics, logger } = deps;
  return createDegradedAlerts({
    workspace: config.workspace,
    replica: `${hostname()}:${process.pid}`,
    webhooks: () => configuration.planner()?.configuration.settings.alert_webhooks ?? null,
    mails: alerting.mail !== null,
    deliver: alerting.deliver(config.tries),
    store,
    backoff: { firstMs: config.retryFirstMs, mostMs: config.retryMaxMs },
    newId: newAlertId,
    nowMs,
    random: Math.random,
    pause: (ms, signal) => delay(ms, undefined, { ref: false, signal }).catch(() => undefined),
    observer: {
      raised: metrics.alerts.raised,
      failed(error) {
        if (redisFailureReason(error) === null) logger.error('An alert could not be sent.', { error });
      },
    },
  });
}
