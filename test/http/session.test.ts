import { randomBytes } from 'node:crypto';
import { createApiKeys, type Role } from '../../src/access/api-keys';
import { WRONG_KEYS_MAX } from '../../src/http/auth';
import { loadScripts } from '../../src/store/scripts';
import { packageVersion } from '../../src/version';
import { ADMIN_KEY, type Answer, startTestApp, type TestApp, type TestAppOptions } from '../support/app';
import { freePort } from '../support/ports';

const ACTOR = { id: 'test', name: null };
const WRONG_KEY = 'sg_aaaaaaaa_0123456789012345678901234567890123456789';
/** What a page of ours sends along. */
const CONSOLE = { 'x-sendgate-console': '1' };

let app: TestApp;
const start = async (options: TestAppOptions = {}) => {
  app = await startTestApp(options);
};
afterEach(() => app.stop());

const keysOf = ({ redis, keys }: TestApp) =>
  createApiKeys({ redis, keys, scripts: loadScripts(), nowMs: Date.now, randomBytes });

/** A new key, known to the app. */
async function keyWith(...roles: Role[]) {
  const made = await keysOf(app).create(ACTOR, 'cli', 'a person', roles);
  await app.ring.refresh();
  return made;
}

type Headers = Record<string, string | null>;

/** A call without the key that tests send otherwise. */
const call = (method: string, path: string, headers: Headers = {}, body?: unknown) =>
  app.call(method, path, body, { authorization: null, ...headers });
const cookie = (key: string): Headers => ({ cookie: `sendgate_session=${key}` });
const bearer = (key: string): Headers => ({ authorization: `Bearer ${key}` });
const signIn = (key: string, headers: Headers = {}) => call('POST', '/session', { ...bearer(key), ...headers });

function expectProblem(answer: Answer, status: number) {
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.body).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
  expect(answer.headers['set-cookie']).toBeUndefined();
}

/** A cookie as a browser reads it: its value, and its attributes in the order of the alphabet. */
function cookieOf({ headers }: Answer) {
  const [pair = '', ...attributes] = headers['set-cookie']!.split('; ');
  const [name, ...value] = pair.split('=');
  return { name, value: value.join('='), attributes: attributes.sort() };
}

describe('signing in', () => {
  test('says who calls and what they may do, and keeps the key where no script and no other site can have it', async () => {
    await start();
    const { key, apiKey } = await keyWith('check', 'read');
    const answer = await signIn(key);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      actor: { id: apiKey.id, name: 'a person' },
      roles: ['check', 'read'],
      workspace: app.workspace,
      version: packageVersion(),
    });
    expect(cookieOf(answer)).toEqual({
      name: 'sendgate_session',
      value: key,
      attributes: ['HttpOnly', 'Max-Age=43200', 'Path=/', 'SameSite=Strict'],
    });
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.text).not.toContain(key);
  });

  test.each<[string | null, boolean]>([
    ['https://console.example', true],
    ['https://console.example:8443', true],
    ['http://localhost:8080', false],
    ['null', false],
    [null, false],
  ])('a page of origin %s gets a cookie that is sent by https alone: %p', async (origin, isSecure) => {
    await start();
    for (const answer of [await signIn(ADMIN_KEY, { origin }), await call('DELETE', '/session', { origin })]) {
      expect(cookieOf(answer).attributes.includes('Secure')).toBe(isSecure);
    }
  });

  test.each<[string, Headers]>([
    ['a wrong key', bearer(WRONG_KEY)],
    ['no key', {}],
    ['another scheme', { authorization: `Basic ${ADMIN_KEY}` }],
    ['a wrong key beside the cookie of a right one', { ...bearer(WRONG_KEY), ...cookie(ADMIN_KEY) }],
  ])('with %s is a 401, and leaves no cookie', async (_name, headers) => {
    await start();
    expectProblem(await call('POST', '/session', { ...headers, ...CONSOLE }), 401);
  });

  test('keeps any key that can be one, as it is', async () => {
    // Every character that RFC 6750 has for a token.
    const key = 'A-z_0.9~+/0123456789==';
    await start({ apiKey: key });
    const answer = await signIn(key);
    expect(cookieOf(answer).value).toBe(key);
    expect((await call('GET', '/limits', cookie(key))).status).toBe(200);
  });

  test('with the cookie alone keeps it as it is', async () => {
    await start();
    const answer = await call('POST', '/session', { ...cookie(ADMIN_KEY), ...CONSOLE });
    expect([answer.status, answer.headers['set-cookie']]).toEqual([200, undefined]);
    expectProblem(await call('POST', '/session', cookie(ADMIN_KEY)), 403);
  });
});

describe('with the cookie of a session', () => {
  test('a caller is whose key it is, in every call and in the audit trail', async () => {
    await start();
    const { key, apiKey } = await keyWith('admin');
    const { status, body } = await call('GET', '/session', cookie(key));
    expect([status, body.actor, body.roles]).toEqual([200, { id: apiKey.id, name: 'a person' }, ['admin']]);
    const put = { per: ['user'], period: 'day', max: 5 };
    expect((await call('PUT', '/limits/daily', { ...cookie(key), ...CONSOLE }, put)).status).toBe(200);
    const { results } = (await call('GET', '/audit-events', cookie(key))).body;
    expect(results[0]).toMatchObject({ type: 'limit.created', actor: { id: apiKey.id, name: 'a person' } });
  });

  test.each<[string, string, unknown]>([
    ['POST', '/limits', { id: 'more', per: ['user'], period: 'day', max: 5 }],
    ['POST', '/limits/preview', { per: ['user'], period: 'day', max: 5 }],
    ['PUT', '/limits/daily', { per: ['user'], period: 'week', max: 5 }],
    ['DELETE', '/limits/daily', undefined],
    ['PATCH', '/settings', { week_start: 'monday' }],
    ['POST', '/check', { user_id: 'ann' }],
    ['POST', '/send', { message: { to: { user_id: 'ann' } } }],
    ['POST', '/usage/reset', { per: { user: 'ann' }, period: 'day' }],
    ['PUT', '/users/ann/accounts/acme', {}],
    ['DELETE', '/users/ann/accounts', undefined],
    ['POST', '/messages/m-1/cancel', undefined],
  ])('%s %s from a page that is not ours is a 403, and does nothing', async (method, path, body) => {
    await start();
    await app.limit({ id: 'daily', per: ['user'], period: 'day', max: 1 });
    const state = async () => [
      (await app.call('GET', '/limits')).body,
      (await app.call('GET', '/settings')).body,
      (await app.call('GET', '/usage?user_id=ann')).body,
      (await app.call('GET', '/messages')).body,
      (await app.call('GET', '/audit-events')).body,
    ];
    const before = await state();
    for (const headers of [{}, { origin: 'https://evil.example' }, { 'content-type': 'text/plain' }]) {
      const refused = await call(method, path, { ...cookie(ADMIN_KEY), ...headers }, body);
      expectProblem(refused, 403);
      expect(refused.body.detail).toContain('X-Sendgate-Console');
    }
    expect(await state()).toEqual(before);
    // With the header too, where the browser says that the page is another site's.
    const crossSite = { ...cookie(ADMIN_KEY), ...CONSOLE, 'sec-fetch-site': 'cross-site' };
    const refused = await call(method, path, crossSite, body);
    expectProblem(refused, 403);
    expect(refused.body.detail).toContain('another site');
    expect(await state()).toEqual(before);
    // The key in the header that no browser sends by itself needs no more.
    expect([401, 403]).not.toContain((await call(method, path, bearer(ADMIN_KEY), body)).status);
    expect([401, 403]).not.toContain((await call(method, path, { ...cookie(ADMIN_KEY), ...CONSOLE }, body)).status);
  });

  test('what changes nothing is answered without more', async () => {
    await start();
    for (const method of ['GET', 'HEAD']) {
      expect((await call(method, '/limits', cookie(ADMIN_KEY))).status).toBe(200);
    }
  });

  test.each(['same-origin', 'same-site', 'none'])(
    'a page of ours may change things, with Sec-Fetch-Site: %s',
    async (site) => {
      await start();
      const headers = { ...cookie(ADMIN_KEY), ...CONSOLE, 'sec-fetch-site': site };
      expect((await call('PATCH', '/settings', headers, {})).status).toBe(200);
    },
  );

  test('where a page is from does not matter to a call by key', async () => {
    await start();
    const headers = { ...bearer(ADMIN_KEY), 'sec-fetch-site': 'cross-site' };
    expect((await call('PATCH', '/settings', headers, {})).status).toBe(200);
  });

  test('Authorization wins, whatever it holds', async () => {
    await start();
    const { key } = await keyWith('read');
    const both = await call('GET', '/session', { ...bearer(key), ...cookie(ADMIN_KEY) });
    expect(both.body.roles).toEqual(['read']);
    expect((await call('GET', '/limits', { ...bearer(key), ...cookie(WRONG_KEY) })).status).toBe(200);
    for (const authorization of [`Bearer ${WRONG_KEY}`, 'Bearer', '', ADMIN_KEY]) {
      expectProblem(await call('GET', '/limits', { authorization, ...cookie(ADMIN_KEY) }), 401);
    }
    // A call by key is none of a browser's, also where a cookie comes along.
    const put = await call('PATCH', '/settings', { ...bearer(ADMIN_KEY), ...cookie(ADMIN_KEY) }, {});
    expect(put.status).toBe(200);
  });

  test('a key that may only check reads its session and nothing else', async () => {
    await start();
    const { key } = await keyWith('check');
    expect((await call('GET', '/session', cookie(key))).body.roles).toEqual(['check']);
    expectProblem(await call('GET', '/limits', cookie(key)), 403);
    expectProblem(await call('PATCH', '/settings', { ...cookie(key), ...CONSOLE }, {}), 403);
    expect((await call('POST', '/check', { ...cookie(key), ...CONSOLE }, { user_id: 'ann' })).status).toBe(200);
  });

  test('a key that was revoked opens nothing any more, and can still be signed out', async () => {
    await start();
    const { key, apiKey } = await keyWith('read');
    expect((await call('GET', '/limits', cookie(key))).status).toBe(200);
    await keysOf(app).revoke(ACTOR, 'cli', apiKey.id);
    await app.ring.refresh();
    expectProblem(await call('GET', '/limits', cookie(key)), 401);
    expectProblem(await call('GET', '/session', cookie(key)), 401);
    expect((await call('DELETE', '/session', cookie(key))).status).toBe(204);
  });

  test('wrong ones are slowed as wrong keys are, and right ones never', async () => {
    await start();
    const statuses: number[] = [];
    for (let count = 0; count <= WRONG_KEYS_MAX; count += 1) {
      statuses.push((await call('GET', '/limits', cookie(`${WRONG_KEY}${count}`))).status);
      expect((await call('GET', '/limits', cookie(ADMIN_KEY))).status).toBe(200);
    }
    expect(statuses).toEqual([...Array<number>(WRONG_KEYS_MAX).fill(401), 429]);
  });

  test('no key is written into the log', async () => {
    await start({ logRequests: true });
    await signIn(ADMIN_KEY);
    await call('GET', '/limits', cookie(ADMIN_KEY));
    await call('GET', '/limits', cookie(WRONG_KEY));
    await call('PATCH', '/settings', cookie(ADMIN_KEY), {});
    expect(app.log.length).toBeGreaterThanOrEqual(4);
    for (const key of [ADMIN_KEY, WRONG_KEY]) expect(JSON.stringify(app.log)).not.toContain(key);
  });
});

describe('among the cookies of a request', () => {
  const name = 'sendgate_session';
  test.each([
    `${name}=${ADMIN_KEY}`,
    `theme=dark; ${name}=${ADMIN_KEY}; lang=en`,
    `theme=dark;${name}=${ADMIN_KEY};lang=en`,
    `  ${name} = ${ADMIN_KEY}  `,
    `x${name}=${WRONG_KEY}; ${name}2=${WRONG_KEY}; ${name}=${ADMIN_KEY}`,
    `theme; =; ;; broken=a=b=c; ${name}=${ADMIN_KEY}`,
    // Of two the first: a browser sends the one with the longer path first.
    `${name}=${ADMIN_KEY}; ${name}=${WRONG_KEY}`,
  ])('%j has the session', async (cookies) => {
    await start();
    expect((await call('GET', '/limits', { cookie: cookies })).status).toBe(200);
  });

  test.each([
    '',
    ';',
    '; ; ;;',
    '=',
    name,
    `${name}=`,
    `${name}=;`,
    `${name};=${ADMIN_KEY}`,
    `=${name}=${ADMIN_KEY}`,
    `${name.toUpperCase()}=${ADMIN_KEY}`,
    `x${name}=${ADMIN_KEY}`,
    `${name}2=${ADMIN_KEY}`,
    `"${name}"=${ADMIN_KEY}`,
    `${name}="${ADMIN_KEY}"`,
    `${name}=Bearer ${ADMIN_KEY}`,
    `${name}=${encodeURIComponent(` ${ADMIN_KEY}`)}`,
    `${name}=${ADMIN_KEY},${name}=${ADMIN_KEY}`,
    `${name}=${WRONG_KEY}; ${name}=${ADMIN_KEY}`,
    `${name}=${'a'.repeat(8_000)}`,
    `${name}=constructor`,
    `${name}=__proto__`,
    `${name}=\u00e9\u00ff`,
  ])('%j has none', async (cookies) => {
    await start();
    expectProblem(await call('GET', '/limits', { cookie: cookies }), 401);
  });
});

describe('signing out', () => {
  test('takes the cookie away, whoever asks and with whatever', async () => {
    await start();
    for (const headers of [{}, cookie(ADMIN_KEY), cookie(WRONG_KEY), bearer(WRONG_KEY), cookie('')]) {
      const answer = await call('DELETE', '/session', headers);
      expect([answer.status, answer.text]).toEqual([204, '']);
      expect(cookieOf(answer)).toEqual({
        name: 'sendgate_session',
        value: '',
        attributes: ['HttpOnly', 'Max-Age=0', 'Path=/', 'SameSite=Strict'],
      });
    }
  });
});

describe('without any key', () => {
  test('everybody on this machine is in session, and no cookie is needed or given', async () => {
    await start({ apiKey: null });
    const local = { actor: { id: 'local', name: null }, roles: ['admin'], workspace: app.workspace };
    for (const method of ['GET', 'POST']) {
      const answer = await call(method, '/session');
      expect([answer.status, answer.headers['set-cookie']]).toEqual([200, undefined]);
      expect(answer.body).toMatchObject(local);
    }
    // Nobody has looked at this one.
    const unchecked = await call('POST', '/session', { authorization: `Bearer ${WRONG_KEY}` });
    expect([unchecked.status, unchecked.headers['set-cookie']]).toEqual([200, undefined]);
    expect((await call('PATCH', '/settings', {}, { week_start: 'monday' })).status).toBe(200);
    // What is left in a browser from before does not matter.
    expect((await call('GET', '/session', cookie(WRONG_KEY))).body).toMatchObject(local);
  });

  test('a page of another origin is not', async () => {
    await start({ apiKey: null });
    for (const method of ['GET', 'POST']) {
      expectProblem(await call(method, '/session', { origin: 'https://evil.example', ...CONSOLE }), 403);
      expectProblem(await call(method, '/session', { host: 'evil.example', ...CONSOLE }), 403);
    }
  });
});

describe('without a key or a session', () => {
  test('whoever asks for the session is told that there is none', async () => {
    await start();
    for (const headers of [{}, CONSOLE, { cookie: 'theme=dark' }, { cookie: 'sendgate_session=' }]) {
      const answer = await call('GET', '/session', headers);
      expect([answer.status, answer.body]).toEqual([200, { actor: null, roles: [] }]);
      expect(answer.headers['set-cookie']).toBeUndefined();
    }
    for (const headers of [{ authorization: '' }, { authorization: 'Bearer' }, bearer(WRONG_KEY), cookie(WRONG_KEY)]) {
      expectProblem(await call('GET', '/session', headers), 401);
    }
  });

  test('a call that needs one is a 401', async () => {
    await start();
    expectProblem(await call('POST', '/session'), 401);
    for (const path of ['/limits', '/messages', '/settings', '/overview']) {
      expectProblem(await call('GET', path), 401);
    }
  });
});

test('a session is answered while Redis is away, by the keys that are known', async () => {
  await start({ redisUrl: `redis://127.0.0.1:${await freePort()}`, withoutRedis: true });
  expect((await signIn(ADMIN_KEY)).status).toBe(200);
  expect((await call('GET', '/session', cookie(ADMIN_KEY))).status).toBe(200);
  expect((await call('DELETE', '/session')).status).toBe(204);
});

test.each(['GET', 'POST', 'DELETE'])('%s /session takes no parameters', async (method) => {
  await start();
  const answer = await app.call(method, '/session?key=x');
  expect([answer.status, answer.body.errors[0].path]).toEqual([400, 'key']);
});
