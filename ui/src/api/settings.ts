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
}

export function fetchSettings(signal?: AbortSignal): Promise<Settings> {
  return call('GET', 'settings', { signal });
}

/** Changes what it names. */
export function changeSettings(changes: Partial<Settings>): Promise<Settings> {
  return call('PATCH', 'settings', { body: changes });
}
