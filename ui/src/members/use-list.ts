import { useQuery, useQueryClient } from '@tanstack/react-query';
import type { CountedPage } from '../api/members';
import type { Page } from '../api/messages';
import type { Feed } from '../feed/use-feed';
import { usePages } from '../feed/use-pages';
import { live } from '../frame/queries';

/** Where a list is asked for. */
export interface ListSource<Item> {
  /** What tells it from others. */
  key: readonly unknown[];
  fetchPage: (cursor: string | null, limit: number, signal: AbortSignal) => Promise<Page<Item> | CountedPage<Item>>;
}

/** A list in the order of its ids. */
export interface List<Item> extends Feed<Item> {
  /** How many there are in all; null while, or where, that is not known. */
  total: number | null;
  /** Whether entries came or went since a part of it was read. */
  isOutdated: boolean;
  /** Reads it again from its beginning. */
  readAgain: () => void;
}

/**
 * Reads a list on by its cursor as somebody scrolls. A short one is kept as it is by now; one of several pages keeps its
 * place, and says when it is no longer what was read.
 */
export function useList<Item>({ key, fetchPage }: ListSource<Item>): List<Item> {
  const queries = useQueryClient();
  // Who signs in again goes on where the session ended, as with a feed.
  const pagesKey = ['feed', ...key];
  const pages = usePages({ key: pagesKey, fetchPage, isShortLive: true });
  const { data, error, refetch, fetchNextPage, isFetchNextPageError } = pages.query;
  const isLong = (data?.pages.length ?? 0) > 1;
  const readTotal = totalOf(data?.pages[0]);

  const count = useQuery({
    queryKey: ['count', ...key],
    queryFn: async ({ signal }) => totalOf(await fetchPage(null, 1, signal)),
    enabled: isLong && readTotal !== null,
    ...live,
  });
  const total = isLong ? (count.data ?? readTotal) : readTotal;

  return {
    ...pages,
    total,
    isOutdated: isLong && total !== readTotal,
    readAgain: () => void queries.resetQueries({ queryKey: pagesKey, exact: true }),
    news: { count: 0, more: false },
    showNews: () => undefined,
    error: error ?? count.error,
    retry: () => void (isFetchNextPageError ? fetchNextPage() : error ? refetch() : count.refetch()),
  };
}

function totalOf(page: Page<unknown> | CountedPage<unknown> | undefined): number | null {
  return page !== undefined && 'total' in page ? page.total : null;
}
