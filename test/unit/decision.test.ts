import { decide, type LimitView, type Verdict } from '../../src/limits/decision';

const view = (overrides: Partial<LimitView> = {}): LimitView => ({
  id: 'user-daily',
  per: ['user'],
  period: 'day',
  max: 50,
  startMs: Date.UTC(2026, 2, 7, 5),
  endMs: Date.UTC(2026, 2, 8, 5),
  mode: 'enforce',
  ...overrides,
});
const verdict = (overrides: Partial<Verdict>): Verdict => ({
  kind: 'accepted',
  messageId: 'm-81',
  replayed: false,
  degraded: false,
  cost: 1,
  counted: true,
  limits: [],
  ...overrides,
});

test('a throttled verdict is worded as the contract shows it', () => {
  const decision = decide(verdict({ kind: 'throttled', counted: false, limits: [{ limit: view(), used: 50 }] }));
  expect(decision).toEqual({
    allowed: false,
    decision: 'throttled',
    message_id: 'm-81',
    replayed: false,
    degraded: false,
    limits: [
      {
        limit_id: 'user-daily',
        per: ['user'],
        period: 'day',
        max: 50,
        used: 50,
        remaining: 0,
        window_start: '2026-03-07T05:00:00.000Z',
        resets_at: '2026-03-08T05:00:00.000Z',
        mode: 'enforce',
        exceeded: true,
      },
    ],
    throttled_by: ['user-daily'],
    retry_at: '2026-03-08T05:00:00.000Z',
  });
});

test('retry_at is the latest reset among the exceeded limits, not of those that had room or only watch', () => {
  const { throttled_by, retry_at } = decide(
    verdict({
      kind: 'throttled',
      counted: false,
      limits: [
        { limit: view({ id: 'hour', endMs: Date.UTC(2026, 2, 7, 6) }), used: 50 },
        { limit: view({ id: 'day' }), used: 50 },
        { limit: view({ id: 'roomy', endMs: Date.UTC(2026, 3, 1) }), used: 49 },
        { limit: view({ id: 'shadow', mode: 'shadow', endMs: Date.UTC(2026, 5, 1) }), used: 99 },
      ],
    }),
  );
  expect(throttled_by).toEqual(['hour', 'day']);
  expect(retry_at).toBe('2026-03-08T05:00:00.000Z');
});

test('retry_at is null when the cost is larger than an exceeded max, and only then', () => {
  const limits = [
    { limit: view({ id: 'small', max: 3 }), used: 0 },
    { limit: view({ id: 'large' }), used: 50 },
  ];
  expect(decide(verdict({ kind: 'throttled', counted: false, cost: 4, limits })).retry_at).toBeNull();
  const roomy = [{ limit: view({ id: 'shadow', max: 3, mode: 'shadow' }), used: 0 }, limits[1]!];
  expect(decide(verdict({ kind: 'throttled', counted: false, cost: 4, limits: roomy })).retry_at).not.toBeNull();
});

test('an accepted verdict exceeds nothing at max, and a lifted limit has nothing that remains', () => {
  const decision = decide(
    verdict({
      limits: [
        { limit: view(), used: 50 },
        { limit: view({ id: 'lifted', max: null }), used: 70 },
      ],
    }),
  );
  expect(decision.limits.map(({ exceeded, remaining }) => [exceeded, remaining])).toEqual([
    [false, 0],
    [false, null],
  ]);
});

test('what counted above max without being throttled (shadow, exempt) is exceeded, with nothing below zero', () => {
  const decision = decide(verdict({ limits: [{ limit: view({ mode: 'shadow' }), used: 53 }] }));
  expect(decision).toMatchObject({ allowed: true, throttled_by: [], retry_at: null });
  expect(decision.limits[0]).toMatchObject({ exceeded: true, remaining: 0 });
});
