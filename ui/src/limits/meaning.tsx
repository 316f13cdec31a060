import { Stack, Text } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, queryOptions, type UseQueryResult, useQuery } from '@tanstack/react-query';
import { CallError } from '../api/call';
import { type LimitInput, type LimitPreview, type Period, previewLimit, type WindowSpan } from '../api/limits';
import { againAfterMs } from '../frame/queries';
import { Trouble, Waiting } from '../frame/trouble';
import { visible } from '../show/foreign';
import { type Draft, draftErrors, inputOf } from './draft';

/** How long after the last key it is asked what a draft means, in milliseconds. */
const TYPING_MS = 300;
/** How often it is asked again: windows end, in milliseconds. */
const AGAIN_MS = 30_000;

/** Asks what a limit means. Its id and reason are nothing to that. */
export function previewOf({ id: _id, ...limit }: LimitInput) {
  const input: LimitInput = { ...limit, reason: null };
  return queryOptions({
    queryKey: ['limit-preview', input],
    queryFn: ({ signal }) => previewLimit(input, signal),
    refetchInterval: ({ state: { error } }) => againAfterMs(error, AGAIN_MS),
  });
}

/** What a draft means, as it is typed. */
export interface Preview {
  query: UseQueryResult<LimitPreview>;
  /** Whether what is known is of a draft before this one. */
  isBehind: boolean;
  /** Whether the draft is none that could be asked about. */
  isUnfinished: boolean;
}

/** Asks what a draft means once somebody stops typing. */
export function usePreview(draft: Draft): Preview {
  const text = textOf(draft);
  const [settled] = useDebouncedValue(text, TYPING_MS);
  const query = useQuery({
    ...previewOf(JSON.parse(settled ?? NONE)),
    enabled: settled !== null,
    placeholderData: keepPreviousData,
  });
  return {
    query,
    isBehind: text !== settled || query.isPlaceholderData || query.error !== null,
    isUnfinished: text === null,
  };
}

const NONE = '{}';

/** What is asked about a draft; null while it is not a limit. */
function textOf(draft: Draft): string | null {
  const { id: _id, reason: _reason, ...errors } = draftErrors(draft);
  return Object.keys(errors).length > 0 ? null : JSON.stringify({ ...inputOf(draft), id: undefined, reason: null });
}

/** A limit in words, and the windows that it counts in: this one and the next. */
export function Meaning({ preview, period, isOfAccounts }: { preview: Preview } & WindowsProps) {
  const { query, isBehind, isUnfinished } = preview;
  const { data, error } = query;
  // What is wrong with a field is said beside it.
  const isRefused = error instanceof CallError && error.status === 400;
  return (
    <Stack gap="sm">
      {!isRefused && <Trouble error={error} onRetry={() => void query.refetch()} />}
      {isUnfinished || isRefused ? (
        <Text c="dimmed" role="status">
          Once every field is right, it is said here in words.
        </Text>
      ) : data === undefined ? (
        error === null && <Waiting lines={3} height={18} />
      ) : (
        <div aria-busy={isBehind} className={isBehind ? 'limit-behind' : undefined}>
          <Sentence words={data.description} />
          <Windows preview={data} period={period} isOfAccounts={isOfAccounts} />
        </div>
      )}
    </Stack>
  );
}

/** What a limit means: larger while it is short. */
export function Sentence({ words }: { words: string }) {
  return (
    <Text
      role="status"
      size={words.length < 120 ? 'lg' : 'md'}
      className="foreign limit-sentence"
      data-testid="meaning"
    >
      {visible(words)}
    </Text>
  );
}

interface WindowsProps {
  period: Period;
  /** Whether each account may have a calendar of its own. */
  isOfAccounts: boolean;
}

/** This window and the next, by the clock that they follow. */
export function Windows({ preview, period, isOfAccounts }: { preview: LimitPreview } & WindowsProps) {
  const { window, next_window, timezone } = preview;
  return (
    <div className="limit-windows">
      <dl>
        <WindowTimes label="This window" span={window} zone={timezone} period={period} />
        <WindowTimes label="The next" span={next_window} zone={timezone} period={period} />
      </dl>
      <Text size="xs" c="dimmed">
        By the clock in {visible(timezone)}.
        {isOfAccounts && ' An account with a time zone or a billing anchor of its own follows that.'}
      </Text>
    </div>
  );
}

function WindowTimes({ label, span, zone, period }: { label: string; span: WindowSpan; zone: string; period: Period }) {
  const odd = oddLength(span, period);
  return (
    <>
      <dt>{label}</dt>
      <dd>
        <span>from</span> <ZonedInstant at={span.start} zone={zone} />
      </dd>
      <dd>
        <span>until</span> <ZonedInstant at={span.end} zone={zone} />
        {odd !== null && <em>{odd}</em>}
      </dd>
    </>
  );
}

/** A moment by the clock of a zone; by this browser's, and in UTC, for who points at it. */
function ZonedInstant({ at, zone }: { at: string; zone: string }) {
  const date = new Date(at);
  return (
    <time dateTime={at} title={`${HERE.format(date)}\n${date.toISOString()}`}>
      {clockOf(zone).format(date)}
    </time>
  );
}

const HERE = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long', hourCycle: 'h23' });
const clocks = new Map<string, Intl.DateTimeFormat>();

function clockOf(zone: string): Intl.DateTimeFormat {
  let clock = clocks.get(zone);
  if (clock === undefined) {
    const options: Intl.DateTimeFormatOptions = {
      weekday: 'short',
      month: 'short',
      day: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
      timeZoneName: 'short',
    };
    try {
      clock = new Intl.DateTimeFormat(undefined, { ...options, timeZone: zone });
    } catch {
      // A zone that Sendgate knows and this browser does not.
      clock = new Intl.DateTimeFormat(undefined, { ...options, timeZone: 'UTC' });
    }
    clocks.set(zone, clock);
  }
  return clock;
}

const HOUR_MS = 3_600_000;
const USUAL_HOURS: Partial<Record<Period, number>> = { hour: 1, day: 24, week: 168 };

/** Says that a window is longer or shorter than others, when a clock change makes it so. */
function oddLength({ start, end }: WindowSpan, period: Period): string | null {
  const hours = (Date.parse(end) - Date.parse(start)) / HOUR_MS;
  const usual = USUAL_HOURS[period];
  if (usual === undefined || hours === usual) return null;
  const words = hours < 1 ? `${Math.round(hours * 60)} minutes` : `${hours.toLocaleString()} hours`;
  return `${words}: the clocks change`;
}
