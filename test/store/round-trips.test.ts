import { Redis } from 'ioredis';
import type { CheckRequest } from '../../src/gate/check';
import { type Dimension, PERIODS } from '../../src/limits/limit';
import { limitOf, messageTo, startTestGate, type TestGate } from '../support/gate';
import { type RedisServer, startRedis, uniqueWorkspace } from '../support/redis';

const MESSAGE = messageTo('ann', { account: 'acme', topic: 'news', channel: 'email' });
const asked: CheckRequest = { message: MESSAGE, messageId: null, cost: 1, dry: false, atMs: null };

describe('what a decision costs Redis', () => {
  let server: RedisServer;
  let t: TestGate;
  let monitor: Redis;
  let commands: string[];

  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    t = await startTestGate({ url: server.url, workspace: uniqueWorkspace() });
    const connection = new Redis(server.url);
    monitor = await connection.monitor();
    connection.disconnect();
    commands = [];
    monitor.on('monitor', (_time: string, args: string[], source: string) => {
      // What a script itself does is not sent by anybody.
      if (source !== 'lua') commands.push(args[0]!.toLowerCase());
    });
  });
  afterEach(() => {
    monitor.disconnect();
    t.close();
  });

  /** The commands sent to Redis while `work` was done. */
  async function sentBy(work: () => Promise<unknown>): Promise<string[]> {
    const before = await mark();
    await work();
    const after = await mark();
    return commands.slice(before, after - 1);
  }

  /** Waits until everything sent so far has been seen, and says how much that is. */
  async function mark(): Promise<number> {
    const text = `mark-${Math.random()}`;
    const seen = new Promise((resolve) =>
      monitor.on('monitor', (_time: string, args: string[]) => args[1] === text && setImmediate(resolve)),
    );
    await t.redis.echo(text);
    await seen;
    return commands.length;
  }

  async function limitsUpTo(count: number): Promise<void> {
    const scopes: Dimension[][] = [[], ['account'], ['user'], ['user', 'topic']];
    const limits = scopes.flatMap((per) => PERIODS.slice(0, 3).map((period) => ({ per, period })));
    for (const { per, period } of limits.slice(0, count)) {
      await t.limit({ id: `l-${per.join('-')}-${period}`, per, period, max: 100 });
    }
  }

  test.each([1, 12])('a check with %i limits sends exactly one command once warm', async (count) => {
    await limitsUpTo(count);
    await t.gate.check(asked);
    let limits = 0;
    const sent = await sentBy(async () => {
      const outcome = await t.gate.check({ ...asked, messageId: 'm-1' });
      if (outcome.kind === 'decided') limits = outcome.decision.limits.length;
    });
    expect(limits).toBe(count);
    expect(sent).toEqual(['evalsha']);
  });

  test('a throttled check, with its log entry, sends exactly one command too', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 0 });
    await t.gate.check(asked);
    expect(await sentBy(() => t.gate.check(asked))).toEqual(['evalsha']);
  });

  test('a check with alerts, of thresholds or of a limit without room, sends exactly one command too', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 2 });
    await t.gate.check(asked);
    const sent = await sentBy(async () => {
      await t.gate.check(asked);
      await t.gate.check(asked);
    });
    expect(sent).toEqual(['evalsha', 'evalsha']);
    expect(await t.redis.xlen(t.keys.alerts)).toBe(3);
  });

  test('checks asked in the same turn share a command, 32 at most', async () => {
    await limitsUpTo(5);
    await t.gate.check(asked);
    const sent = await sentBy(() => Promise.all(Array.from({ length: 100 }, () => t.gate.check(asked))));
    expect(sent).toEqual(['evalsha', 'evalsha', 'evalsha', 'evalsha']);
  });

  test('after SCRIPT FLUSH the next check still succeeds, and the one after is one command again', async () => {
    await limitsUpTo(3);
    await t.gate.check(asked);
    await t.redis.script('FLUSH');
    const sent = await sentBy(async () => {
      expect(await t.gate.check(asked)).toMatchObject({ decision: { allowed: true, limits: [{ used: 2 }, {}, {}] } });
    });
    expect(sent).toEqual(['evalsha', 'eval']);
    expect(await sentBy(() => t.gate.check(asked))).toEqual(['evalsha']);
  });

  test('one changed override among 5,000 costs one more round trip, which brings only that one', async () => {
    const writes = Array.from({ length: 5_000 }, (_, index) =>
      limitOf({ id: `o-${index}`, per: ['user'], period: 'day', max: 1, where: { user: `u-${index}` } }),
    ).map((limit) => ({ id: limit.id, value: limit }));
    await t.configuration.change({ id: 'test', name: null }, 'api', () => ({ writes, events: [] }));
    const other = await startTestGate({ url: server.url, workspace: t.keys.workspace });
    try {
      await other.gate.check(asked);
      expect(other.configuration.planner()!.configuration.limits.size).toBe(5_000);
      await t.limit({ id: 'o-17', per: ['user'], period: 'day', max: 2, where: { user: 'u-17' } });
      const sent = await sentBy(() => other.gate.check(asked));
      expect(sent).toEqual(['evalsha', 'evalsha']);
      expect(other.configuration.planner()!.configuration.limits.get('o-17')!.max).toBe(2);
    } finally {
      other.close();
    }
  });
});
