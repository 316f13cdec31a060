import { once } from 'node:events';
import type { CheckOutcome, CheckRequest } from '../../src/gate/check';
import type { Decision } from '../../src/limits/decision';
import { messageTo, startTestGate, type TestGate } from '../support/gate';
import { sharedRedisUrl, startRedis, uniqueWorkspace } from '../support/redis';
import { startCluster } from '../support/redis-cluster';

const CHECK_TIMEOUT_MS = 800;
/**
 * What a busy machine may add to that. Together it is less than waiting for Redis twice takes, and less than a command
 * may take, which is when ioredis itself gives up.
 */
const NOISE_MS = 600;

function request(overrides: Partial<CheckRequest> = {}): CheckRequest {
  return { message: messageTo('ann'), messageId: null, cost: 1, dry: false, atMs: null, ...overrides };
}

function decisionOf(outcome: CheckOutcome): Decision {
  if (outcome.kind !== 'decided') throw new Error(`not decided: ${outcome.kind}`);
  return outcome.decision;
}

const onCluster = () => sharedRedisUrl().startsWith('redis+cluster:');

describe('while Redis is down or slow', () => {
  let server: {
    url: string;
    freeze(): Promise<void>;
    thaw(): Promise<void>;
    kill(): Promise<void>;
    restart(): Promise<void>;
    stop(): Promise<void>;
  };
  let t: TestGate;

  beforeAll(async () => {
    server = onCluster() ? await startCluster() : await startRedis({ appendonly: true });
  }, 60_000);
  afterAll(() => server.stop());
  beforeEach(async () => {
    t = await startTestGate({ url: server.url, workspace: uniqueWorkspace(), checkTimeoutMs: CHECK_TIMEOUT_MS });
  });
  afterEach(() => t.close());

  /** The use of a user's limits, from Redis. */
  async function used(user = 'ann'): Promise<number[]> {
    const limits = await t.gate.usage(messageTo(user));
    if (limits === null) throw new Error('Redis does not answer');
    return limits.map((limit) => limit.used);
  }

  /** Waits until Redis answers again. A check that succeeds counts nothing here: it is a dry run. */
  async function untilBack(): Promise<void> {
    while ((await t.gate.usage(messageTo('somebody'))) === null) await new Promise(setImmediate);
  }

  test('a check that timed out on a frozen Redis is answered in time, and not counted when it thaws', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 100, on_redis_down: 'allow' });
    await t.gate.check(request());
    await server.freeze();
    const startedMs = performance.now();
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => t.gate.check(request())));
    const tookMs = performance.now() - startedMs;
    await server.thaw();
    for (const outcome of outcomes) {
      expect(decisionOf(outcome)).toMatchObject({ allowed: true, degraded: true, limits: [], throttled_by: [] });
    }
    // The limit is the contract's; the machine adds what it adds.
    expect(tookMs).toBeLessThan(CHECK_TIMEOUT_MS + NOISE_MS);
    await untilBack();
    expect(await used()).toEqual([1]);
    expect(t.events).not.toContain('too late true');
    expect(t.events.filter((event) => event === 'degraded allow timeout')).toHaveLength(50);
  });

  test('a process that is busy itself does not take its own slowness for that of Redis', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 100 });
    await t.gate.check(request());
    const beBusy = () => {
      // For longer than a check may take, but not than a command may: ioredis would give that up itself.
      const untilMs = performance.now() + 1.5 * CHECK_TIMEOUT_MS;
      while (performance.now() < untilMs);
    };
    const waiting = t.gate.check(request());
    beBusy();
    expect(decisionOf(await waiting)).toMatchObject({ degraded: false, limits: [{ used: 2 }] });
    // Sent, and its reply has come, but nobody has read it when the time is up.
    const sent = t.gate.check(request());
    setImmediate(beBusy);
    expect(decisionOf(await sent)).toMatchObject({ degraded: false, limits: [{ used: 3 }] });
  });

  test('a batch that takes longer than a check may is decided by Redis to its end', async () => {
    await t.limit(
      { id: 'hour', per: ['user'], period: 'hour', max: 100 },
      { id: 'day', per: ['user'], period: 'day', max: 100 },
      { id: 'week', per: ['user'], period: 'week', max: 100 },
      { id: 'month', per: ['user'], period: 'month', max: 100 },
    );
    await t.settings({ timezone: 'America/New_York' });
    // As long as it has to be on this machine.
    for (let length = 1_000, tookMs = 0; tookMs <= CHECK_TIMEOUT_MS; length *= 2) {
      // Each in windows of its own, which have to be worked out.
      const requests = Array.from({ length }, (_, index) => request({ dry: true, atMs: index * 40 * 86_400_000 }));
      const startedMs = performance.now();
      const outcomes = await t.gate.checkAll(requests);
      tookMs = performance.now() - startedMs;
      expect(outcomes.filter((outcome) => outcome.kind !== 'decided' || outcome.decision.degraded)).toEqual([]);
    }
  });

  test('a long batch on a frozen Redis is answered as fast as one check, and counts nothing when it thaws', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 10_000, on_redis_down: 'allow' });
    await t.gate.check(request());
    await server.freeze();
    const before = performance.eventLoopUtilization();
    const outcomes = await t.gate.checkAll(Array.from({ length: 1_000 }, () => request()));
    const waitedMs = performance.eventLoopUtilization(before).idle;
    await server.thaw();
    // It has waited for Redis as one check does. Its own work is not counted: a busy machine can make that as long as it likes.
    expect(waitedMs).toBeGreaterThan(0);
    expect(waitedMs).toBeLessThan(CHECK_TIMEOUT_MS + NOISE_MS);
    expect(outcomes.filter((outcome) => decisionOf(outcome).degraded)).toHaveLength(1_000);
    await untilBack();
    expect(await used()).toEqual([1]);
  });

  test('a check that begins while Redis is frozen and still has time when it thaws is decided by it', async () => {
    t.close();
    t = await startTestGate({ url: server.url, workspace: uniqueWorkspace(), checkTimeoutMs: 20_000 });
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 100 });
    await t.gate.check(request());
    await server.freeze();
    const answer = t.gate.check(request());
    await new Promise((resolve) => setTimeout(resolve, 300));
    await server.thaw();
    expect(decisionOf(await answer)).toMatchObject({ allowed: true, degraded: false, limits: [{ used: 2 }] });
  });

  test('the strictest policy of the limits that apply rules: deny, then local, then allow', async () => {
    await t.limit(
      { id: 'all', per: [], period: 'day', max: 100, on_redis_down: 'allow' },
      { id: 'ann', per: ['user'], period: 'day', max: 100, on_redis_down: 'local', where: { user: 'ann' } },
      { id: 'bob', per: ['user'], period: 'day', max: 100, on_redis_down: 'deny', where: { user: 'bob' } },
      { id: 'lifted', per: ['user'], period: 'day', max: null, on_redis_down: 'deny', where: { user: 'cat' } },
      { id: 'shadow', per: ['user'], period: 'day', max: 1, on_redis_down: 'deny', mode: 'shadow' },
    );
    await t.settings({ exempt_topics: ['security'] });
    await t.gate.check(request());
    await server.freeze();
    const answers = await Promise.all(
      [
        request(),
        request({ message: messageTo('bob') }),
        request({ message: messageTo('bob', { topic: 'security' }) }),
        request({ message: messageTo('cat') }),
        request({ dry: true, message: messageTo('cat') }),
      ].map((asked) => t.gate.check(asked)),
    );
    await server.thaw();
    expect(answers.map((outcome) => outcome.kind)).toEqual([
      'decided',
      'unavailable',
      'decided',
      'decided',
      'unavailable',
    ]);
    expect(t.events.filter((event) => event.startsWith('degraded')).sort()).toEqual([
      'degraded allow timeout',
      'degraded deny timeout',
      'degraded deny timeout',
      'degraded local timeout',
      'degraded pass timeout',
    ]);
    await untilBack();
  });

  test('local lets a replica pass its share of max, whole and all or nothing, and carries nothing back', async () => {
    t.close();
    t = await startTestGate({
      url: server.url,
      workspace: uniqueWorkspace(),
      checkTimeoutMs: CHECK_TIMEOUT_MS,
      replicas: 3,
    });
    await t.limit(
      { id: 'user', per: ['user'], period: 'month', max: 11, on_redis_down: 'local' },
      { id: 'topic', per: ['user', 'topic'], period: 'hour', max: 7, on_redis_down: 'local' },
    );
    await t.gate.check(request());
    await server.freeze();
    const topic = await Promise.all(
      Array.from({ length: 4 }, () => t.gate.check(request({ message: messageTo('ann', { topic: 'news' }) }))),
    );
    const plain = await Promise.all(Array.from({ length: 4 }, () => t.gate.check(request())));
    await server.thaw();
    // Of the topic 7/3, of the user 11/3.
    expect(topic.map((outcome) => decisionOf(outcome).allowed)).toEqual([true, true, false, false]);
    expect(decisionOf(topic[2]!)).toMatchObject({ decision: 'throttled', degraded: true, throttled_by: ['topic'] });
    expect(decisionOf(topic[2]!).retry_at).not.toBeNull();
    expect(plain.map((outcome) => decisionOf(outcome).allowed)).toEqual([true, false, false, false]);
    await untilBack();
    expect(await used()).toEqual([1]);
  });

  test('a Redis that refuses connections is known at once, and the first check after its return uses it', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 2, on_redis_down: 'allow' });
    await t.gate.check(request());
    await server.kill();
    for (let count = 0; count < 20; count += 1) {
      expect(decisionOf(await t.gate.check(request()))).toMatchObject({ allowed: true, degraded: true });
    }
    await server.restart();
    const first = decisionOf(await t.gate.check(request()));
    if (onCluster()) {
      // A Cluster takes a moment to call itself whole again, and this one keeps nothing on disk.
      await untilBack();
      expect(await used()).toEqual([]);
      await t.limit({ id: 'user', per: ['user'], period: 'day', max: 2, on_redis_down: 'allow' });
      expect(decisionOf(await t.gate.check(request()))).toMatchObject({ degraded: false, limits: [{ used: 1 }] });
    } else {
      expect(first).toMatchObject({ degraded: false, limits: [{ used: 2 }] });
      expect(decisionOf(await t.gate.check(request()))).toMatchObject({ allowed: false, degraded: false });
    }
  }, 60_000);

  test('a connection that dies under checks resends none of them', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 100_000, on_redis_down: 'allow' });
    await t.gate.check(request());
    const other = await startTestGate({ url: server.url, workspace: t.keys.workspace, checkTimeoutMs: 5_000 });
    try {
      const nodes = 'nodes' in other.redis ? other.redis.nodes('master') : [other.redis];
      const outcomes: Promise<CheckOutcome>[] = [];
      for (let round = 0; round < 20; round += 1) {
        for (let count = 0; count < 20; count += 1) outcomes.push(t.gate.check(request()));
        // Its connections are cut by the server itself, with checks on their way.
        await Promise.all(nodes.map((node) => node.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')));
      }
      const decisions = (await Promise.all(outcomes)).map(decisionOf);
      const accepted = decisions.filter((decision) => !decision.degraded).length;
      const degraded = decisions.length - accepted;
      await untilBack();
      const [counted] = await used();
      // What was answered by Redis is counted once; of what lost its answer each was counted once or not at all.
      expect(counted).toBeGreaterThanOrEqual(1 + accepted);
      expect(counted).toBeLessThanOrEqual(1 + accepted + degraded);
      // Each of them has been told a different count: none was decided twice.
      const uses = decisions.flatMap((decision) => decision.limits.map((limit) => limit.used));
      expect(new Set(uses).size).toBe(accepted);
    } finally {
      other.close();
    }
  });

  test('before limits were ever loaded nothing passes', async () => {
    t.close();
    await server.freeze();
    try {
      const cold = startTestGate({ url: server.url, workspace: uniqueWorkspace(), checkTimeoutMs: CHECK_TIMEOUT_MS });
      const frozen = await Promise.race([
        cold,
        once(process, 'never'),
        new Promise((resolve) => setTimeout(resolve, 300)),
      ]);
      expect(frozen).toBeUndefined();
      await server.thaw();
      t = await cold;
    } finally {
      await server.thaw();
    }
    expect(t.configuration.planner()).toBeNull();
    await server.freeze();
    const outcome = await t.gate.check(request());
    await server.thaw();
    expect(outcome).toEqual({ kind: 'unavailable' });
    expect(t.events).toContain('degraded deny not_loaded');
    await untilBack();
  });
});
