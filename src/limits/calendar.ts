import { Temporal } from 'temporal-polyfill';
import type { Period } from './limit';

export const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;
export type Weekday = (typeof WEEKDAYS)[number];

/** One concrete run of a period, as real instants in epoch milliseconds: `[startMs, endMs)`. Never empty. */
export interface Window {
  readonly startMs: number;
  readonly endMs: number;
}

/** Everything that decides where windows begin and end. */
export interface CalendarRules {
  /** An IANA time zone: see {@link isTimeZone}. */
  timezone: string;
  /** The first day of a week. */
  week_start: Weekday;
  /** A local date-time in `timezone`, without an offset: see {@link isLocalDateTime}. */
  billing_anchor: string;
  /** The length of a billing period in months, a whole number of at least 1. */
  billing_months: number;
}

/** Works out windows under one set of rules. */
export interface Calendar {
  readonly rules: Readonly<CalendarRules>;
  /**
   * The one window of `period` that holds the instant, in epoch milliseconds. The last few of each period are
   * remembered, so that asking again costs a look-up and gives the same frozen object.
   *
   * The windows of a period touch and never overlap. Throws RangeError for NaN, and where a window would reach beyond
   * what Temporal can tell, 10^8 days either side of 1970.
   */
  windowAt(period: Period, instantMs: number): Window;
}

/** Calendars by their rules, so that all who live under the same rules share what was already worked out. */
export interface CalendarCache {
  /** Throws RangeError for rules that no calendar can follow, which validated settings never are. */
  for(rules: CalendarRules): Calendar;
}

/** The earliest and latest year of a local date-time that {@link isLocalDateTime} accepts. */
export const LOCAL_YEAR_MIN = 1900;
export const LOCAL_YEAR_MAX = 2200;

const HOUR_MS = 3_600_000;
const DAYS_IN_WEEK = 7;
/** 1970-01-01 was a Thursday. */
const EPOCH_WEEKDAY = WEEKDAYS.indexOf('thursday');
/** How many windows of each period are remembered: the present one, and what clocks that disagree or dry runs ask. */
const REMEMBERED_WINDOWS = 4;

/** Only names: Temporal would take offsets ("+05:00") and even whole date-times ("2024-01-31T00:00[Asia/Tokyo]") too. */
const ZONE_NAME = /^[A-Za-z][A-Za-z0-9._+/-]*$/;
/** Seconds stop at 59 because Temporal reads a leap second as the second before it instead of refusing it. */
const LOCAL_DATE_TIME = /^(\d{4})-\d{2}-\d{2}T\d{2}:\d{2}(?::[0-5]\d(?:\.\d{1,3})?)?$/;

/**
 * Whether it names an IANA time zone that this runtime knows, in any case ("us/eastern"), aliases such as `US/Eastern`
 * and `Etc/UTC` included. An offset such as `+05:00` is no name: it would not follow the zone's clock changes.
 * A name is kept as it was written; spelled otherwise it has the same windows, and so the same counters.
 */
export function isTimeZone(value: string): boolean {
  try {
    zoneId(value);
    return true;
  } catch {
    return false; // Temporal has no question to ask: refusing is how it says that it does not know a zone.
  }
}

/**
 * Whether it is a local date-time without an offset that some calendar page shows: `2024-01-31T15:00:00`, with seconds
 * and up to three of their decimals optional, in the years {@link LOCAL_YEAR_MIN} to {@link LOCAL_YEAR_MAX}.
 * One that clocks skip somewhere is still one: which instant it is depends on the zone it is read in.
 */
export function isLocalDateTime(value: string): boolean {
  const year = Number(LOCAL_DATE_TIME.exec(value)?.[1]);
  // Written so that the NaN of what does not match is refused as well.
  if (!(year >= LOCAL_YEAR_MIN && year <= LOCAL_YEAR_MAX)) return false;
  try {
    Temporal.PlainDateTime.from(value);
    return true;
  } catch {
    return false; // The 30th of February, or 24:00.
  }
}

/** The calendar of one set of rules. Throws RangeError when the zone, the anchor or the months are not what they must be. */
export function createCalendar(rules: CalendarRules): Calendar {
  return calendarIn(zoneWindows(zoneId(rules.timezone)), rules);
}

/**
 * Remembers the `capacity` calendars that were asked for last. Those of one zone share its hours, days, weeks and
 * months whatever their anchors are, so that ten thousand accounts in one zone work out each midnight once.
 */
export function createCalendarCache(capacity: number): CalendarCache {
  if (!Number.isSafeInteger(capacity) || capacity < 1) {
    throw new RangeError(`a calendar cache holds at least 1 calendar, not ${capacity}`);
  }
  // A Map keeps the order of insertion: what is used is put back at its end, and what is at its front goes first.
  const calendars = new Map<string, Calendar>();
  // Needs no bound of its own: the keys are Temporal's own spellings, of which there are some 600.
  const zones = new Map<string, ZoneWindows>();

  function windowsOf(timezone: string): ZoneWindows {
    const id = zoneId(timezone);
    let windows = zones.get(id);
    if (windows === undefined) {
      windows = zoneWindows(id);
      zones.set(id, windows);
    }
    return windows;
  }

  return {
    for(rules) {
      const key = `${rules.timezone} ${rules.week_start} ${rules.billing_anchor} ${rules.billing_months}`;
      let calendar = calendars.get(key);
      if (calendar === undefined) {
        calendar = calendarIn(windowsOf(rules.timezone), rules);
        if (calendars.size >= capacity) calendars.delete(calendars.keys().next().value!);
      } else {
        calendars.delete(key);
      }
      calendars.set(key, calendar);
      return calendar;
    },
  };
}

type WindowFinder = (instantMs: number) => Window;

/** What depends on nothing but the zone, and on where in it a week starts. */
interface ZoneWindows {
  zone: string;
  hour: WindowFinder;
  day: WindowFinder;
  week: Record<Weekday, WindowFinder>;
  month: WindowFinder;
}

/**
 * The starts of a period's windows, numbered without gaps and never falling. Two may be the same instant (a date that
 * the zone skipped): then the first of them numbers no window.
 */
interface Starts {
  /** The number of a window near the given clock. */
  near(clock: Temporal.ZonedDateTime): number;
  startMs(number: number): number;
}

function zoneWindows(zone: string): ZoneWindows {
  const weeksFrom = (weekday: Weekday) => remembering(searching(zone, weekStarts(zone, weekday)));
  return {
    zone,
    hour: remembering((instantMs) => hourWindow(zone, instantMs)),
    day: remembering(searching(zone, dayStarts(zone))),
    week: Object.fromEntries(WEEKDAYS.map((weekday) => [weekday, weeksFrom(weekday)])) as ZoneWindows['week'],
    month: remembering(searching(zone, monthStarts(zone))),
  };
}

function calendarIn(windows: ZoneWindows, rules: CalendarRules): Calendar {
  const { timezone, week_start, billing_anchor, billing_months } = rules;
  const finders: Record<Period, WindowFinder> = {
    hour: windows.hour,
    day: windows.day,
    week: windows.week[week_start],
    month: windows.month,
    billing_period: remembering(searching(windows.zone, billingStarts(windows.zone, billing_anchor, billing_months))),
  };
  return {
    // A copy: the calendar outlives the settings that asked for it, and those may change.
    rules: Object.freeze({ timezone, week_start, billing_anchor, billing_months }),
    windowAt: (period, instantMs) => finders[period](instantMs),
  };
}

/** Keeps the last few windows that were found, newest first. */
function remembering(find: WindowFinder): WindowFinder {
  const recent: Window[] = [];
  return (instantMs) => {
    for (let index = 0; index < recent.length; index += 1) {
      const window = recent[index]!;
      if (window.startMs <= instantMs && instantMs < window.endMs) return window;
    }
    const found = Object.freeze(find(instantMs));
    if (recent.length === REMEMBERED_WINDOWS) recent.pop();
    recent.unshift(found);
    return found;
  };
}

/** Finds the window that holds an instant, between two starts that follow each other. */
function searching(zone: string, starts: Starts): WindowFinder {
  return (instantMs) => {
    let number = starts.near(clockAt(zone, instantMs));
    let startMs = starts.startMs(number);
    // Back: a billing period need not begin on the first of its month.
    while (startMs > instantMs) {
      number -= 1;
      startMs = starts.startMs(number);
    }
    let endMs = starts.startMs(number + 1);
    // On: a clock set back over midnight shows the old date again in the new one's window.
    while (endMs <= instantMs) {
      number += 1;
      startMs = endMs;
      endMs = starts.startMs(number + 1);
    }
    return { startMs, endMs };
  };
}

/** Days are numbered from 1970-01-01. */
function dayStarts(zone: string): Starts {
  return { near: epochDay, startMs: (day) => startOfDayMs(zone, day) };
}

function weekStarts(zone: string, weekday: Weekday): Starts {
  const firstDay = WEEKDAYS.indexOf(weekday) - EPOCH_WEEKDAY;
  return {
    near: (clock) => Math.floor((epochDay(clock) - firstDay) / DAYS_IN_WEEK),
    startMs: (week) => startOfDayMs(zone, firstDay + week * DAYS_IN_WEEK),
  };
}

/** Months are numbered from January 1970. */
function monthStarts(zone: string): Starts {
  const epoch = new Temporal.PlainDate(1970, 1, 1);
  return {
    near: (clock) => monthsBetween(epoch, clock),
    startMs: (month) => epoch.add({ months: month }).toZonedDateTime(zone).epochMilliseconds,
  };
}

/**
 * Steps are numbered from the anchor, and each is counted from it, not from the one before: a day that a month lacks
 * becomes its last and the months after it have the day again. Steps lie at least 28 days apart on the local clock,
 * far more than any clock change can take away, so that no two become the same instant.
 */
function billingStarts(zone: string, anchorText: string, months: number): Starts {
  if (!isLocalDateTime(anchorText)) throw new RangeError(`not a local date-time: ${JSON.stringify(anchorText)}`);
  if (!Number.isSafeInteger(months) || months < 1) throw new RangeError(`not a number of months: ${months}`);
  const anchor = Temporal.PlainDateTime.from(anchorText);
  return {
    near: (clock) => Math.floor(monthsBetween(anchor, clock) / months),
    startMs: (step) =>
      anchor
        .add({ months: step * months }, { overflow: 'constrain' })
        // 'compatible': a time that the clock skips moves forward by the gap, one that it shows twice is the first.
        .toZonedDateTime(zone, { disambiguation: 'compatible' }).epochMilliseconds,
  };
}

/** The hour of the local clock around the instant, cut short by a clock change before the instant or after it. */
function hourWindow(zone: string, instantMs: number): Window {
  const offsetMs = offsetMsAt(zone, instantMs);
  const startMs = Math.floor((instantMs + offsetMs) / HOUR_MS) * HOUR_MS - offsetMs;
  const endMs = startMs + HOUR_MS;
  const isSame = (ms: number) => offsetMsAt(zone, ms) === offsetMs;
  return {
    startMs: isSame(startMs) ? startMs : firstAfter(startMs, instantMs, isSame),
    endMs: isSame(endMs - 1) ? endMs : firstAfter(instantMs, endMs - 1, (ms) => !isSame(ms)),
  };
}

/**
 * The first instant at which `holds`, which does not at `lowMs` and does at `highMs`, by halving: no zone has ever
 * changed its clocks twice in an hour. (Temporal's own search for the change before an instant walks back through
 * decades in a zone that has not had one for as long.)
 */
function firstAfter(lowMs: number, highMs: number, holds: (ms: number) => boolean): number {
  let low = lowMs;
  let high = highMs;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** The first instant at which the local clock shows the date, or a later one if the zone skipped the date. */
function startOfDayMs(zone: string, day: number): number {
  return new Temporal.PlainDate(1970, 1, 1).add({ days: day }).toZonedDateTime(zone).epochMilliseconds;
}

/** The date that the clock shows, as days since 1970-01-01. */
function epochDay(clock: Temporal.ZonedDateTime): number {
  return new Temporal.PlainDate(1970, 1, 1).until(clock.toPlainDate(), { largestUnit: 'day' }).days;
}

/** How many times the month changed between the two, whatever their days are. */
function monthsBetween(from: { year: number; month: number }, to: { year: number; month: number }): number {
  return (to.year - from.year) * 12 + to.month - from.month;
}

function offsetMsAt(zone: string, instantMs: number): number {
  // Zones differ from UTC by whole seconds.
  return clockAt(zone, instantMs).offsetNanoseconds / 1_000_000;
}

function clockAt(zone: string, instantMs: number): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(instantMs).toZonedDateTimeISO(zone);
}

/** Temporal's spelling of a zone's name. Throws RangeError when there is no such zone. */
function zoneId(name: string): string {
  if (!ZONE_NAME.test(name)) throw new RangeError(`not the name of a time zone: ${JSON.stringify(name)}`);
  return clockAt(name, 0).timeZoneId;
}
