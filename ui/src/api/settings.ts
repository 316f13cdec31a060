import { call } from './call';

export const WEEKDAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const;

/** What applies to the whole workspace. */
export interface Settings {
  timezone: string;
  week_start: (typeof WEEKDAYS)[number];
  /** A local date-time without an offset. */
  billing_anchor: string;
  billing_months: number;
  exempt_topics: string[];
  require_membership: boolean;
  log_checks: 'throttled' | 'all';
  /** In percent of a max. */
  alert_thresholds: number[];
  alert_webhooks: AlertWebhook[];
}

export const ALERT_TYPES = ['limit.threshold', 'limit.throttled', 'provider.stopped', 'redis.degraded'] as const;
export type AlertType = (typeof ALERT_TYPES)[number];

/** Who is told of alerts. The secret is only ever written. */
export interface AlertWebhook {
  url: string;
  /** Left out, the one that this URL has stays. */
  secret?: string;
  /** Which secret it has. */
  secret_fingerprint?: string;
  /** Null for all. */
  events: AlertType[] | null;
}

export function fetchSettings(signal?: AbortSignal): Promise<Settings> {
  return call('GET', 'settings', { signal });
}

/** Changes what it names. */
export function changeSettings(changes: Partial<Settings>): Promise<Settings> {
  return call('PATCH', 'settings', { body: changes });
}
