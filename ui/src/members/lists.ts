import { type InfiniteData, type QueryClient, useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { type CountedPage, fetchMembership, type Membership } from '../api/members';
import { compareIds } from './identifier';

/** What answers are kept under. */
export const usersOfKey = (accountId: string) => ['users-of', accountId];
export const accountsOfKey = (userId: string) => ['accounts-of', userId];
export const accountKey = (id: string) => ['account', id];
export const membershipKey = (userId: string, accountId: string) => ['membership', userId, accountId];

export const userIdOf = ({ user_id }: Membership) => user_id;
export const accountIdOf = ({ account_id }: Membership) => account_id;

type Pages = InfiniteData<CountedPage<Membership>, string | null>;

/** Says in what is shown what was changed here: a long list is not read again for it, and keeps its place. */
export function useLists(): {
  /** A user was put into an account, or got another profile there. */
  written: (userId: string, accountId: string, isNew: boolean) => Promise<void>;
  removed: (userId: string, accountId: string) => void;
  removedFromAll: (userId: string) => Promise<void>;
} {
  const queries = useQueryClient();
  return useMemo(
    () => ({
      async written(userId, accountId, isNew) {
        try {
          show(queries, userId, accountId, await fetchMembership(userId, accountId), isNew ? 1 : 0);
        } catch {
          // It was written; what is shown follows by itself.
          await queries.invalidateQueries({ queryKey: membershipKey(userId, accountId) });
        }
      },
      removed: (userId, accountId) => show(queries, userId, accountId, null, -1),
      async removedFromAll(userId) {
        await Promise.all([
          queries.resetQueries({ queryKey: ['feed', ...accountsOfKey(userId)] }),
          queries.invalidateQueries({ queryKey: ['count'] }),
          queries.invalidateQueries({ queryKey: ['membership', userId] }),
        ]);
      },
    }),
    [queries],
  );
}

function show(
  queries: QueryClient,
  userId: string,
  accountId: string,
  membership: Membership | null,
  more: number,
): void {
  queries.setQueryData(membershipKey(userId, accountId), membership);
  const sides = [
    { key: usersOfKey(accountId), id: userId, idOf: userIdOf },
    { key: accountsOfKey(userId), id: accountId, idOf: accountIdOf },
  ];
  for (const { key, id, idOf } of sides) {
    queries.setQueryData<Pages>(['feed', ...key], (pages) => pages && withEntry(pages, id, idOf, membership, more));
    queries.setQueryData<number | null>(['count', ...key], (count) =>
      typeof count === 'number' ? count + more : count,
    );
  }
}

/**
 * The same list with one entry put in its place, or in that of the one with its id; null takes it out.
 * @param more how many more there are in all then
 */
export function withEntry(
  pages: Pages,
  id: string,
  idOf: (entry: Membership) => string,
  entry: Membership | null,
  more: number,
): Pages {
  // In the first page that ends behind it. What is behind all that was read comes with what is read next.
  const last = pages.pages.length - 1;
  const place = pages.pages.findIndex(({ items, cursor }, index) => {
    const end = items.at(-1);
    return (end !== undefined && compareIds(id, idOf(end)) <= 0) || (index === last && cursor === null);
  });
  return {
    ...pages,
    pages: pages.pages.map((page, index) => {
      const items = page.items.filter((item) => idOf(item) !== id);
      if (entry !== null && index === place) {
        const before = items.findIndex((item) => compareIds(idOf(item), id) > 0);
        items.splice(before === -1 ? items.length : before, 0, entry);
      }
      return { ...page, items, total: page.total + more };
    }),
  };
}
