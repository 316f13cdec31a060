import { randomUUID } from 'node:crypto';
import { connectFailingFast, parseRedisUrl, type RedisClient } from '../../src/store/connection';
import { createKeys, type Keys } from '../../src/store/keys';
import { loadScripts } from '../../src/store/scripts';
import { bucketStartMs, bucketStarts, expireAtMs, LEVELS, RANGES } from '../../src/traffic/ranges';
import { createTrafficStore, TOP_FLUSHED, TOP_KEPT, type TrafficStore } from '../../src/traffic/store';
import { createTrafficTally, noCounts, TOP_KINDS, type TrafficTally } from '../../src/traffic/tally';
import { messageTo } from '../support/gate';
import { sharedRedisUrl, startRedis, uniqueWorkspace } from '../support/redis';
import { startCluster } from '../support/redis-cluster';
import { until } from '../support/sends';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** How long a command may take where that is not what is tested: a busy machine is no reason to fail. */
const UNHURRIED_MS = 5_000;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A process that counts. */
interface Process extends TrafficStore {
  tally: TrafficTally;
  redis: RedisClient;
  /** What it takes for the time, in epoch milliseconds. */
  nowMs: number;
  /** Counts a throttled message. */
  throttle(user: string, limit?: string): void;
  accept(): void;
}

const workspaceKeys = () => createKeys(uniqueWorkspace());

async function startProcess(keys: Keys, url = sharedRedisUrl(), commandTimeoutMs = UNHURRIED_MS): Promise<Process> {
  const redis = connectFailingFast(parseRedisUrl(url), { name: 'test', commandTimeoutMs, reconnectMs: 20 });
  redis.on('error', () => undefined);
  cleanups.push(() => redis.disconnect());
  await until(() => redis.status === 'ready');
  const tally = createTrafficTally(() => process.nowMs);
  const store = createTrafficStore({
    ...{ redis, keys, tally, scripts: loadScripts(), processId: randomUUID(), monotonicMs: () => performance.now() },
  });
  const process: Process = {
    ...store,
    tally,
    redis,
    nowMs: await redisMs(redis),
    throttle: (user, limit = 'daily') => tally.sendDecided('throttled', messageTo(user), [limit]),
    accept: () => tally.sendDecided('accepted', messageTo('ann'), []),
  };
  return process;
}

/** Redis's time, in epoch milliseconds. */
async function redisMs(redis: RedisClient): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
}

/** Counts of a read by when their point begins, those that are not zero. */
async function pointsOf(
  process: Process,
  range: (typeof RANGES)[number],
): Promise<[startMs: number, counts: object][]> {
  const { points } = await process.read(range, process.nowMs);
  return points
    .map(({ startMs, counts }): [number, object] => [
      startMs,
      Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
    ])
    .filter(([, counts]) => Object.keys(counts).length > 0);
}

const floor = (instantMs: number, ms: number) => Math.floor(instantMs / ms) * ms;

test('every key expires, from the call on that makes it, when nothing shows its time any more', async () => {
  const keys = workspaceKeys();
  const process = await startProcess(keys);
  const { redis, tally, nowMs } = process;
  tally.sendDecided('throttled', messageTo('ann', { account: 'acme', topic: 'news' }), ['daily']);
  await process.flush();
  const expected = new Map<string, number>();
  for (const level of Object.values(LEVELS)) {
    const startMs = bucketStartMs(level, nowMs);
    expected.set(keys.traffic(level.name, startMs), expireAtMs(level, startMs));
    for (const kind of TOP_KINDS) expected.set(keys.trafficTop(level.name, startMs, kind), expireAtMs(level, startMs));
  }
  for (const [key, expiresMs] of expected) {
    const ttlMs = await redis.pttl(key);
    expect([key, Math.abs(ttlMs - (expiresMs - (await redisMs(redis)))) < 1_000]).toEqual([key, true]);
  }
  // And there are no others, but the mark.
  const nodes = 'nodes' in redis ? redis.nodes('master') : [redis];
  const found = (await Promise.all(nodes.map((node) => node.keys(`${keys.prefix}t:*`)))).flat();
  const marks = found.filter((key) => !expected.has(key));
  expect(found).toHaveLength(expected.size + 1);
  expect(marks[0]).toMatch(/:t:by:[-\w]+$/);
  expect(await redis.pttl(marks[0]!)).toBeGreaterThan(0);
});

test('nothing is written while nothing is counted', async () => {
  const keys = workspaceKeys();
  const process = await startProcess(keys);
  await process.flush();
  const nodes = 'nodes' in process.redis ? process.redis.nodes('master') : [process.redis];
  expect((await Promise.all(nodes.map((node) => node.keys(`${keys.prefix}*`)))).flat()).toEqual([]);
  const { points, totals, top } = await process.read('hour', process.nowMs);
  expect(points.every(({ counts }) => Object.values(counts).every((count) => count === 0))).toBe(true);
  expect(totals).toEqual(noCounts());
  expect(top).toEqual({ users: [], accounts: [], topics: [], limits: [] });
});

test('what several processes count is shown as one', async () => {
  const keys = workspaceKeys();
  const processes = await Promise.all(Array.from({ length: 3 }, () => startProcess(keys)));
  const [{ nowMs }] = processes as [Process];
  await Promise.all(
    processes.map(async (process, index) => {
      process.nowMs = nowMs;
      for (let round = 0; round < 5; round += 1) {
        process.accept();
        for (let count = 0; count <= index; count += 1) process.throttle(`user-${index}`, 'daily');
        process.throttle('all');
        process.tally.sendFailed();
        await process.flush();
      }
    }),
  );
  for (const range of RANGES) {
    const { totals, top } = await processes[0]!.read(range, nowMs);
    expect(totals).toEqual({ accepted: 15, throttled: 45, filtered: 0, failed: 15, degraded: 0 });
    expect(top.users).toEqual([
      { id: 'all', throttled: 15 },
      { id: 'user-2', throttled: 15 },
      { id: 'user-1', throttled: 10 },
      { id: 'user-0', throttled: 5 },
    ]);
    expect(top.limits).toEqual([{ id: 'daily', throttled: 45 }]);
  }
});

test('a range shows its whole buckets, in its own steps, and the most throttled of exactly that time', async () => {
  const process = await startProcess(workspaceKeys());
  const { nowMs } = process;
  for (const range of RANGES) {
    const [startMs] = bucketStarts(LEVELS[range], nowMs) as [number];
    // The last moment that is not in it, and the first that is.
    for (const atMs of [startMs - 1, startMs]) {
      process.nowMs = atMs;
      process.throttle(atMs < startMs ? `before-${range}` : `in-${range}`);
    }
  }
  process.nowMs = nowMs;
  process.accept();
  await process.flush();
  const users = async (range: (typeof RANGES)[number]) =>
    (await process.read(range, nowMs)).top.users.map(({ id }) => id).sort();
  expect(await users('hour')).toEqual(['in-hour']);
  expect(await users('day')).toEqual(['before-hour', 'in-day', 'in-hour']);
  expect(await users('week')).toEqual(['before-day', 'before-hour', 'in-day', 'in-hour', 'in-week']);
  for (const range of RANGES) {
    const { startMs, stepMs, points, totals, top } = await process.read(range, nowMs);
    expect([startMs, stepMs]).toEqual([bucketStarts(LEVELS[range], nowMs)[0], LEVELS[range].stepMs]);
    expect(points.length).toBe(Math.floor((nowMs - startMs) / stepMs) + 1);
    expect(points[0]!.counts.throttled).toBe(1);
    expect(points.at(-1)!.counts.accepted).toBe(1);
    expect(top.users.reduce((sum, { throttled }) => sum + throttled, 0)).toBe(totals.throttled);
  }
});

test('of each kind the most throttled are kept, and ten are shown', async () => {
  const keys = workspaceKeys();
  const [one, two] = [await startProcess(keys), await startProcess(keys)];
  two.nowMs = one.nowMs;
  for (let index = 0; index < TOP_FLUSHED + 500; index += 1) one.throttle(`one-${index}`);
  for (let index = 0; index < TOP_FLUSHED; index += 1) two.throttle(`two-${index}`);
  for (let index = 0; index < 20; index += 1) {
    for (let count = 0; count <= index; count += 1) {
      one.throttle(`often-${index}`);
      two.throttle(`often-${index}`);
    }
  }
  await one.flush();
  await two.flush();
  for (const range of RANGES) {
    const level = LEVELS[range];
    expect(await one.redis.zcard(keys.trafficTop(level.name, bucketStartMs(level, one.nowMs), 'users'))).toBe(TOP_KEPT);
    const { totals, top } = await one.read(range, one.nowMs);
    expect(top.users).toEqual(
      Array.from({ length: 10 }, (_, index) => ({ id: `often-${19 - index}`, throttled: 2 * (20 - index) })),
    );
    expect(totals.throttled).toBe(2 * TOP_FLUSHED + 500 + 420);
  }
});

test('what was counted long ago goes into its own time, and what nobody looks at any more, or yet, nowhere', async () => {
  const keys = workspaceKeys();
  const process = await startProcess(keys);
  const { nowMs } = process;
  for (const agoMs of [0, 2 * HOUR_MS, 3 * DAY_MS, 30 * DAY_MS, -3 * DAY_MS]) {
    process.nowMs = nowMs - agoMs;
    process.accept();
    process.throttle('ann');
  }
  await process.flush();
  process.nowMs = nowMs;
  const both = { accepted: 1, throttled: 1 };
  expect(await pointsOf(process, 'hour')).toEqual([[floor(nowMs, MINUTE_MS), both]]);
  expect(await pointsOf(process, 'day')).toEqual([
    [floor(nowMs - 2 * HOUR_MS, HOUR_MS / 2), both],
    [floor(nowMs, HOUR_MS / 2), both],
  ]);
  expect(await pointsOf(process, 'week')).toEqual(
    [3 * DAY_MS, 2 * HOUR_MS, 0].map((agoMs) => [floor(nowMs - agoMs, HOUR_MS), both]),
  );
  for (const level of Object.values(LEVELS)) {
    for (const agoMs of [30 * DAY_MS, -3 * DAY_MS]) {
      expect(await process.redis.exists(keys.traffic(level.name, bucketStartMs(level, nowMs - agoMs)))).toBe(0);
    }
  }
});

test('a fault of ours loses what it was about, and does not keep the rest from being added', async () => {
  const keys = workspaceKeys();
  const process = await startProcess(keys);
  const key = keys.trafficTop('ten', bucketStartMs(LEVELS.hour, process.nowMs), 'users');
  await process.redis.set(key, 'no sorted set', 'PX', 60_000);
  process.throttle('ann');
  await expect(process.flush()).rejects.toThrow('WRONGTYPE');
  await process.redis.del(key);
  process.accept();
  await process.flush();
  expect((await process.read('hour', process.nowMs)).totals).toMatchObject({ accepted: 1, throttled: 1 });
});

describe('while Redis is away', () => {
  const onCluster = () => sharedRedisUrl().startsWith('redis+cluster:');
  let server: {
    url: string;
    freeze(): Promise<void>;
    thaw(): Promise<void>;
    kill(): Promise<void>;
    restart(): Promise<void>;
    stop(): Promise<void>;
  };
  beforeAll(async () => {
    server = onCluster() ? await startCluster() : await startRedis({ appendonly: true });
  }, 60_000);
  afterAll(() => server.stop());

  test('it is kept, and added afterwards to the minutes in which it happened', async () => {
    const process = await startProcess(workspaceKeys(), server.url);
    const { nowMs } = process;
    await server.kill();
    for (const agoMinutes of [25, 12, 0]) {
      process.nowMs = nowMs - agoMinutes * MINUTE_MS;
      process.throttle(`user-${agoMinutes}`);
      await expect(process.flush()).rejects.toThrow();
    }
    await server.restart();
    await until(async () => {
      try {
        await process.flush();
        return true;
      } catch {
        return false;
      }
    });
    await process.flush();
    expect(await pointsOf(process, 'hour')).toEqual(
      [25, 12, 0].map((agoMinutes) => [floor(nowMs - agoMinutes * MINUTE_MS, MINUTE_MS), { throttled: 1 }]),
    );
    expect((await process.read('day', nowMs)).top.users.map(({ id }) => id).sort()).toEqual([
      ...['user-0', 'user-12', 'user-25'],
    ]);
  }, 60_000);

  test('what was added without an answer is not added again, and what came behind it is', async () => {
    const keys = workspaceKeys();
    // It soon gives up, but not so soon that a busy machine makes it.
    const process = await startProcess(keys, server.url, 1_000);
    const other = await startProcess(keys, server.url);
    // The script is there: what is sent next is done as soon as it is read.
    process.throttle('ann');
    await process.flush();
    const level = LEVELS.hour;
    const counts = () => other.redis.hgetall(keys.traffic(level.name, bucketStartMs(level, process.nowMs)));
    const before = await counts();

    for (let index = 0; index < 250; index += 1) process.throttle(`user-${index}`);
    await server.freeze();
    await expect(process.flush()).rejects.toThrow();
    process.accept();
    await expect(process.flush()).rejects.toThrow();
    await server.thaw();
    // Redis does what was sent, whether or not anybody waits for it.
    await until(async () => {
      try {
        return JSON.stringify(await counts()) !== JSON.stringify(before);
      } catch {
        return false;
      }
    });
    await until(async () => {
      try {
        await process.flush();
        return true;
      } catch {
        return false;
      }
    });
    const { totals, top } = await other.read('hour', process.nowMs);
    expect(totals).toEqual({ ...noCounts(), accepted: 1, throttled: 251 });
    expect(top.limits).toEqual([{ id: 'daily', throttled: 251 }]);
    const users = keys.trafficTop(level.name, bucketStartMs(level, process.nowMs), 'users');
    expect(await other.redis.zcount(users, '1', '1')).toBe(251);
  }, 60_000);
});
