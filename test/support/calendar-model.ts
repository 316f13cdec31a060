/**
 * The rules of windows as one would explain them over a wall calendar, slowly: walk the clock on, note what it shows
 * and cut where the rule says. It reads clocks through Intl alone and shares no code with src/limits/calendar.ts.
 */
import type { CalendarRules, Window } from '../../src/limits/calendar';
import type { Period } from '../../src/limits/limit';

export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** What a clock shows is written as the instant at which a clock in UTC shows it. */
type ShownMs = number;

/** A run of instants in which the clock is not changed. `changed` says whether a change of the clock began it. */
interface Stretch extends Window {
  offsetMs: number;
  changed: boolean;
}

/** One day window and the date it is of. */
interface Day extends Window {
  date: ShownMs;
}

const WEEKDAY_NAMES = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

const FORMATS = new Map<string, Intl.DateTimeFormat>();

/** What the clock of a zone shows at an instant. */
export function shownAt(zone: string, instantMs: number): ShownMs {
  let format = FORMATS.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    FORMATS.set(zone, format);
  }
  const parts = /^(\d+)\/(\d+)\/(\d+), (\d+):(\d+):(\d+)$/.exec(format.format(instantMs));
  if (parts === null) throw new Error(`cannot read the clock of ${zone} at ${instantMs}`);
  const [, month, day, year, hour, minute, second] = parts.map(Number) as [number, ...number[]];
  const milliseconds = ((instantMs % SECOND_MS) + SECOND_MS) % SECOND_MS;
  return Date.UTC(year!, month! - 1, day!, hour!, minute!, second!, milliseconds);
}

function offsetAt(zone: string, instantMs: number): number {
  return shownAt(zone, instantMs) - instantMs;
}

/** How far apart the clock is looked at. The two changes of any zone that lie closest were a week apart. */
const STRIDE_MS = DAY_MS;

/** The stretches between two instants, in order. The first and the last are cut off by the instants given. */
function stretches(zone: string, fromMs: number, untilMs: number): Stretch[] {
  const found: Stretch[] = [];
  let startMs = fromMs;
  let changed = false;
  let offsetMs = offsetAt(zone, fromMs);
  for (let ms = fromMs; ms < untilMs; ) {
    const nextMs = Math.min(ms + STRIDE_MS, untilMs);
    if (offsetAt(zone, nextMs) !== offsetMs) {
      const endMs = changeBetween(zone, ms, nextMs);
      found.push({ startMs, endMs, offsetMs, changed });
      startMs = endMs;
      changed = true;
      offsetMs = offsetAt(zone, endMs);
    }
    ms = nextMs;
  }
  found.push({ startMs, endMs: untilMs, offsetMs, changed });
  return found;
}

/** The instant of the clock change between two instants: on by hours, then by ever smaller steps. */
function changeBetween(zone: string, fromMs: number, untilMs: number): number {
  const before = offsetAt(zone, fromMs);
  let ms = fromMs;
  for (const step of [HOUR_MS, 10 * MINUTE_MS, MINUTE_MS, 10 * SECOND_MS, SECOND_MS, 100, 10, 1]) {
    while (ms + step <= untilMs && offsetAt(zone, ms + step) === before) ms += step;
  }
  return ms + 1;
}

/** The instants at which a zone changed its clock, between two instants. */
export function clockChanges(zone: string, fromMs: number, untilMs: number): number[] {
  return stretches(zone, fromMs, untilMs)
    .filter((stretch) => stretch.changed)
    .map((stretch) => stretch.startMs);
}

/** The window that holds the instant, by the plain rules. */
export function modelWindowAt(rules: CalendarRules, period: Period, instantMs: number): Window {
  const zone = rules.timezone;
  switch (period) {
    case 'hour':
      return holding(hours(zone, instantMs - 3 * HOUR_MS, instantMs + 3 * HOUR_MS), instantMs);
    case 'day':
      return holding(days(zone, instantMs - 4 * DAY_MS, instantMs + 4 * DAY_MS), instantMs);
    case 'week':
      return holding(
        runs(days(zone, instantMs - 12 * DAY_MS, instantMs + 12 * DAY_MS), (date) => weekOf(date, rules.week_start)),
        instantMs,
      );
    case 'month':
      return holding(
        runs(days(zone, instantMs - 36 * DAY_MS, instantMs + 36 * DAY_MS), (date) => firstOfMonth(date)),
        instantMs,
      );
    case 'billing_period':
      return billingPeriod(rules, instantMs);
  }
}

function holding(windows: Window[], instantMs: number): Window {
  const holders = windows.filter(({ startMs, endMs }) => startMs <= instantMs && instantMs < endMs);
  if (holders.length !== 1) throw new Error(`${holders.length} windows hold ${instantMs}`);
  const { startMs, endMs } = holders[0]!;
  return { startMs, endMs };
}

/** Cuts where the clock shows a whole hour, and where it is changed. */
function hours(zone: string, fromMs: number, untilMs: number): Window[] {
  const cuts: number[] = [];
  for (const stretch of stretches(zone, fromMs, untilMs)) {
    if (stretch.changed) cuts.push(stretch.startMs);
    // From the hour that the clock shows at the start of the stretch.
    let shown = stretch.startMs + stretch.offsetMs;
    shown -= ((shown % HOUR_MS) + HOUR_MS) % HOUR_MS;
    for (; shown - stretch.offsetMs < stretch.endMs; shown += HOUR_MS) {
      if (shown - stretch.offsetMs >= stretch.startMs) cuts.push(shown - stretch.offsetMs);
    }
  }
  const starts = [...new Set(cuts)];
  return starts.slice(1).map((endMs, index) => ({ startMs: starts[index]!, endMs }));
}

/** Cuts where the clock shows a date that is later than every date it has shown before. */
function days(zone: string, fromMs: number, untilMs: number): Day[] {
  const cuts: { atMs: number; date: ShownMs }[] = [];
  let latest = Number.NEGATIVE_INFINITY;
  for (const stretch of stretches(zone, fromMs, untilMs)) {
    let atMs = stretch.startMs;
    while (atMs < stretch.endMs) {
      const date = dateOf(atMs + stretch.offsetMs);
      if (date > latest) {
        latest = date;
        cuts.push({ atMs, date });
      }
      // On to the next midnight that the clock shows.
      atMs = date + DAY_MS - stretch.offsetMs;
    }
  }
  // The first cut is only where the walk began.
  cuts.shift();
  return cuts.slice(1).map((end, index) => ({ startMs: cuts[index]!.atMs, endMs: end.atMs, date: cuts[index]!.date }));
}

/** Puts the day windows together that have the same label. The first and the last run may be cut off by the walk. */
function runs(allDays: Day[], labelOf: (date: ShownMs) => number): Window[] {
  const found: { label: number; startMs: number; endMs: number }[] = [];
  for (const day of allDays) {
    const label = labelOf(day.date);
    const last = found.at(-1);
    if (last?.label === label) last.endMs = day.endMs;
    else found.push({ label, startMs: day.startMs, endMs: day.endMs });
  }
  return found.slice(1, -1);
}

function dateOf(shown: ShownMs): ShownMs {
  const date = new Date(shown);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate());
}

function firstOfMonth(date: ShownMs): ShownMs {
  return Date.UTC(new Date(date).getUTCFullYear(), new Date(date).getUTCMonth(), 1);
}

/** The day on which the week of a date starts: back day by day until the weekday is right. */
function weekOf(date: ShownMs, weekStart: string): ShownMs {
  let day = date;
  while (WEEKDAY_NAMES[new Date(day).getUTCDay()] !== weekStart) day -= DAY_MS;
  return day;
}

/** Walks on from the anchor, or back, until the step after the next lies beyond the instant. */
function billingPeriod(rules: CalendarRules, instantMs: number): Window {
  const anchor = Date.parse(`${rules.billing_anchor}Z`);
  const stepAt = (step: number) => instantOf(rules.timezone, monthsOn(anchor, step * rules.billing_months));
  // Steps that are surely too early are passed over without working out their instants.
  const surelyBefore = (step: number) => monthsOn(anchor, step * rules.billing_months) < instantMs - 3 * DAY_MS;
  let step = 0;
  while (!surelyBefore(step)) step -= 1;
  while (surelyBefore(step + 1)) step += 1;
  let startMs = stepAt(step);
  let endMs = stepAt(step + 1);
  while (endMs <= instantMs) {
    step += 1;
    startMs = endMs;
    endMs = stepAt(step + 1);
  }
  return holding([{ startMs, endMs }], instantMs);
}

/** The same day and time so many months on, or the last day of the month if it lacks the day. */
export function monthsOn(shown: ShownMs, months: number): ShownMs {
  const date = new Date(shown);
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months + 1, 0)).getUTCDate();
  return (
    Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, Math.min(date.getUTCDate(), lastDay)) +
    (shown - dateOf(shown))
  );
}

/** When a clock shows this for the first time; if a change skips it, as long after the change as it is into the gap. */
function instantOf(zone: string, shown: ShownMs): number {
  const around = stretches(zone, shown - 3 * DAY_MS, shown + 3 * DAY_MS);
  for (const { startMs, endMs, offsetMs } of around) {
    const atMs = shown - offsetMs;
    if (startMs <= atMs && atMs < endMs) return atMs;
  }
  for (const [index, before] of around.entries()) {
    const after = around[index + 1];
    if (after === undefined) break;
    const lastShown = before.endMs + before.offsetMs;
    const firstShown = after.startMs + after.offsetMs;
    // The clock went from `lastShown` at once to `firstShown`.
    if (lastShown <= shown && shown < firstShown) return after.startMs + (shown - lastShown);
  }
  throw new Error(`the clock of ${zone} never shows, nor skips, ${new Date(shown).toISOString()}`);
}
