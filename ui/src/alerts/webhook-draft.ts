import type { AlertType, AlertWebhook, Settings } from '../api/settings';
import { ALERT_TYPES } from '../api/settings';
import { thresholdsOf, thresholdText } from '../show/thresholds';

/** A webhook as it is being written. */
export interface WebhookDraft {
  /** What it is told apart by, while its URL is typed. */
  key: string;
  url: string;
  /** Empty: the one that it has stays. */
  secret: string;
  /** The secret that it has; null for none. */
  fingerprint: string | null;
  events: AlertType[];
}

/** What can be changed of the alerts, as its fields hold it. */
export interface AlertFields {
  alert_thresholds: string;
  alert_webhooks: WebhookDraft[];
}

/** What is there, to be changed. */
export function fieldsOf({ alert_thresholds, alert_webhooks }: Settings): AlertFields {
  return {
    alert_thresholds: thresholdText(alert_thresholds),
    alert_webhooks: alert_webhooks.map(({ url, secret_fingerprint, events }) => ({
      key: url,
      url,
      secret: '',
      fingerprint: secret_fingerprint ?? null,
      events: events ?? [...ALERT_TYPES],
    })),
  };
}

/** What is sent of what was changed, once {@link problemsOf} finds nothing. */
export function changesOf(changes: Partial<AlertFields>): Partial<Settings> {
  const { alert_thresholds, alert_webhooks } = changes;
  return {
    ...(alert_thresholds === undefined ? {} : { alert_thresholds: thresholdsOf(alert_thresholds) ?? [] }),
    ...(alert_webhooks === undefined ? {} : { alert_webhooks: alert_webhooks.map(webhookOf) }),
  };
}

function webhookOf({ url, secret, events }: WebhookDraft): AlertWebhook {
  return {
    url: url.trim(),
    ...(secret.trim() === '' ? {} : { secret: secret.trim() }),
    events: events.length === ALERT_TYPES.length ? null : events,
  };
}

/** What cannot be sent, by field: `alert_thresholds`, `alert_webhooks.1.url`. */
export function problemsOf({ alert_thresholds, alert_webhooks }: AlertFields): Record<string, string> {
  const problems: Record<string, string> = {};
  if (thresholdsOf(alert_thresholds) === null) {
    problems.alert_thresholds =
      'must be whole numbers from 1 to 100, each once and ten at most, such as 80, 100; or none';
  }
  alert_webhooks.forEach(({ url, secret, fingerprint, events }, index) => {
    const at = `alert_webhooks.${index}`;
    if (url.trim() === '') problems[`${at}.url`] = 'must be a URL';
    if (fingerprint === null && secret.trim() === '') problems[`${at}.secret`] = 'must be given, or made';
    if (events.length === 0) problems[`${at}.events`] = 'Choose one at least.';
  });
  return problems;
}

/** A new secret: 32 random bytes. */
export function newSecret(): string {
  return `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))}`;
}
