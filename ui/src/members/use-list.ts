import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo } from 'react';
import type { CountedPage } from '../api/members';
import type { Page } from '../api/messages';
import type { Feed } from '../feed/use-feed';
import { againAfterMs, LIVE_MS, live } from '../frame/queries';
import { useSignedInMs } from '../frame/session';

/** How many entries are asked for at a time: as many as there may be on a page. */
const PAGE = 100;

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
  const pages = useInfiniteQuery({
    queryKey: pagesKey,
    queryFn: ({ pageParam, signal }) => fetchPage(pageParam, PAGE, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.cursor,
    staleTime: Number.POSITIVE_INFINITY,
    // Asked for again as a whole, a long one would be all that is done.
    refetchInterval: ({ state: { data, error } }) =>
      data === undefined || data.pages.length === 1 ? againAfterMs(error, LIVE_MS) : false,
    refetchOnMount: false,
    refetchOnReconnect: false,
    refetchOnWindowFocus: false,
    gcTime: 0,
  });
  const { data, error: pagesError, fetchNextPage, isFetchNextPageError } = pages;
  const items = useMemo(() => data?.pages.flatMap((page) => page.items) ?? [], [data]);
  const isLong = (data?.pages.length ?? 0) > 1;
  const readTotal = totalOf(data?.pages[0]);

  const count = useQuery({
    queryKey: ['count', ...key],
    queryFn: async ({ signal }) => totalOf(await fetchPage(null, 1, signal)),
    enabled: isLong && readTotal !== null,
    ...live,
  });
  const total = isLong ? (count.data ?? readTotal) : readTotal;

  const signedInMs = useSignedInMs();
  useEffect(() => {
    if (!isFetchNextPageError) return;
    const afterMs = againAfterMs(pagesError, false);
    if (afterMs === false) return;
    const timer = setTimeout(() => void fetchNextPage(), afterMs);
    return () => clearTimeout(timer);
  }, [isFetchNextPageError, pagesError, fetchNextPage]);
  // Only then
  useEffect(() => {
    if (isFetchNextPageError) void fetchNextPage();
  }, [signedInMs]);

  return {
    items,
    total,
    isOutdated: isLong && total !== readTotal,
    readAgain: () => void queries.resetQueries({ queryKey: pagesKey, exact: true }),
    isPending: data === undefined && pagesError === null,
    isAtEnd: data !== undefined && !pages.hasNextPage,
    isFetchingOlder: pages.isFetchingNextPage,
    fetchOlder: () => {
      if (pages.hasNextPage && !pages.isFetching && !isFetchNextPageError) void fetchNextPage();
    },
    news: { count: 0, more: false },
    showNews: () => undefined,
    error: pagesError ?? count.error,
    retry: () => void (isFetchNextPageError ? fetchNextPage() : pagesError ? pages.refetch() : count.refetch()),
  };
}

function totalOf(page: Page<unknown> | CountedPage<unknown> | undefined): number | null {
  return page !== undefined && 'total' in page ? page.total : null;
}
