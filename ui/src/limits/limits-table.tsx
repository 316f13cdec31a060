import { ActionIcon, Text } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconBan, IconChevronRight, IconCornerDownRight, IconPlus } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { memo, useMemo } from 'react';
import type { Limit } from '../api/limits';
import { useVirtualTable, type VirtualColumn, type VirtualRow, VirtualTable } from '../feed/virtual-table';
import { WIDE } from '../frame/theme';
import { Foreign } from '../show/foreign';
import type { Group, Line } from './families';
import { LimitMarks } from './limit-marks';
import { A_PERIOD, amountWords, EXCEEDED_WORDS, perWords, REDIS_DOWN_WORDS, wherePairs } from './limit-words';

const ROW_PX = 40;
/** Of one in two lines, where there is little room. */
const TALL_ROW_PX = 56;
const GROUP_PX = 48;
/** How many rows are there beyond what is in view. */
const OVERSCAN = 10;

/** Opens or closes what stands under a base. */
type Choose = (familyKey: string, isOpen: boolean) => void;

/** A column, and what it shows of a limit, or of one that is missing. */
interface LimitColumn extends Omit<VirtualColumn<Line>, 'cell'> {
  cell: (line: Exclude<Line, { kind: 'group' }>, limit: Limit | null) => React.ReactNode;
}

/** The limits in a table of which only what is in view is in the page. */
export function LimitsTable({
  lines,
  open,
  openId,
  choose,
  mayChange,
}: {
  lines: readonly Line[];
  /** Opens a limit beside the list. */
  open: (id: string) => void;
  openId: string | undefined;
  /** Opens or closes what stands under a base. */
  choose: Choose;
  mayChange: boolean;
}) {
  const isWide = useMediaQuery(WIDE, undefined, { getInitialValueInEffect: false }) ?? true;
  const columns = useMemo(
    () =>
      columnsFor(isWide, mayChange, choose).map(({ cell, ...column }) => ({
        ...column,
        cell: (line: Line) => (line.kind === 'group' ? null : cell(line, limitOf(line))),
      })),
    [isWide, mayChange, choose],
  );
  const rowPx = isWide ? ROW_PX : TALL_ROW_PX;
  const heightPx = (index: number) => (lines[index]?.kind === 'group' ? GROUP_PX : rowPx);
  const table = useVirtualTable({ items: lines, idOf: ({ key }) => key, columns, heightPx, overscan: OVERSCAN });

  return (
    <div className="feed limits">
      <VirtualTable
        of={table}
        label="Limits"
        rowCount={table.rows.length + 1}
        isPlace={(index) => lines[index]?.kind !== 'group'}
        row={(row, index) => {
          const line = row.original;
          const id = line.kind === 'group' ? undefined : limitOf(line)?.id;
          return (
            <LineRow
              key={row.id}
              row={row}
              columns={columns}
              index={index}
              heightPx={heightPx(index)}
              isCurrent={id !== undefined && id === openId}
              open={open}
              choose={choose}
            />
          );
        }}
      />
    </div>
  );
}

/** A row. It is made anew when what it shows has changed, and not each time that somebody scrolls. */
const LineRow = memo(function LineRow({
  row,
  columns,
  index,
  heightPx,
  isCurrent,
  open,
  choose,
}: {
  row: VirtualRow<Line>;
  columns: readonly VirtualColumn<Line>[];
  index: number;
  heightPx: number;
  isCurrent: boolean;
  open: (id: string) => void;
  choose: Choose;
}) {
  const line = row.original;
  if (line.kind === 'group') {
    return (
      <tr className="limit-group" aria-rowindex={index + 2} style={{ height: heightPx }}>
        <th colSpan={columns.length} scope="rowgroup">
          <GroupHeading group={line.group} found={line.found} />
        </th>
      </tr>
    );
  }
  const limit = limitOf(line);
  const act = () => {
    if (limit !== null) open(limit.id);
    else if (line.kind === 'base') choose(line.key, !line.isOpen);
  };
  return (
    // The button in its first cell does the same by keyboard
    <tr
      className={limit === null ? 'limit-none' : 'feed-row'}
      data-index={index}
      data-id={limit?.id}
      data-kind={line.kind}
      aria-rowindex={index + 2}
      aria-current={isCurrent ? 'true' : undefined}
      style={{ height: heightPx }}
      onClick={act}
    >
      {columns.map(({ id, cell }) => (
        <td key={id}>{cell(line)}</td>
      ))}
    </tr>
  );
});

function limitOf(line: Exclude<Line, { kind: 'group' }>): Limit | null {
  return line.kind === 'base' ? line.family.base : line.limit;
}

function GroupHeading({ group: { per, count }, found }: { group: Group; found: number | null }) {
  const all = count === 1 ? '1 limit' : `${count.toLocaleString()} limits`;
  return (
    <>
      <Text span fw={600} size="sm">
        {perWords(per)}
      </Text>{' '}
      <Text span size="xs" c="dimmed" fw={400}>
        {found === null ? all : `${found.toLocaleString()} of ${all}`}
      </Text>
    </>
  );
}

function columnsFor(isWide: boolean, mayChange: boolean, choose: Choose): LimitColumn[] {
  const name: LimitColumn = {
    id: 'limit',
    header: 'Limit',
    cell: (line, limit) => (
      <div className="limit-name">
        {line.kind === 'override' ? (
          <IconCornerDownRight className="limit-corner" size={14} aria-hidden />
        ) : (
          <Chevron line={line} choose={choose} />
        )}
        <div className="limit-name-text">
          {limit === null ? (
            <Text span size="sm" c="dimmed" fs="italic">
              {line.family.overrides.every(({ where }) => where !== null)
                ? 'no limit for the rest'
                : 'no lasting limit'}
            </Text>
          ) : (
            <button type="button" className="open-row">
              {line.kind === 'override' && (
                <span className="sr-only">
                  {line.family.base === null ? 'for some: ' : `overrides ${line.family.base.id}: `}
                </span>
              )}
              <Foreign text={limit.id} />
            </button>
          )}
          {!isWide && limit !== null && limit.where !== null && (
            <div className="limit-where">
              <Where limit={limit} />
            </div>
          )}
        </div>
      </div>
    ),
  };
  const amount: LimitColumn = {
    id: 'max',
    header: 'At most',
    widthRem: isWide ? 13 : 10.25,
    cell: (line, limit) => (
      <>
        <Amount limit={limit} line={line} />
        {!isWide && limit !== null && <LimitMarks limit={limit} withDefers />}
      </>
    ),
  };
  if (!isWide) return [name, amount];
  return [
    name,
    { id: 'where', header: 'Only for', cell: (_line, limit) => limit !== null && <Where limit={limit} /> },
    amount,
    {
      id: 'exceeded',
      header: 'When it is full',
      widthRem: 8.5,
      cell: (_line, limit) =>
        limit !== null && (
          <Usual isUsual={limit.on_exceeded === 'throttle' || !stops(limit)}>
            {stops(limit) ? EXCEEDED_WORDS[limit.on_exceeded].label.toLowerCase() : 'only counts'}
          </Usual>
        ),
    },
    {
      id: 'down',
      header: 'Redis down',
      widthRem: 7,
      cell: (_line, limit) =>
        limit !== null && (
          <Usual isUsual={limit.on_redis_down === 'deny'}>
            {REDIS_DOWN_WORDS[limit.on_redis_down].label.toLowerCase()}
          </Usual>
        ),
    },
    {
      id: 'marks',
      header: 'Notes',
      cell: (_line, limit) =>
        limit !== null && (
          <div className="limit-notes">
            <LimitMarks limit={limit} />
            {limit.reason !== null && (
              <Text span size="xs" c="dimmed" className="limit-reason">
                <Foreign text={limit.reason} />
              </Text>
            )}
          </div>
        ),
    },
    ...(mayChange ? [overriding()] : []),
  ];
}

function stops({ mode, max }: Limit): boolean {
  return mode === 'enforce' && max !== null;
}

/** What is nothing to remark on stands back. */
function Usual({ isUsual, children }: { isUsual: boolean; children: React.ReactNode }) {
  return (
    <Text span size="sm" c={isUsual ? 'dimmed' : undefined}>
      {children}
    </Text>
  );
}

function overriding(): LimitColumn {
  return {
    id: 'add',
    header: 'Override',
    widthRem: 6,
    cell: (line, limit) =>
      line.kind === 'base' &&
      limit !== null && (
        <Link
          to="/limits"
          search={({ find }) => ({ override: limit.id, ...(find === undefined ? {} : { find }) })}
          className="limit-add"
          aria-label={`Make an exception to ${limit.id}`}
          title="Override it for some messages"
          onClick={(event) => event.stopPropagation()}
        >
          <IconPlus size={16} aria-hidden />
        </Link>
      ),
  };
}

function Chevron({ line, choose }: { line: Extract<Line, { kind: 'base' }>; choose: Choose }) {
  const { family, isOpen, shown } = line;
  if (family.overrides.length === 0) return <span className="limit-chevron" />;
  const of = family.base === null ? `limits ${A_PERIOD[family.period]}` : `exceptions to ${family.base.id}`;
  return (
    <ActionIcon
      className="limit-chevron"
      size="sm"
      variant="subtle"
      color="gray"
      aria-expanded={isOpen}
      aria-label={`${shown.toLocaleString()} ${of}`}
      onClick={(event) => {
        event.stopPropagation();
        choose(line.key, !isOpen);
      }}
    >
      <IconChevronRight size={14} aria-hidden style={isOpen ? { transform: 'rotate(90deg)' } : {}} />
    </ActionIcon>
  );
}

function Amount({ limit, line }: { limit: Limit | null; line: Exclude<Line, { kind: 'group' }> }) {
  const { family } = line;
  const more =
    line.kind === 'base' && family.overrides.length > 0 && !line.isOpen
      ? ` · ${line.shown.toLocaleString()} ${line.shown === 1 ? 'override' : 'overrides'}`
      : '';
  return (
    <>
      {limit === null ? (
        <Text span size="sm" c="dimmed">
          {A_PERIOD[family.period]}
        </Text>
      ) : (
        <Text span size="sm" fw={500} className="limit-amount">
          {limit.max === 0 && <IconBan size={14} aria-hidden className="limit-blocks" />}
          {amountWords(limit)}
        </Text>
      )}
      <Text span size="xs" c="dimmed">
        {more}
      </Text>
    </>
  );
}

function Where({ limit }: { limit: Limit }) {
  const pairs = wherePairs(limit.where);
  return pairs.map(([dimension, value], index) => (
    <span key={dimension} className="limit-pair">
      {index > 0 && ' '}
      <Text span size="xs" c="dimmed">
        {dimension}
      </Text>{' '}
      <Foreign text={value} />
    </span>
  ));
}
