import type { CheckOutcome, CheckRequest } from '../../src/gate/check';
import type { Decision } from '../../src/limits/decision';
import { messageTo, startTestGate, type TestGate } from '../support/gate';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';

function request(overrides: Partial<CheckRequest> = {}): CheckRequest {
  return { message: messageTo('ann'), messageId: null, cost: 1, dry: false, atMs: null, ...overrides };
}

function decisionOf(outcome: CheckOutcome): Decision {
  if (outcome.kind !== 'decided') throw new Error(`not decided: ${outcome.kind}`);
  return outcome.decision;
}

/** Repeatable pseudo-random integers in [0, below): mulberry32. */
function randomIntegers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** A local date-time in UTC, to the millisecond, as a billing anchor takes it. */
const anchorText = (instantMs: number) => new Date(instantMs).toISOString().slice(0, -1);

describe('several replicas at once', () => {
  let replicas: TestGate[];
  beforeEach(async () => {
    const workspace = uniqueWorkspace();
    const skews = [0, 3_600_000, -3_600_000, 0];
    replicas = await Promise.all(
      skews.map((skewMs) => startTestGate({ url: sharedRedisUrl(), workspace, skewMs, checkTimeoutMs: 20_000 })),
    );
  });
  afterEach(() => {
    for (const replica of replicas) replica.close();
  });
  const replica = (index: number) => replicas[index % replicas.length]!;
  const check = async (index: number, overrides: Partial<CheckRequest> = {}) =>
    decisionOf(await replica(index).gate.check(request(overrides)));

  test('2,000 concurrent checks on limits of 100: exactly 100 accepted, and every counter is 100', async () => {
    await replica(0).limit(
      { id: 'all', per: [], period: 'billing_period', max: 100 },
      { id: 'account', per: ['account'], period: 'month', max: 5_000 },
      { id: 'user-hour', per: ['user'], period: 'hour', max: 2_000 },
      { id: 'user-week', per: ['user'], period: 'week', max: 100 },
      { id: 'topic', per: ['user', 'topic'], period: 'day', max: 400, mode: 'shadow' },
    );
    const message = messageTo('ann', { account: 'acme', topic: 'news' });
    const decisions = await Promise.all(Array.from({ length: 2_000 }, (_, index) => check(index, { message })));
    expect(decisions.filter((decision) => decision.allowed)).toHaveLength(100);
    const usage = await replica(1).gate.usage(message);
    expect(usage!.map(({ limit_id, used }) => [limit_id, used])).toEqual([
      ['all', 100],
      ['account', 100],
      ['user-hour', 100],
      ['user-week', 100],
      ['topic', 100],
    ]);
    expect(await replica(0).redis.xlen(replica(0).keys.log)).toBe(1_900);
  });

  test.each([1, 2, 3])('mixed costs, users and topics agree with a sequential model, seed %i', async (seed) => {
    const below = randomIntegers(seed);
    const maxima = { all: 780, user: 95, topic: 30 };
    await replica(0).limit(
      { id: 'all', per: [], period: 'month', max: maxima.all },
      { id: 'user', per: ['user'], period: 'month', max: maxima.user },
      { id: 'topic', per: ['user', 'topic'], period: 'month', max: maxima.topic },
    );
    const asked = Array.from({ length: 1_500 }, () => ({
      message: messageTo(`u${below(9)}`, { topic: `t${below(5)}` }),
      cost: 1 + below(7),
    }));
    const decisions = await Promise.all(asked.map((one, index) => check(index, one)));

    // The answers carry the counts after each decision, so the order in which Redis decided can be told: accepted
    // messages raise the count of all messages one after the other. Replayed in that order, a plain model must agree.
    const counts = new Map<string, number>();
    const use = (key: string) => counts.get(key) ?? 0;
    const namesOf = ({ user, topic }: (typeof asked)[number]['message']) => [
      'all',
      `user ${user}`,
      `topic ${user} ${topic}`,
    ];
    const order = decisions
      .map((decision, index) => ({ decision, ...asked[index]! }))
      .sort((a, b) => {
        const used = a.decision.limits[0]!.used - b.decision.limits[0]!.used;
        // A throttled message saw the count that an accepted one left behind.
        return used !== 0 ? used : Number(b.decision.allowed) - Number(a.decision.allowed);
      });
    for (const { decision, message, cost } of order) {
      const names = namesOf(message);
      const fits = names.every((name, index) => use(name) + cost <= Object.values(maxima)[index]!);
      expect(decision.allowed).toBe(fits);
      if (fits) for (const name of names) counts.set(name, use(name) + cost);
      expect(decision.limits.map((limit) => limit.used)).toEqual(names.map(use));
    }
    for (const id of Object.keys(maxima)) {
      expect(decisions.some((decision) => decision.throttled_by.includes(id))).toBe(true);
    }
  });

  test("across a window's end each window holds max, on replicas whose clocks are an hour off either way", async () => {
    // A billing period can be made to end at any instant: here in a moment.
    const nowMs = replica(0).clock.nowMs();
    await check(0);
    const endMs = replica(0).clock.nowMs() + 3_000;
    await replica(0).settings({ billing_anchor: anchorText(endMs) });
    await replica(0).limit({ id: 'user', per: ['user'], period: 'billing_period', max: 100 });
    const byWindow = new Map<string, { accepted: number; seen: number }>();
    let asked = 0;
    let after = 0;
    while (after < 400) {
      const decisions = await Promise.all(Array.from({ length: 40 }, () => check(asked++)));
      for (const { allowed, limits } of decisions) {
        const start = limits[0]!.window_start;
        const window = byWindow.get(start) ?? { accepted: 0, seen: 0 };
        byWindow.set(start, { accepted: window.accepted + Number(allowed), seen: window.seen + 1 });
        if (Date.parse(start) === endMs) after += 1;
      }
    }
    expect([...byWindow.values()].map((window) => window.accepted)).toEqual([100, 100]);
    expect([...byWindow.keys()].map((start) => Date.parse(start) < nowMs)).toEqual([true, false]);
    for (const one of replicas) expect(Math.abs(one.clock.nowMs() - replica(0).clock.nowMs())).toBeLessThan(1_000);
  });

  test("a temporary limit begins and ends at its instants on Redis's clock, on every replica", async () => {
    await check(0);
    const fromMs = replica(0).clock.nowMs() + 400;
    const untilMs = fromMs + 1_500;
    await replica(0).limit({
      id: 'blocked',
      per: ['user'],
      period: 'day',
      max: 0,
      from: new Date(fromMs).toISOString(),
      until: new Date(untilMs).toISOString(),
    });
    const seen: boolean[] = [];
    // Until each of them has been asked after its end.
    let afterEnd = 0;
    for (let index = 0; afterEnd < replicas.length; index += 1) {
      const before = await replica(0).redis.time();
      const { allowed } = await check(index);
      const after = await replica(0).redis.time();
      const [beforeMs, afterMs] = [before, after].map(
        ([s, us]) => Number(s) * 1_000 + Math.floor(Number(us) / 1_000),
      ) as [number, number];
      seen.push(allowed);
      if (beforeMs >= untilMs) afterEnd += 1;
      if (afterMs < fromMs || beforeMs >= untilMs) expect(allowed).toBe(true);
      if (beforeMs >= fromMs && afterMs < untilMs) expect(allowed).toBe(false);
    }
    expect(new Set(seen)).toEqual(new Set([true, false]));
  });

  test('limits changed in the middle: never one over the max in force', async () => {
    const maxima = [300, 120, 500, 350, 600];
    await replica(0).limit({ id: 'user', per: ['user'], period: 'month', max: maxima[0]! });
    let done = false;
    let asked = 0;
    const decisions: Decision[] = [];
    const asking = async () => {
      while (!done) decisions.push(...(await Promise.all(Array.from({ length: 25 }, () => check(asked++)))));
    };
    const changing = async () => {
      for (const max of maxima.slice(1)) {
        const target = decisions.length + 400;
        while (decisions.length < target) await new Promise(setImmediate);
        await replica(1).limit({ id: 'user', per: ['user'], period: 'month', max });
      }
      const target = decisions.length + 1_000;
      while (decisions.length < target) await new Promise(setImmediate);
      done = true;
    };
    await Promise.all([asking(), changing()]);
    for (const { allowed, limits } of decisions) {
      const { max, used } = limits[0]!;
      if (allowed) expect(used).toBeLessThanOrEqual(max!);
      else expect(used).toBeGreaterThanOrEqual(max!);
    }
    const accepted = decisions.filter((decision) => decision.allowed);
    expect(new Set(accepted.map((decision) => decision.limits[0]!.used)).size).toBe(accepted.length);
    expect((await replica(2).gate.usage(messageTo('ann')))![0]!.used).toBe(accepted.length);
    expect(accepted.length).toBe(600);
  });

  test('the same message ids asked of all replicas at once count once each', async () => {
    await replica(0).limit({ id: 'all', per: [], period: 'day', max: 1_000 });
    const decisions = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => check(index, { messageId: `m-${index % 125}` })),
    );
    expect(decisions.every((decision) => decision.allowed)).toBe(true);
    expect(decisions.filter((decision) => !decision.replayed)).toHaveLength(125);
    expect((await replica(0).gate.usage(messageTo('ann')))![0]!.used).toBe(125);
  });
});
