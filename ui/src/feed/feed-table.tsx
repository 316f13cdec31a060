import { Button, Loader, Text } from '@mantine/core';
import { useElementSize } from '@mantine/hooks';
import { IconArrowUp } from '@tabler/icons-react';
import { useEffect, useMemo } from 'react';
import { Trouble, Waiting } from '../frame/trouble';
import type { Feed } from './use-feed';
import { useVirtualTable, type VirtualColumn, VirtualTable } from './virtual-table';

/** A column of a list without end. In the first, what {@link FeedTableProps.open} made of it can be followed. */
export interface FeedColumn<Item> extends VirtualColumn<Item> {
  /** Its width where there is room for few. */
  narrowRem?: number;
  /** Whether it is left out where there is no room for it. */
  isWideOnly?: boolean;
}

export interface FeedTableProps<Item> {
  feed: Feed<Item>;
  columns: readonly FeedColumn<Item>[];
  idOf: (item: Item) => string;
  /** What the list is, for those who do not see it. */
  label: string;
  /** What is said when it is empty. */
  emptyWords: string;
  /** What is said below the oldest entry. */
  endWords: string;
  /** Opens an entry beside the list. */
  open: (item: Item) => void;
  /** The entry that is open. */
  openId: string | undefined;
  /** What of an item it is opened by, when that is not {@link idOf}. */
  openIdOf?: (item: Item) => string;
  /** Told which entries are in view. */
  onView?: (items: Item[]) => void;
  /** Told whether the newest is. */
  onTop?: (isAtTop: boolean) => void;
}

const ROW_PX = 38;
/** How many rows are there beyond what is in view: a turn of a wheel shows no gap. */
const OVERSCAN = 8;
/** From how many rows before the end the next page is asked for: it should be there when they are. */
const AHEAD = 60;
/** What a column without a width of its own needs to be read, in rem. */
const LEAST_REM = 8;

/** A list without end in a table of which only what is in view is in the page. */
export function FeedTable<Item extends object>(props: FeedTableProps<Item>) {
  const { feed, idOf, label, emptyWords, endWords, open, openId, openIdOf = idOf, onView, onTop } = props;
  const { items, news } = feed;
  // Of the window something beside it may have its part
  const { ref, width } = useElementSize<HTMLDivElement>();
  const roomRem = width === 0 ? Number.POSITIVE_INFINITY : Math.floor(width / remPx());
  const columns = useMemo(() => columnsIn(roomRem, props.columns), [roomRem, props.columns]);
  const table = useVirtualTable({ items, idOf, columns, heightPx: () => ROW_PX, overscan: OVERSCAN });
  const { rows, inView } = table;
  const lastIndex = inView.at(-1)?.index ?? -1;
  const firstIndex = inView[0]?.index ?? 0;
  const isAtTop = (table.virtualizer.range?.startIndex ?? 0) === 0;

  const { fetchOlder } = feed;
  // After each page it is looked again, as one may be short
  useEffect(() => {
    if (!feed.isAtEnd && !feed.isPending && lastIndex + AHEAD >= rows.length) fetchOlder();
  }, [lastIndex, rows.length, feed.isFetchingOlder, feed.isAtEnd, feed.isPending, feed.error]);
  // Only when other rows come into view
  useEffect(() => {
    onView?.(items.slice(firstIndex, lastIndex + 1));
  }, [firstIndex, lastIndex, items]);
  useEffect(() => {
    onTop?.(isAtTop);
  }, [isAtTop, onTop]);

  if (feed.isPending || (feed.error !== null && items.length === 0)) {
    return (
      <div className="feed" ref={ref}>
        <div className="page">
          <Trouble error={feed.error} onRetry={feed.retry} />
          {feed.isPending && <Waiting lines={10} />}
        </div>
      </div>
    );
  }

  return (
    <div className="feed" ref={ref}>
      <Text className="sr-only" role="status">
        {news.count === 0 ? '' : `New entries above: ${countWords(news)}`}
      </Text>
      {news.count > 0 && (
        <Button
          className="feed-new"
          size="compact-sm"
          radius="xl"
          leftSection={<IconArrowUp size={14} aria-hidden />}
          onClick={() => {
            feed.showNews();
            table.scroll.current?.scrollTo({ top: 0 });
          }}
        >
          {countWords(news)} new
        </Button>
      )}
      {feed.error !== null && (
        <div className="feed-foot">
          <Trouble error={feed.error} onRetry={feed.retry} />
        </div>
      )}
      <VirtualTable
        of={table}
        label={label}
        rowCount={feed.isAtEnd ? rows.length + 1 : -1}
        row={(row, index) => (
          // The button in its first cell does the same by keyboard
          <tr
            key={row.id}
            className="feed-row"
            data-index={index}
            data-id={row.id}
            aria-rowindex={index + 2}
            aria-current={openId !== undefined && openIdOf(row.original) === openId ? 'true' : undefined}
            style={{ height: ROW_PX }}
            onClick={() => open(row.original)}
          >
            {columns.map(({ id, cell }) => (
              <td key={id}>{cell(row.original)}</td>
            ))}
          </tr>
        )}
        foot={
          <div className="feed-foot" role="status">
            {feed.isFetchingOlder ? <Loader size="xs" type="dots" aria-label="Older ones are asked for" /> : null}
            {feed.isAtEnd && !feed.isFetchingOlder ? (rows.length === 0 ? emptyWords : endWords) : null}
          </div>
        }
      />
    </div>
  );
}

function countWords({ count, more }: { count: number; more: boolean }): string {
  return `${count.toLocaleString()}${more ? '+' : ''}`;
}

/** Those that there is room for: of those that can be left out the last goes first, and then all are made narrower. */
function columnsIn<Item>(roomRem: number, all: readonly FeedColumn<Item>[]): FeedColumn<Item>[] {
  const columns = [...all];
  while (columns.reduce((sum, { widthRem }) => sum + (widthRem ?? LEAST_REM), 0) > roomRem) {
    const last = columns.findLastIndex(({ isWideOnly }) => isWideOnly);
    if (last === -1) return columns.map((column) => ({ ...column, widthRem: column.narrowRem ?? column.widthRem }));
    columns.splice(last, 1);
  }
  return columns;
}

/** How large a letter is, as who reads has set it. */
function remPx(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
}
