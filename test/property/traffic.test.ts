import fc from 'fast-check';
import { bucketStartMs, bucketStarts, countName, expireAtMs, LEVELS, pointsOf, RANGES } from '../../src/traffic/ranges';
import { createTrafficTally, OUTCOMES, type TenMinutes, TOP_KINDS } from '../../src/traffic/tally';

const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2026, 0, 1);
const SPAN_MS: Record<(typeof RANGES)[number], number> = { hour: 3_600_000, day: 86_400_000, week: 7 * 86_400_000 };

const someId = fc.constantFrom('a', 'b', 'constructor', '🙂');
const someMessage = fc.record({
  ...{ user: fc.option(someId), account: fc.option(someId), topic: fc.option(someId), channel: fc.constant(null) },
});
const someIds = fc.subarray(['daily', 'hourly', 'toString']);
const someStep = fc.oneof(
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: -MINUTE_MS, max: 15 * MINUTE_MS }) }),
  fc.record({ kind: fc.constant('take' as const) }),
  fc.record({ kind: fc.constant('failed' as const) }),
  fc.record({ kind: fc.constant('degraded' as const), dry: fc.boolean() }),
  fc.record({
    kind: fc.constant('check' as const),
    decision: fc.constantFrom('accepted' as const, 'throttled' as const, 'filtered' as const),
    ...{ replayed: fc.boolean(), dry: fc.boolean(), message: someMessage, throttledBy: someIds },
  }),
  fc.record({
    kind: fc.constant('send' as const),
    decision: fc.constantFrom('accepted', 'throttled', 'filtered', 'held', 'delayed', 'known'),
    ...{ message: someMessage, throttledBy: someIds },
  }),
);

/** Adds one under a name. */
function add(sums: Map<string, number>, ...name: (string | number)[]): void {
  sums.set(name.join('/'), (sums.get(name.join('/')) ?? 0) + 1);
}

/** Everything that was taken, in the names of the model. */
function namesOf(taken: readonly TenMinutes[], sums: Map<string, number>): void {
  for (const { startMs, minutes, throttled } of taken) {
    for (const [minuteMs, counts] of minutes) {
      for (const outcome of OUTCOMES) {
        for (let count = 0; count < counts[outcome]; count += 1) add(sums, minuteMs, outcome);
      }
    }
    for (const kind of TOP_KINDS) {
      for (const [id, times] of throttled[kind]) {
        for (let count = 0; count < times; count += 1) add(sums, startMs, kind, id);
      }
    }
  }
}

test('the tally counts what a plain list of what happened counts, however often it is taken', () => {
  fc.assert(
    fc.property(fc.array(someStep, { maxLength: 80 }), (steps) => {
      let nowMs = START_MS;
      const tally = createTrafficTally(() => nowMs);
      const expected = new Map<string, number>();
      const found = new Map<string, number>();
      const floor = (ms: number) => Math.floor(nowMs / ms) * ms;
      const happens = (outcome: string) => add(expected, floor(MINUTE_MS), outcome);
      for (const step of steps) {
        if (step.kind === 'wait') nowMs += step.ms;
        if (step.kind === 'take') namesOf(tally.take(), found);
        if (step.kind === 'failed') {
          tally.sendFailed();
          happens('failed');
        }
        if (step.kind === 'degraded') {
          tally.checkDegraded(step);
          if (!step.dry) happens('degraded');
        }
        if (step.kind !== 'check' && step.kind !== 'send') continue;
        const { decision, message, throttledBy } = step;
        if (step.kind === 'send') tally.sendDecided(decision, message, throttledBy);
        else {
          const { replayed } = step;
          tally.checkDecided({ decision: step.decision, replayed, throttled_by: throttledBy }, step);
          if (replayed || step.dry) continue;
        }
        if (!['accepted', 'throttled', 'filtered'].includes(decision)) continue;
        happens(decision);
        if (decision !== 'throttled') continue;
        const named = { users: [message.user], accounts: [message.account], topics: [message.topic] };
        for (const [kind, ids] of Object.entries({ ...named, limits: throttledBy })) {
          for (const id of ids) if (id !== null) add(expected, floor(10 * MINUTE_MS), kind, id);
        }
      }
      namesOf(tally.take(), found);
      expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
    }),
    { numRuns: 500 },
  );
});

test('a range begins with a bucket, takes all of its time and less than a bucket more, and its points have no gaps', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...RANGES),
      fc.integer({ min: Date.UTC(2000), max: Date.UTC(2100) }),
      fc.nat(),
      (range, nowMs, agoMs) => {
        const level = LEVELS[range];
        const starts = bucketStarts(level, nowMs);
        expect(starts).toHaveLength(level.buckets);
        for (const [index, startMs] of starts.entries()) {
          expect(startMs % level.bucketMs).toBe(0);
          expect(startMs).toBe(starts[0]! + index * level.bucketMs);
          // What is shown is still there.
          expect(expireAtMs(level, startMs)).toBeGreaterThan(nowMs + level.bucketMs - 1);
        }
        const takesMs = nowMs - starts[0]!;
        expect(takesMs).toBeGreaterThanOrEqual(SPAN_MS[range]);
        expect(takesMs).toBeLessThan(SPAN_MS[range] + level.bucketMs);

        // One message, at some moment of the range.
        const atMs = nowMs - (agoMs % (takesMs + 1));
        const minuteMs = Math.floor(atMs / MINUTE_MS) * MINUTE_MS;
        const bucketMs = bucketStartMs(level, atMs);
        const held = { [countName(level, bucketMs, minuteMs, 'failed')]: '1' };
        const points = pointsOf(
          level,
          new Map(starts.map((startMs) => [startMs, startMs === bucketMs ? held : {}])),
          nowMs,
        );
        expect(points[0]!.startMs).toBe(starts[0]);
        for (const [index, { startMs }] of points.entries()) expect(startMs).toBe(starts[0]! + index * level.stepMs);
        expect(points.at(-1)!.startMs).toBeLessThanOrEqual(nowMs);
        expect(points.at(-1)!.startMs + level.stepMs).toBeGreaterThan(nowMs);
        const hit = points.filter(({ counts }) => counts.failed === 1);
        expect(hit.map(({ startMs }) => startMs)).toEqual([Math.floor(atMs / level.stepMs) * level.stepMs]);
      },
    ),
  );
});
