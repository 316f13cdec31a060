import { WEEKDAYS, type Weekday } from './calendar';
import type { Dimension, Limit, Period } from './limit';
import type { Settings } from './settings';

/** As much of a limit as is put into words. */
export type DescribedLimit = Pick<
  Limit,
  'per' | 'period' | 'max' | 'where' | 'mode' | 'on_exceeded' | 'from' | 'until'
>;

/** As much of the settings as windows are worked out from. */
export type DescribedCalendar = Pick<Settings, 'timezone' | 'week_start' | 'billing_anchor' | 'billing_months'>;

/**
 * What a limit means, in a sentence or some: "Each user, at most 50 messages a day, midnight to midnight in New York."
 * @param calendar the workspace's
 */
export function describeLimit(limit: DescribedLimit, calendar: DescribedCalendar): string {
  const { max, mode, on_exceeded: onExceeded } = limit;
  const sentences = [`${sentenceCase([...subject(limit), amount(limit, calendar)].join(', '))}.`];
  if (max === null) sentences.push('They are still counted.');
  sentences.push(...condition(limit), ...term(limit));
  if (mode === 'shadow') sentences.push('It only watches, and never stops a message.');
  else if (onExceeded === 'defer' && max !== null && max > 0) {
    sentences.push('A handed-over message waits until there is room, instead of being throttled.');
  }
  return sentences.join(' ');
}

/** Whom or what a limit is about. */
function subject(limit: DescribedLimit): string[] {
  const who = named(limit, ['user', 'account']).join(' in ');
  const what = named(limit, ['topic', 'channel']).join(' on ');
  if (who === '' && what === '') return limit.max === 0 ? [] : ['all messages together'];
  if (who === '') return [what];
  return what === '' ? [who] : [who, `for ${what}`];
}

/** Each of some dimensions that is counted by: all of its values, or the one that the limit is for. */
function named({ per, where }: DescribedLimit, dimensions: readonly Dimension[]): string[] {
  return dimensions
    .filter((dimension) => per.includes(dimension))
    .map((dimension) =>
      where?.[dimension] === undefined ? `each ${dimension}` : `the ${dimension} ${where[dimension]}`,
    );
}

function amount(limit: DescribedLimit, calendar: DescribedCalendar): string {
  const { max } = limit;
  // Over whatever time.
  if (max === 0) return 'no messages at all';
  const messages =
    max === null
      ? 'any number of messages'
      : `at most ${max.toLocaleString('en')} ${max === 1 ? 'message' : 'messages'}`;
  return `${messages} ${window(limit, calendar)}`;
}

function window({ per, period, where }: DescribedLimit, calendar: DescribedCalendar): string {
  const zone = placeName(calendar.timezone);
  // An account may have a calendar of its own.
  const byAccount = per.includes('account');
  const one = where?.account !== undefined;
  const place = !byAccount
    ? `in ${zone}`
    : `in ${one ? "the account's" : "each account's"} time zone (${zone} if it has none)`;
  switch (period) {
    case 'hour':
      return `an hour, starting on the hour ${place}`;
    case 'day':
      return `a day, midnight to midnight ${place}`;
    case 'week':
      return `a week, ${weekday(calendar.week_start, 0)} to ${weekday(calendar.week_start, 6)} ${place}`;
    case 'month':
      return `a calendar month ${place}`;
    case 'billing_period': {
      const { billing_months: months, billing_anchor: anchor } = calendar;
      const every = months === 1 ? 'every month' : `every ${months} months`;
      const unless = byAccount ? `, unless ${one ? 'the' : 'an'} account has its own` : '';
      return `a billing period (${every} from ${anchor.replace('T', ' ').replace(/:00$/, '')} in ${zone}${unless})`;
    }
  }
}

const PERIOD_WORDS: Record<Period, string> = {
  ...{ hour: 'hour', day: 'day', week: 'week', month: 'month', billing_period: 'billing period' },
};
const CONDITIONS: Record<Dimension, string> = {
  ...{ user: 'to the user', account: 'for the account', topic: 'about the topic', channel: 'on the channel' },
};

/** Which messages a limit is for, when it does not count by what says so: it then shares its counter with others. */
function condition({ per, period, max, where }: DescribedLimit): string[] {
  const asked = (Object.keys(CONDITIONS) as Dimension[]).filter(
    (dimension) => where?.[dimension] !== undefined && !per.includes(dimension),
  );
  if (asked.length === 0) return [];
  const only = `It applies only to messages ${listed(asked.map((dimension) => `${CONDITIONS[dimension]} ${where![dimension]}`))}`;
  if (max === null || max === 0) return [`${only}.`];
  const forWhom = per.length === 0 ? '' : ` for the same ${listed(per)}`;
  return [`${only}, but whatever else is counted${forWhom} that ${PERIOD_WORDS[period]} takes up its room too.`];
}

function term({ from, until }: DescribedLimit): string[] {
  if (from === null && until === null) return [];
  const bounds = [
    ...(from === null ? [] : [`from ${instant(from)}`]),
    ...(until === null ? [] : [`until ${instant(until)}`]),
  ];
  return [`In force ${bounds.join(' ')}.`];
}

/** The names of zones that end with a city: others, such as Etc/GMT+5 or US/Pacific, say nothing when they are cut short. */
const WITH_CITY =
  /^(?:Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)\/(?:.*\/)?([^/]+)$/;

/** `America/New_York` is New York. */
function placeName(zone: string): string {
  const [, city] = WITH_CITY.exec(zone) ?? [];
  return city?.replaceAll('_', ' ') ?? zone.replace(/^Etc\/(?=[A-Z]+$)/i, '');
}

/** An instant in UTC, as short as it can be read. */
function instant(text: string): string {
  return `${text.replace('T', ' ').replace(/(?::00)?\.000Z$|Z$/, '')} UTC`;
}

/** A day of the week, so many days after another. */
function weekday(first: Weekday, later: number): string {
  return sentenceCase(WEEKDAYS[(WEEKDAYS.indexOf(first) + later) % WEEKDAYS.length]!);
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

function sentenceCase(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
