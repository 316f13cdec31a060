import { call, segment } from './call';
import type { Page } from './messages';

type JsonObject = Record<string, unknown>;

/** What is said of an account. Null is none, and for the calendar what the workspace says. */
export interface AccountInput {
  name: string | null;
  timezone: string | null;
  /** A local date-time without an offset. */
  billing_anchor: string | null;
  billing_months: number | null;
  properties: JsonObject | null;
  user_profile: JsonObject | null;
  brand_id: string | null;
  parent_tenant_id: string | null;
  default_preferences: JsonObject | null;
}

/** The settings of an account. */
export interface Account extends AccountInput {
  id: string;
  created_at: string;
  updated_at: string;
}

/** The accounts that have settings, in the order of their ids. */
export async function fetchAccounts(
  cursor: string | null,
  limit: number,
  signal?: AbortSignal,
): Promise<Page<Account>> {
  const query = { limit, cursor: cursor ?? undefined };
  const page = await call<{ items: Account[]; cursor?: string }>('GET', 'accounts', { query, signal });
  return { items: page.items, cursor: page.cursor ?? null };
}

/** An account's settings; null when it has none. */
export async function fetchAccount(id: string, signal?: AbortSignal): Promise<Account | null> {
  // To have none is no error; a browser would write a 404 down as one
  const { items } = await call<{ items: Account[] }>('GET', 'accounts', { query: { id }, signal });
  return items[0] ?? null;
}

/** Changes what it names: the rest stays as it is by then. */
export async function changeAccount(id: string, changes: Partial<AccountInput>): Promise<Account> {
  const present = await fetchAccount(id);
  return call('PUT', `accounts/${segment(id)}`, { body: { ...present, ...changes } });
}
