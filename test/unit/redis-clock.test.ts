import fc from 'fast-check';
import { createRedisClock } from '../../src/store/clock';

test("after the first answer it is never ahead of Redis, and behind by no more than the fastest answer's way back", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -3_600_000, max: 3_600_000 }),
      fc.array(fc.record({ idle: fc.nat(5_000), out: fc.nat(300), back: fc.nat(300) }), {
        minLength: 1,
        maxLength: 30,
      }),
      (skewMs, answers) => {
        let trueMs = 1_800_000_000_000;
        const clock = createRedisClock(
          () => trueMs - 1_700_000_000_000,
          () => trueMs + skewMs,
        );
        let fastestBackMs = Number.POSITIVE_INFINITY;
        for (const { idle, out, back } of answers) {
          trueMs += idle;
          const sentMs = clock.monotonicMs();
          trueMs += out;
          const redisMs = trueMs;
          trueMs += back;
          clock.observe(redisMs, sentMs);
          fastestBackMs = Math.min(fastestBackMs, back);
          expect(clock.nowMs()).toBeLessThanOrEqual(trueMs);
          expect(clock.nowMs()).toBeGreaterThanOrEqual(trueMs - fastestBackMs);
        }
      },
    ),
  );
});

test('it follows a Redis whose clock was set, forwards and back', () => {
  let monotonicMs = 0;
  const clock = createRedisClock(
    () => monotonicMs,
    () => 0,
  );
  for (const redisMs of [1_000_000, 9_000_000, 500_000]) {
    const sentMs = clock.monotonicMs();
    monotonicMs += 2;
    clock.observe(redisMs, sentMs);
    expect(Math.abs(clock.nowMs() - redisMs)).toBeLessThanOrEqual(2);
  }
});
