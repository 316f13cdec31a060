import { Badge, Group } from '@mantine/core';
import { IconClock, IconEye, IconFile, IconHourglass } from '@tabler/icons-react';
import type { Limit } from '../api/limits';
import { forceOf } from './limit-words';

const DATE = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });
const YEAR_DATE = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', year: 'numeric' });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** What sets a limit apart: that it only watches, holds for a time, lets sends wait, or comes from the limits file. */
export function LimitMarks({
  limit,
  withDefers = false,
}: {
  limit: Pick<Limit, 'mode' | 'from' | 'until' | 'on_exceeded' | 'source'>;
  /** Whether nothing else says that it lets sends wait. */
  withDefers?: boolean;
}) {
  const { mode, on_exceeded, source, from, until } = limit;
  const isDeferring = withDefers && on_exceeded === 'defer';
  if (mode === 'enforce' && source === 'api' && from === null && until === null && !isDeferring) return null;
  return (
    <Group gap={4} wrap="nowrap" className="limit-marks">
      {mode === 'shadow' && (
        <Mark color="gray" icon={IconEye} title="It counts and reports, and stops nothing">
          shadow
        </Mark>
      )}
      <Force limit={limit} />
      {isDeferring && (
        <Mark color="violet" icon={IconHourglass} title="A send that there is no room for waits">
          defers
        </Mark>
      )}
      {source === 'file' && (
        <Mark color="blue" icon={IconFile} title="It comes from the limits file, and is changed there">
          file
        </Mark>
      )}
    </Group>
  );
}

function Force({ limit }: { limit: Pick<Limit, 'from' | 'until'> }) {
  const { from, until } = limit;
  const force = forceOf(limit, Date.now());
  if (force === 'lasting') return null;
  const words =
    force === 'coming'
      ? `from ${dateWords(from!)}`
      : force === 'over'
        ? `over since ${dateWords(until!)}`
        : until === null
          ? `since ${dateWords(from!)}`
          : `until ${dateWords(until)}`;
  const span = [
    from === null ? '' : `from ${MOMENT.format(Date.parse(from))}`,
    until === null ? '' : `until ${MOMENT.format(Date.parse(until))}`,
  ];
  return (
    <Mark
      color={force === 'temporary' ? 'teal' : 'gray'}
      icon={IconClock}
      title={`Temporary: ${span.filter((part) => part !== '').join(' ')}`}
    >
      {words}
    </Mark>
  );
}

/** A date, with its year when it is another. */
function dateWords(at: string): string {
  const date = new Date(at);
  return (date.getFullYear() === new Date().getFullYear() ? DATE : YEAR_DATE).format(date);
}

function Mark({
  color,
  icon: Icon,
  title,
  children,
}: {
  color: string;
  icon: typeof IconClock;
  title: string;
  children: React.ReactNode;
}) {
  return (
    <Badge
      color={color}
      variant="light"
      size="sm"
      tt="none"
      fw={500}
      title={title}
      leftSection={<Icon size={11} aria-hidden />}
      styles={{ root: { flex: 'none' }, label: { color: 'var(--mantine-color-text)' } }}
    >
      {children}
    </Badge>
  );
}
