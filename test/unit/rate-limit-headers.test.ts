import { rateLimitHeaders } from '../../src/http/rate-limit-headers';
import { type Decision, decide, type LimitView } from '../../src/limits/decision';

const DAY_START_MS = Date.UTC(2026, 2, 7, 5);
const DAY_END_MS = Date.UTC(2026, 2, 8, 5);
const NOON_MS = Date.UTC(2026, 2, 7, 12);

function limit(id: string, rest: Partial<LimitView> = {}): LimitView {
  return {
    id,
    per: ['user'],
    period: 'day',
    max: 50,
    startMs: DAY_START_MS,
    endMs: DAY_END_MS,
    mode: 'enforce',
    ...rest,
  };
}

function decision(kind: Decision['decision'], limits: { limit: LimitView; used: number }[], cost = 1): Decision {
  const counted = kind === 'accepted';
  return decide({ kind, messageId: null, replayed: false, degraded: false, cost, counted, limits });
}

test('each enforced limit is a member of both lists, in whole seconds', () => {
  const monthly = limit('account.monthly-2', {
    period: 'month',
    max: 1_000_000_000_000,
    startMs: Date.UTC(2026, 2, 1),
    endMs: Date.UTC(2026, 3, 1),
  });
  const headers = rateLimitHeaders(
    decision('accepted', [
      { limit: limit('user-daily'), used: 20 },
      { limit: monthly, used: 7 },
    ]),
    NOON_MS,
  );
  expect(headers).toEqual({
    'ratelimit-policy': '"user-daily";q=50;w=86400, "account.monthly-2";q=1000000000000;w=2678400',
    ratelimit: '"user-daily";r=30;t=61200, "account.monthly-2";r=999999999993;t=2116800',
  });
});

test('limits that do not stop anything are left out, and with them the headers', () => {
  const limits = [
    { limit: limit('shadow', { mode: 'shadow' }), used: 1 },
    { limit: limit('lifted', { max: null }), used: 1 },
  ];
  expect(rateLimitHeaders(decision('accepted', limits), NOON_MS)).toEqual({});
  expect(rateLimitHeaders(decision('filtered', []), NOON_MS)).toEqual({});
});

test('times are rounded up, so that nobody comes back too early', () => {
  const throttled = decision('throttled', [{ limit: limit('user-daily'), used: 50 }]);
  const at = (nowMs: number) => {
    const { ratelimit, 'retry-after': retryAfter } = rateLimitHeaders(throttled, nowMs);
    return [ratelimit, retryAfter];
  };
  expect(at(DAY_END_MS - 5_411_001)).toEqual(['"user-daily";r=0;t=5412', '5412']);
  expect(at(DAY_END_MS - 5_412_000)).toEqual(['"user-daily";r=0;t=5412', '5412']);
  expect(at(DAY_END_MS - 1)).toEqual(['"user-daily";r=0;t=1', '1']);
  // The answer may be written just after the window's end: a retry may come at once, but 0 would be no time at all.
  expect(at(DAY_END_MS + 5)).toEqual(['"user-daily";r=0;t=0', '1']);
});

test('a retry waits for the last of the limits that stopped the message, not for the others', () => {
  const hourly = limit('hourly', { period: 'hour', startMs: NOON_MS, endMs: NOON_MS + 3_600_000 });
  const throttled = decision('throttled', [
    { limit: hourly, used: 50 },
    { limit: limit('user-daily'), used: 50 },
    { limit: limit('free', { endMs: DAY_END_MS + 86_400_000 }), used: 1 },
  ]);
  expect(rateLimitHeaders(throttled, NOON_MS)['retry-after']).toBe('61200');
});

test('what can never fit has no Retry-After', () => {
  const throttled = decision('throttled', [{ limit: limit('user-daily'), used: 0 }], 51);
  expect(throttled.retry_at).toBeNull();
  expect(rateLimitHeaders(throttled, NOON_MS)).toEqual({
    'ratelimit-policy': '"user-daily";q=50;w=86400',
    ratelimit: '"user-daily";r=50;t=61200',
  });
});

test('a window that a clock change made shorter says its true length', () => {
  const short = limit('user-daily', { startMs: DAY_END_MS, endMs: DAY_END_MS + 23 * 3_600_000 });
  const headers = rateLimitHeaders(decision('accepted', [{ limit: short, used: 1 }]), DAY_END_MS);
  expect(headers['ratelimit-policy']).toBe('"user-daily";q=50;w=82800');
});
