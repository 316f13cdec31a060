const TIME = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const DAY_TIME = new Intl.DateTimeFormat(undefined, {
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long', hourCycle: 'h23' });
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/** The time zone of this browser, in which all times are shown. */
export const BROWSER_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** A moment as this browser's clock shows it; its whole date, and UTC, for who points at it. */
export function Instant({ at, withDay = true }: { at: number | string; withDay?: boolean }) {
  const date = new Date(at);
  const format = withDay ? DAY_TIME : TIME;
  return (
    <time dateTime={date.toISOString()} title={`${FULL.format(date)}\n${date.toISOString()}`}>
      {format.format(date)}
    </time>
  );
}

const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
];

/** How far away a moment is: `in 3 hours`. */
export function fromNow(at: number | string, nowMs: number = Date.now()): string {
  const apartMs = new Date(at).getTime() - nowMs;
  for (const [unit, ms] of UNITS) {
    if (Math.abs(apartMs) >= ms) return RELATIVE.format(Math.trunc(apartMs / ms), unit);
  }
  return 'now';
}
