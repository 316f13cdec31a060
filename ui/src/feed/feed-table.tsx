import { Button, Loader, Text } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconArrowUp } from '@tabler/icons-react';
import { createColumnHelper, tableFeatures, useTable } from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useMemo, useRef } from 'react';
import { WIDE } from '../frame/theme';
import { Trouble, Waiting } from '../frame/trouble';
import type { Feed } from './use-feed';

/** A column of a list without end. */
export interface FeedColumn<Item> {
  id: string;
  header: string;
  /** What it shows. In the first column, what {@link FeedTableProps.open} made of it can be followed. */
  cell: (item: Item) => React.ReactNode;
  /** Its width in rem; what is left over is shared by those without. */
  widthRem?: number;
  /** The same where there is little room. */
  narrowRem?: number;
  /** Whether it is left out where there is little room. */
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
}

const ROW_PX = 38;
/** How many rows are there beyond what is in view: a turn of a wheel shows no gap. */
const OVERSCAN = 8;
/** From how many rows before the end the next page is asked for: it should be there when they are. */
const AHEAD = 60;

const features = tableFeatures({});

/** A list without end in a table of which only what is in view is in the page. */
export function FeedTable<Item extends object>(props: FeedTableProps<Item>) {
  const { feed, idOf, label, emptyWords, endWords, open, openId, openIdOf = idOf, onView } = props;
  const { items, news } = feed;
  const scroll = useRef<HTMLDivElement>(null);
  const isWide = useMediaQuery(WIDE, undefined, { getInitialValueInEffect: false }) ?? true;
  const shown = useMemo(
    () => props.columns.filter((column) => isWide || column.isWideOnly !== true),
    [props.columns, isWide],
  );
  const columns = useMemo(() => {
    const helper = createColumnHelper<typeof features, Item>();
    return helper.columns(
      shown.map(({ id, header, cell }) => helper.display({ id, header, cell: ({ row }) => cell(row.original) })),
    );
  }, [shown]);
  const table = useTable({ features, columns, data: items, getRowId: idOf });
  const { rows } = table.getRowModel();

  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_PX,
    getItemKey: (index) => rows[index]!.id,
    overscan: OVERSCAN,
  });
  const inView = virtualizer.getVirtualItems();
  const first = inView[0];
  const last = inView.at(-1);
  const lastIndex = last?.index ?? -1;
  const firstIndex = first?.index ?? 0;

  const { fetchOlder } = feed;
  // After each page it is looked again, as one may be short
  useEffect(() => {
    if (!feed.isAtEnd && !feed.isPending && lastIndex + AHEAD >= rows.length) fetchOlder();
  }, [lastIndex, rows.length, feed.isFetchingOlder, feed.isAtEnd, feed.isPending, feed.error]);
  // Only when other rows come into view
  useEffect(() => {
    onView?.(items.slice(firstIndex, lastIndex + 1));
  }, [firstIndex, lastIndex, items]);

  if (feed.isPending || (feed.error !== null && items.length === 0)) {
    return (
      <div className="page">
        <Trouble error={feed.error} onRetry={feed.retry} />
        {feed.isPending && <Waiting lines={10} />}
      </div>
    );
  }

  /** Goes from row to row with the arrows. */
  function moveFocus(event: React.KeyboardEvent<HTMLTableElement>): void {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    const row = (event.target as HTMLElement).closest<HTMLElement>('tr[data-index]');
    if (step === undefined || row === null) return;
    event.preventDefault();
    const index = Math.min(Math.max(Number(row.dataset.index) + step, 0), rows.length - 1);
    virtualizer.scrollToIndex(index);
    // It may not be in the page before that has been scrolled to.
    requestAnimationFrame(() => {
      scroll.current?.querySelector<HTMLElement>(`tr[data-index="${index}"] button`)?.focus();
    });
  }

  const above = first?.start ?? 0;
  const below = virtualizer.getTotalSize() - (last?.end ?? 0);
  return (
    <div className="feed">
      <Text className="sr-only" role="status">
        {news.count === 0 ? '' : newsWords(news)}
      </Text>
      {news.count > 0 && (
        <Button
          className="feed-new"
          size="compact-sm"
          radius="xl"
          leftSection={<IconArrowUp size={14} aria-hidden />}
          onClick={() => {
            feed.showNews();
            scroll.current?.scrollTo({ top: 0 });
          }}
        >
          {newsWords(news)}
        </Button>
      )}
      {feed.error !== null && (
        <div className="feed-foot">
          <Trouble error={feed.error} onRetry={feed.retry} />
        </div>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <section className="feed-scroll" ref={scroll} aria-label={label} tabIndex={0}>
        <table aria-label={label} aria-rowcount={feed.isAtEnd ? rows.length + 1 : -1} onKeyDown={moveFocus}>
          <colgroup>
            {shown.map(({ id, widthRem, narrowRem = widthRem }) => {
              const rem = isWide ? widthRem : narrowRem;
              return <col key={id} {...(rem === undefined ? {} : { style: { width: `${rem}rem` } })} />;
            })}
          </colgroup>
          <thead>
            {table.getHeaderGroups().map((group) => (
              <tr key={group.id} aria-rowindex={1}>
                {group.headers.map((header) => (
                  <th key={header.id} scope="col">
                    <table.FlexRender header={header} />
                  </th>
                ))}
              </tr>
            ))}
          </thead>
          <tbody>
            <Space height={above} columns={shown.length} />
            {inView.map(({ index, key }) => {
              const row = rows[index]!;
              return (
                // The button in its first cell does the same by keyboard
                <tr
                  key={key}
                  className="feed-row"
                  data-index={index}
                  data-id={row.id}
                  aria-rowindex={index + 2}
                  aria-current={openId !== undefined && openIdOf(row.original) === openId ? 'true' : undefined}
                  style={{ height: ROW_PX }}
                  onClick={() => open(row.original)}
                >
                  {row.getAllCells().map((cell) => (
                    <td key={cell.id}>
                      <table.FlexRender cell={cell} />
                    </td>
                  ))}
                </tr>
              );
            })}
            <Space height={below} columns={shown.length} />
          </tbody>
        </table>
        <div className="feed-foot" role="status">
          {feed.isFetchingOlder ? <Loader size="xs" type="dots" aria-label="Older ones are asked for" /> : null}
          {feed.isAtEnd && !feed.isFetchingOlder ? (rows.length === 0 ? emptyWords : endWords) : null}
        </div>
      </section>
    </div>
  );
}

/** Takes the place of the rows that are not in the page. */
function Space({ height, columns }: { height: number; columns: number }) {
  if (height <= 0) return null;
  return (
    <tr className="feed-space" aria-hidden style={{ height }}>
      <td colSpan={columns} />
    </tr>
  );
}

function newsWords({ count, more }: { count: number; more: boolean }): string {
  return `${count.toLocaleString()}${more ? '+' : ''} new`;
}
