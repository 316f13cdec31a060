import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCalendar } from '../../src/limits/calendar';
import type { Period } from '../../src/limits/limit';
import { DEFAULT_SETTINGS } from '../../src/limits/settings';

/** The rows of the manual's tables of windows: zone, period, rules, at, from, to. */
const rows = readFileSync(join(__dirname, '../../docs/semantics.md'), 'utf8')
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .filter((cells) => /^\d{4}-.*Z$/.test(cells[4] ?? ''))
  .map((cells) => cells.slice(1, 7) as [string, Period, string, string, string, string]);

test.each(rows)(
  'the manual is right about the window in %s of a %s %s at %s',
  (timezone, period, rules, at, from, to) => {
    const given = rules === '' ? [] : rules.split(', ').map((rule) => rule.split(' '));
    const named = Object.fromEntries(
      given.map(([name, value]) => [name, name === 'billing_months' ? Number(value) : value]),
    );
    const calendar = createCalendar({ ...DEFAULT_SETTINGS, timezone, ...named });
    const window = calendar.windowAt(period, Date.parse(at));
    expect([window.startMs, window.endMs]).toEqual([Date.parse(from), Date.parse(to)]);
  },
);

test('the manual has examples of every period but the plain ones', () => {
  expect(new Set(rows.map(([, period]) => period))).toEqual(
    new Set(['hour', 'day', 'week', 'month', 'billing_period']),
  );
  expect(rows.length).toBeGreaterThanOrEqual(17);
});
