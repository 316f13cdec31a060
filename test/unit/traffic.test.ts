import type { Message } from '../../src/limits/limit';
import {
  createTrafficTally,
  DISTINCT_MAX,
  noCounts,
  TEN_MINUTES_MAX,
  type TrafficTally,
} from '../../src/traffic/tally';
import { messageTo } from '../support/gate';

const START_MS = Date.UTC(2026, 0, 1, 12);
const MINUTE_MS = 60_000;

let nowMs: number;
let tally: TrafficTally;
beforeEach(() => {
  nowMs = START_MS;
  tally = createTrafficTally(() => nowMs);
});

const decision = (kind: 'accepted' | 'throttled' | 'filtered', throttledBy: string[] = [], replayed = false) => ({
  ...{ decision: kind, throttled_by: throttledBy, replayed },
});
const check = (message: Message = messageTo('ann'), dry = false) => ({ message, dry });
const throttle = (user: string) => tally.checkDecided(decision('throttled', ['daily']), check(messageTo(user)));

/** All counts that were taken, whenever they were. */
function totals() {
  const sums = noCounts();
  for (const { minutes } of tally.take()) {
    for (const counts of minutes.values()) {
      for (const [outcome, count] of Object.entries(counts)) sums[outcome as keyof typeof sums] += count;
    }
  }
  return sums;
}

test('a decision counts once, as what it is; one without Redis as degraded besides', () => {
  tally.checkDecided(decision('accepted'), check());
  tally.checkDecided(decision('filtered'), check());
  tally.checkDecided(decision('throttled', ['daily']), check());
  tally.checkDegraded(check());
  tally.checkDecided(decision('accepted'), check());
  // Denied: it was not decided.
  tally.checkDegraded(check());
  expect(totals()).toEqual({ accepted: 2, throttled: 1, filtered: 1, failed: 0, degraded: 2 });
});

test('dry runs and verdicts that are given again are not counted', () => {
  for (const kind of ['accepted', 'throttled', 'filtered'] as const) {
    tally.checkDecided(decision(kind, ['daily']), check(messageTo('ann'), true));
  }
  tally.checkDecided(decision('accepted', [], true), check());
  tally.checkDegraded(check(messageTo('ann'), true));
  expect(tally.take()).toEqual([]);
});

test('a send counts once it is decided, and again when it fails; one that waits, was known or conflicts does not', () => {
  for (const kind of ['held', 'delayed', 'known', 'conflict', 'over', 'behind', 'unavailable']) {
    tally.sendDecided(kind, messageTo('ann'), []);
  }
  expect(tally.take()).toEqual([]);
  for (const kind of ['accepted', 'throttled', 'filtered']) tally.sendDecided(kind, messageTo('ann'), ['daily']);
  tally.sendFailed();
  expect(totals()).toEqual({ accepted: 1, throttled: 1, filtered: 1, failed: 1, degraded: 0 });
});

test('a throttled message counts for its user, account and topic, and for each limit that stopped it', () => {
  const message = messageTo('ann', { account: 'acme', topic: 'news' });
  tally.checkDecided(decision('throttled', ['daily', 'hourly']), check(message));
  tally.sendDecided('throttled', messageTo('ann', { topic: '__proto__' }), ['daily']);
  tally.checkDecided(decision('throttled', ['all']), check(messageTo(null)));
  tally.checkDecided(decision('accepted'), check(message));
  const [{ throttled }] = tally.take() as [ReturnType<TrafficTally['take']>[number]];
  expect(Object.fromEntries(Object.entries(throttled).map(([kind, counts]) => [kind, [...counts]]))).toEqual({
    users: [['ann', 2]],
    accounts: [['acme', 1]],
    topics: [
      ['news', 1],
      ['__proto__', 1],
    ],
    limits: [
      ['daily', 2],
      ['hourly', 1],
      ['all', 1],
    ],
  });
});

test('what is counted belongs to the minute it happened in, also when the clock goes back, and is taken once', () => {
  for (const atMs of [0, MINUTE_MS - 1, MINUTE_MS, 11 * MINUTE_MS, 30_000, 11 * MINUTE_MS]) {
    nowMs = START_MS + atMs;
    tally.checkDecided(decision('accepted'), check());
  }
  const taken = tally.take().map(({ startMs, minutes }) => ({
    startMs: startMs - START_MS,
    minutes: [...minutes].map(([minuteMs, { accepted }]) => [minuteMs - START_MS, accepted]),
  }));
  expect(taken).toEqual([
    {
      startMs: 0,
      minutes: [
        [0, 3],
        [MINUTE_MS, 1],
      ],
    },
    { startMs: 10 * MINUTE_MS, minutes: [[11 * MINUTE_MS, 2]] },
  ]);
  expect(tally.take()).toEqual([]);
  // In the minute that was counted in last.
  tally.checkDecided(decision('accepted'), check());
  expect(totals().accepted).toBe(1);
});

test('no more than so many users are told apart until they are taken, however long that is; all are counted', () => {
  const users = Array.from({ length: DISTINCT_MAX + 50 }, (_, index) => `user-${index}`);
  for (const [index, user] of users.entries()) {
    nowMs = START_MS + (index > DISTINCT_MAX / 2 ? 20 * MINUTE_MS : 0);
    throttle(user);
    throttle(user);
  }
  const taken = tally.take();
  const told = taken.flatMap(({ throttled }) => [...throttled.users]);
  expect(told).toHaveLength(DISTINCT_MAX);
  expect(told.every(([, count]) => count === 2)).toBe(true);
  const counted = taken.flatMap(({ minutes }) => [...minutes.values()].map(({ throttled }) => throttled));
  expect(counted.reduce((sum, count) => sum + count)).toBe(2 * users.length);
  // Then there is room again.
  throttle('zoe');
  expect([...tally.take()[0]!.throttled.users]).toEqual([['zoe', 1]]);
});

test('after a day the oldest minutes are forgotten, with the room that their users took', () => {
  for (let index = 0; index < DISTINCT_MAX; index += 1) throttle(`user-${index}`);
  for (let ten = 1; ten <= TEN_MINUTES_MAX; ten += 1) {
    nowMs = START_MS + ten * 10 * MINUTE_MS;
    throttle('zoe');
  }
  const taken = tally.take();
  expect(taken).toHaveLength(TEN_MINUTES_MAX);
  expect(taken[0]!.startMs).toBe(START_MS + 10 * MINUTE_MS);
  // The first came while there was no room.
  expect(taken.filter(({ throttled }) => throttled.users.has('zoe')).length).toBeGreaterThanOrEqual(1);
});
