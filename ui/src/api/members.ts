import { call, callWithHeaders, segment } from './call';
import type { Page } from './messages';

/** A user in an account. */
export interface Membership {
  user_id: string;
  account_id: string;
  profile: Record<string, unknown> | null;
}

/** A page of a list, and how many there are in all. */
export interface CountedPage<Item> extends Page<Item> {
  total: number;
}

interface ListPage<Item> {
  items: Item[];
  has_more: boolean;
  cursor?: string;
}

async function fetchPage(path: string, cursor: string | null, limit: number, signal?: AbortSignal) {
  const { body, headers } = await callWithHeaders<ListPage<Membership>>('GET', path, {
    query: { limit, cursor: cursor ?? undefined },
    signal,
  });
  const total = Number(headers.get('x-total-count') ?? body.items.length);
  return { items: body.items, cursor: body.has_more ? (body.cursor ?? null) : null, total };
}

/** The accounts that a user is in. */
export function fetchAccountsOf(
  userId: string,
  cursor: string | null,
  limit: number,
  signal?: AbortSignal,
): Promise<CountedPage<Membership>> {
  return fetchPage(`users/${segment(userId)}/accounts`, cursor, limit, signal);
}

/** The users that are in an account. */
export function fetchUsersOf(
  accountId: string,
  cursor: string | null,
  limit: number,
  signal?: AbortSignal,
): Promise<CountedPage<Membership>> {
  return fetchPage(`accounts/${segment(accountId)}/users`, cursor, limit, signal);
}

/** A user in one account; null when the user is not in it. */
export async function fetchMembership(
  userId: string,
  accountId: string,
  signal?: AbortSignal,
): Promise<Membership | null> {
  // Not to be in it is no error; a browser would write a 404 down as one
  const path = `users/${segment(userId)}/accounts`;
  const { items } = await call<ListPage<Membership>>('GET', path, { query: { account_id: accountId }, signal });
  return items[0] ?? null;
}

/**
 * Puts a user into an account, or gives one who is in it another profile. A profile that is undefined leaves the one
 * that is there.
 */
export function putMembership({
  user_id,
  account_id,
  profile,
}: Omit<Membership, 'profile'> & { profile?: Membership['profile'] | undefined }): Promise<void> {
  return call('PUT', `users/${segment(user_id)}/accounts/${segment(account_id)}`, { body: { profile } });
}

export function removeMembership(userId: string, accountId: string): Promise<void> {
  return call('DELETE', `users/${segment(userId)}/accounts/${segment(accountId)}`);
}

/** Takes a user out of every account. */
export function removeFromAll(userId: string): Promise<void> {
  return call('DELETE', `users/${segment(userId)}/accounts`);
}
