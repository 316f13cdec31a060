import { Button, Menu } from '@mantine/core';
import { IconCalendar } from '@tabler/icons-react';
import { lazy, Suspense, useState } from 'react';

/** Loaded for who opens it: it is as much as the rest of the view. */
const MomentField = lazy(() => import('../show/moment-field'));

const HOUR_MS = 3_600_000;
const PRESETS = [
  { label: 'The last hour', ms: HOUR_MS },
  { label: 'The last 24 hours', ms: 24 * HOUR_MS },
  { label: 'The last 7 days', ms: 168 * HOUR_MS },
] as const;
const SHORT = new Intl.DateTimeFormat(undefined, {
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
});

/**
 * From when until when messages are shown, in this browser's time zone.
 * @param props.after RFC 3339; undefined for the beginning
 * @param props.before RFC 3339; undefined for now
 */
export function TimeRange({
  after,
  before,
  onChange,
}: {
  after: string | undefined;
  before: string | undefined;
  onChange: (range: { after?: string | undefined; before?: string | undefined }) => void;
}) {
  const [isOpen, setOpen] = useState(false);
  return (
    <Menu opened={isOpen} onChange={setOpen} closeOnItemClick={false} width={260} trapFocus>
      <Menu.Target>
        <Button size="xs" variant="default" leftSection={<IconCalendar size={14} aria-hidden />}>
          {rangeWords(after, before)}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {PRESETS.map(({ label, ms }) => (
          <Menu.Item
            key={label}
            onClick={() => {
              onChange({ after: new Date(Date.now() - ms).toISOString(), before: undefined });
              setOpen(false);
            }}
          >
            {label}
          </Menu.Item>
        ))}
        <Menu.Item
          onClick={() => {
            onChange({ after: undefined, before: undefined });
            setOpen(false);
          }}
        >
          Any time
        </Menu.Item>
        <Menu.Divider />
        <div style={{ display: 'grid', gap: '0.5rem', padding: '0.5rem', minHeight: '8.5rem' }}>
          <Suspense>
            <MomentField label="From" value={after} onChange={(value) => onChange({ after: value })} />
            <MomentField label="Until" value={before} onChange={(value) => onChange({ before: value })} />
          </Suspense>
        </div>
      </Menu.Dropdown>
    </Menu>
  );
}

function rangeWords(after: string | undefined, before: string | undefined): string {
  const words = (instant: string) => {
    const date = new Date(instant);
    return Number.isNaN(date.getTime()) ? instant : SHORT.format(date);
  };
  if (after !== undefined && before !== undefined) return `${words(after)} – ${words(before)}`;
  if (after !== undefined) return `Since ${words(after)}`;
  if (before !== undefined) return `Until ${words(before)}`;
  return 'Any time';
}
