import {
  type CalendarRules,
  createCalendar,
  createCalendarCache,
  isLocalDateTime,
  isTimeZone,
  WEEKDAYS,
} from '../../src/limits/calendar';
import { PERIODS, type Period } from '../../src/limits/limit';
import { modelWindowAt } from '../support/calendar-model';

const RULES: CalendarRules = {
  timezone: 'UTC',
  week_start: 'sunday',
  billing_anchor: '1970-01-01T00:00:00',
  billing_months: 1,
};

const inZone = (timezone: string): CalendarRules => ({ ...RULES, timezone });
const billed = (timezone: string, billing_anchor: string, billing_months = 1): CalendarRules => ({
  ...RULES,
  timezone,
  billing_anchor,
  billing_months,
});

interface Example {
  name: string;
  rules: CalendarRules;
  period: Period;
  /** An instant, and the window that holds it. */
  at: string;
  window: [start: string, end: string];
}

/** All in UTC. */
const EXAMPLES: Example[] = [
  // Hours
  {
    name: 'an hour is one of the local clock',
    rules: inZone('UTC'),
    period: 'hour',
    at: '2026-03-07T12:34:56.789Z',
    window: ['2026-03-07T12:00:00Z', '2026-03-07T13:00:00Z'],
  },
  {
    name: 'the start of an hour is in it',
    rules: inZone('UTC'),
    period: 'hour',
    at: '2026-03-07T12:00:00.000Z',
    window: ['2026-03-07T12:00:00Z', '2026-03-07T13:00:00Z'],
  },
  {
    name: 'the last millisecond before the end of an hour is in it',
    rules: inZone('UTC'),
    period: 'hour',
    at: '2026-03-07T12:59:59.999Z',
    window: ['2026-03-07T12:00:00Z', '2026-03-07T13:00:00Z'],
  },
  {
    name: 'an hour before 1970 is no different',
    rules: inZone('UTC'),
    period: 'hour',
    at: '1969-12-31T23:59:59.999Z',
    window: ['1969-12-31T23:00:00Z', '1970-01-01T00:00:00Z'],
  },
  {
    name: 'where the offset has 30 minutes, hours begin at half past',
    rules: inZone('Asia/Kolkata'),
    period: 'hour',
    at: '2026-03-07T12:34:00Z',
    window: ['2026-03-07T12:30:00Z', '2026-03-07T13:30:00Z'],
  },
  {
    name: 'where the offset has 45 minutes, hours begin at a quarter past',
    rules: inZone('Asia/Kathmandu'),
    period: 'hour',
    at: '2026-03-07T12:34:00Z',
    window: ['2026-03-07T12:15:00Z', '2026-03-07T13:15:00Z'],
  },
  {
    name: 'an hour that is repeated is two windows: the first',
    rules: inZone('America/New_York'),
    period: 'hour',
    at: '2026-11-01T05:30:00Z',
    window: ['2026-11-01T05:00:00Z', '2026-11-01T06:00:00Z'],
  },
  {
    name: 'an hour that is repeated is two windows: the second',
    rules: inZone('America/New_York'),
    period: 'hour',
    at: '2026-11-01T06:30:00Z',
    window: ['2026-11-01T06:00:00Z', '2026-11-01T07:00:00Z'],
  },
  {
    name: 'an hour that is skipped is no window: 01:00 is followed by 03:00',
    rules: inZone('America/New_York'),
    period: 'hour',
    at: '2026-03-08T07:00:00Z',
    window: ['2026-03-08T07:00:00Z', '2026-03-08T08:00:00Z'],
  },
  {
    name: 'where the clock goes back from 02:00 to 01:30, the hour from 01:00 is whole',
    rules: inZone('Australia/Lord_Howe'),
    period: 'hour',
    at: '2026-04-04T14:59:59Z',
    window: ['2026-04-04T14:00:00Z', '2026-04-04T15:00:00Z'],
  },
  {
    name: 'where the clock goes back from 02:00 to 01:30, the half hour from 01:30 is a window',
    rules: inZone('Australia/Lord_Howe'),
    period: 'hour',
    at: '2026-04-04T15:00:00Z',
    window: ['2026-04-04T15:00:00Z', '2026-04-04T15:30:00Z'],
  },
  {
    name: 'where the clock goes on from 02:00 to 02:30, the half hour from 02:30 is a window',
    rules: inZone('Australia/Lord_Howe'),
    period: 'hour',
    at: '2026-10-03T15:45:00Z',
    window: ['2026-10-03T15:30:00Z', '2026-10-03T16:00:00Z'],
  },
  {
    name: 'where the clock goes back from 00:01 to 23:01, the minute from 00:00 is a window',
    rules: inZone('America/St_Johns'),
    period: 'hour',
    at: '2010-11-07T02:30:30Z',
    window: ['2010-11-07T02:30:00Z', '2010-11-07T02:31:00Z'],
  },
  {
    name: 'where the clock goes back from 00:01 to 23:01, the 59 minutes from 23:01 are a window',
    rules: inZone('America/St_Johns'),
    period: 'hour',
    at: '2010-11-07T02:31:00Z',
    window: ['2010-11-07T02:31:00Z', '2010-11-07T03:30:00Z'],
  },
  {
    name: 'where the clock was 44:30 behind, hours begin at 44:30',
    rules: inZone('Africa/Monrovia'),
    period: 'hour',
    at: '1972-01-06T23:50:00Z',
    window: ['1972-01-06T23:44:30Z', '1972-01-07T00:44:30Z'],
  },
  {
    name: 'where the clock then went on from 00:00:00 to 00:44:30, 15 and a half minutes are a window',
    rules: inZone('Africa/Monrovia'),
    period: 'hour',
    at: '1972-01-07T00:44:30Z',
    window: ['1972-01-07T00:44:30Z', '1972-01-07T01:00:00Z'],
  },

  // Days
  {
    name: 'a day runs from local midnight to local midnight',
    rules: inZone('America/New_York'),
    period: 'day',
    at: '2026-03-07T12:00:00Z',
    window: ['2026-03-07T05:00:00Z', '2026-03-08T05:00:00Z'],
  },
  {
    name: 'a day in which the clock goes on has 23 hours',
    rules: inZone('America/New_York'),
    period: 'day',
    at: '2026-03-08T12:00:00Z',
    window: ['2026-03-08T05:00:00Z', '2026-03-09T04:00:00Z'],
  },
  {
    name: 'a day in which the clock goes back has 25 hours',
    rules: inZone('America/New_York'),
    period: 'day',
    at: '2026-11-01T12:00:00Z',
    window: ['2026-11-01T04:00:00Z', '2026-11-02T05:00:00Z'],
  },
  {
    name: 'a day whose midnight is skipped begins at 01:00',
    rules: inZone('America/Sao_Paulo'),
    period: 'day',
    at: '2018-11-04T12:00:00Z',
    window: ['2018-11-04T03:00:00Z', '2018-11-05T02:00:00Z'],
  },
  {
    name: 'a day whose midnight is skipped by a gap from 23:30 to 00:30 begins at 00:30, not at 01:00',
    rules: inZone('America/Toronto'),
    period: 'day',
    at: '1919-03-31T04:30:00Z',
    window: ['1919-03-31T04:30:00Z', '1919-04-01T04:00:00Z'],
  },
  {
    name: 'a day at whose end the clock goes from 00:00 back to 23:00 has 25 hours',
    rules: inZone('America/Sao_Paulo'),
    period: 'day',
    at: '2018-02-18T02:30:00Z',
    window: ['2018-02-17T02:00:00Z', '2018-02-18T03:00:00Z'],
  },
  {
    name: 'a day whose midnight happens twice begins at the first',
    rules: inZone('America/Havana'),
    period: 'day',
    at: '2026-11-01T05:30:00Z',
    window: ['2026-11-01T04:00:00Z', '2026-11-02T05:00:00Z'],
  },
  {
    name: 'a day that the clock leaves again, from 00:01 back to 23:01, begins at its first midnight',
    rules: inZone('America/St_Johns'),
    period: 'day',
    // The clock shows 23:15 of the 6th.
    at: '2010-11-07T02:45:00Z',
    window: ['2010-11-07T02:30:00Z', '2010-11-08T03:30:00Z'],
  },
  {
    name: 'the day before it does not open again',
    rules: inZone('America/St_Johns'),
    period: 'day',
    at: '2010-11-07T02:29:59.999Z',
    window: ['2010-11-06T02:30:00Z', '2010-11-07T02:30:00Z'],
  },
  {
    name: 'the date that Samoa skipped has no window: the 29th ends where the 31st begins',
    rules: inZone('Pacific/Apia'),
    period: 'day',
    at: '2011-12-30T09:59:59.999Z',
    window: ['2011-12-29T10:00:00Z', '2011-12-30T10:00:00Z'],
  },
  {
    name: 'the date that Samoa skipped has no window: the 31st has 24 hours',
    rules: inZone('Pacific/Apia'),
    period: 'day',
    at: '2011-12-30T10:00:00Z',
    window: ['2011-12-30T10:00:00Z', '2011-12-31T10:00:00Z'],
  },
  {
    name: 'the date that Kwajalein skipped has no window',
    rules: inZone('Pacific/Kwajalein'),
    period: 'day',
    at: '1993-08-21T12:00:00Z',
    window: ['1993-08-21T12:00:00Z', '1993-08-22T12:00:00Z'],
  },

  // Weeks
  {
    name: 'a week begins on a Sunday when the workspace says so',
    rules: inZone('UTC'),
    period: 'week',
    at: '2026-03-07T12:00:00Z',
    window: ['2026-03-01T00:00:00Z', '2026-03-08T00:00:00Z'],
  },
  {
    name: 'a week begins on a Saturday when the workspace says so',
    rules: { ...RULES, week_start: 'saturday' },
    period: 'week',
    at: '2026-03-07T12:00:00Z',
    window: ['2026-03-07T00:00:00Z', '2026-03-14T00:00:00Z'],
  },
  {
    name: 'a week begins on a Monday when the workspace says so',
    rules: { ...RULES, week_start: 'monday' },
    period: 'week',
    at: '2026-03-07T12:00:00Z',
    window: ['2026-03-02T00:00:00Z', '2026-03-09T00:00:00Z'],
  },
  {
    name: 'a week before 1970 is no different',
    rules: inZone('UTC'),
    period: 'week',
    at: '1969-12-27T12:00:00Z',
    window: ['1969-12-21T00:00:00Z', '1969-12-28T00:00:00Z'],
  },
  {
    name: 'a week in which the clock goes on has an hour less',
    rules: inZone('America/New_York'),
    period: 'week',
    at: '2026-03-10T12:00:00Z',
    window: ['2026-03-08T05:00:00Z', '2026-03-15T04:00:00Z'],
  },
  {
    name: 'a week has seven dates, also when one of them was skipped',
    rules: inZone('Pacific/Apia'),
    period: 'week',
    at: '2011-12-30T12:00:00Z',
    window: ['2011-12-25T10:00:00Z', '2011-12-31T10:00:00Z'],
  },
  {
    name: 'a week whose first date was skipped begins with the next',
    rules: { ...inZone('Pacific/Apia'), week_start: 'friday' },
    period: 'week',
    at: '2011-12-30T12:00:00Z',
    window: ['2011-12-30T10:00:00Z', '2012-01-05T10:00:00Z'],
  },

  // Months
  {
    name: 'a month runs from the first of the local month to the first of the next',
    rules: inZone('America/New_York'),
    period: 'month',
    at: '2026-04-01T03:59:59.999Z',
    window: ['2026-03-01T05:00:00Z', '2026-04-01T04:00:00Z'],
  },
  {
    name: 'February has its leap day',
    rules: inZone('UTC'),
    period: 'month',
    at: '2024-02-29T23:59:59.999Z',
    window: ['2024-02-01T00:00:00Z', '2024-03-01T00:00:00Z'],
  },
  {
    name: 'December runs over the new year',
    rules: inZone('Asia/Tokyo'),
    period: 'month',
    at: '2025-12-31T14:59:59.999Z',
    window: ['2025-11-30T15:00:00Z', '2025-12-31T15:00:00Z'],
  },
  {
    name: 'a month whose first midnight is skipped begins at 01:00',
    rules: inZone('America/Asuncion'),
    period: 'month',
    at: '2017-10-15T12:00:00Z',
    window: ['2017-10-01T04:00:00Z', '2017-11-01T03:00:00Z'],
  },

  // Billing periods
  {
    name: 'a billing period begins at the anchor',
    rules: billed('UTC', '2024-01-31T15:00:00'),
    period: 'billing_period',
    at: '2024-01-31T15:00:00Z',
    window: ['2024-01-31T15:00:00Z', '2024-02-29T15:00:00Z'],
  },
  {
    name: 'a step that was cut to the last of February does not cut those after it',
    rules: billed('UTC', '2024-01-31T15:00:00'),
    period: 'billing_period',
    at: '2024-02-29T15:00:00Z',
    window: ['2024-02-29T15:00:00Z', '2024-03-31T15:00:00Z'],
  },
  {
    name: 'an anchor on the 31st gives the 30th in months of 30 days',
    rules: billed('UTC', '2024-01-31T15:00:00'),
    period: 'billing_period',
    at: '2025-04-30T14:59:59.999Z',
    window: ['2025-03-31T15:00:00Z', '2025-04-30T15:00:00Z'],
  },
  {
    name: 'an anchor on the 30th gives February 28',
    rules: billed('UTC', '2024-11-30T00:00:00'),
    period: 'billing_period',
    at: '2025-03-01T00:00:00Z',
    window: ['2025-02-28T00:00:00Z', '2025-03-30T00:00:00Z'],
  },
  {
    name: 'an anchor on February 29 gives the 29th in every month that has one',
    rules: billed('UTC', '2024-02-29T00:00:00'),
    period: 'billing_period',
    at: '2025-03-01T00:00:00Z',
    window: ['2025-02-28T00:00:00Z', '2025-03-29T00:00:00Z'],
  },
  {
    name: 'an instant just before the anchor has the window that ends there',
    rules: billed('UTC', '2024-01-31T15:00:00'),
    period: 'billing_period',
    at: '2024-01-31T14:59:59.999Z',
    window: ['2023-12-31T15:00:00Z', '2024-01-31T15:00:00Z'],
  },
  {
    name: 'steps run back from the anchor as they run on',
    rules: billed('UTC', '2024-01-31T15:00:00'),
    period: 'billing_period',
    at: '2023-03-01T00:00:00Z',
    window: ['2023-02-28T15:00:00Z', '2023-03-31T15:00:00Z'],
  },
  {
    name: 'a quarter is counted from the original anchor',
    rules: billed('UTC', '2024-11-30T06:00:00', 3),
    period: 'billing_period',
    at: '2025-05-01T00:00:00Z',
    window: ['2025-02-28T06:00:00Z', '2025-05-30T06:00:00Z'],
  },
  {
    name: 'quarters run back too',
    rules: billed('UTC', '2024-11-30T06:00:00', 3),
    period: 'billing_period',
    at: '2024-03-01T00:00:00Z',
    window: ['2024-02-29T06:00:00Z', '2024-05-30T06:00:00Z'],
  },
  {
    name: 'the local time stays while the offset changes',
    rules: billed('America/New_York', '2026-02-15T09:00'),
    period: 'billing_period',
    at: '2026-03-01T00:00:00Z',
    window: ['2026-02-15T14:00:00Z', '2026-03-15T13:00:00Z'],
  },
  {
    name: 'a local time that a clock change skips moves forward by the gap, in that step alone',
    rules: billed('America/New_York', '2026-01-08T02:30:00'),
    period: 'billing_period',
    at: '2026-03-20T00:00:00Z',
    window: ['2026-03-08T07:30:00Z', '2026-04-08T06:30:00Z'],
  },
  {
    name: 'a local time that a change of half an hour skips moves forward by half an hour',
    rules: billed('Australia/Lord_Howe', '2026-09-04T02:15:00'),
    period: 'billing_period',
    at: '2026-10-03T15:45:00Z',
    window: ['2026-10-03T15:45:00Z', '2026-11-03T15:15:00Z'],
  },
  {
    name: 'a local time that happens twice is the first',
    rules: billed('America/New_York', '2026-10-01T01:30:00'),
    period: 'billing_period',
    at: '2026-11-01T05:30:00Z',
    window: ['2026-11-01T05:30:00Z', '2026-12-01T06:30:00Z'],
  },
  {
    name: 'a step on a date that the zone skipped moves forward by that day',
    rules: billed('Pacific/Apia', '2011-11-30T12:00:00'),
    period: 'billing_period',
    at: '2012-01-01T00:00:00Z',
    window: ['2011-12-30T22:00:00Z', '2012-01-29T22:00:00Z'],
  },
  {
    name: 'a fraction of a second in the anchor is kept',
    rules: billed('UTC', '2024-01-10T00:00:00.125'),
    period: 'billing_period',
    at: '2024-02-10T00:00:00.124Z',
    window: ['2024-01-10T00:00:00.125Z', '2024-02-10T00:00:00.125Z'],
  },
];

const asText = ({ startMs, endMs }: { startMs: number; endMs: number }) => [
  new Date(startMs).toISOString(),
  new Date(endMs).toISOString(),
];

describe('a window', () => {
  test.each(EXAMPLES)('$period: $name', ({ rules, period, at, window }) => {
    const expected = window.map((instant) => new Date(instant).toISOString());
    expect(asText(createCalendar(rules).windowAt(period, Date.parse(at)))).toEqual(expected);
    // The property tests stand on the model, so that it must know these too.
    expect(asText(modelWindowAt(rules, period, Date.parse(at)))).toEqual(expected);
  });

  test('is the same object while it is among the last four of its period, and nobody can change it', () => {
    const calendar = createCalendar(inZone('America/New_York'));
    const noonMs = Date.parse('2026-03-07T12:00:00Z');
    const hourMs = 3_600_000;
    for (const period of PERIODS) {
      const window = calendar.windowAt(period, noonMs);
      expect(calendar.windowAt(period, noonMs + 1)).toBe(window);
      expect(Object.isFrozen(window)).toBe(true);
    }
    const first = calendar.windowAt('hour', noonMs);
    for (const hours of [1, 2, 3]) calendar.windowAt('hour', noonMs + hours * hourMs);
    expect(calendar.windowAt('hour', noonMs)).toBe(first);
    calendar.windowAt('hour', noonMs + 4 * hourMs);
    expect(calendar.windowAt('hour', noonMs)).not.toBe(first);
    expect(calendar.windowAt('hour', noonMs)).toEqual(first);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 8.64e15 + 1, -8.64e15 - 1])('of the instant %p is a fault', (ms) => {
    const calendar = createCalendar(inZone('America/New_York'));
    for (const period of PERIODS) expect(() => calendar.windowAt(period, ms)).toThrow(RangeError);
  });
});

describe('a calendar', () => {
  test('keeps the rules that it was made of, whatever becomes of the object that gave them', () => {
    const rules = { ...RULES };
    const calendar = createCalendar(rules);
    rules.timezone = 'Asia/Tokyo';
    expect(calendar.rules).toEqual(RULES);
    expect(Object.isFrozen(calendar.rules)).toBe(true);
  });

  test.each([
    { timezone: 'Mars/Olympus_Mons' },
    { timezone: '+05:00' },
    { billing_anchor: '2023-02-30T00:00:00' },
    { billing_anchor: '2024-01-31T15:00:00Z' },
    { billing_months: 0 },
    { billing_months: -1 },
    { billing_months: 1.5 },
    { billing_months: Number.NaN },
  ])('of the rules %p is a fault', (wrong) => {
    const rules = { ...RULES, ...wrong };
    expect(() => createCalendar(rules)).toThrow(RangeError);
    expect(() => createCalendarCache(10).for(rules)).toThrow(RangeError);
  });

  test('is the same for the same rules, and another for others', () => {
    const calendars = createCalendarCache(10);
    const calendar = calendars.for({ ...RULES });
    expect(calendars.for({ ...RULES })).toBe(calendar);
    for (const other of [
      { timezone: 'Asia/Tokyo' },
      { week_start: 'monday' as const },
      { billing_anchor: '1970-01-02T00:00:00' },
      { billing_months: 2 },
    ]) {
      expect(calendars.for({ ...RULES, ...other })).not.toBe(calendar);
      expect(calendars.for({ ...RULES, ...other }).rules).toEqual({ ...RULES, ...other });
    }
  });

  test('is forgotten when as many others as the cache holds were asked for since', () => {
    const calendars = createCalendarCache(3);
    const months = (billing_months: number) => calendars.for({ ...RULES, billing_months });
    const [first, second] = [months(1), months(2)];
    months(3);
    expect(months(1)).toBe(first);
    months(4);
    expect(months(1)).toBe(first);
    expect(months(2)).not.toBe(second);
  });

  test('shares the days of its zone with those that have other anchors, but not its billing periods', () => {
    const calendars = createCalendarCache(10);
    const nowMs = Date.parse('2026-03-07T12:00:00Z');
    const one = calendars.for(billed('America/New_York', '2024-01-31T15:00:00'));
    const other = calendars.for(billed('america/new_york', '2024-01-30T15:00:00'));
    for (const period of ['hour', 'day', 'week', 'month'] as const) {
      expect(one.windowAt(period, nowMs)).toBe(other.windowAt(period, nowMs));
    }
    expect(one.windowAt('billing_period', nowMs)).not.toEqual(other.windowAt('billing_period', nowMs));
  });

  test('does not share weeks with those that begin them on another day', () => {
    const calendars = createCalendarCache(10);
    const nowMs = Date.parse('2026-03-07T12:00:00Z');
    const starts = WEEKDAYS.map(
      (week_start) => calendars.for({ ...RULES, week_start }).windowAt('week', nowMs).startMs,
    );
    expect(starts.map((startMs) => new Date(startMs).toISOString().slice(0, 10))).toEqual([
      '2026-03-01',
      '2026-03-02',
      '2026-03-03',
      '2026-03-04',
      '2026-03-05',
      '2026-03-06',
      '2026-03-07',
    ]);
  });

  test.each([0, -1, 1.5, Number.NaN])('cannot be kept in a cache of %p', (capacity) => {
    expect(() => createCalendarCache(capacity)).toThrow(RangeError);
  });
});

describe('a time zone', () => {
  test.each([
    'UTC',
    'Etc/UTC',
    'GMT',
    'Etc/GMT+5',
    'Etc/GMT-14',
    'Asia/Kolkata',
    'Asia/Calcutta',
    'US/Eastern',
    'EST5EDT',
    'America/Argentina/Buenos_Aires',
    'America/Port-au-Prince',
    'NZ-CHAT',
    'europe/amsterdam',
    'AMERICA/NEW_YORK',
  ])('may be %p', (name) => {
    expect(isTimeZone(name)).toBe(true);
    expect(() => createCalendar(inZone(name))).not.toThrow();
  });

  test.each([
    '',
    ' ',
    'UTC ',
    'Europe/Amsterdam\n',
    'Mars/Olympus_Mons',
    'Z',
    '+05:00',
    '-0800',
    'UTC+3',
    'GMT+3',
    'Europe',
    'America/',
    '../Europe/Paris',
    '2024-01-31T15:00:00Z',
    '2024-01-31T15:00:00+09:00[Asia/Tokyo]',
    'Asia/Tokyo[u-ca=hebrew]',
    'constructor',
    '__proto__',
    'Türkiye',
    'A'.repeat(10_000),
  ])('may not be %p', (name) => {
    expect(isTimeZone(name)).toBe(false);
  });

  test('is one zone under all its names', () => {
    const nowMs = Date.parse('2026-07-01T12:00:00Z');
    const day = createCalendar(inZone('America/New_York')).windowAt('day', nowMs);
    for (const name of ['US/Eastern', 'us/eastern', 'AMERICA/NEW_YORK']) {
      expect(createCalendar(inZone(name)).windowAt('day', nowMs)).toEqual(day);
    }
  });
});

describe('a local date-time', () => {
  test.each([
    '2024-01-31T15:00:00',
    '2024-01-31T15:00',
    '2024-01-31T15:00:00.5',
    '2024-01-31T23:59:59.999',
    '2024-02-29T00:00:00',
    '2026-03-08T02:30:00',
    '1900-01-01T00:00:00',
    '2200-12-31T23:59:59.999',
  ])('may be %p', (value) => {
    expect(isLocalDateTime(value)).toBe(true);
    expect(() => createCalendar({ ...RULES, billing_anchor: value })).not.toThrow();
  });

  test.each([
    '',
    '2024-01-31',
    '2024-01-31T15',
    '15:00:00',
    '2024-01-31 15:00:00',
    '2024-01-31t15:00:00',
    '20240131T150000',
    '2024-1-31T15:00:00',
    '2024-01-31T15:00:00Z',
    '2024-01-31T15:00:00+01:00',
    '2024-01-31T15:00:00[Asia/Tokyo]',
    '2024-01-31T15:00:00[u-ca=hebrew]',
    '2024-01-31T15:00:00.',
    '2024-01-31T15:00:00.1234',
    '2024-01-31T15:00:00,5',
    '2024-01-31T15:00:00\n',
    ' 2024-01-31T15:00:00',
    '2023-02-29T00:00:00',
    '2023-02-30T00:00:00',
    '2024-04-31T00:00:00',
    '2024-13-01T00:00:00',
    '2024-00-01T00:00:00',
    '2024-01-00T00:00:00',
    '2024-01-31T24:00:00',
    '2024-01-31T23:60:00',
    '2024-01-31T23:59:60',
    '1899-12-31T23:59:59',
    '2201-01-01T00:00:00',
    '+002024-01-31T15:00:00',
    '２０２４-01-31T15:00:00',
    'first of the month',
  ])('may not be %p', (value) => {
    expect(isLocalDateTime(value)).toBe(false);
  });
});
