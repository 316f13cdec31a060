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

/** Each is here for something that its clock has done. */
const ZONES = [
  'UTC',
  'America/New_York',
  'Europe/London',
  'Europe/Amsterdam', // 20 minutes ahead, once
  'Asia/Kolkata', // 30 minutes
  'Asia/Kathmandu', // 45 minutes
  'Australia/Eucla', // 45 minutes, with clock changes
  'Pacific/Chatham', // 45 minutes, with clock changes at 02:45
  'Australia/Lord_Howe', // half-hour clock changes
  'America/St_Johns', // changed at 00:01, back to 23:01 of the day before
  'America/Toronto', // the same, long ago
  'America/Sao_Paulo', // skipped midnights, and went from midnight back to 23:00
  'America/Asuncion',
  'America/Santiago',
  'America/Havana', // goes from 01:00 back to midnight
  'America/Scoresbysund', // went from 01:00 back to midnight, then skipped midnight of another day
  'Asia/Beirut', // skips midnights
  'Africa/Cairo',
  'Asia/Amman',
  'Asia/Gaza', // changes thrice or four times a year
  'Asia/Tehran',
  'Africa/Casablanca', // goes back for Ramadan
  'Africa/Monrovia', // 44 minutes and 30 seconds behind until 1972
  'Antarctica/Troll', // changes by two hours
  'Pacific/Apia', // skipped 2011-12-30
  'Pacific/Fakaofo', // skipped 2011-12-30
  'Pacific/Kwajalein', // skipped 1993-08-21
  'Pacific/Enderbury', // skipped a day around the new year of 1995
  'America/Juneau', // had a day twice, in 1867
  'Asia/Manila', // skipped a day, in 1844
];

const zone = fc.oneof(fc.constantFrom(...ZONES), fc.constantFrom(...Intl.supportedValuesOf('timeZone')));
const period = fc.constantFrom(...PERIODS);

/** Where something may go wrong by a little. */
const nudgeMs = fc.oneof(
  fc.constantFrom(
    0,
    -1,
    1,
    -1_000,
    1_000,
    -30 * MINUTE_MS,
    30 * MINUTE_MS,
    -HOUR_MS,
    HOUR_MS,
    -HOUR_MS - 1,
    HOUR_MS - 1,
  ),
  fc.integer({ min: -2 * DAY_MS, max: 2 * DAY_MS }),
);

const FROM_MS = Date.UTC(1840, 0, 1);
const UNTIL_MS = Date.UTC(2100, 0, 1);

/** An instant of the zone: any, or one close to a clock change. */
function instantIn(inZone: string): fc.Arbitrary<number> {
  const anyMs = fc.oneof(
    fc.integer({ min: FROM_MS, max: UNTIL_MS }),
    // Most clock changes lie here.
    fc.integer({ min: Date.UTC(1970, 0, 1), max: Date.UTC(2040, 0, 1) }),
  );
  const nearChange = fc.tuple(anyMs, fc.nat(), nudgeMs).map(([ms, pick, nudge]) => {
    const changes = clockChanges(inZone, ms, ms + 400 * DAY_MS);
    return (changes.length === 0 ? ms : changes[pick % changes.length]!) + nudge;
  });
  return fc.oneof(anyMs, { weight: 3, arbitrary: nearChange });
}

const localText = (shownMs: number) => new Date(shownMs).toISOString().slice(0, -1);

/**
 * An anchor: any date and time, one late in a month, or one so many steps before or after an instant that a step falls
 * on what the clock shows there, or skips there.
 */
function anchorFor(inZone: string, instantMs: number, months: number): fc.Arbitrary<string> {
  const shownAbout = fc
    .tuple(fc.constantFrom(-1, 0, 1), fc.integer({ min: 0, max: 90 * MINUTE_MS }))
    .map(([side, byMs]) => shownAt(inZone, instantMs) + side * byMs);
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
  .record({ timezone: zone, week_start: fc.constantFrom(...WEEKDAYS), billing_months: fc.integer({ min: 1, max: 24 }) })
  .chain((rules) =>
    instantIn(rules.timezone).chain((instantMs) =>
      anchorFor(rules.timezone, instantMs, rules.billing_months).map((billing_anchor) => ({
        rules: { ...rules, billing_anchor },
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
        period,
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
      fc.property(cases, period, ({ rules, instantMs }, ofPeriod) => {
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
        period,
        anchorDay: fc.integer({ min: 1, max: 31 }),
        nudgeMs,
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
