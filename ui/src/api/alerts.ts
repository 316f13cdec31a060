import { call } from './call';
import type { Dimension, Period } from './limits';
import type { AlertType } from './settings';

interface Common {
  alert_id: string;
  workspace: string;
}

interface OfLimit extends Common {
  limit_id: string;
  per: Dimension[];
  period: Period;
  user_id?: string;
  account_id?: string;
  topic_id?: string;
  channel?: string;
  window_start: string;
  resets_at: string;
  max: number;
  used: number;
  mode: 'enforce' | 'shadow';
}

/** Something that Sendgate has told of. */
export type Alert = { timestamp: string } & (
  | { type: 'limit.threshold'; data: OfLimit & { threshold: number } }
  | { type: 'limit.throttled'; data: OfLimit & { held: boolean } }
  | { type: 'provider.stopped'; data: Common & { provider: string; code: string; reason: string; until: string } }
  | { type: 'redis.degraded'; data: Common & { since: string; reason: string; replica: string } }
);

export type DeliveryState = 'delivered' | 'retrying' | 'failed' | 'collected' | 'dropped';

/** What became of an alert for somebody. */
export interface AlertResult {
  state: DeliveryState;
  at: string;
  tries: number;
  status: number | null;
  error: string | null;
}

/** The last of any alert, a test included. */
export type LastResult = AlertResult & { alert_id: string; type: string };

export interface AlertsPage {
  paging: { cursor: string | null; more: boolean };
  items: { alert: Alert; deliveries: (AlertResult & { to: 'webhook' | 'mail'; url: string | null })[] }[];
  webhooks: { url: string; secret_fingerprint: string; events: AlertType[] | null; last_result: LastResult | null }[];
  mail: { configured: boolean; to: string[]; last_result: LastResult | null };
}

/** What somebody said to a test. */
export interface TestResult {
  to: 'webhook' | 'mail';
  url: string | null;
  delivered: boolean;
  status: number | null;
  error: string | null;
  took_ms: number;
}

export function fetchAlerts(cursor: string | null, signal?: AbortSignal): Promise<AlertsPage> {
  return call('GET', 'alerts', { query: { limit: 20, cursor: cursor ?? undefined }, signal });
}

/** Sends a test to one webhook, or to everybody for null. */
export async function testAlerts(webhook: string | null): Promise<TestResult[]> {
  const body = webhook === null ? {} : { webhook };
  return (await call<{ results: TestResult[] }>('POST', 'alerts/test', { body })).results;
}
