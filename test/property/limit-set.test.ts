import fc from 'fast-check';
import { DIMENSIONS, type Dimension, isTemporary, type Limit, type Message, PERIODS } from '../../src/limits/limit';
import { createLimitSet } from '../../src/limits/limit-set';
import { limitOf } from '../support/gate';

const someId = fc.constantFrom('a', 'b');
const someMessage: fc.Arbitrary<Message> = fc.record({
  user: fc.option(someId),
  account: fc.option(someId),
  topic: fc.option(someId),
  channel: fc.option(someId),
});
const instantMs = fc.integer({ min: 0, max: 9 }).map((step) => Date.UTC(2026, 0, 1) + step * 1_000);
const someLimit: fc.Arbitrary<Limit> = fc
  .record({
    id: fc.integer({ min: 0, max: 30 }).map((number) => `l${number}`),
    per: fc.subarray<Dimension>(['user', 'topic']),
    period: fc.constantFrom(...PERIODS.slice(0, 2)),
    mode: fc.constantFrom<Limit['mode']>('enforce', 'shadow'),
    where: fc.option(
      fc
        .record({ user: someId, account: someId, topic: someId, channel: someId }, { requiredKeys: [] })
        .filter((where) => Object.keys(where).length > 0),
    ),
    from: fc.option(instantMs),
    until: fc.option(instantMs),
  })
  .filter(({ from, until }) => from === null || until === null || from < until)
  .map(({ from, until, ...limit }) =>
    limitOf({
      ...limit,
      max: 1,
      from: from === null ? null : new Date(from).toISOString(),
      until: until === null ? null : new Date(until).toISOString(),
    }),
  );

/** Rule 3 of the semantics, read aloud: slow, and without any index. */
function plainSelect(limits: readonly Limit[], message: Message, atMs: number): Set<string> {
  const matches = limits.filter(
    (limit) =>
      limit.per.every((dimension) => message[dimension] !== null) &&
      Object.entries(limit.where ?? {}).every(([dimension, value]) => message[dimension as Dimension] === value) &&
      (limit.from === null || Date.parse(limit.from) <= atMs) &&
      (limit.until === null || atMs < Date.parse(limit.until)),
  );
  const groups = new Map<string, Limit[]>();
  for (const limit of matches) {
    const group = JSON.stringify([[...limit.per].sort(), limit.period, limit.mode]);
    groups.set(group, [...(groups.get(group) ?? []), limit]);
  }
  const stronger = (a: Limit, b: Limit): number => {
    for (const dimension of DIMENSIONS) {
      const [namedByA, namedByB] = [a, b].map((limit) => limit.where?.[dimension] !== undefined);
      if (namedByA !== namedByB) return namedByA ? -1 : 1;
    }
    return Number(isTemporary(b)) - Number(isTemporary(a));
  };
  return new Set([...groups.values()].map((group) => group.sort(stronger)[0]!.id));
}

/** A set that holds only limits that may stand beside each other, and those limits. */
function fill(candidates: readonly Limit[]) {
  const set = createLimitSet();
  const kept = new Map<string, Limit>();
  for (const limit of candidates) {
    if (set.conflict(limit) !== null) continue;
    set.put(limit);
    kept.set(limit.id, limit);
  }
  return { set, limits: [...kept.values()] };
}

test('the index selects what the rules say, also after limits were replaced and removed', () => {
  fc.assert(
    fc.property(
      fc.array(someLimit, { maxLength: 40 }),
      fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 10 }),
      fc.array(fc.tuple(someMessage, instantMs), { minLength: 1, maxLength: 10 }),
      (candidates, removed, questions) => {
        const { set, limits } = fill(candidates);
        const gone = new Set(removed.map((number) => `l${number}`));
        for (const id of gone) set.remove(id);
        const left = limits.filter(({ id }) => !gone.has(id));
        expect(set.size).toBe(left.length);
        for (const [message, atMs] of questions) {
          expect(new Set(set.select(message, atMs).limits.map(({ id }) => id))).toEqual(
            plainSelect(left, message, atMs),
          );
        }
      },
    ),
    { numRuns: 400 },
  );
});

test('a selection stays the same for as long as it says, and no longer than its limits allow', () => {
  fc.assert(
    fc.property(
      fc.array(someLimit, { maxLength: 30 }),
      someMessage,
      instantMs,
      instantMs,
      (candidates, message, atMs, otherMs) => {
        const { set } = fill(candidates);
        const selection = set.select(message, atMs);
        expect(selection.fromMs).toBeLessThanOrEqual(atMs);
        expect(selection.toMs).toBeGreaterThan(atMs);
        if (otherMs >= selection.fromMs && otherMs < selection.toMs) {
          expect(set.select(message, otherMs).limits).toEqual(selection.limits);
        }
      },
    ),
    { numRuns: 400 },
  );
});

test('at most one enforced and one shadow limit of each per and period apply', () => {
  fc.assert(
    fc.property(fc.array(someLimit, { maxLength: 40 }), someMessage, instantMs, (candidates, message, atMs) => {
      const groups = fill(candidates)
        .set.select(message, atMs)
        .limits.map(({ per, period, mode }) => `${[...per].sort()} ${period} ${mode}`);
      expect(new Set(groups).size).toBe(groups.length);
    }),
  );
});

test('two lasting limits, or two overlapping temporary ones, with the same where conflict; touching ones do not', () => {
  const set = createLimitSet();
  const base = { per: ['user', 'topic'] as Dimension[], period: 'day' as const, max: 1 };
  const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
  set.put(limitOf({ id: 'lasting', ...base }));
  set.put(limitOf({ id: 'temporary', ...base, from: at(10), until: at(20) }));
  const conflict = (limit: Partial<Limit>) => set.conflict(limitOf({ id: 'new', ...base, ...limit }))?.id ?? null;
  expect(conflict({})).toBe('lasting');
  expect(conflict({ id: 'lasting', max: 9 })).toBeNull();
  // The order in which dimensions are written means nothing.
  expect(conflict({ per: ['topic', 'user'] })).toBe('lasting');
  expect(conflict({ mode: 'shadow' })).toBeNull();
  expect(conflict({ where: { topic: 'x' } })).toBeNull();
  expect(conflict({ from: at(19), until: at(30) })).toBe('temporary');
  expect(conflict({ from: at(20) })).toBeNull();
  expect(conflict({ until: at(10) })).toBeNull();
  expect(conflict({ until: at(11) })).toBe('temporary');
});
