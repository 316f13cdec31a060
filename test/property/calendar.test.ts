import fc from 'fast-check';
import {
  type Calendar,
  type CalendarRules,
  createCalendar,
  createCalendarCache,
  WEEKDAYS,
} from '../../src/limits/calendar';
import { PERIODS, type Period } from '../../src/limits/limit';
import { clockChanges, DAY_MS, HOUR_MS, MINUTE_MS, modelWindowAt, monthsOn, shownAt } from '../support/calendar-model';

/** Zones and years, each for something that its clock did then. */
const ODDITIES: [zone: string, fromYear: number, untilYear: number][] = [
  ['America/New_York', 1967, 2040],
  ['Europe/London', 1916, 2040], // two hours ahead in some summers
  ['Europe/Amsterdam', 1930, 1946], // 19:32 ahead, then 20:00
  ['Asia/Kolkata', 1900, 1950], // to 30 minutes ahead
  ['Asia/Kathmandu', 1986, 1986], // from 30 minutes ahead to 45
  ['Australia/Eucla', 1974, 2009], // 45 minutes, with clock changes
  ['Pacific/Chatham', 1974, 2040], // 45 minutes, with clock changes at 02:45
  ['Australia/Lord_Howe', 1981, 2040], // half-hour clock changes
  ['America/St_Johns', 1987, 2011], // on at 00:01, and back at 00:01 to 23:01 of the day before; two hours in 1988
  ['America/Moncton', 1993, 2006], // the same
  ['America/Toronto', 1918, 1950], // back at midnight
  ['America/Toronto', 1919, 1919], // on at 23:30 to 00:30
  ['America/Nassau', 1919, 1919], // the same; no other gap has midnight in its midst
  ['America/Sao_Paulo', 1985, 2019], // on at midnight, and back at midnight to 23:00 of the day before
  ['America/Asuncion', 1975, 2024],
  ['America/Santiago', 1968, 2040],
  ['America/Havana', 1965, 2040], // on at midnight, and back at 01:00 to midnight
  ['America/Scoresbysund', 1981, 2024], // on at midnight, and back at 01:00 to midnight
  ['America/Caracas', 2007, 2016], // from whole hours to half ones and back
  ['Asia/Beirut', 1984, 2040],
  ['Africa/Cairo', 1940, 2040],
  ['Asia/Amman', 1973, 2022],
  ['Asia/Gaza', 1994, 2060], // three or four changes in some years
  ['Asia/Tehran', 1977, 2022],
  ['Asia/Pyongyang', 2015, 2018], // at 23:30 on to midnight
  ['Africa/Casablanca', 2008, 2040], // back for Ramadan
  ['Africa/Monrovia', 1972, 1972], // from 44:30 behind
  ['Antarctica/Troll', 2005, 2040], // two hours
  ['Asia/Dhaka', 2009, 2009], // on at 23:00, and back at midnight to 23:00
  ['Pacific/Apia', 2009, 2021], // without 2011-12-30
  ['Pacific/Fakaofo', 2011, 2011], // without 2011-12-30
  ['Pacific/Kwajalein', 1993, 1993], // without 1993-08-21
  ['Pacific/Enderbury', 1994, 1995], // without one of the days around the new year
  ['America/Juneau', 1867, 1867], // with one day twice
  ['Asia/Manila', 1844, 1844], // without 1844-12-31
];

/** A zone, and years to look at it in. */
const places = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...ODDITIES) },
  fc
    .tuple(fc.constantFrom(...Intl.supportedValuesOf('timeZone')), fc.integer({ min: 1840, max: 2100 }))
    .map(([zone, year]): [string, number, number] => [zone, year, year + 1]),
);
const periods = fc.constantFrom(...PERIODS);

/** Where something may go wrong by a little, or only for an hour. */
const nudgesMs = fc.oneof(
  fc.constantFrom(0, -1, 1, -1_000, 1_000, -30 * MINUTE_MS, 30 * MINUTE_MS, -HOUR_MS, HOUR_MS),
  { weight: 2, arbitrary: fc.integer({ min: -90 * MINUTE_MS, max: 90 * MINUTE_MS }) },
  fc.integer({ min: -2 * DAY_MS, max: 2 * DAY_MS }),
);

const changesByYear = new Map<string, number[]>();

/** The clock changes of a zone in a year: walked once, because the same zones and years are drawn again and again. */
function changesIn(zone: string, year: number): number[] {
  const key = `${zone} ${year}`;
  let changes = changesByYear.get(key);
  if (changes === undefined) {
    changes = clockChanges(zone, Date.UTC(year, 0, 1), Date.UTC(year + 1, 0, 1));
    changesByYear.set(key, changes);
  }
  return changes;
}

/** An instant in a zone and a year: any, or more often one close to a clock change. */
function instantsIn(zone: string, year: number): fc.Arbitrary<number> {
  const any = fc.integer({ min: Date.UTC(year, 0, 1), max: Date.UTC(year + 1, 0, 1) });
  const changes = changesIn(zone, year);
  if (changes.length === 0) return any;
  const near = fc.tuple(fc.constantFrom(...changes), nudgesMs).map(([ms, nudge]) => ms + nudge);
  return fc.oneof(any, { weight: 5, arbitrary: near });
}

const localText = (shownMs: number) => new Date(shownMs).toISOString().slice(0, -1);

/**
 * An anchor: any date and time, one late in a month, or one so many steps before or after an instant that a step falls
 * on what the clock shows there, or skips there.
 */
function anchorsFor(zone: string, instantMs: number, months: number): fc.Arbitrary<string> {
  const shownAbout = fc
    .tuple(fc.constantFrom(-1, 0, 1), fc.integer({ min: 0, max: 90 * MINUTE_MS }))
    .map(([side, byMs]) => shownAt(zone, instantMs) + side * byMs);
  const aligned = fc
    .tuple(shownAbout, fc.integer({ min: -20, max: 20 }))
    .map(([shownMs, steps]) => monthsOn(shownMs, steps * months));
  const anyTime = fc.oneof(fc.constantFrom(0, DAY_MS - 1, 2.5 * HOUR_MS), fc.integer({ min: 0, max: DAY_MS - 1 }));
  const late = fc
    .tuple(
      fc.integer({ min: 1900, max: 2200 }),
      fc.constantFrom(0, 2, 4, 6, 7, 9, 11),
      fc.integer({ min: 29, max: 31 }),
      anyTime,
    )
    .map(([year, month, day, timeMs]) => Date.UTC(year, month, day) + timeMs);
  const any = fc.integer({ min: Date.UTC(1900, 0, 1), max: Date.UTC(2200, 0, 1) });
  return fc
    .oneof({ weight: 2, arbitrary: aligned }, late, any)
    .map((shownMs) => localText(Math.max(shownMs, Date.UTC(1900, 0, 1))));
}

interface Case {
  rules: CalendarRules;
  instantMs: number;
}

const cases: fc.Arbitrary<Case> = fc
  .tuple(places, fc.constantFrom(...WEEKDAYS), fc.integer({ min: 1, max: 24 }))
  .chain(([[timezone, fromYear, untilYear], week_start, billing_months]) =>
    fc
      .integer({ min: fromYear, max: untilYear })
      .chain((year) => instantsIn(timezone, year))
      .chain((instantMs) =>
        anchorsFor(timezone, instantMs, billing_months).map((billing_anchor) => ({
          rules: { timezone, week_start, billing_anchor, billing_months },
          instantMs,
        })),
      ),
  );

const LONGEST_MS: Record<Exclude<Period, 'billing_period'>, number> = {
  hour: HOUR_MS,
  // A date that a zone has twice is one window.
  day: 2 * DAY_MS + HOUR_MS,
  week: 8 * DAY_MS + HOUR_MS,
  month: 32 * DAY_MS + HOUR_MS,
};

describe('windows', () => {
  test.each(PERIODS)('(%s) are those of a model that walks the calendar', (ofPeriod) => {
    fc.assert(
      fc.property(cases, ({ rules, instantMs }) => {
        expect(createCalendar(rules).windowAt(ofPeriod, instantMs)).toEqual(modelWindowAt(rules, ofPeriod, instantMs));
      }),
      { numRuns: 400 },
    );
  });

  test('touch and never overlap, and each instant is in exactly one', () => {
    fc.assert(
      fc.property(
        cases,
        periods,
        fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
        (given, ofPeriod, shares) => {
          const { rules, instantMs } = given;
          const windowAt = (ms: number) => createCalendar(rules).windowAt(ofPeriod, ms);
          const window = windowAt(instantMs);
          expect(window.startMs).toBeLessThanOrEqual(instantMs);
          expect(window.endMs).toBeGreaterThan(instantMs);
          // Touching at both ends while every instant between gives this very window leaves no room for another.
          expect(windowAt(window.startMs - 1).endMs).toBe(window.startMs);
          expect(windowAt(window.endMs).startMs).toBe(window.endMs);
          for (const share of [0, ...shares.slice(0, 5)]) {
            const insideMs = window.startMs + Math.floor(share * (window.endMs - window.startMs));
            expect(windowAt(insideMs)).toEqual(window);
          }
          expect(windowAt(window.endMs - 1)).toEqual(window);
        },
      ),
      { numRuns: 400 },
    );
  });

  test('follow each other without end, each no longer than its period can be', () => {
    fc.assert(
      fc.property(cases, periods, ({ rules, instantMs }, ofPeriod) => {
        const calendar = createCalendar(rules);
        const longestMs =
          ofPeriod === 'billing_period' ? (rules.billing_months * 31 + 1) * DAY_MS + HOUR_MS : LONGEST_MS[ofPeriod];
        let { endMs } = calendar.windowAt(ofPeriod, instantMs);
        for (let count = 0; count < 12; count += 1) {
          const next = calendar.windowAt(ofPeriod, endMs);
          expect(next.startMs).toBe(endMs);
          expect(next.endMs - next.startMs).toBeGreaterThan(0);
          expect(next.endMs - next.startMs).toBeLessThanOrEqual(longestMs);
          endMs = next.endMs;
        }
      }),
      { numRuns: 150 },
    );
  });

  test('nest: no hour lies in two days, no day in two weeks or two months', () => {
    fc.assert(
      fc.property(cases, ({ rules, instantMs }) => {
        const calendar = createCalendar(rules);
        const day = calendar.windowAt('day', instantMs);
        const week = calendar.windowAt('week', instantMs);
        const month = calendar.windowAt('month', instantMs);
        const hour = calendar.windowAt('hour', instantMs);
        for (const [inner, outer] of [
          [hour, day],
          [day, week],
          [day, month],
        ] as const) {
          expect(inner.startMs).toBeGreaterThanOrEqual(outer.startMs);
          expect(inner.endMs).toBeLessThanOrEqual(outer.endMs);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('that are remembered are those that would be worked out, whatever was asked before and whoever shares them', () => {
    const questions = fc.array(
      fc.record({
        step: fc.integer({ min: -40, max: 40 }),
        period: periods,
        anchorDay: fc.integer({ min: 1, max: 31 }),
        nudgeMs: nudgesMs,
      }),
      { minLength: 10, maxLength: 40 },
    );
    fc.assert(
      fc.property(cases, questions, ({ rules, instantMs }, asked) => {
        const calendars = createCalendarCache(3);
        for (const question of asked) {
          const day = String(question.anchorDay).padStart(2, '0');
          const ownRules = { ...rules, billing_anchor: `2024-01-${day}T02:30:00` };
          const calendar: Calendar = calendars.for(ownRules);
          const ms = instantMs + question.step * 12 * HOUR_MS + question.nudgeMs;
          const window = calendar.windowAt(question.period, ms);
          expect(window).toEqual(createCalendar(ownRules).windowAt(question.period, ms));
          expect(calendar.windowAt(question.period, ms)).toBe(window);
        }
      }),
      { numRuns: 40 },
    );
  });
});
