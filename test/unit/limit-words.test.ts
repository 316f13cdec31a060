import { PERIODS } from '../../src/limits/limit';
import { type DescribedCalendar, type DescribedLimit, describeLimit } from '../../src/limits/words';

const CALENDAR: DescribedCalendar = {
  timezone: 'America/New_York',
  week_start: 'sunday',
  billing_anchor: '2024-01-31T15:00:00',
  billing_months: 1,
};
const LIMIT: DescribedLimit = {
  ...{ per: ['user'], period: 'day', max: 50, where: null },
  ...{ mode: 'enforce', on_exceeded: 'throttle', from: null, until: null },
};
const words = (limit: Partial<DescribedLimit> = {}, calendar: Partial<DescribedCalendar> = {}) =>
  describeLimit({ ...LIMIT, ...limit }, { ...CALENDAR, ...calendar });

const DAY = 'at most 50 messages a day, midnight to midnight in New York.';
const ACCOUNT_DAY =
  "at most 50 messages a day, midnight to midnight in each account's time zone (New York if it has none).";

test('a limit is said in one sentence: whom, how many, over what time, where', () => {
  expect(words()).toBe('Each user, at most 50 messages a day, midnight to midnight in New York.');
});

test.each<[DescribedLimit['period'], string, string]>([
  [
    'hour',
    'at most 50 messages an hour, starting on the hour in New York.',
    "at most 50 messages an hour, starting on the hour in each account's time zone (New York if it has none).",
  ],
  ['day', DAY, ACCOUNT_DAY],
  [
    'week',
    'at most 50 messages a week, Sunday to Saturday in New York.',
    "at most 50 messages a week, Sunday to Saturday in each account's time zone (New York if it has none).",
  ],
  [
    'month',
    'at most 50 messages a calendar month in New York.',
    "at most 50 messages a calendar month in each account's time zone (New York if it has none).",
  ],
  [
    'billing_period',
    'at most 50 messages a billing period (every month from 2024-01-31 15:00 in New York).',
    'at most 50 messages a billing period (every month from 2024-01-31 15:00 in New York, unless an account has its own).',
  ],
])('a period of a %s, by the clock of the workspace or of the account', (period, ofUser, ofAccount) => {
  expect(words({ period })).toBe(`Each user, ${ofUser}`);
  expect(words({ period, per: ['account'] })).toBe(`Each account, ${ofAccount}`);
  // Of one account alone.
  expect(words({ period, per: ['account'], where: { account: 'acme' } })).toBe(
    `The account acme, ${ofAccount.replace("each account's", "the account's").replace('an account', 'the account')}`,
  );
});

test.each<[Partial<DescribedCalendar>, DescribedLimit['period'], string]>([
  [{ week_start: 'monday' }, 'week', 'a week, Monday to Sunday in New York.'],
  [{ week_start: 'saturday' }, 'week', 'a week, Saturday to Friday in New York.'],
  [{ billing_months: 3 }, 'billing_period', '(every 3 months from 2024-01-31 15:00 in New York).'],
  [{ billing_anchor: '2024-02-01T00:00:30' }, 'billing_period', '(every month from 2024-02-01 00:00:30 in New York).'],
  [{ timezone: 'UTC' }, 'day', 'midnight to midnight in UTC.'],
  [{ timezone: 'Etc/UTC' }, 'day', 'midnight to midnight in UTC.'],
  [{ timezone: 'America/Argentina/Buenos_Aires' }, 'day', 'midnight to midnight in Buenos Aires.'],
  [{ timezone: 'America/Port-au-Prince' }, 'day', 'midnight to midnight in Port-au-Prince.'],
  // Cut short, these would say something else.
  [{ timezone: 'Etc/GMT+5' }, 'day', 'midnight to midnight in Etc/GMT+5.'],
  [{ timezone: 'US/Pacific' }, 'day', 'midnight to midnight in US/Pacific.'],
  [{ timezone: 'EST5EDT' }, 'day', 'midnight to midnight in EST5EDT.'],
])('with %j a limit by %s ends: %s', (calendar, period, end) => {
  expect(words({ period }, calendar).slice(-end.length)).toBe(end);
});

test.each<[DescribedLimit['per'], string]>([
  [[], `All messages together, ${DAY}`],
  [['user'], `Each user, ${DAY}`],
  [['topic'], `Each topic, ${DAY}`],
  [['channel'], `Each channel, ${DAY}`],
  [['user', 'topic'], `Each user, for each topic, ${DAY}`],
  [['topic', 'user'], `Each user, for each topic, ${DAY}`],
  [['user', 'channel'], `Each user, for each channel, ${DAY}`],
  [['topic', 'channel'], `Each topic on each channel, ${DAY}`],
  [['user', 'topic', 'channel'], `Each user, for each topic on each channel, ${DAY}`],
  [['account'], `Each account, ${ACCOUNT_DAY}`],
  [['account', 'user'], `Each user in each account, ${ACCOUNT_DAY}`],
  [['account', 'topic'], `Each account, for each topic, ${ACCOUNT_DAY}`],
  [['account', 'channel'], `Each account, for each channel, ${ACCOUNT_DAY}`],
  [['account', 'user', 'topic'], `Each user in each account, for each topic, ${ACCOUNT_DAY}`],
  [['account', 'user', 'channel'], `Each user in each account, for each channel, ${ACCOUNT_DAY}`],
  [['account', 'topic', 'channel'], `Each account, for each topic on each channel, ${ACCOUNT_DAY}`],
  [
    ['account', 'user', 'topic', 'channel'],
    `Each user in each account, for each topic on each channel, ${ACCOUNT_DAY}`,
  ],
])('per %j: %s', (per, expected) => {
  expect(words({ per })).toBe(expected);
});

test.each<[DescribedLimit['per'], DescribedLimit['where'], string]>([
  [['user'], { user: 'ann' }, `The user ann, ${DAY}`],
  [['user', 'topic'], { user: 'ann' }, `The user ann, for each topic, ${DAY}`],
  [['user', 'topic'], { topic: 'news' }, `Each user, for the topic news, ${DAY}`],
  [['topic', 'channel'], { channel: 'sms' }, `Each topic on the channel sms, ${DAY}`],
  [['account', 'user'], { user: 'ann' }, `The user ann in each account, ${ACCOUNT_DAY}`],
  [
    ['account', 'user'],
    { user: 'ann', account: 'acme' },
    `The user ann in the account acme, ${ACCOUNT_DAY.replace("each account's", "the account's")}`,
  ],
])('per %j with its own value %j: %s', (per, where, expected) => {
  expect(words({ per, where })).toBe(expected);
});

test('a limit for some messages only says which, and that its counter is not theirs alone', () => {
  expect(words({ where: { topic: 'marketing' }, max: 10 })).toBe(
    'Each user, at most 10 messages a day, midnight to midnight in New York. It applies only to messages about the topic marketing, but whatever else is counted for the same user that day takes up its room too.',
  );
  expect(words({ per: [], period: 'billing_period', where: { channel: 'sms', account: 'acme', user: 'ann' } })).toBe(
    'All messages together, at most 50 messages a billing period (every month from 2024-01-31 15:00 in New York). It applies only to messages to the user ann, for the account acme and on the channel sms, but whatever else is counted that billing period takes up its room too.',
  );
  expect(words({ per: ['user', 'topic'], period: 'hour', where: { account: 'acme', topic: 'news' } })).toBe(
    'Each user, for the topic news, at most 50 messages an hour, starting on the hour in New York. It applies only to messages for the account acme, but whatever else is counted for the same user and topic that hour takes up its room too.',
  );
  // What blocks, or lifts, has no room that others could take.
  expect(words({ where: { topic: 'marketing' }, max: 0 })).toBe(
    'Each user, no messages at all. It applies only to messages about the topic marketing.',
  );
  expect(words({ where: { topic: 'login' }, max: null })).toBe(
    'Each user, any number of messages a day, midnight to midnight in New York. They are still counted. It applies only to messages about the topic login.',
  );
});

test.each<[number | null, string]>([
  [0, 'Each user, no messages at all.'],
  [1, 'Each user, at most 1 message a day, midnight to midnight in New York.'],
  [2, 'Each user, at most 2 messages a day, midnight to midnight in New York.'],
  [1_000_000_000_000, 'Each user, at most 1,000,000,000,000 messages a day, midnight to midnight in New York.'],
  [null, 'Each user, any number of messages a day, midnight to midnight in New York. They are still counted.'],
])('a max of %p: %s', (max, expected) => {
  expect(words({ max })).toBe(expected);
});

test('all messages are blocked in four words', () => {
  for (const period of PERIODS) expect(words({ per: [], max: 0, period })).toBe('No messages at all.');
});

test('a shadow limit says that it stops nothing, and not what it would do', () => {
  const expected = `Each user, ${DAY} It only watches, and never stops a message.`;
  expect(words({ mode: 'shadow' })).toBe(expected);
  expect(words({ mode: 'shadow', on_exceeded: 'defer' })).toBe(expected);
});

test('a limit that defers says that messages wait, unless there is never room or always', () => {
  expect(words({ on_exceeded: 'defer' })).toBe(
    `Each user, ${DAY} A handed-over message waits until there is room, instead of being throttled.`,
  );
  for (const max of [0, null]) expect(words({ on_exceeded: 'defer', max })).toBe(words({ max }));
});

test.each<[string | null, string | null, string]>([
  ['2026-01-01T00:00:00.000Z', null, 'In force from 2026-01-01 00:00 UTC.'],
  [null, '2026-02-01T09:30:00.000Z', 'In force until 2026-02-01 09:30 UTC.'],
  [
    '2026-01-01T00:00:00.000Z',
    '2026-02-01T00:00:15.000Z',
    'In force from 2026-01-01 00:00 UTC until 2026-02-01 00:00:15 UTC.',
  ],
  ['2026-01-01T00:00:00.250Z', null, 'In force from 2026-01-01 00:00:00.250 UTC.'],
])('from %s until %s: %s', (from, until, expected) => {
  expect(words({ from, until })).toBe(`Each user, ${DAY} ${expected}`);
});

test('everything at once is said in this order', () => {
  expect(
    words({
      ...{ per: ['account', 'user'], period: 'week', max: 1_500, where: { account: 'acme', topic: 'news' } },
      ...{ mode: 'enforce', on_exceeded: 'defer', from: '2026-12-01T00:00:00.000Z', until: '2027-01-01T00:00:00.000Z' },
    }),
  ).toBe(
    [
      "Each user in the account acme, at most 1,500 messages a week, Sunday to Saturday in the account's time zone (New York if it has none).",
      'It applies only to messages about the topic news, but whatever else is counted for the same account and user that week takes up its room too.',
      'In force from 2026-12-01 00:00 UTC until 2027-01-01 00:00 UTC.',
      'A handed-over message waits until there is room, instead of being throttled.',
    ].join(' '),
  );
});
