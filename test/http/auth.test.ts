import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { createApiKeys, ROLES, type Role } from '../../src/access/api-keys';
import type { Caller } from '../../src/access/key-ring';
import { createAuthenticate, WRONG_KEYS_MAX, WRONG_KEYS_SECONDS } from '../../src/http/auth';
import type { Reply, Route } from '../../src/http/contract';
import { loadScripts } from '../../src/store/scripts';
import { ADMIN_KEY, type Answer, startTestApp, type TestApp, type TestAppOptions } from '../support/app';
import { type RedisServer, startRedis } from '../support/redis';

const ACTOR = { id: 'test', name: null };
const SOME_KEY = 'sg_aaaaaaaa_0123456789012345678901234567890123456789';

let app: TestApp;
let ownRedis: RedisServer | null = null;
const start = async (options: TestAppOptions = {}) => {
  app = await startTestApp(options);
};
afterEach(async () => {
  await app.stop();
  await ownRedis?.stop();
  ownRedis = null;
});

const keysOf = ({ redis, keys }: TestApp) =>
  createApiKeys({ redis, keys, scripts: loadScripts(), nowMs: Date.now, randomBytes });

/** A new key, known to the app. */
async function keyWith(...roles: Role[]): Promise<string> {
  const { key } = await keysOf(app).create(ACTOR, 'cli', null, roles);
  await app.ring.refresh();
  return key;
}

const as = (key: string | null) => ({ authorization: key === null ? null : `Bearer ${key}` });
const get = (path: string, headers: Record<string, string | null>) => app.call('GET', path, undefined, headers);

function expectProblem(answer: Answer, status: number) {
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.body).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
}

/** Sends header lines as they are, which no HTTP client would, and reads the status. */
function statusOf(lines: readonly (string | Buffer)[], host = 'Host: localhost'): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(app.port, app.host, () => {
      for (const line of ['GET /settings HTTP/1.1', host, 'Connection: close', ...lines, '']) {
        socket.write(line);
        socket.write('\r\n');
      }
    });
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', reject);
    socket.on('end', () => resolve(Number(text.split(' ')[1])));
  });
}

describe('a key’s roles', () => {
  /** What the roles are said to open, written down apart from the routes. */
  function opensTo({ method, path }: Route): readonly Role[] | null {
    if (['/healthz', '/readyz', '/metrics', '/openapi.json', '/'].includes(path)) return null;
    // Providers have no key.
    if (path.startsWith('/providers/')) return null;
    if (path === '/session') return method === 'post' ? ROLES : null;
    if (path === '/check' || path.startsWith('/check/') || path === '/send') return ['check', 'admin'];
    if (/^\/messages\/\{\w+\}\/(?:cancel|retry)$/.test(path)) return ['check', 'admin'];
    if (/^\/inbound\/(?:segment|rudderstack)(?:\/|$)/.test(path)) return ['inbound', 'admin'];
    // They ask what would be, and change nothing.
    if (['/limits/preview', '/limits/simulate'].includes(path)) return ['read', 'admin'];
    return method === 'get' ? ['read', 'admin'] : ['admin'];
  }

  test('open on every route, under all its names, just what they are for', async () => {
    await start();
    const keys = Object.fromEntries(await Promise.all(ROLES.map(async (role) => [role, await keyWith(role)])));
    await app.ring.refresh();
    expect(app.routes.length).toBeGreaterThan(20);
    for (const route of app.routes) {
      const open = opensTo(route);
      for (const template of [route.path, ...(route.aliases ?? [])]) {
        const path = template.replace(/\{\w+\}/g, 'x');
        const method = route.method.toUpperCase();
        const what = (key: string) => `${method} ${template} with ${key}`;
        const statuses = new Map<string, number>();
        for (const key of ['none', ...ROLES]) {
          const { status } = await app.call(method, path, undefined, as(keys[key] ?? null));
          statuses.set(what(key), status === 401 || status === 403 ? status : 0);
        }
        const expected = ['none', ...ROLES].map((key): [string, number] => {
          if (open === null || open.includes(key as Role)) return [what(key), 0];
          return [what(key), key === 'none' ? 401 : 403];
        });
        expect([...statuses]).toEqual(expected);
      }
    }
  });

  test('add up, and a refusal names the one that is missing', async () => {
    await start();
    const both = await keyWith('check', 'read');
    expect((await get('/limits', as(both))).status).toBe(200);
    expect((await app.call('POST', '/check', { user_id: 'ann' }, as(both))).status).toBe(200);
    const refused = await app.call('PATCH', '/settings', {}, as(both));
    expectProblem(refused, 403);
    expect(refused.body.detail).toContain('role admin');
  });

  test('and the key’s id stand behind a change in the audit trail', async () => {
    await start();
    const { key, apiKey } = await keysOf(app).create(ACTOR, 'cli', 'deploys', ['admin']);
    await app.ring.refresh();
    for (const each of [key, ADMIN_KEY]) {
      expect((await app.call('PATCH', '/settings', { exempt_topics: [each.slice(0, 3)] }, as(each))).status).toBe(200);
    }
    const { results } = (await get('/audit-events?limit=2', as(ADMIN_KEY))).body;
    expect(results.map((event: { actor: unknown }) => event.actor)).toEqual([
      { id: 'env', name: 'SENDGATE_API_KEY' },
      { id: apiKey.id, name: 'deploys' },
    ]);
  });
});

describe('without a right key', () => {
  test('a 401 says how to send one', async () => {
    await start();
    const missing = await get('/limits', as(null));
    expectProblem(missing, 401);
    expect(missing.headers['www-authenticate']).toBe('Bearer');
    const wrong = await get('/limits', as(SOME_KEY));
    expectProblem(wrong, 401);
    expect(wrong.headers['www-authenticate']).toBe('Bearer error="invalid_token"');
  });

  test.each<[string, (string | Buffer)[]]>([
    ['no header', []],
    ['an empty one', ['Authorization:']],
    ['a scheme alone', ['Authorization: Bearer']],
    ['a scheme and a blank', ['Authorization: Bearer  ']],
    ['a key alone', [`Authorization: ${ADMIN_KEY}`]],
    ['another scheme', [`Authorization: Basic ${ADMIN_KEY}`]],
    ['a longer scheme', [`Authorization: Bearers ${ADMIN_KEY}`]],
    ['no blank', [`Authorization: Bearer${ADMIN_KEY}`]],
    ['a tab', [`Authorization: Bearer\t${ADMIN_KEY}`]],
    ['two keys', [`Authorization: Bearer ${ADMIN_KEY} ${ADMIN_KEY}`]],
    ['a list', [`Authorization: Bearer ${ADMIN_KEY}, Bearer ${ADMIN_KEY}`]],
    ['two headers', [`Authorization: Bearer ${ADMIN_KEY}`, `AUTHORIZATION: Bearer ${ADMIN_KEY}`]],
    ['two headers, one of them wrong', [`authorization: Bearer ${ADMIN_KEY}`, 'authorization: Bearer x']],
    ['Latin-1', [Buffer.from('Authorization: Bearer \xe9\xff', 'latin1')]],
    ['UTF-8', [Buffer.from('Authorization: Bearer 🔑', 'utf8')]],
    ['10 kB', [`Authorization: Bearer ${'a'.repeat(10_000)}`]],
    ['a name that every object has', ['Authorization: Bearer constructor']],
    ['a key in other headers', [`X-Api-Key: ${ADMIN_KEY}`, `Proxy-Authorization: Bearer ${ADMIN_KEY}`]],
  ])('%s is a 401', async (_name, lines) => {
    await start();
    expect(await statusOf(lines)).toBe(401);
  });

  test.each(['Bearer', 'bearer', 'BEARER', 'Bearer  '])('the scheme may be written %j', async (scheme) => {
    await start();
    expect(await statusOf([`Authorization: ${scheme} ${ADMIN_KEY}`])).toBe(200);
  });

  test('a key in the query or the body is none', async () => {
    await start();
    expectProblem(await get(`/limits?access_token=${ADMIN_KEY}`, as(null)), 401);
    expectProblem(await app.call('POST', '/check', { user_id: 'ann', access_token: ADMIN_KEY }, as(null)), 401);
  });
});

describe('wrong keys', () => {
  test('are told to wait after a few, while a right key from the same address never is', async () => {
    await start();
    const right = await keyWith('read');
    for (let wrong = 1; wrong <= WRONG_KEYS_MAX + 5; wrong += 1) {
      const answer = await get('/limits', as(`${SOME_KEY}${wrong}`));
      expectProblem(answer, wrong <= WRONG_KEYS_MAX ? 401 : 429);
      if (answer.status === 429) {
        const retryAfterSeconds = Number(answer.headers['retry-after']);
        expect(retryAfterSeconds).toBeGreaterThan(WRONG_KEYS_SECONDS / 2);
        expect(retryAfterSeconds).toBeLessThanOrEqual(WRONG_KEYS_SECONDS);
      }
      expect((await get('/limits', as(right))).status).toBe(200);
    }
    // Who sends no key is not guessing.
    expectProblem(await get('/limits', as(null)), 401);
  });

  /** What is answered to wrong keys from addresses, one after the other. */
  async function statusesFrom(addresses: readonly string[]): Promise<number[]> {
    const authenticate = createAuthenticate({ ring: app.ring, host: '0.0.0.0' });
    const statuses: number[] = [];
    for (const remoteAddress of addresses) {
      const headers = { authorization: `Bearer ${SOME_KEY}` };
      const answer: Caller | Reply = await authenticate({ headers, rawHeaders: [], socket: { remoteAddress } });
      statuses.push((answer as Reply).status);
    }
    return statuses;
  }

  test('are counted by network: an IPv4 address, or an IPv6 /64', async () => {
    await start();
    const many = (address: string) => Array<string>(WRONG_KEYS_MAX).fill(address);
    expect((await statusesFrom([...many('192.0.2.1'), '::ffff:192.0.2.1', '192.0.2.2'])).slice(-2)).toEqual([429, 401]);
    const six = await statusesFrom([...many('2001:db8:0:1::1'), '2001:db8:0:1:ffff::2', '2001:db8:0:2::1']);
    expect(six.slice(-2)).toEqual([429, 401]);
  });

  test('take no more memory however many addresses they come from: those share what there is', async () => {
    await start();
    const addresses = Array.from(
      { length: 60_000 },
      (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
    );
    const statuses = await statusesFrom(addresses);
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
  });
});

describe('while the keys cannot be read', () => {
  test('a key that is not known is a 503, which is not counted, and everything else is as before', async () => {
    ownRedis = await startRedis();
    await start({ redisUrl: ownRedis.url });
    const keys = keysOf(app);
    const known = await keyWith('read');
    const revoked = await keys.create(ACTOR, 'cli', null, ['read']);
    await app.ring.refresh();
    await keys.revoke(ACTOR, 'cli', revoked.apiKey.id);
    await app.ring.refresh();
    // Created elsewhere, after this process looked last.
    const { key: unread } = await keys.create(ACTOR, 'cli', null, ['read', 'inbound']);
    const away = new Promise<void>((resolve) => app.redis.once('close', () => resolve()));
    await ownRedis.kill();
    await away;

    const calls = [
      (headers: Record<string, string | null>) => get('/session', headers),
      (headers: Record<string, string | null>) => app.call('POST', '/inbound/segment', { type: 'page' }, headers),
    ];
    const ofBasic = (key: string) => ({ authorization: `Basic ${Buffer.from(`${key}:`).toString('base64')}` });
    for (let times = 0; times <= WRONG_KEYS_MAX; times += 1) {
      for (const call of calls) {
        const refused = await call(as(unread));
        expectProblem(refused, 503);
        expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
        expectProblem(await call(as(`${SOME_KEY}${times}`)), 503);
      }
      expectProblem(await calls[1]!(ofBasic(unread)), 503);
      expectProblem(await get('/session', { authorization: null, cookie: `sendgate_session=${unread}` }), 503);
    }
    expect((await get('/session', as(known))).body.roles).toEqual(['read']);
    expect((await get('/session', as(ADMIN_KEY))).status).toBe(200);
    expectProblem(await get('/session', as(revoked.key)), 401);
    expectProblem(await get('/audit-events', as(null)), 401);
    expectProblem(await get('/session', as('nonsense')), 401);
    // Two of those were wrong keys, and so many may be wrong.
    for (let wrong = 3; wrong <= WRONG_KEYS_MAX; wrong += 1) {
      expectProblem(await get('/session', as('nonsense')), 401);
    }
    expectProblem(await get('/session', as('nonsense')), 429);

    const back = new Promise<void>((resolve) => app.redis.once('ready', () => resolve()));
    await ownRedis.restart();
    await back;
    await app.ring.refresh();
    // That Redis kept nothing: whoever was not known is wrong now, and still slowed.
    expectProblem(await get('/session', as(unread)), 429);
  });
});

test('no call reads a key from Redis, and none is written into the log', async () => {
  ownRedis = await startRedis();
  await start({ redisUrl: ownRedis.url, logRequests: true });
  const right = await keyWith('read');
  await app.redis.config('RESETSTAT');
  for (let call = 0; call < 20; call += 1) {
    expect((await get('/audit-events', as(right))).status).toBe(200);
    expect([401, 429]).toContain((await get('/audit-events', as(`${SOME_KEY}${call}`))).status);
  }
  const commands = (await app.redis.info('commandstats')).matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm);
  const calls = Object.fromEntries([...commands].map(([, name, count]) => [name, Number(count)]));
  expect(calls.xrevrange).toBe(20);
  for (const name of ['get', 'mget', 'hget', 'hmget', 'hgetall', 'eval', 'evalsha'])
    expect(calls[name]).toBeUndefined();

  expect(app.log.length).toBeGreaterThanOrEqual(40);
  const written = JSON.stringify(app.log);
  for (const key of [right, SOME_KEY, ADMIN_KEY]) expect(written).not.toContain(key.slice(12));
});

describe('without any key', () => {
  test.each(['localhost', 'localhost:8080', '127.0.0.1:1234', '127.9.9.9', '[::1]:8080', 'LOCALHOST'])(
    'a call to %s may do everything, as local',
    async (host) => {
      await start({ apiKey: null });
      const put = await app.call('PATCH', '/settings', { exempt_topics: ['login'] }, { host });
      expect(put.status).toBe(200);
      expect((await get('/audit-events', { host })).body.results[0].actor).toEqual({ id: 'local', name: null });
    },
  );

  test.each<[string, Record<string, string>]>([
    ['another name', { host: 'evil.example:8080' }],
    ['a name that begins like ours', { host: 'localhost.evil.example' }],
    ['an address that others have', { host: '10.0.0.1:8080' }],
    ['a page of another origin', { host: 'localhost', origin: 'https://evil.example' }],
    ['a page without an origin', { host: 'localhost', origin: 'null' }],
  ])('a call from a web page, by %s, is a 403 that says why', async (_name, headers) => {
    await start({ apiKey: null });
    const refused = await app.call('PATCH', '/settings', { exempt_topics: ['login'] }, headers);
    expectProblem(refused, 403);
    expect(refused.body.detail).toContain('While there is no API key');
    expect((await get('/settings', { host: 'localhost' })).body.exempt_topics).toEqual([]);
    expect((await get('/healthz', headers)).status).toBe(200);
  });

  test.each(['Host:', 'Host: :8080', 'Host: localhost evil.example', 'Host: 127.0.0.1@evil.example'])(
    '%j is a 403',
    async (host) => {
      await start({ apiKey: null });
      expect(await statusOf([], host)).toBe(403);
    },
  );

  test('a page of our own may call', async () => {
    await start({ apiKey: null });
    expect((await get('/settings', { host: 'localhost:8080', origin: 'http://localhost:8080' })).status).toBe(200);
  });

  test('a process that has seen one never opens again', async () => {
    await start({ apiKey: null });
    expect((await get('/settings', as(null))).status).toBe(200);
    const keys = keysOf(app);
    const { key, apiKey } = await keys.create(ACTOR, 'cli', null, ['read']);
    await app.ring.refresh();
    expectProblem(await get('/settings', as(null)), 401);
    expect((await get('/settings', { ...as(key), host: 'gate.example' })).status).toBe(200);
    await keys.revoke(ACTOR, 'cli', apiKey.id);
    await app.ring.refresh();
    expectProblem(await get('/settings', as(null)), 401);
    expectProblem(await get('/settings', as(key)), 401);
  });

  test('a process that does not know yet whether there are keys lets nobody in', async () => {
    // As it is until Redis has answered for the first time.
    await start({ apiKey: null, withoutRedis: true });
    for (const key of [null, SOME_KEY]) {
      const refused = await get('/settings', as(key));
      expectProblem(refused, 503);
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    }
  });

  test('a process that must not serve lets nobody in until it has ended', async () => {
    await start({ apiKey: null });
    const authenticate = createAuthenticate({ ring: app.ring, host: '0.0.0.0' });
    const request = { headers: { host: 'localhost' }, rawHeaders: [], socket: { remoteAddress: '127.0.0.1' } };
    expect(await authenticate(request)).toMatchObject({ status: 503 });
  });
});
