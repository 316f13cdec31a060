import { type InfiniteData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo } from 'react';
import type { Page } from '../api/messages';
import { againAfterMs } from '../frame/queries';
import { PAGE, usePages } from './use-pages';

/** How often it is looked for new ones, in milliseconds. */
const NEWS_MS = 2_000;
/** How many new ones are kept ready above. When there are more the list begins anew with the newest. */
const NEWS_MAX = 500;

/** Where a list is asked for. */
export interface FeedSource<Item> {
  /** What tells it from others: another key is another list. */
  key: readonly unknown[];
  /** Reads a page, the newest entry first. @throws CallError */
  fetchPage: (cursor: string | null, limit: number, signal: AbortSignal) => Promise<Page<Item>>;
  /** What no two entries share. A stable function. */
  idOf: (item: Item) => string;
  /** Whether it is not looked for new ones: none can come, or they are not asked for now. */
  isClosed?: boolean;
}

/** A list without end, the newest first, of which each entry is shown once. */
export interface Feed<Item> {
  items: Item[];
  /** Whether the first page is being waited for. */
  isPending: boolean;
  /** Whether there are no older ones. */
  isAtEnd: boolean;
  isFetchingOlder: boolean;
  /** Asks for older ones, unless that is being done or there are none. */
  fetchOlder: () => void;
  /** How many have come since, at least, and whether there may be more. */
  news: { count: number; more: boolean };
  /** Puts them on top. */
  showNews: () => void;
  /** Why it could not be read on. */
  error: unknown;
  retry: () => void;
}

/** One whose entries may become something else. */
export interface ChangingFeed<Item> extends Feed<Item> {
  /** Puts what an entry has become where it is. */
  replace: (item: Item) => void;
}

/** What has come since the newest that is shown, the newest first. */
interface News<Item> {
  items: Item[];
  /** Whether there is more between them and what is shown. */
  more: boolean;
}

/**
 * Reads a list on by its cursor as somebody scrolls, and looks for what is new above it. What is shown never moves by
 * itself: pages follow from the cursor of the one before, so that each entry is in one of them, and what is new waits
 * until it is asked for.
 */
export function useFeed<Item>({ key, fetchPage, idOf, isClosed = false }: FeedSource<Item>): ChangingFeed<Item> {
  const queries = useQueryClient();
  const pagesKey = ['feed', ...key];
  const pages = usePages({ key: pagesKey, fetchPage, isShortLive: false });
  const { items, isAtEnd } = pages;
  const ids = useMemo(() => new Set(items.map(idOf)), [items, idOf]);
  const newest = items[0];
  const newsKey = ['news', ...key, newest === undefined ? null : idOf(newest)];

  const news = useQuery<News<Item>>({
    queryKey: newsKey,
    enabled: !isClosed && (newest !== undefined || isAtEnd),
    gcTime: 0,
    staleTime: 0,
    refetchInterval: ({ state: { error } }) => againAfterMs(error, NEWS_MS),
    async queryFn({ signal }): Promise<News<Item>> {
      const before = queries.getQueryData<News<Item>>(newsKey) ?? { items: [], more: false };
      if (before.more) return before;
      const ready = new Set(before.items.map(idOf));
      const isKnown = (item: Item) => ready.has(idOf(item)) || ids.has(idOf(item));
      const fresh: Item[] = [];
      let cursor: string | null = null;
      for (;;) {
        const page: Page<Item> = await fetchPage(cursor, PAGE, signal);
        const end = page.items.findIndex(isKnown);
        fresh.push(...(end === -1 ? page.items : page.items.slice(0, end)));
        cursor = page.cursor;
        const isWhole = end !== -1 || cursor === null;
        if (isWhole) {
          // Nothing to repaint for.
          if (fresh.length === 0) return before;
          return { items: [...fresh, ...before.items], more: false };
        }
        if (fresh.length + before.items.length >= NEWS_MAX) return { items: [], more: true };
      }
    },
  });

  const { data: found } = news;
  const showNews = useCallback(() => {
    if (found === undefined) return;
    if (found.more) {
      void queries.resetQueries({ queryKey: pagesKey, exact: true });
      return;
    }
    queries.setQueryData<InfiniteData<Page<Item>, string | null>>(pagesKey, (old) => {
      if (old === undefined) return old;
      // A page before the first: it ends where that one begins, so that nothing is ever read on from it.
      const page: Page<Item> = { items: found.items, cursor: null };
      return { pages: [page, ...old.pages], pageParams: [null, ...old.pageParams] };
    });
    // A key is a new array each time
  }, [queries, found, JSON.stringify(pagesKey)]);

  const replace = (item: Item) => {
    const id = idOf(item);
    queries.setQueryData<InfiniteData<Page<Item>, string | null>>(pagesKey, (old) => {
      if (old === undefined) return old;
      const put = (page: Page<Item>) => ({ ...page, items: page.items.map((one) => (idOf(one) === id ? item : one)) });
      return { ...old, pages: old.pages.map(put) };
    });
  };

  // Nobody has to ask for the first ones.
  const isEmpty = newest === undefined && isAtEnd;
  useEffect(() => {
    if (isEmpty && found !== undefined && (found.more || found.items.length > 0)) showNews();
  }, [isEmpty, found, showNews]);

  const { data, error, refetch, fetchNextPage } = pages.query;
  return {
    ...pages,
    news: { count: found?.more ? NEWS_MAX : (found?.items.length ?? 0), more: found?.more ?? false },
    showNews,
    replace,
    error: error ?? news.error,
    retry: () => void (data === undefined ? refetch() : error ? fetchNextPage() : news.refetch()),
  };
}
