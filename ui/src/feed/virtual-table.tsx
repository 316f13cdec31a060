import { createColumnHelper, type Row, tableFeatures, useTable } from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useLayoutEffect, useMemo, useRef } from 'react';

const features = tableFeatures({});

/** A row of a {@link VirtualTable}. */
export type VirtualRow<Item extends object> = Row<typeof features, Item>;

/** A column, and what it shows. */
export interface VirtualColumn<Item> {
  id: string;
  header: string;
  /**
   * Makes what it shows. It is called, and never taken for a component: to React another function would be another
   * component, whose button loses the keyboard's focus whenever there are other columns.
   */
  cell: (item: Item) => React.ReactNode;
  /** Its width in rem; what is left over is shared by those without. */
  widthRem?: number | undefined;
}

/**
 * Puts items into a table of which only what is in view is in the page: see {@link VirtualTable}.
 *
 * @param columns the same array until there are others
 * @param heightPx of the row at that index
 * @param overscan how many rows are there beyond what is in view: a turn of a wheel shows no gap
 */
export function useVirtualTable<Item extends object>(deps: {
  items: readonly Item[];
  idOf: (item: Item) => string;
  columns: readonly VirtualColumn<Item>[];
  heightPx: (index: number) => number;
  overscan: number;
}) {
  const { items, idOf, columns: shown, heightPx, overscan } = deps;
  const scroll = useRef<HTMLDivElement>(null);
  const columns = useMemo(() => {
    const helper = createColumnHelper<typeof features, Item>();
    return helper.columns(shown.map(({ id, header }) => helper.display({ id, header })));
  }, [shown]);
  const table = useTable({ features, columns, data: items as Item[], getRowId: idOf });
  const { rows } = table.getRowModel();
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: heightPx,
    getItemKey: (index) => rows[index]!.id,
    overscan,
  });
  return { scroll, table, rows, virtualizer, inView: virtualizer.getVirtualItems(), shown };
}

export interface VirtualTableProps<Item extends object> {
  of: ReturnType<typeof useVirtualTable<Item>>;
  /** What the list is, for those who do not see it. */
  label: string;
  /** How many rows there are with the heading; -1 while that is not known. */
  rowCount: number;
  /** Makes the row at an index. One that can be gone to has that as `data-index`, and a button. */
  row: (row: VirtualRow<Item>, index: number) => React.ReactNode;
  /** Whether one can be gone to; all can if it is absent. */
  isPlace?: (index: number) => boolean;
  /** What stands below the last row. */
  foot?: React.ReactNode;
}

/** A table of which only what is in view is in the page. The arrows go from row to row, Home and End to the outermost. */
export function VirtualTable<Item extends object>(props: VirtualTableProps<Item>) {
  const { of, label, rowCount, row, isPlace = () => true, foot } = props;
  const { scroll, table, rows, virtualizer, inView, shown } = of;

  function moveFocus(event: React.KeyboardEvent<HTMLTableElement>): void {
    const from = (event.target as HTMLElement).closest<HTMLElement>('tr[data-index]');
    if (from === null) return;
    const at = Number(from.dataset.index);
    const last = rows.length - 1;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -at, End: last - at };
    const step = steps[event.key as keyof typeof steps];
    if (step === undefined) return;
    event.preventDefault();
    let index = Math.min(Math.max(at + step, 0), last);
    // What is no place stands above those that it heads
    const onward = step < 0 && index > 0 ? -1 : 1;
    while (rows[index] !== undefined && !isPlace(index)) index += onward;
    if (rows[index] === undefined) return;
    sought.current = index;
    if (goToSought()) return;
    const [offsetPx = 0] = virtualizer.getOffsetForIndex(index) ?? [];
    scroll.current?.scrollTo({ top: offsetPx });
  }

  /** Where the focus is to be, once that row is in the page. */
  const sought = useRef<number | null>(null);
  function goToSought(): boolean {
    const place = scroll.current?.querySelector(`tr[data-index="${sought.current}"]`);
    const button = place?.querySelector<HTMLElement>('.open-row') ?? place?.querySelector<HTMLElement>('button');
    if (!place || !button) return false;
    sought.current = null;
    button.focus({ preventScroll: true });
    place.scrollIntoView({ block: 'nearest' });
    return true;
  }
  // In the same turn in which the row that had it goes, or the page would have it in between
  useLayoutEffect(() => {
    if (sought.current !== null) goToSought();
  });

  const above = inView[0]?.start ?? 0;
  const below = virtualizer.getTotalSize() - (inView.at(-1)?.end ?? 0);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className="feed-scroll" ref={scroll} aria-label={label} tabIndex={0}>
      <table aria-label={label} aria-rowcount={rowCount} onKeyDown={moveFocus}>
        <colgroup>
          {shown.map(({ id, widthRem }) => (
            <col key={id} {...(widthRem === undefined ? {} : { style: { width: `${widthRem}rem` } })} />
          ))}
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
          <Space heightPx={above} columns={shown.length} />
          {inView.map(({ index }) => row(rows[index]!, index))}
          <Space heightPx={below} columns={shown.length} />
        </tbody>
      </table>
      {foot}
    </section>
  );
}

/** Takes the place of the rows that are not in the page. */
function Space({ heightPx, columns }: { heightPx: number; columns: number }) {
  if (heightPx <= 0) return null;
  return (
    <tr className="feed-space" aria-hidden style={{ height: heightPx }}>
      <td colSpan={columns} />
    </tr>
  );
}
