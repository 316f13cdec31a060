import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { createCalendarCache } from '../../src/limits/calendar';
import type { Dimension, Limit, Message, Period } from '../../src/limits/limit';
import { createLimitSet } from '../../src/limits/limit-set';
import { createPlanner } from '../../src/limits/plan';
import { createSimulator, type SimulatedOutcome } from '../../src/limits/simulate';
import { readPastEvents } from '../../src/log/replay';
import { trimLogs } from '../../src/log/trim';
import { createWhatIfs, type WhatIf } from '../../src/log/what-if';
import { limitOf, messageTo } from '../support/gate';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';
import { openTestDelivery, startTestSends, type TestSends, until } from '../support/sends';

jest.setTimeout(120_000);

const ACTOR = { id: 'test', name: null };
const DAY_MS = 86_400_000;
const HOLD_MAX_MS = 7 * DAY_MS;

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function open(limits: readonly Limit[], log: 'all' | 'throttled' = 'all'): Promise<TestSends> {
  const t = await startTestSends({ url: sharedRedisUrl(), workspace: uniqueWorkspace() });
  opened.push(t.close);
  await t.settings({ log_checks: log });
  await t.limit(...limits);
  return t;
}

function whatIfsOf({ redis, scripts, keys, clock }: TestSends, most?: number) {
  return createWhatIfs({
    ...{
      redis,
      scripts,
      keys,
      nowMs: () => clock.nowMs(),
      monotonicMs: () => performance.now(),
      pause: nextTurn,
      most,
    },
    ...{ holdMaxMs: HOLD_MAX_MS, idempotencyTtlMs: DAY_MS },
  });
}

async function tryOut(t: TestSends, put: readonly Limit[], removed: string[] = [], most?: number): Promise<WhatIf> {
  await t.configuration.refresh();
  const { configuration } = t.configuration.planner()!;
  const tried = await whatIfsOf(t, most).try(configuration, { put, removed }, (nowMs) => nowMs - 7 * DAY_MS);
  if (tried.kind !== 'done') throw new Error(tried.kind);
  return tried.whatIf;
}

/** What somebody asks of Sendgate. `which` picks what was sent or checked before. */
type Step =
  | { what: 'check'; message: Message; cost: number; id: number | null }
  | { what: 'send'; message: Message }
  | { what: 'release' | 'cancel' | 'again' | 'fail' | 'fail-and-refund'; which: number }
  | { what: 'reset'; user: string; period: Period };

/** What a check or a send came to, as the simulator words it; null for one that somebody has canceled. */
type Fate = SimulatedOutcome | null;

/** Does it all for real, and says which steps did anything, and what became of each message. */
async function perform(t: TestSends, steps: readonly Step[], only: ReadonlySet<number> | null) {
  const done = new Set<number>();
  const sends: string[] = [];
  const fates: (() => Promise<Fate>)[] = [];
  for (const [index, step] of steps.entries()) {
    // What did nothing the first time is nothing that happened: the log does not have it.
    if (only !== null && !only.has(index)) continue;
    const id = 'which' in step ? sends[step.which % Math.max(1, sends.length)] : undefined;
    switch (step.what) {
      case 'check': {
        const { message, cost, id: number } = step;
        const messageId = number === null ? null : `c${number}`;
        const outcome = await t.gate.check({ message, cost, messageId, dry: false, atMs: null });
        const fate: Fate =
          outcome.kind !== 'decided'
            ? 'conflict'
            : outcome.decision.replayed
              ? 'replayed'
              : (outcome.decision.decision as Fate);
        fates.push(async () => fate);
        done.add(index);
        break;
      }
      case 'send': {
        const { user, account, topic } = step.message;
        const sent = await t.send({ user: user!, account }, { topic });
        sends.push(sent);
        fates.push(async () => fateOf(await t.status(sent)));
        done.add(index);
        break;
      }
      case 'release':
        if ((await t.gate.release(`c${step.which % 6}`)) === true) done.add(index);
        break;
      case 'cancel':
        if (id !== undefined && (await t.status(id)) !== 'CANCELED') {
          if ((await t.actions.cancel(id, ACTOR)).kind === 'done') done.add(index);
        }
        break;
      case 'again':
        if (id !== undefined && (await t.actions.retry(id, ACTOR)).kind === 'done') done.add(index);
        break;
      case 'fail':
      case 'fail-and-refund': {
        if (id === undefined) break;
        const { attempt } = (await t.message(id)).send!;
        const begun = await t.store.begin(id, attempt);
        if (begun === null) break;
        const refund = step.what === 'fail-and-refund';
        await t.store.finish(id, attempt, begun, { kind: 'failed', detail: {}, error: 'x', reason: 'FAILED', refund });
        done.add(index);
        break;
      }
      case 'reset':
        await t.gate.reset({ user: step.user }, step.period, ACTOR, 'api');
        done.add(index);
    }
    await settled(t);
    // Of what happens in the same millisecond as a reset nobody can tell whether it was before.
    if (step.what === 'reset') await nextMillisecond(t);
  }
  return { done, fates: await Promise.all(fates.map((fate) => fate())) };
}

function fateOf(status: string): Fate {
  if (status === 'CANCELED') return null;
  if (status === 'THROTTLED') return 'throttled';
  return status === 'DELAYED' ? 'held' : 'accepted';
}

/** Waits until who waits for room has been looked at, if there may be some. */
async function settled(t: TestSends): Promise<void> {
  const soon = 15_000;
  await until(async () => (await t.redis.zcount(t.keys.holds, '-inf', Date.now() + soon)) === 0);
}

async function nextMillisecond(t: TestSends): Promise<void> {
  const now = async () => {
    const [seconds, micros] = await t.redis.time();
    return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  };
  const before = await now();
  await until(async () => (await now()) > before);
}

/** What would have become of each message under limits, by what the log says. */
async function simulate(t: TestSends, limits: readonly Limit[]): Promise<{ fates: Fate[]; certain: boolean[] }> {
  await t.configuration.refresh();
  const { settings } = t.configuration.planner()!.configuration;
  const set = createLimitSet();
  for (const limit of limits) set.put(limit);
  const calendars = createCalendarCache(10);
  const { events, knownFromMs } = await readPastEvents(
    { redis: t.redis, scripts: t.scripts, keys: t.keys, most: 1_000, pause: nextTurn },
    0,
  );
  const fates = new Map<string, { fate: Fate; isCertain: boolean }>();
  const canceled = new Set<string>();
  const simulator = createSimulator({
    planner: createPlanner({ version: 1, limits: set, settings }, calendars.for.bind(calendars)),
    ...{ accountOf: () => undefined, names: t.keys, holdMaxMs: HOLD_MAX_MS, idempotencyTtlMs: DAY_MS, knownFromMs },
    decided: ({ ref, outcome, isCertain }) => fates.set(ref, { fate: outcome, isCertain }),
  });
  const order: string[] = [];
  for (const event of events) {
    if (event.kind === 'arrival' && !event.again) order.push(event.ref);
    if (event.kind === 'canceled') canceled.add(event.ref);
    for (const _ of simulator.take(event));
  }
  for (const _ of simulator.letGo(t.clock.nowMs()));
  return {
    fates: order.map((ref) => (canceled.has(ref) ? null : fates.get(ref)!.fate)),
    certain: order.map((ref) => fates.get(ref)!.isCertain),
  };
}

const someMessage: fc.Arbitrary<Message> = fc.record({
  user: fc.constantFrom('ann', 'bob'),
  account: fc.constantFrom(null, 'acme'),
  topic: fc.constantFrom(null, 'news'),
  channel: fc.constant(null),
});
/** Windows that do not end while a test runs. */
const somePeriod = fc.constantFrom<Period>('week', 'month', 'billing_period');
const someLimit = (defers: fc.Arbitrary<Limit['on_exceeded']>) =>
  fc
    .record({
      id: fc.integer({ min: 0, max: 99 }).map((number) => `l${number}`),
      per: fc.subarray<Dimension>(['user', 'account', 'topic'], { maxLength: 2 }),
      period: somePeriod,
      max: fc.option(fc.integer({ min: 0, max: 6 }), { freq: 8 }),
      mode: fc.constantFrom<Limit['mode']>('enforce', 'enforce', 'enforce', 'shadow'),
      on_exceeded: defers,
      where: fc.option(fc.constantFrom({ user: 'ann' }, { topic: 'news' }), { freq: 1 }),
    })
    .map(limitOf);
const someLimits = (defers: fc.Arbitrary<Limit['on_exceeded']>) =>
  fc.array(someLimit(defers), { minLength: 1, maxLength: 4, size: 'max' }).map((candidates) => {
    const set = createLimitSet();
    for (const limit of candidates) if (set.conflict(limit) === null) set.put(limit);
    return [...set.values()];
  });
const someStep = (reuses: boolean): fc.Arbitrary<Step> => {
  const which = fc.nat({ max: 99 });
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        ...{ what: fc.constant('check' as const), message: someMessage, cost: fc.integer({ min: 1, max: 2 }) },
        id: reuses ? fc.option(fc.nat({ max: 5 })) : fc.constant(null),
      }),
    },
    { weight: 6, arbitrary: fc.record({ what: fc.constant('send' as const), message: someMessage }) },
    {
      weight: 6,
      arbitrary: fc.record({
        what: fc.constantFrom<'release' | 'cancel' | 'again' | 'fail' | 'fail-and-refund'>(
          ...(['release', 'cancel', 'again', 'fail', 'fail-and-refund'] as const),
        ),
        which,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        what: fc.constant('reset' as const),
        user: fc.constantFrom('ann', 'bob'),
        period: somePeriod,
      }),
    },
  );
};
const someSteps = (reuses: boolean, most: number) =>
  fc.array(someStep(reuses), { minLength: 5, maxLength: most, size: 'max' });

/** Holds what was simulated against what really became of the same under each of two sets of limits. */
async function agrees(before: readonly Limit[], after: readonly Limit[], steps: readonly Step[]): Promise<void> {
  const first = await open(before);
  const holds = [...before, ...after].some(({ on_exceeded }) => on_exceeded === 'defer');
  if (holds) await holdFor(first);
  const really = await perform(first, steps, null);
  const now = await simulate(first, before);
  expect(now).toEqual({ fates: really.fates, certain: really.fates.map(() => true) });

  const second = await open(after);
  if (holds) await holdFor(second);
  const then = await perform(second, steps, really.done);
  const simulated = await simulate(first, after);
  const compared = (fates: readonly Fate[]) =>
    // What somebody has canceled in one may have come to anything before.
    fates.map((fate, index) => (really.fates[index] === null || then.fates[index] === null ? null : fate));
  expect(compared(simulated.fates)).toEqual(compared(then.fates));
  expect(simulated.certain.every((isCertain) => isCertain)).toBe(true);
}

async function holdFor(t: TestSends): Promise<void> {
  const delivery = await openTestDelivery({ url: sharedRedisUrl(), workspace: t.keys.workspace });
  opened.push(() => delivery.stop());
  delivery.hold();
  // Its first look is at all that wait, whether or not there is room: it is over once the lease is renewed by the second.
  let leftMs = 0;
  await until(async () => {
    const beforeMs = leftMs;
    leftMs = await t.redis.pttl(t.keys.holder);
    return beforeMs > 0 && leftMs > beforeMs;
  });
}

// Each run takes a while for real: the first that fails is told as it is, and no smaller one is looked for.
describe('what a change would have done is what really becomes of the same messages under it', () => {
  test('with checks, sends, releases, cancels, failures, retries and resets, and ids that are used again', async () => {
    const limits = someLimits(fc.constant('throttle'));
    await fc.assert(
      fc.asyncProperty(limits, limits, someSteps(true, 60), agrees).afterEach(async () => {
        for (const close of opened.splice(0).reverse()) await close();
      }),
      { numRuns: 40, endOnFailure: true },
    );
  });

  test('with sends that wait for room, and go when there is some', async () => {
    const limits = someLimits(fc.constantFrom('defer', 'defer', 'throttle'));
    await fc.assert(
      fc.asyncProperty(limits, limits, someSteps(false, 25), agrees).afterEach(async () => {
        for (const close of opened.splice(0).reverse()) await close();
      }),
      { numRuns: 8, endOnFailure: true },
    );
  });
});

test('a send that a reset let go gives back what it counted when it fails', async () => {
  const daily = [limitOf({ id: 'u', per: ['user'], period: 'month', max: 2, on_exceeded: 'defer' })];
  const message: Message = { user: 'ann', account: null, topic: null, channel: null };
  await agrees(daily, daily, [
    { what: 'check', message, cost: 2, id: null },
    { what: 'send', message },
    { what: 'reset', user: 'ann', period: 'month' },
    { what: 'send', message },
    { what: 'fail-and-refund', which: 0 },
    { what: 'send', message },
  ]);
});

test('a send that waits goes when the window of its limit ends, as it does for real; and one that its sender delays when it is due', async () => {
  const limit = limitOf({ id: 'u', per: ['user'], period: 'billing_period', max: 2, on_exceeded: 'defer' });
  const [without, under] = [await open([]), await open([limit])];
  for (const t of [without, under]) await holdFor(t);
  // A billing period that ends in a moment, but not before everything is sent.
  const anchorMs = Date.now() + 3_000;
  for (const t of [without, under]) {
    await t.settings({ billing_anchor: new Date(anchorMs).toISOString().slice(0, 23) });
  }
  const ids: string[] = [];
  for (let times = 0; times < 5; times += 1) {
    await without.send({ user: 'ann' });
    ids.push(await under.send({ user: 'ann' }));
  }
  for (const t of [without, under]) {
    await t.send({ user: 'bob' }, { due: { atMs: anchorMs - 700 } });
    const canceled = await t.send({ user: 'bob' }, { due: { atMs: anchorMs + 60_000 } });
    await t.actions.cancel(canceled, ACTOR);
  }
  const statuses = () => Promise.all(ids.map((id) => under.status(id)));
  await until(async () => (await statuses()).filter((status) => status === 'ENQUEUED').length === 4);
  await settled(under);
  const really = (await statuses()).map(fateOf);
  expect(really).toEqual(['accepted', 'accepted', 'accepted', 'accepted', 'held']);
  const { fates, certain } = await simulate(without, [limit]);
  expect(fates).toEqual([...really, 'accepted']);
  expect(certain).toEqual(Array(6).fill(true));
  const { comparison } = await tryOut(without, [limit]);
  expect(comparison).toMatchObject({
    messages: 6,
    after: { throttled: { messages: 0 }, delayed: { messages: 3, users: 1 } },
  });
});

test('a message that was filtered stays so', async () => {
  const t = await open([]);
  await t.settings({ require_membership: true });
  await check(t, 'bob', { account: 'acme' });
  await t.send({ user: 'bob', account: 'acme' });
  const whatIf = await tryOut(t, [perUser(0)]);
  expect(whatIf.comparison).toMatchObject({ messages: 0, uncertain: { messages: 0 } });
});

const check = (t: TestSends, user: string, rest: Partial<Message> = {}) =>
  t.gate.check({ message: messageTo(user, rest), messageId: null, cost: 1, dry: false, atMs: null });
const times = async (count: number, work: () => Promise<unknown>) => {
  for (let index = 0; index < count; index += 1) await work();
};
const perUser = (max: number, rest: Partial<Limit> = {}) =>
  limitOf({ id: 'user', per: ['user'], period: 'month', max, ...rest });
const trim = (t: TestSends, keep: number) =>
  trimLogs({ redis: t.redis, scripts: t.scripts, keys: t.keys, nowMs: t.clock.nowMs(), logMaxMessages: keep });

test('it says how many messages of whom would have been throttled, by what, and whom it hits most', async () => {
  const t = await open([perUser(5)]);
  await times(7, () => check(t, 'ann', { topic: 'news' }));
  await times(4, () => check(t, 'bob', { account: 'acme' }));
  await times(3, () => t.send({ user: 'cleo' }, { topic: 'news' }));
  const whatIf = await tryOut(t, [
    perUser(2),
    limitOf({ id: 'watch', per: [], period: 'week', max: 10, mode: 'shadow' }),
  ]);
  expect(whatIf.comparison).toEqual({
    messages: 14,
    before: { throttled: { messages: 2, users: 1 }, delayed: { messages: 0, users: 0 } },
    after: { throttled: { messages: 8, users: 3 }, delayed: { messages: 0, users: 0 } },
    newlyThrottled: { messages: 6, users: 3 },
    noLongerThrottled: { messages: 0, users: 0 },
    newlyDelayed: { messages: 0, users: 0 },
    noLongerDelayed: { messages: 0, users: 0 },
    affected: {
      users: [
        { id: 'ann', messages: 3, ...{ throttledBefore: 2, throttledAfter: 5, delayedBefore: 0, delayedAfter: 0 } },
        { id: 'bob', messages: 2, ...{ throttledBefore: 0, throttledAfter: 2, delayedBefore: 0, delayedAfter: 0 } },
        { id: 'cleo', messages: 1, ...{ throttledBefore: 0, throttledAfter: 1, delayedBefore: 0, delayedAfter: 0 } },
      ],
      accounts: [expect.objectContaining({ id: 'acme', messages: 2 })],
      topics: [expect.objectContaining({ id: 'news', messages: 4 })],
    },
    limits: [{ id: 'user', mode: 'enforce', before: 2, after: 8 }],
    uncertain: { messages: 0, limits: [] },
  });
  expect(whatIf).toMatchObject({
    known: null,
    unloggedMs: null,
    summary: 'Over the last 7 days this would have throttled 8 messages of 3 users, instead of 2 of 1.',
    notes: [],
  });
  const none = await tryOut(t, [], ['user']);
  expect(none.summary).toBe('Over the last 7 days this would have throttled no message, instead of 2 of 1.');
  const same = await tryOut(t, [perUser(5, { reason: 'because' })]);
  expect(same.summary).toBe(
    'Over the last 7 days this would have throttled 2 messages of 1 user: the same as what is in force.',
  );
  const deferring = await tryOut(t, [perUser(2, { on_exceeded: 'defer' })]);
  expect(deferring.summary).toBe(
    'Over the last 7 days this would have throttled 7 messages of 2 users, instead of 2 of 1. It would have delayed 1 message of 1 user, instead of none.',
  );
  const watched = await tryOut(t, [limitOf({ id: 'watch', per: [], period: 'week', max: 10, mode: 'shadow' })]);
  expect(watched.comparison.limits).toEqual([
    { id: 'user', mode: 'enforce', before: 2, after: 2 },
    { id: 'watch', mode: 'shadow', before: null, after: 2 },
  ]);
  const later = perUser(0, { id: 'later', from: '2999-01-01T00:00:00.000Z' });
  expect((await tryOut(t, [later])).notes).toEqual([
    '"later" is in force only from 2999-01-01T00:00:00.000Z: over that time it would not have been.',
  ]);
});

test('of a window that began before the log it says so, and of one that began after it is certain', async () => {
  const t = await open([]);
  // A billing period that begins in a moment, and with it what is counted by it.
  const anchorMs = Date.now() + 1_000;
  await t.settings({ billing_anchor: new Date(anchorMs).toISOString().slice(0, 23) });
  await times(3, () => check(t, 'ann'));
  await until(() => Date.now() > anchorMs + 5);
  await times(4, () => check(t, 'ann'));
  const certain = await tryOut(t, [perUser(3)]);
  expect(certain).toMatchObject({ known: null, notes: [], comparison: { uncertain: { messages: 0 } } });
  expect(certain.comparison.after.throttled.messages).toBe(4);

  expect(await trim(t, 4)).toMatchObject({ log: 3 });
  const month = await tryOut(t, [perUser(3)]);
  expect(month.known).toMatchObject({ why: 'log_trimmed' });
  expect(month.comparison.messages).toBe(4);
  expect(month.comparison.uncertain).toEqual({
    messages: 4,
    limits: [{ id: 'user', messages: 4, windowStartMs: expect.any(Number) }],
  });
  expect(month.span.fromMs).toBe(month.known!.fromMs);
  expect(month.summary).toMatch(/^Since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC this would have throttled /);
  expect(month.notes).toEqual([
    expect.stringMatching(/^It begins at .* UTC, not at .* UTC: what was before is no longer in the log\.$/),
    'Of 4 messages 4 are not certain.',
    expect.stringMatching(
      /^4 messages depend on the use of "user" in a window that began at .*-01 00:00:00 UTC, before /,
    ),
  ]);
  // What nothing that was counted could have changed is certain all the same.
  const blocked = await tryOut(t, [perUser(0)]);
  expect(blocked.comparison).toMatchObject({ after: { throttled: { messages: 4 } }, uncertain: { messages: 0 } });
  // The billing period began when the log did not miss anything any more.
  const billing = await tryOut(t, [perUser(3, { period: 'billing_period' })]);
  expect(billing.comparison).toMatchObject({ after: { throttled: { messages: 1 } }, uncertain: { messages: 0 } });
});

test('what is trimmed is known to be gone also where it was no message', async () => {
  const t = await open([]);
  await t.gate.check({ message: messageTo('ann'), messageId: 'c', cost: 1, dry: false, atMs: null });
  await nextMillisecond(t);
  const releasedMs = Date.now();
  await t.gate.release('c');
  await nextMillisecond(t);
  const { redis, scripts, keys } = t;
  await trimLogs({ redis, scripts, keys, nowMs: Date.now() + 1, logMaxAgeMs: 0, logMaxMessages: 9 });
  const past = await readPastEvents({ redis, scripts, keys, most: 1_000, pause: nextTurn }, 0);
  expect(past).toMatchObject({ events: [], unknownBefore: 'log_trimmed' });
  expect(past.knownFromMs).toBeGreaterThan(releasedMs);
});

test('that checks were counted and not logged is said, and nothing that depends on it is called certain', async () => {
  const t = await open([], 'throttled');
  await times(3, () => check(t, 'ann'));
  await t.settings({ log_checks: 'all' });
  await times(2, () => check(t, 'ann'));
  const whatIf = await tryOut(t, [perUser(3)]);
  expect(whatIf).toMatchObject({ known: { why: 'checks_not_logged' }, unloggedMs: expect.any(Number) });
  expect(whatIf.comparison).toMatchObject({ messages: 2, uncertain: { messages: 2 } });
  expect(whatIf.summary).toMatch(/ Accepted checks were not logged: it may have been more\.$/);
  expect(whatIf.notes[0]).toMatch(/^Checks that were accepted are not in the log up to .* UTC: .*log_checks/);
});

test('a check that is asked again is in the log, or it is said that it is not', async () => {
  const t = await open([]);
  const ask = () => t.gate.check({ message: messageTo('ann'), messageId: 'c', cost: 1, dry: false, atMs: null });
  await ask();
  await ask();
  expect(await tryOut(t, [perUser(0)])).toMatchObject({
    comparison: { messages: 1, after: { throttled: { messages: 1 } } },
    known: null,
  });
  await t.settings({ log_checks: 'throttled' });
  await ask();
  expect(await tryOut(t, [perUser(0)])).toMatchObject({ known: { why: 'checks_not_logged' } });
});

test('what the log tells of the use of a counter is gone on from, where it does not have all that was counted', async () => {
  const t = await open([perUser(5)], 'throttled');
  await times(9, () => check(t, 'ann'));
  const whatIf = await tryOut(t, [perUser(7)]);
  // Four were throttled at a use of 5: two of them would have had room. That is likely, and not certain.
  expect(whatIf.comparison).toMatchObject({
    messages: 4,
    before: { throttled: { messages: 4 } },
    after: { throttled: { messages: 2 } },
    uncertain: { messages: 4 },
  });
});

test('a log that is too long to be replayed is replayed from later on, and it is said since when', async () => {
  const t = await open([perUser(5)]);
  await times(30, () => check(t, 'ann'));
  const whatIf = await tryOut(t, [perUser(7)], [], 10);
  expect(whatIf).toMatchObject({ events: 10, known: { why: 'log_too_long' } });
  expect(whatIf.span.fromMs).toBeGreaterThan(whatIf.span.askedFromMs);
  expect(whatIf.notes[0]).toMatch(/: the log has more than is replayed at a time\.$/);
});

test('an account’s own calendar is gone by', async () => {
  const t = await open([]);
  await check(t, 'ann', { account: 'acme' });
  const anchorMs = Date.now() + 700;
  const calendar = { timezone: null, billing_anchor: new Date(anchorMs).toISOString().slice(0, 23), billing_months: 1 };
  await t.redis.hset(t.keys.account('acme'), { revision: 1, json: JSON.stringify(calendar) });
  await until(() => Date.now() > anchorMs + 5);
  await check(t, 'ann', { account: 'acme' });
  const limit = limitOf({ id: 'a', per: ['account'], period: 'billing_period', max: 1 });
  expect((await tryOut(t, [limit])).comparison.after.throttled.messages).toBe(0);
  await t.redis.del(t.keys.account('acme'));
  expect((await tryOut(t, [limit])).comparison.after.throttled.messages).toBe(1);
});

test('one is worked out at a time, and a limit that may not stand beside another is refused', async () => {
  const t = await open([perUser(5)]);
  await times(3, () => check(t, 'ann'));
  const { configuration } = t.configuration.planner()!;
  const whatIfs = whatIfsOf(t);
  const twin = perUser(1, { id: 'twin' });
  const both = await Promise.all([1, 2].map(() => whatIfs.try(configuration, { put: [], removed: [] }, 0)));
  expect(both.map(({ kind }) => kind)).toEqual(['done', 'busy']);
  expect(await whatIfs.try(configuration, { put: [twin], removed: [] }, 0)).toMatchObject({
    kind: 'conflict',
    limit: { id: 'twin' },
    other: { id: 'user' },
  });
  expect(await whatIfs.try(configuration, { put: [twin], removed: ['user'] }, 0)).toMatchObject({ kind: 'done' });
});
