import type { ConfigurationWrite } from '../../src/store/configuration';
import { limitOf, messageTo, startTestGate, type TestGate } from '../support/gate';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';

const ACTOR = { id: 'test', name: null };
const ASKED = { message: messageTo('ann'), messageId: null, cost: 1, dry: false, atMs: null };

/** Writes in portions: what is tested here is not how much one change may hold. */
async function write(replica: TestGate, writes: ConfigurationWrite[]): Promise<void> {
  for (let start = 0; start < writes.length; start += 2_000) {
    await replica.configuration.change(ACTOR, 'api', () => ({
      writes: writes.slice(start, start + 2_000),
      events: [],
    }));
  }
}

test('a process that was away while more was removed than is remembered starts again, and ends up right', async () => {
  const url = sharedRedisUrl();
  const workspace = uniqueWorkspace();
  const [one, other] = await Promise.all([startTestGate({ url, workspace }), startTestGate({ url, workspace })]);
  try {
    const limits = Array.from({ length: 12_000 }, (_, index) =>
      limitOf({ id: `o-${index}`, per: ['user'], period: 'day', max: 1, where: { user: `u-${index}` } }),
    );
    await one.limit({ id: 'kept', per: ['user'], period: 'day', max: 3 });
    await write(
      one,
      limits.map((limit) => ({ id: limit.id, value: limit })),
    );
    await other.configuration.refresh();
    await write(
      one,
      limits.map(({ id }) => ({ id, value: null })),
    );
    expect(other.configuration.planner()!.configuration.limits.size).toBe(12_001);
    expect(await other.gate.check(ASKED)).toMatchObject({ decision: { limits: [{ limit_id: 'kept' }] } });
    expect([...other.configuration.planner()!.configuration.limits.values()].map(({ id }) => id)).toEqual(['kept']);
    expect(await one.redis.zcard(one.keys.configRemoved)).toBe(10_000);
    expect(await one.redis.zcard(one.keys.configChanges)).toBe(10_001);
  } finally {
    one.close();
    other.close();
  }
});

test('reading again what has not changed keeps what was worked out of it', async () => {
  const one = await startTestGate({ url: sharedRedisUrl(), workspace: uniqueWorkspace() });
  try {
    await one.limit({ id: 'early', per: ['user'], period: 'day', max: 3 });
    const planner = one.configuration.planner();
    await one.configuration.refresh();
    expect(one.configuration.planner()).toBe(planner);
    await one.limit({ id: 'late', per: ['user'], period: 'week', max: 3 });
    expect(one.configuration.planner()).not.toBe(planner);
  } finally {
    one.close();
  }
});

test('after a Redis came back from a backup, limits that it does not know are in force nowhere', async () => {
  const url = sharedRedisUrl();
  const workspace = uniqueWorkspace();
  const [one, other] = await Promise.all([startTestGate({ url, workspace }), startTestGate({ url, workspace })]);
  const { keys, redis } = one;
  const names = [keys.config, keys.configItems, keys.configChanges, keys.configRemoved];
  try {
    await one.limit({ id: 'early', per: ['user'], period: 'day', max: 3 });
    const backup = await Promise.all(names.map((name) => redis.dumpBuffer(name)));
    await one.limit({ id: 'late', per: ['user'], period: 'week', max: 3 });
    expect(await other.gate.check(ASKED)).toMatchObject({ decision: { limits: [{}, { limit_id: 'late' }] } });

    for (const [index, name] of names.entries()) {
      await redis.del(name);
      const dump = backup[index];
      if (dump) await redis.restore(name, 0, dump);
    }
    // A restore goes with a restart: the connection is lost, and found again.
    const nodes = 'nodes' in other.redis ? other.redis.nodes('master') : [other.redis];
    const closed = Promise.all(nodes.map((node) => new Promise((resolve) => node.once('close', resolve))));
    for (const node of nodes) node.disconnect(true);
    await closed;
    while ((await other.redis.exists(keys.config).catch(() => 0)) === 0) await new Promise(setImmediate);
    const fresh = await startTestGate({ url, workspace });
    await fresh.limit({ id: 'new', per: ['user'], period: 'month', max: 3 });
    fresh.close();
    const limits = (await other.gate.usage(messageTo('ann')))!.map((limit) => limit.limit_id);
    expect(limits).toEqual(['early', 'new']);
  } finally {
    one.close();
    other.close();
  }
});
