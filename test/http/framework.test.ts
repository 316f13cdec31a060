import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { z } from 'zod';
import { BODY_MAX_BYTES } from '../../src/http/body';
import { type Route, route } from '../../src/http/contract';
import { type Answer, startTestApp, type TestApp } from '../support/app';

let app: TestApp;

/** What the handlers of the routes below wait for, and tell. */
const hooks = { begun: () => {}, proceed: Promise.resolve() };

const common = { tag: 'Test', summary: 'For this test', replies: { 200: { description: 'It is.' } } };
const throwing = (name: string, handle: Route['handle']) =>
  route({ ...common, method: 'get', path: `/test/${name}`, operationId: name, role: null, handle });
const redisError = Object.assign(new Error('READONLY You can not write against a read only replica.'), {
  name: 'ReplyError',
});

const testRoutes: Route[] = [
  route({
    ...common,
    method: 'post',
    path: '/test/echo/{first}/of/{second}',
    operationId: 'echo',
    role: 'read',
    params: z.strictObject({ first: z.string(), second: z.string() }),
    query: z.strictObject({ one: z.string().optional(), many: z.union([z.string(), z.array(z.string())]).optional() }),
    body: z.strictObject({ text: z.string().optional() }).optional(),
    handle: ({ params, query, body, origin, path, actor, header }) => ({
      status: 200,
      body: { params, query, body: body ?? 'none', origin, path, actor: actor.id, agent: header('User-Agent') },
    }),
  }),
  route({
    ...common,
    method: 'post',
    path: '/test/slow',
    operationId: 'slow',
    role: null,
    async handle() {
      hooks.begun();
      await hooks.proceed;
      return { status: 200, body: {} };
    },
  }),
  throwing('throws', () => {
    throw new Error('secret words of the operator');
  }),
  throwing('rejects', async () => {
    throw new Error('secret words of the operator');
  }),
  throwing('redis-away', async () => {
    throw redisError;
  }),
  throwing('bad-header', () => ({ status: 200, headers: { 'x-bad': 'line\nbreak' } })),
  throwing('bad-body', () => ({ status: 200, body: { count: 1n } })),
];

beforeAll(async () => {
  app = await startTestApp({ routes: testRoutes });
});
afterAll(() => app.stop());
beforeEach(() => app.log.splice(0));

function expectProblem(answer: Answer, status: number, ...paths: string[]) {
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toBe('application/problem+json');
  expect(answer.body).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
  if (paths.length > 0) expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual(paths);
}

/** Sends bytes as they are, on a connection of their own, and gives back all that comes until it is closed. */
async function raw(...parts: string[]): Promise<string> {
  const socket = connect(app.port, app.host);
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text;
  });
  for (const part of parts) socket.write(part);
  await once(socket, 'close');
  return received;
}

const authorization = 'Authorization: Bearer test-admin-key-0123456789';

describe('a body', () => {
  const check = (content: string | Buffer, headers?: Record<string, string | null>) =>
    app.call('POST', '/check', content, headers);

  test.each<[string, string | Buffer, string]>([
    ['that ends too early', '{"user_id": "ann"', ''],
    ['that is no JSON', 'user_id=ann', ''],
    ['that is not there', '', ''],
    ['of blanks', '  ', ''],
    ['that is a list', '[{"user_id": "ann"}]', ''],
    ['that is a string', '"ann"', ''],
    ['that is a number', '7', ''],
    ['that is null', 'null', ''],
    ['with a single quote', "{'user_id': 'ann'}", ''],
    ['in Latin-1', Buffer.from('{"user_id": "jörg"}', 'latin1'), ''],
    ['in UTF-16', Buffer.from('{"user_id": "ann"}', 'utf16le'), ''],
    ['with half a character', '{"user_id": "\\ud83d"}', 'user_id'],
    ['without what it must have', '{}', 'user_id'],
    ['with a number for a string', '{"user_id": 7}', 'user_id'],
    ['with a string for a number', '{"user_id": "ann", "cost": "1"}', 'cost'],
    ['with a field that is not known', '{"user_id": "ann", "usr": "bob"}', 'usr'],
    ['with a field called __proto__', '{"user_id": "ann", "__proto__": {"cost": 0}}', '__proto__'],
    ['with a field called constructor', '{"user_id": "ann", "constructor": {}}', 'constructor'],
    ['nested 400,000 deep', `{"user_id": ${'['.repeat(400_000)}${']'.repeat(400_000)}}`, 'user_id'],
  ])('%s is a 400 that names it', async (_name, content, path) => {
    expectProblem(await check(content), 400, path);
  });

  test('says of each of several errors where it is and what is expected', async () => {
    const { body } = await check('{"user_id": "", "cost": 0, "dry_run": 1, "extra": true}');
    expect(body.errors).toEqual([
      { path: 'user_id', message: 'must not be empty' },
      { path: 'cost', message: 'must be at least 1' },
      { path: 'dry_run', message: 'must be true or false' },
      { path: 'extra', message: 'is not a known field' },
    ]);
  });

  test('with ten thousand unknown fields, and one with an endless name, has a short answer', async () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`field${index}`, index]));
    const answers = [await app.call('POST', '/check', many), await check(`{"${'x'.repeat(500_000)}": 1}`)];
    for (const answer of answers) {
      expectProblem(answer, 400);
      expect(answer.text.length).toBeLessThan(10_000);
    }
  });

  test.each<[type: string, encoding: string | null, status: number]>([
    ['application/json', null, 200],
    ['application/json; charset=utf-8', null, 200],
    ['Application/JSON;charset="UTF-8"', null, 200],
    ['application/vnd.sendgate+json', null, 200],
    ['application/json', 'identity', 200],
    ['application/json; charset=iso-8859-1', null, 415],
    ['application/x-www-form-urlencoded', null, 415],
    ['text/plain', null, 415],
    ['application/jsonp', null, 415],
    ['application/+json', null, 415],
    ['json', null, 415],
  ])('of type %s in encoding %s is answered %i', async (type, encoding, status) => {
    const answer = await check('{"user_id": "ann"}', { 'content-type': type, 'content-encoding': encoding });
    if (status === 200) expect(answer.status).toBe(200);
    else expectProblem(answer, 415, 'Content-Type');
  });

  test('without a type is a 415, and one that is compressed too', async () => {
    expectProblem(await check('{"user_id": "ann"}', { 'content-type': null }), 415, 'Content-Type');
    const compressed = await check(gzipSync('{"user_id": "ann"}'), { 'content-encoding': 'gzip' });
    expectProblem(compressed, 415, 'Content-Encoding');
    expect(compressed.headers['accept-encoding']).toBe('identity');
  });

  test('of the largest size is read, and one byte more is a 413, with a length or without', async () => {
    const start = '{"user_id": "ann"';
    const padded = (size: number) => `${start}${' '.repeat(size - start.length - 1)}}`;
    expect((await check(padded(BODY_MAX_BYTES))).status).toBe(200);
    expectProblem(await check(padded(BODY_MAX_BYTES + 1)), 413, '');
    const chunked = { 'content-length': null, 'transfer-encoding': 'chunked' };
    expect((await check(padded(BODY_MAX_BYTES), chunked)).status).toBe(200);
    expectProblem(await check(padded(BODY_MAX_BYTES + 1), chunked), 413, '');
    expectProblem(await check(padded(5 * BODY_MAX_BYTES), chunked), 413, '');
    expect((await check('{"user_id": "ann"}')).status).toBe(200);
  });

  test('that arrives in many pieces is read whole', async () => {
    const content = '{"user_id": "j\u00f6rg"}';
    const bytes = Buffer.from(content).toString('latin1');
    const socket = connect(app.port, app.host);
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
    });
    socket.write(
      `POST /check HTTP/1.1\r\nHost: localhost\r\n${authorization}\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    // One byte to a chunk, also within the two bytes of a letter.
    for (const byte of bytes) socket.write(Buffer.from(`1\r\n${byte}\r\n`, 'latin1'));
    socket.write('0\r\n\r\n');
    await once(socket, 'close');
    expect(received).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('may be left out where the route says so, whatever its type', async () => {
    const answers = [
      await app.call('POST', '/test/echo/a/of/b'),
      await app.call('POST', '/test/echo/a/of/b', '', { 'content-type': 'text/plain' }),
    ];
    for (const { status, body } of answers) expect([status, body.body]).toEqual([200, 'none']);
    expectProblem(await app.call('POST', '/test/echo/a/of/b', '{"text": 1}'), 400, 'text');
  });

  test('of a route that takes none is left unread', async () => {
    expect((await app.call('GET', '/healthz', 'anything', { 'content-type': 'text/plain' })).status).toBe(200);
  });

  test('whose sender goes away in the middle is no error, and holds up nobody', async () => {
    const socket = connect(app.port, app.host);
    socket.write(
      `POST /check HTTP/1.1\r\nHost: localhost\r\n${authorization}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"user`,
    );
    await once(socket, 'connect');
    // The server has the first half once it has answered a second request that was sent later.
    await app.call('GET', '/healthz');
    socket.destroy();
    await once(socket, 'close');
    expect((await check('{"user_id": "ann"}')).status).toBe(200);
    expect(app.log).toEqual([]);
  });
});

describe('a path', () => {
  const echo = async (path: string) => (await app.call('POST', path)).body;

  test('has its parameters decoded exactly once', async () => {
    expect((await echo('/test/echo/%252e%252F/of/a%20b+c')).params).toEqual({ first: '%2e%2F', second: 'a b+c' });
    expect((await echo('/test/echo/..%2f..%2Fetc%2fpasswd/of/%2e%2e')).params).toEqual({
      first: '../../etc/passwd',
      second: '..',
    });
    expect((await echo('/test/echo/%F0%9F%98%80/of/%7Bx%7D:%0A')).params).toEqual({ first: '😀', second: '{x}:\n' });
    expect((await echo('/test/echo/__proto__/of/constructor')).params).toEqual({
      first: '__proto__',
      second: 'constructor',
    });
  });

  test.each([
    ['/test/echo/%/of/b', 'first'],
    ['/test/echo/a/of/%zz', 'second'],
    ['/test/echo/a/of/%c3%28', 'second'],
    ['/users/%E0%A4%A/accounts', 'user_id'],
    ['/users/ann/accounts/%', 'account_id'],
  ])('%s is not percent-encoded: a 400 that names %s', async (path, name) => {
    for (const method of ['POST', 'GET', 'DELETE']) {
      expectProblem(await app.call(method, path), 400, name);
    }
    expect(app.log).toEqual([]);
  });

  test.each([
    '/limits/../settings',
    '/./settings',
    '//settings',
    '/settings/',
    '/Settings',
    '/check/',
    '/check//',
    '/docs/../../package.json',
    '/docs/..%2f..%2f..%2fpackage.json',
    '/docs/%2e%2e/%2e%2e/package.json',
    '/%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    '/../../../../etc/passwd',
    '/%',
    '/%c0%ae%c0%ae/',
  ])('%s leads nowhere', async (path) => {
    for (const method of ['GET', 'POST', 'DELETE']) expectProblem(await app.call(method, path), 404);
  });

  test('without its last id is another path, which removes nothing', async () => {
    await app.call('PUT', '/users/climber/accounts/acme');
    expectProblem(await app.call('DELETE', '/users/climber/accounts/'), 404);
    expectProblem(await app.call('DELETE', '/users//accounts'), 404);
    expect((await app.call('GET', '/users/climber/accounts')).body.items).toHaveLength(1);
  });

  test('written as a whole URL is the same path', async () => {
    const whole = (path: string) => `http://elsewhere.example${path}`;
    expect((await app.call('POST', whole('/check'), { user_id: 'ann', dry_run: true })).status).toBe(200);
    expectProblem(await app.call('POST', whole('/check'), { user_id: 7 }), 400, 'user_id');
    expectProblem(await app.call('POST', whole('/check'), { user_id: 'ann' }, { authorization: null }), 401);
    expect((await app.call('GET', whole('/limits'))).status).toBe(200);
  });
});

describe('a method', () => {
  test.each([
    ['GET', '/check', 'OPTIONS, POST'],
    ['PUT', '/limits', 'GET, HEAD, OPTIONS, POST'],
    ['POST', '/limits/user-daily', 'DELETE, GET, HEAD, OPTIONS, PUT'],
    ['GET', '/check/batch', 'DELETE, OPTIONS, POST'],
    ['PATCH', '/users/a/tenants', 'DELETE, GET, HEAD, OPTIONS, PUT'],
    ['HEAD', '/check', 'OPTIONS, POST'],
    ['TRACE', '/check', 'OPTIONS, POST'],
  ])('%s that %s does not have is a 405 that says which it has', async (method, path, allow) => {
    const answer = await app.call(method, path, undefined, { authorization: null });
    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
    if (method !== 'HEAD') expectProblem(answer, 405);
  });

  test('OPTIONS says which methods a path has', async () => {
    const answer = await app.call('OPTIONS', '/settings');
    expect([answer.status, answer.headers.allow, answer.text]).toEqual([204, 'GET, HEAD, OPTIONS, PATCH', '']);
    expectProblem(await app.call('OPTIONS', '/nowhere'), 404);
  });

  test('HEAD is answered as GET is, without the content', async () => {
    for (const path of ['/limits', '/limits/none', '/healthz', '/openapi.json']) {
      const [head, get] = [await app.call('HEAD', path), await app.call('GET', path)];
      expect(head.text).toBe('');
      expect(head.status).toBe(get.status);
      expect(head.headers['content-length']).toBe(get.headers['content-length']);
      expect(head.headers['content-type']).toBe(get.headers['content-type']);
    }
  });

  test('DELETE of a message that is called batch is not taken for the batch', async () => {
    await app.call('POST', '/check', { user_id: 'ann', message_id: 'batch' });
    expect((await app.call('DELETE', '/check/batch')).body).toEqual({ released: true });
  });
});

describe('a query', () => {
  const echo = (query: string) => app.call('POST', `/test/echo/a/of/b?${query}`);

  test('is read as forms write it', async () => {
    expect((await echo('one=a+b%2Bc%26')).body.query).toEqual({ one: 'a b+c&' });
    expect((await echo('one=')).body.query).toEqual({ one: '' });
    expect((await echo('one')).body.query).toEqual({ one: '' });
    expect((await echo('one=a=b&&')).body.query).toEqual({ one: 'a=b' });
    expect((await echo('')).body.query).toEqual({});
    expect((await echo('many=a&many=b')).body.query).toEqual({ many: ['a', 'b'] });
  });

  test.each([
    ['one=a&one=b', 'one', 'must be given only once'],
    ['two=a', 'two', 'is not a known parameter'],
    ['__proto__=a', '__proto__', 'is not a known parameter'],
    ['one[]=a', 'one[]', 'is not a known parameter'],
    ['one=%', 'one', 'must be percent-encoded UTF-8'],
    ['one=%ff', 'one', 'must be percent-encoded UTF-8'],
    ['%zz=1', '%zz', 'must be percent-encoded UTF-8'],
  ])('%s is a 400 that names %s', async (query, path, message) => {
    const answer = await echo(query);
    expectProblem(answer, 400, path);
    expect(answer.body.errors[0].message).toBe(message);
  });

  test('is refused where there is none', async () => {
    expectProblem(await app.call('GET', '/limits?max=1'), 400, 'max');
    expectProblem(await app.call('GET', '/healthz?a'), 400, 'a');
  });

  test('and a path and a body that are all wrong are all named', async () => {
    const path = `/users/${'x'.repeat(257)}/accounts/%00`;
    expectProblem(
      await app.call('PUT', `${path}?when=now`, { profil: {} }),
      400,
      'user_id',
      'account_id',
      'when',
      'profil',
    );
  });
});

describe('what is hardly HTTP', () => {
  test.each([
    ['a head that is too large', `GET /healthz HTTP/1.1\r\nHost: a\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['a path that is larger still', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 431],
    ['words', 'Good morning!\r\n\r\n', 400],
    ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['two lengths', 'POST /check HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    [
      'a length and chunks',
      'POST /check HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['no host', 'GET /healthz HTTP/1.1\r\n\r\n', 400],
  ])('%s is refused, and others are served', async (_name, bytes, status) => {
    const answer = await raw(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    if (!bytes.startsWith('GET /healthz HTTP/1.1\r\n\r\n')) {
      expect(answer).toContain('application/problem+json');
      expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({ status });
    }
    expect((await app.call('GET', '/healthz')).status).toBe(200);
  });

  test('a caller that goes away before its answer leaves no trace', async () => {
    const begun = new Promise<void>((resolve) => {
      hooks.begun = resolve;
    });
    let proceed = () => {};
    hooks.proceed = new Promise((resolve) => {
      proceed = resolve;
    });
    const socket = connect(app.port, app.host);
    socket.write('POST /test/slow HTTP/1.1\r\nHost: a\r\n\r\n');
    await begun;
    socket.destroy();
    await once(socket, 'close');
    await app.call('GET', '/healthz');
    proceed();
    expect((await app.call('GET', '/healthz')).status).toBe(200);
    expect(app.log).toEqual([]);
  });
});

describe('an answer', () => {
  test.each([
    ['GET', '/limits'],
    ['GET', '/limits/none'],
    ['DELETE', '/users/nobody/accounts'],
    ['GET', '/nowhere'],
    ['PUT', '/check'],
    ['OPTIONS', '/check'],
    ['GET', '/healthz'],
    ['GET', '/metrics'],
    ['GET', '/openapi.json'],
    ['GET', '/test/throws'],
    ['POST', '/users/%/accounts'],
  ])('to %s %s is not to be kept or guessed at, and says nothing of what made it', async (method, path) => {
    const { headers } = await app.call(method, path);
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(Object.keys(headers)).not.toEqual(expect.arrayContaining(['x-powered-by']));
    expect(Object.keys(headers)).not.toEqual(expect.arrayContaining(['etag']));
    expect(Object.keys(headers)).not.toEqual(expect.arrayContaining(['server']));
  });

  test('has the id that its request came with, if that is one', async () => {
    const idFor = async (id: string) =>
      (await app.call('GET', '/healthz', undefined, { 'x-request-id': id })).headers['x-request-id'];
    for (const id of ['a', 'Trace-1.2_3', 'x'.repeat(128)]) expect(await idFor(id)).toBe(id);
    for (const id of ['', 'x'.repeat(129), 'a b', 'a"b', 'a/b', '{}'])
      expect(await idFor(id)).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('links to the address that it was asked at', async () => {
    const ask = (host: string) => app.call('POST', '/test/echo/a%2Fb/of/c?one=1', undefined, { host });
    expect((await ask('gate.example:8080')).body).toMatchObject({
      origin: 'http://gate.example:8080',
      path: '/test/echo/a%2Fb/of/c',
      actor: 'env',
    });
    // What is no host is not repeated.
    expect((await ask('a/b?c')).body.origin).toBe(app.url);
  });
});

describe('a fault', () => {
  test.each(['throws', 'rejects'])(
    'of a handler that %s is a 500 without a word of it, and one line in the log',
    async (name) => {
      const answer = await app.call('GET', `/test/${name}`, undefined, { 'x-request-id': 'find-me' });
      expectProblem(answer, 500);
      expect(answer.body.request_id).toBe('find-me');
      expect(answer.text).not.toMatch(/secret|Error:|\.ts|node_modules/);
      expect(app.log).toEqual([
        {
          level: 'error',
          message: expect.any(String),
          fields: expect.objectContaining({
            request_id: 'find-me',
            route: `/test/${name}`,
            error: expect.objectContaining({ stack: expect.stringContaining('framework.test') }),
          }),
        },
      ]);
    },
  );

  test.each(['bad-header', 'bad-body'])('of an answer that cannot be sent (%s) is a 500 too', async (name) => {
    expectProblem(await app.call('GET', `/test/${name}`), 500);
    expect(app.log.map(({ level }) => level)).toEqual(['error']);
  });

  test('is none when Redis is away: a 503 that says when to come back', async () => {
    const answer = await app.call('GET', '/test/redis-away');
    expectProblem(answer, 503);
    expect(answer.headers['retry-after']).toBe('1');
    expect(answer.text).not.toContain('READONLY');
    expect(app.log).toEqual([
      {
        level: 'warn',
        message: expect.any(String),
        fields: expect.objectContaining({ status: 503, reason: 'refused' }),
      },
    ]);
  });

  test('that meets every request fills no disk, and the log says how much it leaves out', async () => {
    let asked = 0;
    const ask = async () => {
      asked += 1;
      await app.call('GET', '/test/redis-away');
    };
    const startedMs = performance.now();
    while (asked < 60) await ask();
    // Ten a second, begun seconds included.
    expect(app.log.length).toBeLessThanOrEqual(10 * Math.ceil((performance.now() - startedMs) / 1_000 + 1));
    const leftOut = () => app.log.reduce((sum, { fields }) => sum + Number(fields.lines_left_out_before ?? 0), 0);
    // The first line of the next second accounts for all before it.
    while (app.log.length + leftOut() < asked) await ask();
    expect(app.log.length + leftOut()).toBe(asked);
    expect(leftOut()).toBeGreaterThan(0);
  });
});

test('no request is written to the log, except at debug, and then once', async () => {
  await app.call('GET', '/limits');
  await app.call('GET', '/nowhere');
  expect(app.log).toEqual([]);
  const talkative = await startTestApp({ logRequests: true });
  await talkative.call('GET', '/limits/none?', undefined, { 'x-request-id': 'r-1' });
  expect(talkative.log).toEqual([
    {
      level: 'debug',
      message: expect.any(String),
      fields: {
        request_id: 'r-1',
        method: 'GET',
        route: '/limits/{limit_id}',
        path: '/limits/none',
        actor: 'env',
        status: 404,
        duration_ms: expect.any(Number),
      },
    },
  ]);
  await talkative.stop();
});

test('the metrics count requests by route, and name nobody', async () => {
  const own = await startTestApp();
  await own.limit({ id: 'secret-limit', per: ['user'], period: 'day', max: 1 });
  for (let index = 0; index < 3; index += 1) await own.call('POST', '/check', { user_id: 'secret-user' });
  await own.call('GET', '/limits/none');
  await own.call('GET', '/users/secret-user/accounts');
  await own.call('GET', '/secret-path');
  const { text, headers } = await own.call('GET', '/metrics', undefined, { authorization: null });
  await own.stop();
  expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  const value = (series: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${series} `))
        ?.slice(series.length),
    );
  expect(value('sendgate_http_requests_total{route="/check",method="POST",status="200"}')).toBe(3);
  expect(value('sendgate_http_requests_total{route="/limits/{limit_id}",method="GET",status="404"}')).toBe(1);
  expect(value('sendgate_http_request_duration_seconds_count{route="/check"}')).toBe(3);
  expect(value('sendgate_http_request_duration_seconds_bucket{route="/check",le="+Inf"}')).toBe(3);
  expect(value('sendgate_http_request_duration_seconds_sum{route="/check"}')).toBeGreaterThan(0);
  expect(value('sendgate_decisions_total{decision="accepted"}')).toBe(1);
  expect(value('sendgate_decisions_total{decision="throttled"}')).toBe(2);
  expect(value('sendgate_decisions_total{decision="filtered"}')).toBe(0);
  expect(value('sendgate_limits_exceeded_total{per="user",period="day",mode="enforce"}')).toBe(2);
  expect(value('sendgate_redis_up')).toBe(1);
  expect(value('sendgate_configuration_limits')).toBe(1);
  expect(value('sendgate_redis_call_duration_seconds_count')).toBeGreaterThanOrEqual(3);
  expect(text).not.toContain('secret');
  for (const line of text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))) {
    expect(line).toMatch(/^[a-z][a-z0-9_]*(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.e+-]+$/);
  }
});
