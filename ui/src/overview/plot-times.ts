import type { Overview, Range } from '../api/overview';

const DAY_MINUTES = 1_440;
/** How far apart the marks of an axis may be, in minutes. */
const STEPS_MINUTES = [5, 10, 20, 30, 60, 120, 180, 360, 720, DAY_MINUTES, 2 * DAY_MINUTES] as const;
const MINUTE_MS = 60_000;

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: 'short' });
const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric' });
const DAY_TIME = new Intl.DateTimeFormat(undefined, {
  weekday: 'short',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
});

/** A mark of the axis of time: at which point, and what stands there. */
export interface TimeMark {
  index: number;
  words: string;
}

/**
 * Marks at round times of this browser's clock, as many as there is room for. Where a zone's times are round at no point, as
 * where it is a quarter of an hour off, the first point after is marked.
 * @param starts when the points begin, in epoch milliseconds
 */
export function timeMarks(starts: readonly number[], most: number): TimeMark[] {
  let marks: TimeMark[] = [];
  for (const stepMinutes of STEPS_MINUTES) {
    marks = marksEvery(stepMinutes, starts);
    if (marks.length <= most) break;
  }
  return marks;
}

function marksEvery(stepMinutes: number, starts: readonly number[]): TimeMark[] {
  const marks: TimeMark[] = [];
  let before = runOf(stepMinutes, (starts[0] ?? 0) - 1);
  for (const [index, startMs] of starts.entries()) {
    const run = runOf(stepMinutes, startMs);
    if (run.number !== before.number) {
      const isNewDay = run.day !== before.day;
      marks.push({ index, words: isNewDay ? dayWords(startMs) : TIME.format(startMs) });
    }
    before = run;
  }
  return marks;
}

/** A day, within a week: in that order a locale's own would not have them. */
function dayWords(instantMs: number): string {
  return `${WEEKDAY.format(instantMs)} ${DAY.format(instantMs)}`;
}

/** Which run of so many minutes of the local clock an instant is in, and which local day. */
function runOf(stepMinutes: number, instantMs: number): { day: number; number: number } {
  const date = new Date(instantMs);
  const day = Math.round(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / (DAY_MINUTES * MINUTE_MS));
  const minutes = day * DAY_MINUTES + date.getHours() * 60 + date.getMinutes();
  return { day, number: Math.floor(minutes / stepMinutes) };
}

/** When a point begins and ends, in epoch milliseconds: the last one has only begun. */
export function spanOf(overview: Overview, index: number): { startMs: number; endMs: number; isOpen: boolean } {
  const startMs = Date.parse(overview.points[index]!.start);
  const endMs = startMs + overview.step_seconds * 1_000;
  return { startMs, endMs, isOpen: endMs > Date.parse(overview.end) };
}

/** The time of a point: `14:05 – 14:06`, and its day where there are several. */
export function spanWords(overview: Overview, index: number): string {
  const { startMs, endMs, isOpen } = spanOf(overview, index);
  const withDay: Record<Range, boolean> = { hour: false, day: true, week: true };
  const start = (withDay[overview.range] ? DAY_TIME : TIME).format(startMs);
  return isOpen ? `${start} – now` : `${start} – ${TIME.format(endMs)}`;
}

/** The filter of the log for the time of a point. */
export function spanFilter(overview: Overview, index: number): { after: string; before: string } {
  const { startMs, endMs } = spanOf(overview, index);
  return { after: new Date(startMs).toISOString(), before: new Date(endMs).toISOString() };
}

/** The length of a point, as it stands after "by the". */
export function stepWords(stepSeconds: number): string {
  return { 60: 'minute', 1800: 'half-hour', 3600: 'hour' }[stepSeconds] ?? `${stepSeconds} seconds`;
}
