import { hash } from 'node:crypto';
import type { AlertWebhook } from '../limits/alert-settings';
import type { Settings } from '../limits/settings';

/** Settings as anybody may see them: of each secret only which it is. */
export interface ShownSettings extends Omit<Settings, 'alert_webhooks'> {
  alert_webhooks: { url: string; secret_fingerprint: string; events: AlertWebhook['events'] }[];
}

/** The settings for answers and the audit trail, which no secret may get into. */
export function shownSettings(settings: Settings): ShownSettings {
  return {
    ...settings,
    alert_webhooks: settings.alert_webhooks.map(({ url, secret, events }) => ({
      url,
      secret_fingerprint: hash('sha256', secret, 'hex').slice(0, 8),
      events,
    })),
  };
}
