import { DIMENSIONS, type Dimension, type Limit, type LimitInput, type Period } from '../api/limits';
import { thresholdWords } from '../show/thresholds';

/** A period with its article: 50 messages *a day*. */
export const A_PERIOD: Record<Period, string> = {
  hour: 'an hour',
  day: 'a day',
  week: 'a week',
  month: 'a month',
  billing_period: 'a billing period',
};

const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });

/** What each choice does, in a word and in a sentence. */
export const MODE_WORDS: Record<LimitInput['mode'], { label: string; words: string }> = {
  enforce: { label: 'Enforce', words: 'What is over it does not go out.' },
  shadow: {
    label: 'Shadow',
    words: 'Only watches: it counts, and says what it would have stopped, but stops nothing.',
  },
};
export const EXCEEDED_WORDS: Record<LimitInput['on_exceeded'], { label: string; words: string }> = {
  throttle: { label: 'Throttle', words: 'A message that there is no room for is not sent.' },
  defer: {
    label: 'Defer',
    words: 'A send that was handed over waits until there is room. A check has nobody to wait with: it is throttled.',
  },
};
export const REDIS_DOWN_WORDS: Record<LimitInput['on_redis_down'], { label: string; words: string }> = {
  deny: { label: 'Deny', words: 'Nothing goes out: rather none than one too many.' },
  allow: { label: 'Allow', words: 'Everything goes out, and nothing is counted: rather one too many than none.' },
  local: {
    label: 'Local',
    words: 'Each replica lets its share of the maximum go out, and counts it in its own memory.',
  },
};

/** Dimensions in the order in which they are always shown. */
export function ordered(dimensions: readonly Dimension[]): Dimension[] {
  return DIMENSIONS.filter((dimension) => dimensions.includes(dimension));
}

/** What is counted together: `Each user and topic`. */
export function perWords(per: readonly Dimension[]): string {
  return per.length === 0 ? 'All messages together' : `Each ${listed(ordered(per))}`;
}

/** How much a limit allows: `50 a day`. */
export function amountWords({ max, period }: Pick<LimitInput, 'max' | 'period'>): string {
  if (max === null) return `any number ${A_PERIOD[period]}`;
  if (max === 0) return `none ${A_PERIOD[period]}`;
  return `${max.toLocaleString()} ${A_PERIOD[period]}`;
}

/** The messages that a limit is for: `account acme, topic news`. Null when it is for all. */
export function whereWords(where: LimitInput['where']): string | null {
  const pairs = wherePairs(where);
  return pairs.length === 0 ? null : pairs.map(([dimension, value]) => `${dimension} ${value}`).join(', ');
}

/** What a `where` names, in the order in which it is always shown. */
export function wherePairs(where: LimitInput['where']): [Dimension, string][] {
  return DIMENSIONS.flatMap((dimension) => {
    const value = where?.[dimension];
    return value === undefined ? [] : [[dimension, value] as [Dimension, string]];
  });
}

/** A limit in a line: `Each user of topic news: at most 50 a day`. */
export function limitWords(limit: Pick<LimitInput, 'per' | 'period' | 'max' | 'where'>): string {
  const where = whereWords(limit.where);
  const of = where === null ? '' : `, for ${where}`;
  return `${perWords(limit.per)}${of}: ${limit.max === null || limit.max === 0 ? '' : 'at most '}${amountWords(limit)}`;
}

/** When a limit is in force: `coming` and `over` are temporary ones that are not, at the moment. */
export function forceOf({ from, until }: Pick<Limit, 'from' | 'until'>, nowMs: number) {
  if (from === null && until === null) return 'lasting';
  if (from !== null && nowMs < Date.parse(from)) return 'coming';
  return until !== null && nowMs >= Date.parse(until) ? 'over' : 'temporary';
}

/** Every field of a limit in words, in the order of the form. */
export function fieldsOf(limit: LimitInput & Partial<Pick<Limit, 'source'>>): { label: string; text: string }[] {
  const { per, period, max, where, mode, on_exceeded, on_redis_down, from, until, reason, source } = limit;
  return [
    { label: 'Counts', text: perWords(per) },
    { label: 'At most', text: max === null ? 'no limit, only counts' : max.toLocaleString() },
    { label: 'In', text: A_PERIOD[period] },
    { label: 'Only for', text: whereWords(where) ?? 'all messages' },
    { label: 'Mode', text: MODE_WORDS[mode].label },
    { label: 'When it is full', text: EXCEEDED_WORDS[on_exceeded].label },
    { label: 'When Redis is down', text: REDIS_DOWN_WORDS[on_redis_down].label },
    {
      label: 'Alerts at',
      text: limit.alert_thresholds === null ? "the workspace's thresholds" : thresholdWords(limit.alert_thresholds),
    },
    { label: 'From', text: from === null ? 'always' : MOMENT.format(Date.parse(from)) },
    { label: 'Until', text: until === null ? 'further notice' : MOMENT.format(Date.parse(until)) },
    { label: 'Reason', text: reason ?? '–' },
    ...(source === 'file' ? [{ label: 'Comes from', text: 'the limits file' }] : []),
  ];
}

/** `one, two and three`. */
export function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
