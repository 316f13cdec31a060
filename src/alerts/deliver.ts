import type { AlertWebhook } from '../limits/alert-settings';
import type { DeliveryOutcome } from '../sends/providers/provider';
import type { Alert } from './alert';
import type { AdminMail, Mail } from './mail';
import type { AlertDelivery, DeliveredType, Receiver } from './store';
import type { AlertWebhooks } from './webhooks';

/** Told of attempts to deliver alerts, for the metrics. Must be cheap. */
export interface AlertObserver {
  /** One attempt was made: `delivered`, `retry` or `failed`; or a mail counts it later: `collected`. */
  attempted(to: Receiver['to'], type: DeliveredType, outcome: string): void;
}

/** What becomes of an attempt: whether to try again, and after how long. */
export interface Attempted {
  delivery: AlertDelivery;
  /** What the receiver asked to be left alone for, in milliseconds; null when it did not, or it is not tried again. */
  retryAfterMs: number | null;
}

/** What an attempt is made of: an alert for a webhook, or a mail that has been written. */
export type Attempt = { webhook: AlertWebhook; alert: Alert } | { mail: Mail; type: DeliveredType };

/** Makes one attempt. @param tries how many, with this one */
export type DeliverAlert = (attempt: Attempt, tries: number, signal: AbortSignal) => Promise<Attempted>;

/**
 * Makes what makes attempts.
 * @param deps.mail null when none is configured
 * @param deps.triesMax after how many tries it is given up
 * @param deps.nowMs Redis's time, in epoch milliseconds
 */
export function createDeliverAlert(deps: {
  webhooks: AlertWebhooks;
  mail: AdminMail | null;
  triesMax: number;
  nowMs: () => number;
  observer: AlertObserver;
}): DeliverAlert {
  const { webhooks, mail, triesMax, nowMs, observer } = deps;

  return async (attempt, tries, signal) => {
    const receiver = receiverOf(attempt);
    const outcome =
      'mail' in attempt ? await sendMail(attempt.mail) : await webhooks.post(attempt.webhook, attempt.alert, signal);
    const again = outcome.kind === 'retry' && tries < triesMax;
    const state = outcome.kind === 'sent' ? 'delivered' : again ? 'retrying' : 'failed';
    const type = typeOf(attempt);
    observer.attempted(receiver.to, type, state === 'retrying' ? 'retry' : state);
    const delivery: AlertDelivery = {
      receiver,
      alertId: 'mail' in attempt ? attempt.mail.id : attempt.alert.data.alert_id,
      type,
      state,
      atMs: Math.floor(nowMs()),
      tries,
      status: outcome.response?.status ?? null,
      error: outcome.kind === 'sent' ? null : outcome.error,
    };
    return { delivery, retryAfterMs: again && outcome.kind === 'retry' ? outcome.retryAfterMs : null };
  };

  function sendMail(written: Mail): Promise<DeliveryOutcome> {
    if (mail === null) throw new Error('No mail is configured in this process.');
    return mail.send(written);
  }
}

/** Whom an attempt is for. */
export function receiverOf(attempt: Attempt): Receiver {
  return 'mail' in attempt ? { to: 'mail' } : { to: 'webhook', url: attempt.webhook.url };
}

function typeOf(attempt: Attempt): DeliveredType {
  return 'mail' in attempt ? attempt.type : attempt.alert.type;
}
