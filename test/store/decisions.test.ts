import type { CheckOutcome, CheckRequest } from '../../src/gate/check';
import type { Decision } from '../../src/limits/decision';
import { DEFAULT_SETTINGS } from '../../src/limits/settings';
import { messageTo, startTestGate, type TestGate } from '../support/gate';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';

const ACTOR = { id: 'test', name: null };

function request(overrides: Partial<CheckRequest> = {}): CheckRequest {
  return { message: messageTo('ann'), messageId: null, cost: 1, dry: false, atMs: null, ...overrides };
}

function decisionOf(outcome: CheckOutcome): Decision {
  if (outcome.kind !== 'decided') throw new Error(`not decided: ${outcome.kind}`);
  return outcome.decision;
}

describe('a decision in Redis', () => {
  let t: TestGate;
  const check = async (overrides: Partial<CheckRequest> = {}) => decisionOf(await t.gate.check(request(overrides)));

  beforeEach(async () => {
    t = await startTestGate({ url: sharedRedisUrl(), workspace: uniqueWorkspace() });
  });
  afterEach(() => t.close());

  /** What stands in each counter of the workspace. */
  async function counters(): Promise<Record<string, number>> {
    const found: Record<string, number> = {};
    for (const key of await keysOf('c:')) found[key.slice(t.keys.prefix.length)] = Number(await t.redis.get(key));
    return found;
  }
  async function keysOf(kind: string): Promise<string[]> {
    const names: string[] = [];
    const nodes = 'nodes' in t.redis ? t.redis.nodes('master') : [t.redis];
    for (const node of nodes) {
      for await (const page of node.scanStream({
        match: `${t.keys.prefix.replace(/[{}]/g, '?')}${kind}*`,
        count: 1_000,
      })) {
        names.push(...page);
      }
    }
    return names;
  }

  test('accepts exactly max messages, and says what is left', async () => {
    await t.limit({ id: 'user-daily', per: ['user'], period: 'day', max: 2 });
    const first = await check();
    expect(first).toMatchObject({ allowed: true, decision: 'accepted', throttled_by: [], retry_at: null });
    expect(first.limits).toMatchObject([{ limit_id: 'user-daily', used: 1, remaining: 1, exceeded: false }]);
    expect(await check()).toMatchObject({ allowed: true, limits: [{ used: 2, remaining: 0, exceeded: false }] });
    const third = await check();
    expect(third).toMatchObject({
      allowed: false,
      decision: 'throttled',
      throttled_by: ['user-daily'],
      limits: [{ used: 2, remaining: 0, exceeded: true }],
    });
    expect(third.retry_at).toBe(third.limits[0]!.resets_at);
    expect(await check({ message: messageTo('bob') })).toMatchObject({ allowed: true });
  });

  test('a throttled message raises no counter, also not of the limits that had room', async () => {
    await t.limit(
      { id: 'all', per: [], period: 'month', max: 100 },
      { id: 'user', per: ['user'], period: 'day', max: 1 },
      { id: 'topic', per: ['user', 'topic'], period: 'week', max: 5 },
    );
    const message = messageTo('ann', { topic: 'news' });
    await check({ message });
    const decision = await check({ message });
    expect(decision.throttled_by).toEqual(['user']);
    expect(decision.limits.map(({ limit_id, used }) => [limit_id, used])).toEqual([
      ['all', 1],
      ['user', 1],
      ['topic', 1],
    ]);
    expect(Object.values(await counters())).toEqual([1, 1, 1]);
  });

  test('a cost larger than what is left is throttled, and a smaller one still accepted', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 10 });
    expect(await check({ cost: 7 })).toMatchObject({ allowed: true });
    expect(await check({ cost: 4 })).toMatchObject({ allowed: false, limits: [{ used: 7, remaining: 3 }] });
    expect(await check({ cost: 3 })).toMatchObject({ allowed: true, limits: [{ used: 10, remaining: 0 }] });
    expect(await check({ cost: 11 })).toMatchObject({ allowed: false, retry_at: null });
  });

  test('a limit of 0 blocks, and a lifted one counts without end', async () => {
    await t.limit(
      { id: 'user', per: ['user'], period: 'day', max: null },
      { id: 'blocked', per: ['user', 'topic'], period: 'day', max: 0, where: { topic: 'spam' } },
    );
    expect(await check()).toMatchObject({ allowed: true, limits: [{ max: null, used: 1, remaining: null }] });
    expect(await check({ message: messageTo('ann', { topic: 'spam' }) })).toMatchObject({
      allowed: false,
      throttled_by: ['blocked'],
      retry_at: null,
    });
  });

  test('a shadow limit counts and reports, but never throttles; it shares the counter of an enforced one', async () => {
    await t.limit(
      { id: 'enforced', per: ['user'], period: 'day', max: 3 },
      { id: 'shadow', per: ['user'], period: 'day', max: 1, mode: 'shadow' },
    );
    await check();
    const second = await check();
    expect(second).toMatchObject({ allowed: true, throttled_by: [] });
    expect(second.limits.map(({ limit_id, used, exceeded }) => [limit_id, used, exceeded])).toEqual([
      ['enforced', 2, false],
      ['shadow', 2, true],
    ]);
  });

  test('exempt topics count, but are never throttled', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 1 });
    await t.settings({ exempt_topics: ['security'] });
    await check();
    const exempt = await check({ message: messageTo('ann', { topic: 'security' }) });
    expect(exempt).toMatchObject({
      allowed: true,
      throttled_by: [],
      limits: [{ used: 2, remaining: 0, exceeded: true }],
    });
    expect(await check()).toMatchObject({ allowed: false });
  });

  test('an override by topic keeps room for the rest, because it counts what the user has had of any kind', async () => {
    await t.limit(
      { id: 'user', per: ['user'], period: 'day', max: 5 },
      { id: 'marketing', per: ['user'], period: 'day', max: 2, where: { topic: 'marketing' } },
    );
    const marketing = messageTo('ann', { topic: 'marketing' });
    await check({ message: marketing });
    await check({ message: messageTo('ann', { topic: 'receipt' }) });
    expect(await check({ message: marketing })).toMatchObject({ allowed: false, throttled_by: ['marketing'] });
    expect(await check({ message: messageTo('ann', { topic: 'receipt' }) })).toMatchObject({ allowed: true });
  });

  test('a message id counts once: asked again it gives the stored verdict, with other content a conflict', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 5 });
    const first = await check({ messageId: 'm-1' });
    await check();
    const again = await check({ messageId: 'm-1' });
    expect(again).toEqual({ ...first, replayed: true });
    expect(Object.values(await counters())).toEqual([2]);
    for (const other of [{ cost: 2 }, { message: messageTo('bob') }, { message: messageTo('ann', { topic: 'x' }) }]) {
      expect(await t.gate.check(request({ messageId: 'm-1', ...other }))).toEqual({ kind: 'conflict' });
    }
    expect(Object.values(await counters())).toEqual([2]);
  });

  test('a throttled verdict is not kept: the same id is decided again', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 0 });
    expect(await check({ messageId: 'm-1' })).toMatchObject({ allowed: false });
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 1 });
    expect(await check({ messageId: 'm-1' })).toMatchObject({ allowed: true, replayed: false });
  });

  test('a dry run counts nothing, and neither reads nor writes a verdict', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 1 });
    expect(await check({ dry: true, messageId: 'm-1' })).toMatchObject({ allowed: true, limits: [{ used: 0 }] });
    expect(await check({ messageId: 'm-1' })).toMatchObject({ allowed: true, replayed: false });
    expect(await check({ dry: true, messageId: 'm-1' })).toMatchObject({
      allowed: false,
      replayed: false,
      limits: [{ used: 1, exceeded: true }],
    });
    expect(await t.redis.xlen(t.keys.log)).toBe(0);
  });

  test('a dry run at an instant looks at the windows of that instant', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 1 });
    await check();
    const tomorrow = await check({ dry: true, atMs: t.clock.nowMs() + 86_400_000 });
    expect(tomorrow).toMatchObject({ allowed: true, limits: [{ used: 0 }] });
    const { window_start, resets_at } = (await check({ dry: true })).limits[0]!;
    expect(tomorrow.limits[0]!.window_start).toBe(resets_at);
    expect(Date.parse(resets_at) - Date.parse(window_start)).toBe(86_400_000);
  });

  test('a release gives back once, to the windows that were counted in, and forgets the verdict', async () => {
    await t.limit(
      { id: 'all', per: [], period: 'day', max: 10 },
      { id: 'user', per: ['user'], period: 'month', max: 3 },
      { id: 'shadow', per: ['user'], period: 'month', max: 3, mode: 'shadow' },
    );
    await check({ messageId: 'm-1', cost: 3 });
    await check({ messageId: 'm-2', message: messageTo('bob') });
    expect(await t.gate.release('m-1')).toBe(true);
    expect(await t.gate.release('m-1')).toBe(false);
    expect(Object.values(await counters()).sort()).toEqual([0, 1, 1]);
    expect(await check({ messageId: 'm-1', cost: 2 })).toMatchObject({ allowed: true, replayed: false });
    expect(await t.gate.release('m-1')).toBe(true);
    expect(await t.gate.release('m-3')).toBeNull();
  });

  test('a message released twice at once is released once', async () => {
    await t.limit({ id: 'all', per: [], period: 'day', max: 10 });
    await check({ messageId: 'm-0' });
    await check({ messageId: 'm-1' });
    const released = await Promise.all(Array.from({ length: 8 }, () => t.gate.release('m-1')));
    expect(released.filter(Boolean)).toHaveLength(1);
    expect(Object.values(await counters())).toEqual([1]);
  });

  test('what a reset has taken away is not given back again', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 10 });
    await check({ messageId: 'before' });
    expect(await t.gate.reset({ user: 'ann' }, 'day', ACTOR, 'api')).toMatchObject({ usedBefore: 1 });
    // The reset and a decision in the same millisecond cannot be told apart: let Redis's clock move on.
    const [seconds, microseconds] = await t.redis.time();
    const resetMs = Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
    while (t.clock.nowMs() <= resetMs + 1) await new Promise(setImmediate);
    await check({ messageId: 'after' });
    expect(await t.gate.release('before')).toBe(true);
    expect(Object.values(await counters())).toEqual([1]);
    expect(await t.gate.release('after')).toBe(true);
    expect(Object.values(await counters())).toEqual([0]);
  });

  test('a reset is audited, with what had been used', async () => {
    await t.limit({ id: 'user', per: ['user', 'topic'], period: 'week', max: 10 });
    await check({ message: messageTo('ann', { topic: 'a:b' }), cost: 4 });
    await t.gate.reset({ user: 'ann', topic: 'a:b' }, 'week', ACTOR, 'api');
    const [, fields] = (await t.redis.xrevrange(t.keys.audit, '+', '-', 'COUNT', 1))[0]!;
    expect(fields).toEqual(expect.arrayContaining(['counter.reset', 'counter:user=ann,topic=a:b/week', '{"used":4}']));
    expect(Object.values(await counters())).toEqual([]);
  });

  test('a throttled decision lands in the log with the limits that stopped it, in the call that decided', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 1 });
    const message = messageTo('ann', { account: 'acme', topic: 'news', channel: 'email' });
    await check({ message });
    const { limits } = await check({ message, messageId: 'm-9' });
    const entries = await t.redis.xrange(t.keys.log, '-', '+');
    expect(entries).toHaveLength(1);
    const fields = entries[0]![1];
    const entry = Object.fromEntries(fields.flatMap((_, i) => (i % 2 === 0 ? [[fields[i], fields[i + 1]]] : [])));
    expect(entry).toMatchObject({ status: 'THROTTLED', id: 'm-9', user: 'ann', account: 'acme', used: '1', cost: '1' });
    expect(JSON.parse((await t.redis.get(t.keys.loggedLimits(entry.limits!)))!)[0]).toEqual([
      'user',
      ['user'],
      'day',
      1,
      Date.parse(limits[0]!.window_start),
      Date.parse(limits[0]!.resets_at),
      'enforce',
      0,
    ]);
  });

  test('log_checks all records accepted checks too', async () => {
    await t.settings({ log_checks: 'all' });
    await check({ messageId: 'm-1' });
    await check({ dry: true });
    expect(await t.redis.xlen(t.keys.log)).toBe(1);
  });

  test('require_membership filters a message for an account its user is not in, counting nothing', async () => {
    await t.limit({ id: 'all', per: [], period: 'day', max: 10 });
    await t.settings({ require_membership: true });
    const message = messageTo('ann', { account: 'acme' });
    expect(await check({ message })).toMatchObject({
      allowed: false,
      decision: 'filtered',
      throttled_by: [],
      retry_at: null,
    });
    expect(await counters()).toEqual({});
    await t.redis.hset(t.keys.userProfiles('ann'), 'acme', 'null');
    expect(await check({ message })).toMatchObject({ allowed: true, decision: 'accepted' });
    expect(await check()).toMatchObject({ allowed: true });
    await t.redis.del(t.keys.userProfiles('ann'));
    expect(await t.gate.usage(message)).toMatchObject([{ limit_id: 'all', used: 2 }]);
  });

  test('an id can hold anything that is not a control character, and no two share a counter', async () => {
    await t.limit({ id: 'topic', per: ['user', 'topic'], period: 'day', max: 1 });
    const pairs = [
      ['a:b', 'c'],
      ['a', 'b:c'],
      ['a%3Ab', 'c'],
      ['{a}', '}{'],
      ['🙂', 'é'],
      ['*', '?'],
      ['a b', '"\\'],
    ];
    for (const [user, topic] of pairs) {
      expect(await check({ message: messageTo(user!, { topic: topic! }) })).toMatchObject({ allowed: true });
    }
    expect(Object.values(await counters())).toEqual(pairs.map(() => 1));
  });

  test('nothing that counts or remembers is ever without a TTL', async () => {
    await t.limit(
      { id: 'hour', per: ['user'], period: 'hour', max: 9 },
      { id: 'billing', per: [], period: 'billing_period', max: 9 },
    );
    await check({ messageId: 'm-1' });
    await check({ messageId: 'm-2' });
    await t.gate.release('m-1');
    await t.gate.reset({ user: 'ann' }, 'hour', ACTOR, 'api');
    const names = [...(await keysOf('c:')), ...(await keysOf('m:')), ...(await keysOf('r:'))];
    expect(names.length).toBe(4);
    for (const name of names) expect(await t.redis.pttl(name)).toBeGreaterThan(0);
  });

  test('a batch is decided in its order, also when the settings of an account have to be learned on the way', async () => {
    await t.limit(
      { id: 'user', per: ['user'], period: 'day', max: 34 },
      { id: 'account', per: ['account'], period: 'day', max: 100 },
    );
    await t.redis.hset(t.keys.account('acme'), {
      revision: 1,
      json: JSON.stringify({ timezone: 'Asia/Kathmandu', billing_anchor: null, billing_months: null }),
    });
    const decisions = (
      await t.gate.checkAll([
        request({ message: messageTo('ann', { account: 'acme' }) }),
        ...Array.from({ length: 40 }, () => request()),
      ])
    ).map(decisionOf);
    expect(decisions.map((decision) => decision.allowed)).toEqual([...Array(34).fill(true), ...Array(7).fill(false)]);
    expect(decisions[0]!.limits).toMatchObject([{ limit_id: 'account' }, { limit_id: 'user', used: 1 }]);
    expect(t.events).toContain('replanned account-stale');
  });

  test('the calendar of an account is in force for the next check on every replica', async () => {
    await t.limit({ id: 'account', per: ['account'], period: 'day', max: 10 });
    const message = messageTo('ann', { account: 'acme' });
    const other = await startTestGate({ url: sharedRedisUrl(), workspace: t.keys.workspace });
    try {
      await check({ message });
      decisionOf(await other.gate.check(request({ message })));
      for (const [revision, timezone] of [
        [1, 'Pacific/Kiritimati'],
        [2, 'Asia/Kathmandu'],
      ]) {
        await t.redis.hset(t.keys.account('acme'), {
          revision: revision!,
          json: JSON.stringify({ timezone, billing_anchor: null, billing_months: null }),
        });
        for (const replica of [t, other]) {
          const { limits } = decisionOf(await replica.gate.check(request({ message })));
          const local = new Intl.DateTimeFormat('en', {
            timeZone: String(timezone),
            timeStyle: 'medium',
            hourCycle: 'h23',
          });
          expect(local.format(new Date(limits[0]!.window_start))).toBe('00:00:00');
        }
      }
      expect(Object.values(await counters())).toEqual([2, 2, 2]);
      await t.redis.del(t.keys.account('acme'));
      const { limits } = decisionOf(await other.gate.check(request({ message })));
      expect(limits[0]!.window_start).toMatch(/T00:00:00\.000Z$/);
      expect(limits[0]!.used).toBe(3);
    } finally {
      other.close();
    }
  });

  test('a change of limits or settings is in force for the next check on every replica', async () => {
    const other = await startTestGate({ url: sharedRedisUrl(), workspace: t.keys.workspace });
    const otherCheck = async () => decisionOf(await other.gate.check(request()));
    try {
      expect((await otherCheck()).limits).toEqual([]);
      await t.limit({ id: 'user', per: ['user'], period: 'day', max: 1 });
      expect(await otherCheck()).toMatchObject({ allowed: true, limits: [{ limit_id: 'user', used: 1 }] });
      await t.limit({ id: 'user', per: ['user'], period: 'day', max: 0 });
      expect(await otherCheck()).toMatchObject({ allowed: false, limits: [{ max: 0, used: 1 }] });
      await t.settings({ timezone: 'Pacific/Kiritimati' });
      expect((await otherCheck()).limits[0]!.window_start).toMatch(/T10:00:00\.000Z$/);
      await t.remove('user');
      expect((await otherCheck()).limits).toEqual([]);
      // Nobody told it: every decision was made with the version in force.
      expect(other.events).not.toContain('fault');
      expect(other.configuration.planner()!.configuration.version).toBe(
        t.configuration.planner()!.configuration.version,
      );
    } finally {
      other.close();
    }
  });

  test('a temporary override is in force between its instants and at no other', async () => {
    const nowMs = t.clock.nowMs();
    const text = (offsetMs: number) => new Date(nowMs + offsetMs).toISOString();
    await t.limit(
      { id: 'user', per: ['user'], period: 'day', max: 5 },
      { id: 'later', per: ['user'], period: 'day', max: 7, from: text(3_600_000), until: text(7_200_000) },
      { id: 'over', per: ['user'], period: 'day', max: 6, until: text(-1) },
      { id: 'present', per: ['user'], period: 'day', max: 2, from: text(-1), until: text(1_800_000) },
    );
    const at = async (offsetMs: number) => (await check({ dry: true, atMs: nowMs + offsetMs })).limits[0]!.limit_id;
    expect((await check()).limits[0]!.limit_id).toBe('present');
    expect(await at(1_799_999)).toBe('present');
    expect(await at(1_800_000)).toBe('user');
    expect(await at(3_600_000)).toBe('later');
    expect(await at(7_200_000)).toBe('user');
    expect(await at(-2)).toBe('over');
  });

  test('a change that lost the race is worked out again, and none is lost', async () => {
    const other = await startTestGate({ url: sharedRedisUrl(), workspace: t.keys.workspace });
    try {
      await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 === 0 ? t : other).limit({
            id: `l-${index}`,
            per: ['user'],
            period: 'day',
            max: index,
            where: { user: `u-${index}` },
          }),
        ),
      );
      await t.configuration.refresh();
      expect(t.configuration.planner()!.configuration.limits.size).toBe(20);
    } finally {
      other.close();
    }
  });

  test('a database that was emptied is noticed at the next check, and an old version is never taken for a new one', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 0 });
    expect(await check()).toMatchObject({ allowed: false });
    const names = await keysOf('config');
    for (const name of names) await t.redis.del(name);
    expect(await check()).toMatchObject({ allowed: true, limits: [] });
    expect(t.configuration.planner()!.configuration.settings).toEqual(DEFAULT_SETTINGS);
  });
});
