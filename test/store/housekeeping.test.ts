import { Queue } from 'bullmq';
import { type Housekeeping, type HousekeepingObserver, startHousekeeping } from '../../src/log/housekeeping';
import { type Trimmed, trimLogs } from '../../src/log/trim';
import { connectPatiently, parseRedisUrl, type RedisClient } from '../../src/store/connection';
import { createKeys, type Keys } from '../../src/store/keys';
import { loadScripts } from '../../src/store/scripts';
import { judgeServers, readServerFacts } from '../../src/store/server-check';
import { sharedRedisUrl, startRedis, uniqueWorkspace } from '../support/redis';

const MINUTE_MS = 60_000;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function connect(url: string): RedisClient {
  const redis = connectPatiently(parseRedisUrl(url), { name: 'test', commandTimeoutMs: 0, reconnectMs: 20 });
  redis.on('error', () => undefined);
  cleanups.push(() => redis.disconnect());
  return redis;
}

function start(
  redis: RedisClient,
  keys: Keys,
  trim: () => Promise<Trimmed>,
  observer: Partial<HousekeepingObserver> = {},
): Housekeeping {
  const housekeeping = startHousekeeping({
    redis,
    keys,
    everyMs: MINUTE_MS,
    trim,
    observer: { trimmed: () => undefined, failed: () => undefined, trouble: () => undefined, ...observer },
  });
  cleanups.push(() => housekeeping.stop(true));
  return housekeeping;
}

describe('housekeeping', () => {
  test('is done once a turn however many workers run, and removes what is too old from the logs', async () => {
    const keys = createKeys(uniqueWorkspace());
    const redis = connect(sharedRedisUrl());
    await redis.xadd(keys.audit, '1000-0', 'type', 'x');
    await redis.xadd(keys.audit, '*', 'type', 'x');
    let turns = 0;
    let done: (trimmed: Trimmed) => void;
    const first = new Promise<Trimmed>((resolve) => {
      done = resolve;
    });
    const trim = () => {
      turns += 1;
      return trimLogs({ redis, scripts: loadScripts(), keys, nowMs: Date.now(), logMaxMessages: 1_000 });
    };
    const workers = Array.from({ length: 3 }, () =>
      start(connect(sharedRedisUrl()), keys, trim, { trimmed: (trimmed) => done(trimmed) }),
    );
    await Promise.all(workers.map(({ planned }) => planned));

    expect(await first).toEqual({ log: 0, audit: 1 });
    expect(await redis.xlen(keys.audit)).toBe(1);
    await Promise.all(workers.map((worker) => worker.stop(false)));
    expect(turns).toBe(1);
    // The next turn is planned, once.
    const queue = new Queue('housekeeping', { connection: redis, prefix: keys.queuePrefix, skipVersionCheck: true });
    expect(await queue.getJobCounts('wait', 'active', 'delayed', 'completed', 'failed')).toEqual({
      wait: 0,
      active: 0,
      delayed: 1,
      completed: 0,
      failed: 0,
    });
    await queue.close();
  });

  test('tells of a turn that failed', async () => {
    const failed = new Promise((resolve) => {
      const trim = () => Promise.reject(new Error('no room'));
      start(connect(sharedRedisUrl()), createKeys(uniqueWorkspace()), trim, { failed: resolve });
    });
    expect(await failed).toEqual(expect.objectContaining({ message: 'no room' }));
  });

  test('waits for a Redis that is away, and stops at once when it does not come', async () => {
    const server = await startRedis();
    cleanups.push(() => server.stop());
    await server.kill();
    const keys = createKeys(uniqueWorkspace());
    const trim = () => Promise.resolve({ log: 0, audit: 0 });
    const impatient = start(connect(server.url), keys, trim);
    await impatient.stop(true);

    const trimmed = new Promise<Trimmed>((resolve) => {
      start(connect(server.url), keys, trim, { trimmed: resolve });
    });
    await server.restart();
    expect(await trimmed).toEqual({ log: 0, audit: 0 });
  });
});

describe('the servers behind a connection', () => {
  test('that these tests run on can be used, and evict nothing', async () => {
    const facts = await readServerFacts(connect(sharedRedisUrl()));
    expect(facts.versions.every((version) => /^\d+\.\d+\.\d+$/.test(version))).toBe(true);
    expect(judgeServers(facts)).toEqual({ refusal: null, warning: null });
  });

  test.each([
    ['6.0.16', true],
    ['5.0.14', true],
    ['6.2.0', false],
    ['7.2.4', false],
    ['10.0.0', false],
    ['', false],
  ])('of version %j are refused: %j', (version, refused) => {
    const { refusal } = judgeServers({ versions: ['7.0.0', version], policies: ['noeviction'] });
    if (refused) expect(refusal).toBe(`Redis ${version} is too old: Sendgate needs 6.2 or newer.`);
    else expect(refusal).toBeNull();
  });

  test('that may throw counters away are warned of, even if it is one of several', () => {
    const { warning } = judgeServers({ versions: ['7.0.0', '7.0.0'], policies: ['noeviction', 'allkeys-lru'] });
    expect(warning).toMatch(/^Redis's maxmemory-policy is allkeys-lru: .*Set it to noeviction\.$/);
  });
});
