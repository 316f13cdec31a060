import { createHash, randomBytes } from 'node:crypto';
import { Cluster } from 'ioredis';
import { type ApiKeys, createApiKeys } from '../../src/access/api-keys';
import { createKeyCommand, listKeysCommand, revokeKeyCommand } from '../../src/access/commands';
import { createKeyRing, type KeyRing, REFRESH_MS, type Schedule } from '../../src/access/key-ring';
import { createAuditTrail } from '../../src/log/audit';
import { connectFailingFast, parseRedisUrl, type RedisClient } from '../../src/store/connection';
import { createKeys, type Keys } from '../../src/store/keys';
import { loadScripts } from '../../src/store/scripts';
import { connectTo } from '../support/members';
import { sharedRedisUrl, startRedis, uniqueWorkspace } from '../support/redis';

const ACTOR = { id: 'test', name: 'a test' };
const SOME_KEY = 'sg_aaaaaaaa_0123456789012345678901234567890123456789';
const NOW_MS = Date.UTC(2026, 2, 7, 12);
const scripts = loadScripts();

let redis: RedisClient;
let keys: Keys;
let apiKeys: ApiKeys;
let rings: KeyRing[];
let others: RedisClient[];
beforeEach(() => {
  redis = connectTo(sharedRedisUrl());
  others = [];
  keys = createKeys(uniqueWorkspace());
  apiKeys = createApiKeys({ redis, scripts, keys, nowMs: () => NOW_MS, randomBytes });
  rings = [];
});
afterEach(() => {
  for (const ring of rings) ring.stop();
  for (const client of [redis, ...others]) client.disconnect();
});

const timers: Schedule = (work, delayMs) => {
  const timer = setTimeout(work, delayMs).unref();
  return () => clearTimeout(timer);
};
const never: Schedule = () => () => undefined;

function ringOf(some: Partial<Parameters<typeof createKeyRing>[0]> = {}): KeyRing {
  const ring = createKeyRing({
    redis,
    keys,
    envKey: null,
    schedule: never,
    answers: () => true,
    monotonicMs: () => performance.now(),
    onFailure: (error) => {
      throw error;
    },
    ...some,
  });
  rings.push(ring);
  return ring;
}

/** Turns that happen when the test says so. */
function manualSchedule() {
  let next: { work: () => void; delayMs: number } | null = null;
  let announce: () => void = () => undefined;
  const schedule: Schedule = (work, delayMs) => {
    next = { work, delayMs };
    announce();
    return () => {
      next = null;
    };
  };
  return {
    schedule,
    /** The delay of the next turn, once it is scheduled. */
    async delayMs(): Promise<number> {
      if (next === null) await new Promise<void>((resolve) => (announce = resolve));
      return next!.delayMs;
    },
    async turn(): Promise<void> {
      const scheduled = next!;
      next = null;
      scheduled.work();
      await this.delayMs();
    },
    isScheduled: () => next !== null,
  };
}

/** Waits until something is so, and says how long that took in milliseconds. */
async function until(isSo: () => boolean): Promise<number> {
  const startMs = performance.now();
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10));
  return performance.now() - startMs;
}

/** Every text that the workspace keeps in Redis, in names and values, sorted: Redis tells them in no order. */
async function everyText(): Promise<string[]> {
  const texts: string[] = [];
  for (const node of redis instanceof Cluster ? redis.nodes('master') : [redis]) {
    const names = await node.keys(`${keys.prefix}*`);
    for (const name of names) {
      texts.push(name);
      const type = await node.type(name);
      if (type === 'hash') texts.push(...Object.entries(await node.hgetall(name)).flat());
      else if (type === 'stream') texts.push(...(await node.xrange(name, '-', '+')).flat(2));
      else if (type === 'string') texts.push((await node.get(name))!);
      else throw new Error(`${name} is a ${type}, which this test does not read`);
    }
  }
  return texts.sort();
}

describe('a key', () => {
  test('is shown once, and stored only as its SHA-256', async () => {
    const { key, apiKey } = await apiKeys.create(ACTOR, 'cli', 'billing', ['check', 'read']);
    expect(key).toMatch(/^sg_[0-9A-Za-z]{8}_[0-9A-Za-z]{40}$/);
    const [, id, secret] = key.split('_');
    expect(apiKey).toEqual({ id, name: 'billing', roles: ['check', 'read'], created_at: '2026-03-07T12:00:00.000Z' });
    const texts = await everyText();
    expect(texts).toContain(createHash('sha256').update(key).digest('hex'));
    expect(texts.filter((text) => text.includes(secret!))).toEqual([]);
  });

  test('is listed and audited without its secret or its hash', async () => {
    const { key, apiKey } = await apiKeys.create(ACTOR, 'api', null, ['admin']);
    await apiKeys.revoke({ id: 'cli', name: null }, 'cli', apiKey.id);
    const { changes } = await createAuditTrail({ redis, keys }).page(null, 10);
    expect(changes).toEqual([
      expect.objectContaining({ type: 'key.revoked', target: `key:${apiKey.id}`, before: apiKey, after: null }),
      expect.objectContaining({ type: 'key.created', target: `key:${apiKey.id}`, before: null, after: apiKey }),
    ]);
    expect(changes.map(({ actor, source }) => ({ actor, source }))).toEqual([
      { actor: { id: 'cli', name: null }, source: 'cli' },
      { actor: ACTOR, source: 'api' },
    ]);
    const { key: other } = await apiKeys.create(ACTOR, 'api', null, ['read']);
    const shown = JSON.stringify([changes, await apiKeys.list()]);
    for (const text of [key, other]) {
      expect(shown).not.toContain(text.split('_')[2]);
      expect(shown).not.toContain(createHash('sha256').update(text).digest('hex'));
    }
  });

  test('is revoked by its id, once; an unknown id changes nothing', async () => {
    const { apiKey } = await apiKeys.create(ACTOR, 'cli', null, ['read']);
    const { apiKey: kept } = await apiKeys.create(ACTOR, 'cli', null, ['read']);
    const before = await everyText();
    for (const id of ['', 'nobody', 'constructor', `${apiKey.id}x`]) {
      expect(await apiKeys.revoke(ACTOR, 'cli', id)).toBe(false);
    }
    expect(await everyText()).toEqual(before);
    expect(await apiKeys.revoke(ACTOR, 'cli', apiKey.id)).toBe(true);
    expect(await apiKeys.revoke(ACTOR, 'cli', apiKey.id)).toBe(false);
    expect(await apiKeys.list()).toEqual([kept]);
  });

  test('never takes the id of another', async () => {
    const draws: number[] = [0, 0, 0, 0, 1, 2];
    let drawn = 0;
    const drawing = createApiKeys({
      redis,
      scripts,
      keys,
      nowMs: () => NOW_MS,
      randomBytes: (bytes) => Buffer.alloc(bytes, draws[drawn++]),
    });
    const first = await drawing.create(ACTOR, 'cli', null, ['read']);
    const second = await drawing.create(ACTOR, 'cli', null, ['admin']);
    expect([first.apiKey.id, second.apiKey.id]).toEqual(['00000000', '11111111']);
    expect(await apiKeys.list()).toEqual([first.apiKey, second.apiKey]);
  });

  test('is made of every character alike: bytes that would favour some are drawn again', async () => {
    let next = 247;
    const counting = createApiKeys({
      redis,
      scripts,
      keys,
      nowMs: () => NOW_MS,
      randomBytes: (bytes) => Uint8Array.from({ length: bytes }, () => next++ % 256),
    });
    const { key } = await counting.create(ACTOR, 'cli', null, ['read']);
    // 247 is the last byte that stands for a character; 248 to 255 are passed over, and 0 begins again.
    expect(key).toMatch(/^sg_z0123456_/);
  });
});

describe('a ring', () => {
  test('knows a key that was created, and forgets one that was revoked, in every process within 5 s', async () => {
    const here = ringOf({ schedule: timers });
    others.push(connectTo(sharedRedisUrl()));
    const there = ringOf({ schedule: timers, redis: others[0]! });
    for (const ring of [here, there]) {
      ring.start();
      await ring.whenKnown();
    }
    const { key, apiKey } = await apiKeys.create(ACTOR, 'cli', 'a name', ['check']);
    const caller = { actor: { id: apiKey.id, name: 'a name' }, roles: ['check'] };
    expect(await until(() => here.lookup(key) !== null && there.lookup(key) !== null)).toBeLessThan(5_000);
    expect([here.lookup(key), there.lookup(key)]).toEqual([caller, caller]);
    await apiKeys.revoke(ACTOR, 'cli', apiKey.id);
    expect(await until(() => here.lookup(key) === null && there.lookup(key) === null)).toBeLessThan(5_000);
  });

  test('knows at once what its own process has changed', async () => {
    const ring = ringOf();
    const { key, apiKey } = await apiKeys.create(ACTOR, 'cli', null, ['read']);
    await ring.refresh();
    expect(ring.lookup(key)?.actor.id).toBe(apiKey.id);
    await apiKeys.revoke(ACTOR, 'cli', apiKey.id);
    await ring.refresh();
    expect(ring.lookup(key)).toBeNull();
  });

  test('finds only whole keys', async () => {
    const ring = ringOf();
    const { key } = await apiKeys.create(ACTOR, 'cli', null, ['read']);
    await ring.refresh();
    const wrong = ['', key.slice(0, -1), `${key}0`, key.toLowerCase(), createHash('sha256').update(key).digest('hex')];
    expect(wrong.map((token) => ring.lookup(token))).toEqual(wrong.map(() => null));
  });

  test('holds the key of SENDGATE_API_KEY, an admin, whatever is in Redis or whether it answers', async () => {
    const ring = ringOf({ envKey: 'the-env-key' });
    const env = { actor: { id: 'env', name: 'SENDGATE_API_KEY' }, roles: ['admin'] };
    expect(ring.lookup('the-env-key')).toEqual(env);
    await apiKeys.create(ACTOR, 'cli', null, ['read']);
    await ring.refresh();
    expect(ring.lookup('the-env-key')).toEqual(env);
    expect(ring.access()).toEqual({ envKey: true, keysKnown: true, keyCount: 1 });
  });

  test('does not know the keys until it has read them, and never again says that there were none', async () => {
    const ring = ringOf();
    expect(ring.access()).toEqual({ envKey: false, keysKnown: false, keyCount: 0 });
    await ring.refresh();
    expect(ring.access()).toEqual({ envKey: false, keysKnown: true, keyCount: 0 });
    const { apiKey } = await apiKeys.create(ACTOR, 'cli', null, ['read']);
    await ring.refresh();
    await apiKeys.revoke(ACTOR, 'cli', apiKey.id);
    await ring.refresh();
    expect(ring.access()).toEqual({ envKey: false, keysKnown: true, keyCount: 1 });
  });

  test('says that what it does not know may be a key only while the keys cannot be read, and only of what has its form', async () => {
    let answers = true;
    const ring = ringOf({ answers: () => answers });
    expect(ring.mayBeUnread(SOME_KEY)).toBe(true);
    const { key, apiKey } = await apiKeys.create(ACTOR, 'cli', null, ['read']);
    await ring.refresh();
    expect(ring.mayBeUnread(SOME_KEY)).toBe(false);
    await apiKeys.revoke(ACTOR, 'cli', apiKey.id);
    const { key: other, apiKey: otherKey } = await apiKeys.create(ACTOR, 'cli', null, ['read']);
    await ring.refresh();
    answers = false;
    const tokens = [
      SOME_KEY,
      key,
      '',
      'nonsense',
      'sg_',
      'sg__',
      `${SOME_KEY}-`,
      `sg_a_${'b'.repeat(300)}`,
      'constructor',
    ];
    expect(tokens.filter((token) => ring.mayBeUnread(token))).toEqual([SOME_KEY]);
    expect([ring.lookup(SOME_KEY), ring.lookup(key), ring.lookup(other)?.actor.id]).toEqual([null, null, otherKey.id]);
    answers = true;
    expect(ring.mayBeUnread(SOME_KEY)).toBe(false);
  });

  test('says so too when no reading has come to an end for 5 s, however Redis seems', async () => {
    let nowMs = 0;
    const manual = manualSchedule();
    const ring = ringOf({ schedule: manual.schedule, monotonicMs: () => nowMs });
    ring.start();
    await manual.delayMs();
    nowMs = 4_999;
    expect(ring.mayBeUnread(SOME_KEY)).toBe(false);
    nowMs = 5_000;
    expect(ring.mayBeUnread(SOME_KEY)).toBe(true);
    await manual.turn();
    expect(ring.mayBeUnread(SOME_KEY)).toBe(false);
  });

  test('reads every 2 s, and no more once it was stopped', async () => {
    const manual = manualSchedule();
    const ring = ringOf({ schedule: manual.schedule });
    ring.start();
    ring.start();
    expect(await manual.delayMs()).toBe(REFRESH_MS);
    const { key } = await apiKeys.create(ACTOR, 'cli', null, ['read']);
    await manual.turn();
    expect(ring.lookup(key)).not.toBeNull();
    ring.stop();
    expect(manual.isScheduled()).toBe(false);
  });
});

describe('while Redis is away, or after it came back empty', () => {
  test('a ring keeps the keys it knows, says so once, tries again sooner, and believes a new database', async () => {
    const server = await startRedis();
    const own = connectFailingFast(parseRedisUrl(server.url), {
      name: 'test',
      commandTimeoutMs: 5_000,
      reconnectMs: 20,
    });
    own.on('error', () => undefined);
    try {
      const ready = () => new Promise<void>((resolve) => own.once('ready', () => resolve()));
      await ready();
      const ownKeys = createApiKeys({ redis: own, scripts, keys, nowMs: () => NOW_MS, randomBytes });
      const { key } = await ownKeys.create(ACTOR, 'cli', null, ['read']);
      const failures: unknown[] = [];
      const manual = manualSchedule();
      const ring = ringOf({ redis: own, schedule: manual.schedule, onFailure: (error) => failures.push(error) });
      ring.start();
      await manual.delayMs();

      await server.kill();
      await manual.turn();
      await manual.turn();
      expect(await manual.delayMs()).toBeLessThan(REFRESH_MS);
      expect(failures).toHaveLength(1);
      expect(ring.lookup(key)).not.toBeNull();
      expect(ring.mayBeUnread(SOME_KEY)).toBe(true);

      const again = ready();
      await server.restart();
      await again;
      // As many changes as before: only that revisions begin at the time tells the two databases apart.
      const { key: other } = await ownKeys.create(ACTOR, 'cli', null, ['read']);
      await manual.turn();
      expect(await manual.delayMs()).toBe(REFRESH_MS);
      expect(ring.lookup(other)).not.toBeNull();
      expect(ring.lookup(key)).toBeNull();
      expect(ring.mayBeUnread(SOME_KEY)).toBe(false);
    } finally {
      own.disconnect();
      await server.stop();
    }
  });
});

describe('on the command line', () => {
  test('a creation writes the key alone to stdout, and a revocation ends it', async () => {
    const created = await createKeyCommand({ apiKeys }, { name: 'billing', roles: ['read,check'] });
    expect(created).toMatchObject({ stdout: expect.stringMatching(/^sg_\w+\n$/), exitCode: 0 });
    const id = created.stdout.split('_')[1]!;
    expect(created.stderr).toContain(`Created the key ${id} (billing) with the roles check, read.`);
    expect(created.stderr).not.toContain(created.stdout.split('_')[2]!.trim());

    expect(await listKeysCommand({ apiKeys }, {})).toEqual({
      stdout: `ID        NAME     ROLES       CREATED\n${id}  billing  check,read  2026-03-07T12:00:00.000Z\n`,
      stderr: '',
      exitCode: 0,
    });
    const json = await listKeysCommand({ apiKeys }, { json: true });
    expect(JSON.parse(json.stdout)).toEqual([
      { id, name: 'billing', roles: ['check', 'read'], created_at: '2026-03-07T12:00:00.000Z' },
    ]);

    expect(await revokeKeyCommand({ apiKeys }, { id })).toMatchObject({ stdout: '', exitCode: 0 });
    expect(await listKeysCommand({ apiKeys }, { json: true })).toMatchObject({ stdout: '[]\n', exitCode: 0 });
    expect(await listKeysCommand({ apiKeys }, {})).toMatchObject({ stdout: '', exitCode: 0 });
  });

  test('a key is revoked by itself too, for whoever has no more than that', async () => {
    const created = await createKeyCommand({ apiKeys }, { roles: ['check'] });
    const revoked = await revokeKeyCommand({ apiKeys }, { id: created.stdout.trim() });
    expect(revoked).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/^Revoked the key \w{8}\. /) });
    expect(await apiKeys.list()).toEqual([]);
  });

  test('a revocation of what is not there fails in words, which do not repeat what may be a secret', async () => {
    const outcome = await revokeKeyCommand({ apiKeys }, { id: 'sg_abc_secret' });
    expect(outcome).toEqual({
      stdout: '',
      stderr: expect.stringContaining('There is no key with this id'),
      exitCode: 1,
    });
    expect(outcome.stderr).not.toContain('secret');
  });
});
