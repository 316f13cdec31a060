import { type InfiniteData, useInfiniteQuery } from '@tanstack/react-query';
import { useEffect, useMemo } from 'react';
import type { Page } from '../api/messages';
import { againAfterMs, LIVE_MS } from '../frame/queries';
import { useSignedInMs } from '../frame/session';

/** How many entries are asked for at a time: as many as there may be on a page. */
export const PAGE = 100;

/**
 * Reads a list on by its cursor as somebody scrolls, and what failed again by itself.
 *
 * @param key what it is kept under
 * @param isShortLive whether a list of one page is kept as it is by now
 */
export function usePages<Read extends Page<unknown>>(deps: {
  key: readonly unknown[];
  fetchPage: (cursor: string | null, limit: number, signal: AbortSignal) => Promise<Read>;
  isShortLive: boolean;
}) {
  const { key, fetchPage, isShortLive } = deps;
  const query = useInfiniteQuery<Read, Error, InfiniteData<Read, string | null>, readonly unknown[], string | null>({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => fetchPage(pageParam, PAGE, signal),
    initialPageParam: null,
    getNextPageParam: (last) => last.cursor,
    // Asked for again as a whole, entries would move, and a long list lose its place.
    staleTime: Number.POSITIVE_INFINITY,
    refetchInterval({ state: { data, error } }) {
      if (data === undefined) return againAfterMs(error, false);
      return isShortLive && data.pages.length === 1 ? againAfterMs(error, LIVE_MS) : false;
    },
    refetchOnMount: false,
    refetchOnReconnect: false,
    refetchOnWindowFocus: false,
    // Who comes back to a view begins anew.
    gcTime: 0,
  });
  const { data, error, hasNextPage, isFetching, fetchNextPage, isFetchNextPageError } = query;
  const items = useMemo(() => data?.pages.flatMap((page) => page.items) ?? [], [data]) as Read['items'];

  const signedInMs = useSignedInMs();
  // Who signs in again goes on where the session ended
  useEffect(() => {
    if (!isFetchNextPageError) return;
    const afterMs = againAfterMs(error, false);
    if (afterMs === false) return;
    const timer = setTimeout(() => void fetchNextPage(), afterMs);
    return () => clearTimeout(timer);
  }, [isFetchNextPageError, error, fetchNextPage]);
  // Only then
  useEffect(() => {
    if (isFetchNextPageError) void fetchNextPage();
  }, [signedInMs]);

  return {
    query,
    items,
    isPending: data === undefined && error === null,
    isAtEnd: data !== undefined && !hasNextPage,
    isFetchingOlder: query.isFetchingNextPage,
    fetchOlder() {
      // What failed is tried again by itself, and not each time that somebody scrolls.
      if (hasNextPage && !isFetching && !isFetchNextPageError) void fetchNextPage();
    },
  };
}
