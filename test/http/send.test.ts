import { randomBytes } from 'node:crypto';
import { createApiKeys } from '../../src/access/api-keys';
import { loadScripts } from '../../src/store/scripts';
import { type Answer, startTestApp, type TestApp } from '../support/app';
import { sharedRedisUrl, startRedis } from '../support/redis';
import { startCluster } from '../support/redis-cluster';
import { until } from '../support/sends';

const DAY_MS = 86_400_000;
const ACTOR = { id: 'test', name: null };
const ID = /^[0-9a-z]{25}$/;

let app: TestApp;
/** A workspace for each test. */
function startEach() {
  beforeEach(async () => {
    app = await startTestApp();
  });
  afterEach(() => app.stop());
}

type Headers = Record<string, string | null>;
// biome-ignore lint/suspicious/noExplicitAny: tests look into it and compare
type Json = any;

const send = (message: unknown, headers?: Headers) => app.call('POST', '/send', { message }, headers);
const get = (path: string) => app.call('GET', path);
const message = async (id: string) => (await get(`/messages/${id}`)).body;
const join = (user: string, ...accounts: string[]) =>
  app.call('PUT', `/users/${user}/accounts`, { accounts: accounts.map((id) => ({ account_id: id })) });
/** How many messages wait in the outbox, whatever else an entry holds. */
const outbox = async () =>
  (await app.redis.xrange(app.keys.outbox('log'), '-', '+')).flatMap(([, fields]) =>
    fields.filter((one) => ID.test(one)),
  ).length;

/** Sends what must be taken, and gives its requestId. */
async function sent(content: unknown, headers?: Headers): Promise<string> {
  const { status, body } = await send(content, headers);
  expect([status, body]).toEqual([202, { requestId: expect.stringMatching(ID) }]);
  return body.requestId;
}

/** All messages, the oldest first. */
async function all(query = 'limit=100'): Promise<Json[]> {
  const { status, body } = await get(`/messages?${query}`);
  expect([status, body.paging?.more]).toEqual([200, false]);
  return body.results.reverse();
}

/** What a worker is handed of a message. */
async function handed(id: string, attempt = 1): Promise<{ payload: Json; recipient: Json }> {
  const begun = await app.store.begin(id, attempt);
  if (begun === null) throw new Error(`${id} is not to be sent`);
  return { payload: JSON.parse(begun.payload), recipient: JSON.parse(begun.recipient) };
}

function expectProblem(answer: Answer, status: number, ...paths: string[]) {
  expect([answer.status, answer.text]).toEqual([status, expect.any(String)]);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.body).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
  if (paths.length === 0) return;
  expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual(paths);
  for (const { message } of answer.body.errors) expect(message).toMatch(/^(?!.*must be is)[a-z].*[^.]$/);
}

describe('POST /send', () => {
  startEach();

  test('takes a message to one user: its requestId is the message’s id, and it is counted and in the outbox', async () => {
    await app.limit({ id: 'user-daily', per: ['user'], period: 'day', max: 1 });
    const id = await sent({ to: { user_id: 'ann' }, content: { title: 'Hello', body: 'there' } });
    expect(await message(id)).toMatchObject({
      ...{ id, request_id: id, kind: 'send', status: 'ENQUEUED', recipient: 'ann', account_id: null, topic: null },
      ...{ provider: 'log', throttled_by: [], limits: [{ limit_id: 'user-daily', used: 1, remaining: 0 }] },
    });
    expect(await outbox()).toBe(1);
    expect((await get('/usage?user_id=ann')).body.limits).toMatchObject([{ limit_id: 'user-daily', used: 1 }]);
    expect(await handed(id)).toEqual({
      payload: { template: null, content: { title: 'Hello', body: 'there' }, data: null, metadata: null },
      recipient: { user_id: 'ann' },
    });
    // There is no more room: this is taken all the same, and throttled.
    const throttled = await sent({ to: { user_id: 'ann' } });
    expect(await message(throttled)).toMatchObject({ status: 'THROTTLED', throttled_by: ['user-daily'] });
    expect(await outbox()).toBe(1);
  });

  test('takes one message for each of several recipients, each decided by itself, with an id of its own', async () => {
    await app.limit({ id: 'all', per: [], period: 'day', max: 2 });
    const recipients = ['ann', 'bob', 'cas'].map((user) => ({ user_id: user, data: { name: user } }));
    const requestId = await sent({ to: recipients, template: 'welcome' });
    const messages = await all();
    expect(messages.map(({ recipient, status }) => [recipient, status])).toEqual([
      ['ann', 'ENQUEUED'],
      ['bob', 'ENQUEUED'],
      ['cas', 'THROTTLED'],
    ]);
    for (const { id, request_id } of messages) expect([request_id, ID.test(id)]).toEqual([requestId, true]);
    expect(new Set([requestId, ...messages.map(({ id }) => id)]).size).toBe(4);
    expectProblem(await get(`/messages/${requestId}`), 404);
    for (const query of [`request_id=${requestId}`, `requestId=${requestId}`]) {
      expect(await all(query)).toEqual(messages);
    }
    expect(await all(`request_id=${requestId}&recipient=bob`)).toEqual([messages[1]]);
    expect(await handed(messages[1].id)).toEqual({
      payload: { template: 'welcome', content: null, data: null, metadata: null },
      recipient: recipients[1],
    });
  });

  test('a list of one is one message: its requestId is the message’s id', async () => {
    const id = await sent({ to: [{ user_id: 'ann' }] });
    expect(await message(id)).toMatchObject({ id, recipient: 'ann' });
  });

  test('an account alone means its members, each once, and whoever is named besides', async () => {
    for (const user of ['ann', 'bob']) await join(user, 'acme');
    for (const account of [{ account_id: 'acme' }, { tenant_id: 'acme' }]) {
      const requestId = await sent({ to: account });
      const messages = await all();
      expect(
        messages.slice(-2).map(({ recipient, account_id, tenant_id }) => [recipient, account_id, tenant_id]),
      ).toEqual([
        ['ann', 'acme', 'acme'],
        ['bob', 'acme', 'acme'],
      ]);
      expect(messages.at(-1).request_id).toBe(requestId);
      expect((await handed(messages.at(-1).id)).recipient).toEqual({ ...account, user_id: 'bob' });
    }
    await sent({ to: [{ account_id: 'acme' }, { user_id: 'bob', account_id: 'acme' }, { user_id: 'dan' }] });
    const messages = (await all()).slice(4);
    expect(messages.map(({ recipient, account_id }) => [recipient, account_id]).sort()).toEqual([
      ['ann', 'acme'],
      ['bob', 'acme'],
      ['dan', null],
    ]);
    // For whom the account is inferred as well: it is his only one.
    await sent({ to: [{ account_id: 'acme' }, { user_id: 'bob' }] });
    expect((await all()).slice(7).map(({ recipient, account_id }) => [recipient, account_id])).toEqual([
      ['ann', 'acme'],
      ['bob', 'acme'],
    ]);
    await join('bob', 'bolt');
    await sent({ to: [{ account_id: 'acme' }, { account_id: 'bolt' }] });
    expect((await all()).slice(9).map(({ recipient, account_id }) => [recipient, account_id])).toEqual([
      ['ann', 'acme'],
      ['bob', 'acme'],
    ]);
  });

  test('an account with one member is one message', async () => {
    await join('ann', 'acme');
    const id = await sent({ to: { account_id: 'acme' } });
    expect(await message(id)).toMatchObject({ id, recipient: 'ann', account_id: 'acme' });
  });

  test('takes 10,000 recipients', async () => {
    await app.limit({ id: 'all', per: [], period: 'day', max: 10_000 });
    await sent({ to: Array.from({ length: 10_000 }, (_, index) => ({ user_id: `user-${index}` })) });
    expect((await get('/usage?user_id=ann')).body.limits).toMatchObject([{ used: 10_000 }]);
    expect(await outbox()).toBe(10_000);
  });

  const CONTEXT = { context: { tenant_id: 'message' } };
  test.each<[string, string | null, Json]>([
    ['account_id of the recipient', 'a', { to: { user_id: 'ann', account_id: 'a', context: { tenant_id: 'c' } } }],
    [
      'tenant_id of the recipient',
      'b',
      { to: { user_id: 'ann', tenant_id: 'b', context: { tenant_id: 'c' } }, ...CONTEXT },
    ],
    ['both, when they are the same', 'a', { to: { user_id: 'ann', account_id: 'a', tenant_id: 'a' }, ...CONTEXT }],
    ['context.tenant_id of the recipient', 'c', { to: { user_id: 'ann', context: { tenant_id: 'c' } }, ...CONTEXT }],
    ['context.tenant_id of the message', 'message', { to: { user_id: 'ann' }, ...CONTEXT }],
    ['context.account_id of the message', 'd', { to: { user_id: 'ann' }, context: { account_id: 'd' } }],
    ['context.account_id of the recipient', 'e', { to: { user_id: 'ann', context: { account_id: 'e' } }, ...CONTEXT }],
    ['context.tenant_id of the message, for a list', 'message', { to: [{ user_id: 'ann', context: {} }], ...CONTEXT }],
    ['the only membership of the user', 'sole', { to: { user_id: 'ann' } }],
    [
      'the only membership, past what is null',
      'sole',
      {
        to: { user_id: 'ann', account_id: null, tenant_id: null, context: { tenant_id: null } },
        context: { tenant_id: null },
      },
    ],
  ])('the account comes from %s', async (_name, account, content) => {
    await app.limit({ id: 'account', per: ['account'], period: 'day', max: 9 });
    await join('ann', 'sole');
    expect(await message(await sent(content))).toMatchObject({ account_id: account, limits: [{ used: 1 }] });
    expect((await get(`/usage?account_id=${account}`)).body.limits).toMatchObject([{ used: 1 }]);
  });

  test('a user with several memberships, or none, has no account unless one is named', async () => {
    await join('ann', 'acme', 'bolt');
    for (const user of ['ann', 'bob']) {
      expect((await message(await sent({ to: { user_id: user } }))).account_id).toBeNull();
    }
  });

  test('the topic comes from preferences.subscription_topic_id, and counts', async () => {
    await app.limit({ id: 'topic', per: ['user', 'topic'], period: 'day', max: 1 });
    const content = { to: { user_id: 'ann' }, preferences: { subscription_topic_id: 'news' } };
    const ids = [await sent(content), await sent(content), await sent({ to: { user_id: 'ann' } })];
    expect(await Promise.all(ids.map(async (id) => [(await message(id)).topic, (await message(id)).status]))).toEqual([
      ['news', 'ENQUEUED'],
      ['news', 'THROTTLED'],
      [null, 'ENQUEUED'],
    ]);
  });

  test.each<[string | null, unknown]>([
    ['email', { method: 'single', channels: ['email', 'sms'] }],
    ['sms', { method: 'all', channels: [{ method: 'single', channels: ['sms', 'email'] }, 'push'] }],
    ['push', { channels: [{ channels: [{ channels: ['push'] }] }] }],
    ['log', { channels: ['log'] }],
    [null, { channels: [] }],
    [null, { channels: [{ channels: [] }] }],
    [null, { channels: null }],
    [null, {}],
    [null, null],
  ])('the channel is %j for the routing %j, and counts', async (channel, routing) => {
    await app.limit({ id: 'channel', per: ['channel'], period: 'day', max: 1 });
    const id = await sent({ to: { user_id: 'ann' }, routing });
    expect(await message(id)).toMatchObject({
      channel,
      provider: 'log',
      limits: channel === null ? [] : [{ limit_id: 'channel', used: 1 }],
    });
  });

  test('is DELAYED by delay.duration and delay.until until it is due, counts nothing before, and is nowhere queued', async () => {
    await app.limit({ id: 'user-daily', per: ['user'], period: 'day', max: 1 });
    const byDuration = await message(await sent({ to: { user_id: 'ann' }, delay: { duration: 3_600_000 } }));
    expect(byDuration).toMatchObject({ status: 'DELAYED', limits: [], throttled_by: [], retry_at: null });
    expect(byDuration.due - byDuration.enqueued).toBe(3_600_000);
    expect(byDuration).not.toHaveProperty('held_since');
    const dueMs = Math.ceil(Date.now() / 1_000) * 1_000 + 364 * DAY_MS;
    // The same moment, said with another offset.
    const until = new Date(dueMs + 2 * 3_600_000).toISOString().replace('.000Z', '+02:00');
    expect(await message(await sent({ to: { user_id: 'ann' }, delay: { until } }))).toMatchObject({
      ...{ status: 'DELAYED', due: dueMs },
    });
    expect((await get('/usage?user_id=ann')).body.limits).toMatchObject([{ used: 0 }]);
    expect(await outbox()).toBe(0);
    expect(await app.redis.zcard(app.keys.due)).toBe(2);
  });

  test('is not delayed by a delay of nothing', async () => {
    for (const delay of [null, {}, { duration: 0 }, { duration: null, until: null }, { timezone: 'Asia/Tokyo' }]) {
      const found = await message(await sent({ to: { user_id: 'ann' }, delay }));
      expect([found.status, found.due]).toEqual(['ENQUEUED', undefined]);
    }
  });

  test('takes null for absent wherever Courier’s types allow it', async () => {
    const nothing = {
      ...{ brand_id: null, channels: null, content: null, context: null, data: null, delay: null, expiry: null },
      ...{ metadata: null, preferences: null, providers: null, routing: null, template: null, timeout: null },
    };
    const noRecipientData = {
      ...{ account_id: null, tenant_id: null, context: null, data: null, email: null, list_id: null, locale: null },
      ...{ phone_number: null, preferences: null },
    };
    const plain = await message(await sent({ to: { user_id: 'ann' } }));
    const id = await sent({ ...nothing, to: { user_id: 'ann', ...noRecipientData } });
    const same = { ...plain, id, log_id: id, request_id: id, enqueued: expect.any(Number) };
    expect(await message(id)).toEqual(same);
    expect((await handed(id)).payload).toEqual({ template: null, content: null, data: null, metadata: null });
    const inner = await sent({
      ...{ to: { user_id: 'ann', context: { tenant_id: null } }, context: { tenant_id: null } },
      ...{ delay: { duration: null, until: null, timezone: null }, preferences: { subscription_topic_id: null } },
      metadata: { event: null, tags: null, trace_id: null, utm: null },
    });
    expect(await message(inner)).toEqual({ ...same, id: inner, log_id: inner, request_id: inner });
  });

  test('ignores what it does not know, everywhere in the body, and hands on what a recipient and the metadata hold', async () => {
    const to = { user_id: 'ann', locale: 'de', preferences: { x: [1] }, anything: { deep: { er: [null] } } };
    const metadata = { event: 'e', utm: { source: 's' }, anything: [1] };
    const { status, body } = await app.call('POST', '/send', {
      anything: 1,
      message: {
        ...{ to, metadata, anything: { at: 'all' }, brand_id: 'b', expiry: { expires_in: 'P1D' }, timeout: 5 },
        ...{ context: { anything: 1 }, delay: { anything: 1 }, preferences: { anything: 1 }, channels: { email: {} } },
        ...{ routing: { method: 'all', channels: ['email'], anything: 1 }, providers: { webhook: { anything: 1 } } },
      },
    });
    expect(status).toBe(202);
    const { payload, recipient } = await handed(body.requestId);
    expect(recipient).toEqual(to);
    expect(payload.metadata).toMatchObject(metadata);
  });

  test('keeps content, data and what is known of the recipient to the letter', async () => {
    const data = { ключ: '🔑 \u0000 "\\', n: -1.5e-7, list: [[], {}, null, true], long: 'x'.repeat(60_000) };
    const content = { version: '2022-01-01', elements: [{ type: 'text', content: 'ü\n\u2028' }] };
    const to = { user_id: 'ann/ü:{x}%', email: 'ann@example.com', phone_number: '+43 1', data };
    const id = await sent({ to, content, data, template: 'a:b{c}' });
    expect(await handed(id)).toEqual({
      recipient: to,
      payload: { template: 'a:b{c}', content, data, metadata: null },
    });
    const text = await sent({ to, content: 'Just words.' });
    expect((await handed(text)).payload.content).toBe('Just words.');
    // The most: 64 levels, 256 KiB.
    const deep = JSON.parse(`${'{"a":'.repeat(63)}{}${'}'.repeat(63)}`);
    const most = await sent({ to: [{ user_id: 'ann', data: deep }, { user_id: 'bob' }], data: deep, content: deep });
    expect(most).toMatch(ID);
    await sent({ to: { user_id: 'ann' }, content: 'x'.repeat(262_142) });
  });

  test('does no harm with __proto__ and its like, wherever they are', async () => {
    const evil = '{"user_id":"eve","account_id":"eve","content":5,"delay":{"until":"x"},"tags":[5],"channels":[5]}';
    for (const name of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) {
      const odd = `"${name}":${evil}`;
      const inner = `{"tags":["${name}"],${odd}}`;
      const body = `{${odd},"message":{${odd},"to":{"user_id":"ann",${odd},"data":{${odd}},"context":{${odd}}},"data":{${odd}},"context":{${odd}},"preferences":{${odd}},"delay":{${odd}},"routing":{${odd}},"metadata":${inner},"content":{${odd}}}}`;
      const { status, body: taken } = await app.call('POST', '/send', body);
      expect([name, status]).toEqual([name, 202]);
      expect(await message(taken.requestId)).toMatchObject({
        ...{ status: 'ENQUEUED', recipient: 'ann', account_id: null, topic: null, channel: null, tags: [name] },
      });
      const { payload, recipient } = await handed(taken.requestId);
      // Where it is the sender's own it stays a field like any other.
      for (const kept of [payload.data, payload.content, recipient.data]) {
        expect(Object.getOwnPropertyNames(kept)).toEqual([name]);
      }
    }
    for (const name of ['__proto__', 'constructor', 'toString']) {
      const to = { user_id: name, account_id: name };
      expect(await message(await sent({ to, template: name }))).toMatchObject({
        ...{ status: 'ENQUEUED', recipient: name, account_id: name, provider: 'log' },
      });
      expectProblem(await send({ to, routing: { channels: [name] } }), 400, 'message.routing.channels.0');
    }
    expect({}).not.toHaveProperty('user_id');
  });
});

describe('an Idempotency-Key', () => {
  startEach();
  const key = (text: string) => ({ 'idempotency-key': text });

  test('gives the first answer to the same body again, and sends nothing twice, for one or for many', async () => {
    await app.limit({ id: 'all', per: [], period: 'day', max: 100 });
    await join('ann', 'acme');
    await join('bob', 'acme');
    const bodies = [{ user_id: 'ann' }, [{ user_id: 'ann' }, { user_id: 'bob' }], { account_id: 'acme' }];
    for (const [index, to] of bodies.entries()) {
      const content = { to, delay: null, data: { a: 1, b: [2] } };
      const first = await sent(content, key(`key ${index}!`));
      const again = await Promise.all([1, 2, 3].map(() => sent(content, key(`key ${index}!`))));
      // How it is written makes no difference: null is absent.
      again.push(await sent({ data: { b: [2], a: 1 }, to }, key(`key ${index}!`)));
      expect(new Set(again)).toEqual(new Set([first]));
    }
    expect(await all()).toHaveLength(5);
    expect((await get('/usage?user_id=ann')).body.limits).toMatchObject([{ used: 5 }]);
    expect(await outbox()).toBe(5);
  });

  test('gives the first answer again whoever is in its account by then, and sends nothing to who has joined', async () => {
    await join('ann', 'acme');
    const content = { to: { account_id: 'acme' } };
    const first = await sent(content, key('k'));
    await join('bob', 'acme');
    expect(await sent(content, key('k'))).toBe(first);
    for (const user of ['ann', 'bob']) await app.call('DELETE', `/users/${user}/accounts`);
    expect(await sent(content, key('k'))).toBe(first);
    expect((await all()).map(({ recipient }) => recipient)).toEqual(['ann']);
    expectProblem(await send(content, key('another')), 400, 'message.to.account_id');
  });

  test('gives a throttled and a delayed one again, too', async () => {
    await app.limit({ id: 'none', per: [], period: 'day', max: 0 });
    for (const content of [{ to: { user_id: 'ann' } }, { to: { user_id: 'ann' }, delay: { duration: 60_000 } }]) {
      const name = key(`${'delay' in content}`);
      expect(await sent(content, name)).toBe(await sent(content, name));
    }
    expect((await all()).map(({ status }) => status)).toEqual(['THROTTLED', 'DELAYED']);
  });

  test('that was used with another body is a 409, and nothing is sent', async () => {
    const content = { to: { user_id: 'ann' }, template: 'a' };
    await sent(content, key('k'));
    for (const other of [
      { ...content, template: 'b' },
      { ...content, to: { user_id: 'bob' } },
      { ...content, to: [{ user_id: 'ann' }, { user_id: 'bob' }] },
      { ...content, delay: { duration: 1_000 } },
      { ...content, unknown: 1 },
    ]) {
      const answer = await send(other, key('k'));
      expectProblem(answer, 409, 'Idempotency-Key');
      // Or Courier's SDK would try again twice.
      expect(answer.headers['x-should-retry']).toBe('false');
    }
    expect(await all()).toHaveLength(1);
    expect(await outbox()).toBe(1);
    expect(await sent(content, key('K'))).toMatch(ID);
  });

  test('may have 255 printable characters of ASCII', async () => {
    for (const text of ['!', 'a b', 'x'.repeat(255), '~`"\\{}:%']) await sent({ to: { user_id: 'ann' } }, key(text));
  });

  test('is of one workspace: the same in another one is another request', async () => {
    const first = await sent({ to: { user_id: 'ann' } }, key('k'));
    const other = await startTestApp();
    try {
      const body = { message: { to: { user_id: 'ann' } } };
      expect((await other.call('POST', '/send', body, key('k'))).body.requestId).not.toBe(first);
    } finally {
      await other.stop();
    }
  });
});

describe('what was sent', () => {
  let ids: string[];
  beforeAll(async () => {
    app = await startTestApp();
    await app.limit({ id: 'user-daily', per: ['user'], period: 'day', max: 2 });
    const to = (user: string, account: string | null = null) => ({ user_id: user, account_id: account });
    ids = [
      await sent({
        ...{ to: to('ann', 'acme'), template: 'welcome', preferences: { subscription_topic_id: 'news' } },
        metadata: { event: 'signup', tags: ['a', 'b c', 'a'], trace_id: 't/1' },
      }),
      await sent({
        to: to('ann'),
        template: 'welcome',
        metadata: { event: 'order', tags: ['b c', 'ü&='], trace_id: 't/2' },
      }),
      await sent({ to: to('ann'), metadata: { event: 'order', tags: ['z'] } }),
    ];
    const [last] = (await get('/messages?limit=1')).body.results;
    await until(() => Date.now() > last.enqueued + 2);
    ids.push(await sent({ to: to('bob', 'acme'), delay: { duration: 60_000 } }));
  });
  afterAll(() => app.stop());

  const found = async (query: string) => (await all(query)).map(({ id }) => ids.indexOf(id));

  test('is shown with its tags, each once, and its trace_id, event and template', async () => {
    const shown = {
      ...{ id: ids[0], log_id: ids[0], status: 'ENQUEUED', recipient: 'ann', event: 'signup', notification: 'welcome' },
      ...{ enqueued: expect.any(Number), error: null, reason: null, kind: 'send', request_id: ids[0] },
      ...{ account_id: 'acme', tenant_id: 'acme', topic: 'news', channel: null, provider: 'log' },
      ...{ tags: ['a', 'b c'], trace_id: 't/1', tries: 0, cost: 1, throttled_by: [], retry_at: null },
      limits: [
        {
          ...{ limit_id: 'user-daily', per: ['user'], period: 'day', max: 2, used: 1, remaining: 1 },
          ...{ window_start: expect.any(String), resets_at: expect.any(String), mode: 'enforce', exceeded: false },
        },
      ],
    };
    const messages = await all();
    expect(messages[0]).toEqual(shown);
    expect(Math.abs(messages[0].enqueued - Date.now())).toBeLessThan(60_000);
    expect(await message(ids[0]!)).toEqual({
      ...shown,
      providers: [{ provider: 'log', status: 'ENQUEUED', channel: null, tries: 0, error: null, reference: null }],
    });
    expect(messages[2]).toMatchObject({ status: 'THROTTLED', notification: '', throttled_by: ['user-daily'] });
    expect(await message(ids[2]!)).toMatchObject({ providers: [], retry_at: messages[2].limits[0].resets_at });
  });

  test.each<[string, number[]]>([
    ['', [0, 1, 2, 3]],
    ['status=ENQUEUED', [0, 1]],
    ['status=enqueued,delayed', [0, 1, 3]],
    ['status=THROTTLED&status=DELAYED', [2, 3]],
    ['status=OPENED', []],
    ['status=SENT', []],
    ['recipient=ann', [0, 1, 2]],
    ['account_id=acme', [0, 3]],
    ['tenant_id=acme&recipient=bob', [3]],
    ['topic=news', [0]],
    ['topic_id=news', [0]],
    ['traceId=t%2F1', [0]],
    ['request_id=nobody', []],
    ['tags=a', [0]],
    ['tags=b+c', [0, 1]],
    ['tags=a,z', [0, 2]],
    ['tags=z,z,z', [2]],
    ['tags=%C3%BC%26%3D', [1]],
    ['tag=a&tag=z', [0, 2]],
    ['tag=a,b%20c', [0, 1]],
    ['tag=a&tags=z', [0, 2]],
    ['tags=b+c&recipient=bob', []],
    ['event=order', [1, 2]],
    ['event=order&status=THROTTLED', [2]],
    ['notification=welcome', [0, 1]],
    ['notification=welcome&event=order', [1]],
    ['provider=log', [0, 1, 2, 3]],
    ['provider=webhook', []],
    ['provider=webhook,log&provider=vonage', [0, 1, 2, 3]],
    ['list=l', []],
    ['list=l&status=ENQUEUED', []],
    ['archived=true', [0, 1, 2, 3]],
    ['archived=false&recipient=bob', [3]],
    ['enqueued_after=2000-01-01', [0, 1, 2, 3]],
    ['enqueued_before=2000-01-01', []],
    ['enqueued_after=9999-12-31', []],
    ['enqueued_before=9999-12-31T23:59:59.999-01:00', [0, 1, 2, 3]],
    ['enqueued_after=99999999999999', []],
    ['enqueued_after=0', [0, 1, 2, 3]],
    // How Courier's SDK says null, in a list too.
    ['traceId=&tags=&tag=&event=&notification=&provider=&list=&archived=&enqueued_after=&messageId=', [0, 1, 2, 3]],
    ['status=THROTTLED,&tag=,z,&provider=,log', [2]],
    ['status=,', [0, 1, 2, 3]],
  ])('is found by ?%s', async (query, expected) => {
    expect(await found(query)).toEqual(expected);
  });

  test('is found by when it was taken: from a moment on, and before one, however it is written', async () => {
    const [, , before, after] = await all();
    const writings = (ms: number) => [
      `${ms}`,
      new Date(ms).toISOString(),
      encodeURIComponent(new Date(ms + 7_200_000).toISOString().replace('Z', '+02:00')),
    ];
    for (const moment of writings(after.enqueued)) {
      expect(await found(`enqueued_after=${moment}`)).toEqual([3]);
      expect(await found(`enqueued_before=${moment}`)).toEqual([0, 1, 2]);
      expect(await found(`enqueued_after=${moment}&enqueued_before=${moment}`)).toEqual([]);
      expect(await found(`enqueued_before=${moment}&recipient=ann&status=ENQUEUED`)).toEqual([0, 1]);
    }
    for (const moment of writings(after.enqueued - 1)) {
      expect(await found(`enqueued_after=${moment}&enqueued_before=${after.enqueued + 1}`)).toEqual([3]);
    }
    const date = (ms: number) => new Date(ms).toISOString().slice(0, 10);
    const [first] = await all();
    expect(await found(`enqueued_after=${date(first.enqueued)}`)).toEqual([0, 1, 2, 3]);
    expect(await found(`enqueued_before=${date(first.enqueued)}`)).toEqual([]);
    expect(await found(`enqueued_after=${date(after.enqueued + DAY_MS)}`)).toEqual([]);
    expect(before.enqueued).toBeLessThan(after.enqueued);
  });

  test('is found by messageId, together with what else is asked', async () => {
    for (const [index, id] of ids.entries()) expect(await found(`messageId=${id}`)).toEqual([index]);
    expect(await found('messageId=nobody')).toEqual([]);
    for (const [query, expected] of [
      ['status=ENQUEUED', [0]],
      ['status=SENT', []],
      ['status=CLICKED', []],
      ['recipient=ann&tenant_id=acme&topic=news&traceId=t%2F1', [0]],
      ['recipient=bob', []],
      ['tags=x,a', [0]],
      ['tag=x', []],
      ['event=signup&notification=welcome&provider=log', [0]],
      ['event=order', []],
      ['list=l', []],
      ['enqueued_before=2000-01-01', []],
      ['enqueued_after=2000-01-01', [0]],
    ] as const) {
      expect([query, await found(`messageId=${ids[0]}&${query}`)]).toEqual([query, expected]);
    }
  });

  test('is found with others by several messageIds, on one page and in their order', async () => {
    const idsFound = async (query: string) => {
      const { paging, results } = (await get(`/messages?${query}`)).body;
      expect(paging).toEqual({ cursor: null, more: false });
      return results.map(({ id }: { id: string }) => id);
    };
    const several = (...some: (string | undefined)[]) => some.map((id) => `messageId=${id}`).join('&');
    expect(await idsFound(several(ids[3], ids[0], ids[2]))).toEqual([ids[3], ids[0], ids[2]]);
    expect(await idsFound(several(ids[1], 'nobody', ids[1], ids[0]))).toEqual([ids[1], ids[0]]);
    expect(await idsFound(`${several(...ids)}&limit=1`)).toEqual(ids);
    expect(await idsFound(`${several(...ids)}&recipient=ann&status=ENQUEUED`)).toEqual([ids[0], ids[1]]);
    // As many as there may be, and one of them more than once.
    const many = Array.from({ length: 99 }, (_, index) => `nobody,${index}`);
    expect(await idsFound(several(ids[2], ids[2], ...many))).toEqual([ids[2]]);
  });

  test.each<[string, string]>([
    ['traceId=a&traceId=b', 'traceId'],
    ['request_id=%00', 'request_id'],
    ['request_id=a&requestId=b', 'requestId'],
    ['traceId=%00', 'traceId'],
    ['tags=a%0Ab', 'tags'],
    [`tags=${'a'.repeat(257)}`, 'tags'],
    [`tags=${Array.from({ length: 21 }, (_, index) => index)}`, 'tags'],
    [`tag=${'a'.repeat(257)}`, 'tag'],
    ['enqueued_after=yesterday', 'enqueued_after'],
    ['enqueued_after=2026-02-30', 'enqueued_after'],
    ['enqueued_after=2026-13-01', 'enqueued_after'],
    ['enqueued_after=2026-01-01T00:00:00', 'enqueued_after'],
    ['enqueued_after=-1', 'enqueued_after'],
    ['enqueued_after=1.5', 'enqueued_after'],
    ['enqueued_after=999999999999999', 'enqueued_after'],
    ['enqueued_before=1e3', 'enqueued_before'],
    ['enqueued_before=0&enqueued_before=1', 'enqueued_before'],
    ['messageId=a%00', 'messageId'],
    ['messageId=a&messageId=', 'messageId'],
    [`messageId=a&messageId=${'b'.repeat(257)}`, 'messageId'],
    [Array.from({ length: 101 }, (_, index) => `messageId=${index}`).join('&'), 'messageId'],
    ['event=%0A', 'event'],
    [`notification=${'a'.repeat(257)}`, 'notification'],
    ['provider=%00', 'provider'],
    ['list=%00', 'list'],
    ['archived=yes', 'archived'],
    ['archived=true&archived=true', 'archived'],
  ])('is not looked for by ?%s, a 400 that names %s', async (query, path) => {
    expectProblem(await get(`/messages?${query}`), 400, path);
  });
});

describe('what is not as documented', () => {
  const to = { user_id: 'ann' };
  const deep = (levels: number) => JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`);
  const inDays = (days: number) => new Date(Date.now() + days * DAY_MS).toISOString();

  beforeAll(async () => {
    app = await startTestApp();
    await app.limit(
      { id: 'all', per: [], period: 'day', max: 100_000 },
      { id: 'account', per: ['account'], period: 'day', max: 100_000 },
    );
    const users = Array.from({ length: 10_001 }, (_, index) => `user-${index}`);
    await app.redis.zadd(app.keys.accountUsers('big'), ...users.flatMap((user) => [0, user]));
  });
  afterAll(() => app.stop());

  // Whatever was refused has left no trace.
  afterEach(async () => {
    const { limits } = (await get('/usage?user_id=ann&account_id=acme')).body;
    expect(limits).toMatchObject([{ used: 0 }, { used: 0 }]);
    expect((await get('/messages')).body.results).toEqual([]);
    for (const stream of [app.keys.log, app.keys.logRows, app.keys.outbox('log'), app.keys.outbox('webhook')]) {
      expect(await app.redis.xlen(stream)).toBe(0);
    }
    expect(await app.redis.zcard(app.keys.due)).toBe(0);
    expect(app.log.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test.each<[string, unknown, string]>([
    ['no body', undefined, ''],
    ['a list for a body', [], ''],
    ['null for a body', 'null', ''],
    ['a text for a body', '"x"', ''],
    ['no JSON', '{"message":', ''],
    ['no message', {}, 'message'],
    ['a message that is null', { message: null }, 'message'],
    ['a message that is a list', { message: [] }, 'message'],
    ['a message by inheritance', '{"__proto__":{"message":{"to":{"user_id":"ann"}}}}', 'message'],
    ['no `to`', { message: {} }, 'message.to'],
  ])('%s is a 400 that says where', async (_name, body, path) => {
    expectProblem(await app.call('POST', '/send', body), 400, path);
  });

  test.each<[string, Json, string]>([
    ['`to` that is null', { to: null }, 'message.to'],
    ['`to` that is a text', { to: 'ann' }, 'message.to'],
    ['`to` that is a number', { to: 5 }, 'message.to'],
    ['`to` that is an empty list', { to: [] }, 'message.to'],
    ['`to` that is an empty object', { to: {} }, 'message.to.user_id'],
    ['10,001 recipients', { to: Array.from({ length: 10_001 }, (_, n) => ({ user_id: `u-${n}` })) }, 'message.to'],
    ['a recipient that is null', { to: [to, null] }, 'message.to.1'],
    ['a recipient that is a list', { to: [to, [to]] }, 'message.to.1'],
    ['a recipient without an id', { to: { email: 'ann@example.com' } }, 'message.to.user_id'],
    ['a recipient of a list without an id', { to: [to, { email: 'bob@example.com' }] }, 'message.to.1.user_id'],
    ['a recipient with null for an id', { to: { user_id: null, account_id: null } }, 'message.to.user_id'],
    ['a recipient with an id by inheritance', { to: Object.create({ user_id: 'eve' }) }, 'message.to.user_id'],
    ['a recipient with an account in its context alone', { to: { context: { tenant_id: 'a' } } }, 'message.to.user_id'],
    ['an empty user_id', { to: { user_id: '' } }, 'message.to.user_id'],
    ['a user_id of 257 characters', { to: { user_id: 'a'.repeat(257) } }, 'message.to.user_id'],
    ['a user_id that is a number', { to: { user_id: 7 } }, 'message.to.user_id'],
    ['a user_id that is a list', { to: [to, { user_id: ['ann'] }] }, 'message.to.1.user_id'],
    ['a user_id with a control character', { to: { user_id: 'a\u0000' } }, 'message.to.user_id'],
    ['a user_id with a line break', { to: [to, { user_id: 'a\nb' }] }, 'message.to.1.user_id'],
    ['a user_id with half a character', '{"message":{"to":{"user_id":"\\ud800"}}}', 'message.to.user_id'],
    ['an account_id that is a number', { to: { ...to, account_id: 7 } }, 'message.to.account_id'],
    ['a tenant_id with a control character', { to: [{ ...to, tenant_id: '\u0085' }] }, 'message.to.0.tenant_id'],
    [
      'an account_id and a tenant_id that differ',
      { to: { ...to, account_id: 'a', tenant_id: 'b' } },
      'message.to.tenant_id',
    ],
    ['an account without members', { to: { account_id: 'nobody' } }, 'message.to.account_id'],
    ['a tenant without members', { to: { tenant_id: 'nobody' } }, 'message.to.tenant_id'],
    ['an account without members in a list', { to: [to, { account_id: 'nobody' }] }, 'message.to.1.account_id'],
    ['an account with more members than may be', { to: { account_id: 'big' } }, 'message.to.account_id'],
    ['a tenant with more members than may be', { to: [to, { tenant_id: 'big' }] }, 'message.to.1.tenant_id'],
    ['a list', { to: { list_id: 'l' } }, 'message.to.list_id'],
    ['a list among others', { to: [to, { list_id: 'l' }] }, 'message.to.1.list_id'],
    ['a pattern of lists', { to: { list_pattern: 'l.*' } }, 'message.to.list_pattern'],
    ['an audience', { to: { audience_id: 'a' } }, 'message.to.audience_id'],
    ['a Slack recipient', { to: { slack: { access_token: 'x', email: 'x' } } }, 'message.to.slack'],
    ['an email that is a number', { to: { ...to, email: 7 } }, 'message.to.email'],
    ['a phone number that is a number', { to: { ...to, phone_number: 431 } }, 'message.to.phone_number'],
    ['a phone number of 101 characters', { to: { ...to, phone_number: '1'.repeat(101) } }, 'message.to.phone_number'],
    ['data of a recipient that is a list', { to: { ...to, data: [] } }, 'message.to.data'],
    ['data of a recipient nested 100 deep', { to: [{ ...to, data: deep(100) }] }, 'message.to.0.data'],
    ['a context of a recipient that is a text', { to: { ...to, context: 'acme' } }, 'message.to.context'],
    [
      'a tenant_id in a context that is a number',
      { to: { ...to, context: { tenant_id: 7 } } },
      'message.to.context.tenant_id',
    ],

    ['a context that is a text', { to, context: 'acme' }, 'message.context'],
    ['a tenant_id of the message that is a number', { to, context: { tenant_id: 7 } }, 'message.context.tenant_id'],
    ['preferences that are a text', { to, preferences: 'news' }, 'message.preferences'],
    [
      'a topic that is empty',
      { to, preferences: { subscription_topic_id: '' } },
      'message.preferences.subscription_topic_id',
    ],
    [
      'a topic that is a number',
      { to, preferences: { subscription_topic_id: 7 } },
      'message.preferences.subscription_topic_id',
    ],
    ['a template that is a number', { to, template: 7 }, 'message.template'],
    ['a template of 257 characters', { to, template: 'a'.repeat(257) }, 'message.template'],

    ['content that is a number', { to, content: 7 }, 'message.content'],
    ['content that is true', { to, content: true }, 'message.content'],
    ['content that is a list', { to, content: [] }, 'message.content'],
    ['content of 300 kB', { to, content: { body: 'x'.repeat(300_000) } }, 'message.content'],
    ['content that is a text of 300 kB', { to, content: 'x'.repeat(300_000) }, 'message.content'],
    ['content of 300 kB in UTF-8', { to, content: { body: 'ü'.repeat(150_000) } }, 'message.content'],
    ['content of one byte too much', { to, content: 'x'.repeat(262_143) }, 'message.content'],
    ['content nested 100 deep', { to, content: deep(100) }, 'message.content'],
    [
      'content with a number that is none',
      `{"message":{"to":{"user_id":"ann"},"content":{"a":1e999}}}`,
      'message.content',
    ],
    ['data nested 100 deep', { to, data: deep(100) }, 'message.data'],
    ['data nested 65 deep', { to, data: deep(65) }, 'message.data'],
    ['data that is a list', { to, data: [] }, 'message.data'],
    ['data that is a text', { to, data: 'x' }, 'message.data'],
    ['data of 65 kB', { to, data: { a: 'x'.repeat(65_536) } }, 'message.data'],
    ['something unknown nested 100 deep', { to, unknown: deep(100) }, 'message'],

    ['a delay that is a number', { to, delay: 1_000 }, 'message.delay'],
    ['a negative delay', { to, delay: { duration: -1 } }, 'message.delay.duration'],
    ['a fractional delay', { to, delay: { duration: 0.5 } }, 'message.delay.duration'],
    ['a delay in words', { to, delay: { duration: '1000' } }, 'message.delay.duration'],
    ['a delay beyond a year', { to, delay: { duration: 366 * DAY_MS } }, 'message.delay.duration'],
    [
      'a delay without end',
      '{"message":{"to":{"user_id":"ann"},"delay":{"duration":1e999}}}',
      'message.delay.duration',
    ],
    ['a delay until a moment in the past', { to, delay: { until: inDays(-1) } }, 'message.delay.until'],
    ['a delay until the beginning of time', { to, delay: { until: '0001-01-01T00:00:00Z' } }, 'message.delay.until'],
    ['a delay until more than a year from now', { to, delay: { until: inDays(366) } }, 'message.delay.until'],
    ['a delay until a day that there is not', { to, delay: { until: '2999-02-30T00:00:00Z' } }, 'message.delay.until'],
    ['a delay until a time without an offset', { to, delay: { until: '2999-01-01T00:00:00' } }, 'message.delay.until'],
    ['a delay until a date', { to, delay: { until: '2999-01-01' } }, 'message.delay.until'],
    ['a delay until opening hours', { to, delay: { until: 'Mo-Fr 08:00-18:00' } }, 'message.delay.until'],
    ['a delay until a number', { to, delay: { until: 1_767_225_600_000 } }, 'message.delay.until'],
    ['a duration and an until together', { to, delay: { duration: 1, until: inDays(1) } }, 'message.delay.until'],

    ['a provider that is not known', { to, providers: { nonsense: {} } }, 'message.providers.nonsense'],
    ['providers that are a list', { to, providers: ['log'] }, 'message.providers'],
    [
      'a channel or provider that is not known',
      { to, routing: { channels: ['nonsense'] } },
      'message.routing.channels.0',
    ],
    [
      'a provider within that is not known',
      { to, routing: { channels: [{ channels: ['twilio'] }] } },
      'message.routing.channels.0',
    ],
    [
      'a context that names two accounts',
      { to, context: { account_id: 'acme', tenant_id: 'bolt' } },
      'message.context.tenant_id',
    ],
    ['a routing that is a text', { to, routing: 'email' }, 'message.routing'],
    ['channels that are a text', { to, routing: { channels: 'email' } }, 'message.routing.channels'],
    ['channels that are numbers', { to, routing: { channels: [1, 2] } }, 'message.routing.channels.0'],
    ['a channel that is a list', { to, routing: { channels: [['email']] } }, 'message.routing.channels.0'],
    ['a channel that is empty', { to, routing: { channels: [''] } }, 'message.routing.channels.0'],
    ['a channel of 257 characters', { to, routing: { channels: ['a'.repeat(257)] } }, 'message.routing.channels.0'],
    [
      'a channel within that is a number',
      { to, routing: { channels: [{ channels: [1] }] } },
      'message.routing.channels.0',
    ],
    [
      'twelve routings within each other',
      {
        ...{ to, routing: JSON.parse(`${'{"channels":['.repeat(12)}"email"${']}'.repeat(12)}`) },
      },
      'message.routing.channels.0',
    ],
    ['101 channels', { to, routing: { channels: Array(101).fill('email') } }, 'message.routing.channels'],
    ['a provider that is not configured', { to, routing: { channels: ['webhook'] } }, 'message.routing.channels.0'],

    ['metadata that is a list', { to, metadata: [] }, 'message.metadata'],
    ['tags that are a text', { to, metadata: { tags: 'a' } }, 'message.metadata.tags'],
    ['21 tags', { to, metadata: { tags: Array.from({ length: 21 }, (_, n) => `${n}`) } }, 'message.metadata.tags'],
    ['a tag with a comma', { to, metadata: { tags: ['a', 'b,c'] } }, 'message.metadata.tags.1'],
    ['a tag with a line break', { to, metadata: { tags: ['a', 'b\nc'] } }, 'message.metadata.tags.1'],
    ['a tag that is empty', { to, metadata: { tags: [''] } }, 'message.metadata.tags.0'],
    ['a tag that is a number', { to, metadata: { tags: [7] } }, 'message.metadata.tags.0'],
    ['a trace_id that is a number', { to, metadata: { trace_id: 7 } }, 'message.metadata.trace_id'],
    ['a trace_id of 257 characters', { to, metadata: { trace_id: 'a'.repeat(257) } }, 'message.metadata.trace_id'],
    ['an event with a control character', { to, metadata: { event: '\u007f' } }, 'message.metadata.event'],
  ])('%s is a 400 that says where', async (_name, content, path) => {
    const answer = await app.call('POST', '/send', typeof content === 'string' ? content : { message: content });
    expectProblem(answer, 400, path);
  });

  test('several things are each told', async () => {
    const answer = await send({ to: [{}, to, { user_id: 7 }], delay: { duration: -1 }, metadata: { tags: [7] } });
    expectProblem(answer, 400);
    expect(answer.body.errors.map(({ path }: Json) => path).sort()).toEqual([
      ...['message.delay.duration', 'message.metadata.tags.0', 'message.to.0.user_id', 'message.to.2.user_id'],
    ]);
  });

  test.each(['content', 'data', 'unknown', 'routing'])('%s nested 100,000 deep is a 400', async (name) => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const value = `${open.repeat(100_000)}1${close.repeat(100_000)}`;
      for (const body of [
        `{"message":{"to":{"user_id":"ann"},"${name}":${value}}}`,
        `{"message":{"to":[{"user_id":"ann","${name}":${value}}]}}`,
      ]) {
        expectProblem(await app.call('POST', '/send', body), 400);
      }
    }
  });

  test('10 MB are a 413, with a length and without', async () => {
    const body = { message: { to, content: 'x'.repeat(10_000_000) } };
    expectProblem(await app.call('POST', '/send', body), 413, '');
    const inPieces = { 'content-length': null, 'transfer-encoding': 'chunked' };
    expectProblem(await app.call('POST', '/send', body, inPieces), 413, '');
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', null])(
    'the content type %s is a 415',
    async (type) => {
      expectProblem(await send({ to }, { 'content-type': type }), 415, 'Content-Type');
    },
  );

  test.each<[string, string]>([
    ['of 10,000 characters', 'x'.repeat(10_000)],
    ['of 256 characters', 'x'.repeat(256)],
    ['that is empty', ''],
    ['in Latin-1', 'cl\u00e9'],
    ['in UTF-8', Buffer.from('🔑').toString('latin1')],
    ['with a tab', 'a\tb'],
  ])('an Idempotency-Key %s is a 400 that names it', async (_name, key) => {
    expectProblem(await send({ to }, { 'idempotency-key': key }), 400, 'Idempotency-Key');
  });

  test('without the role check it is a 403', async () => {
    const keys = createApiKeys({ ...app, scripts: loadScripts(), nowMs: Date.now, randomBytes });
    const { key } = await keys.create(ACTOR, 'cli', null, ['read']);
    await app.ring.refresh();
    expectProblem(await send({ to }, { authorization: `Bearer ${key}` }), 403);
    expectProblem(await send({ to }, { authorization: null }), 401);
  });

  test('a parameter is a 400, and another method a 405', async () => {
    expectProblem(await app.call('POST', '/send?dry_run=true', { message: { to } }), 400, 'dry_run');
    for (const method of ['GET', 'PUT', 'DELETE']) expectProblem(await app.call(method, '/send'), 405);
  });
});

describe('while Redis is away', () => {
  const onCluster = () => sharedRedisUrl().startsWith('redis+cluster:');
  let server: { url: string; kill(): Promise<void>; restart(): Promise<void>; stop(): Promise<void> };

  beforeAll(async () => {
    server = onCluster() ? await startCluster() : await startRedis({ appendonly: true });
    app = await startTestApp({ redisUrl: server.url });
  }, 60_000);
  afterAll(async () => {
    await app.stop();
    await server.stop();
  });

  test('nothing is taken: a 503 that says when to try again, whatever the limits allow then; afterwards it goes on', async () => {
    // What a check would be let pass by.
    await app.limit({ id: 'user-daily', per: ['user'], period: 'day', max: 9, on_redis_down: 'allow' });
    await join('ann', 'acme');
    await sent({ to: { user_id: 'ann' } });
    await server.kill();
    const contents = [
      { to: { user_id: 'ann' } },
      { to: [{ user_id: 'ann' }, { user_id: 'bob' }] },
      { to: { account_id: 'acme' } },
      { to: { user_id: 'ann' }, delay: { duration: 60_000 } },
    ];
    const key = (index: number) => ({ 'idempotency-key': `key-${index}` });
    for (const [index, content] of contents.entries()) {
      for (const headers of [{}, key(index)]) {
        const answer = await send(content, headers);
        expectProblem(answer, 503);
        expect(answer.body.degraded).toBe(true);
        expect(answer.headers['retry-after']).toBe('1');
      }
    }
    for (const [method, path] of [
      ['GET', '/messages'],
      ['GET', '/messages/m'],
      ['GET', '/messages/m/history'],
      ['GET', '/messages/m/explain'],
      ['POST', '/messages/m/cancel'],
      ['POST', '/messages/m/retry'],
    ] as const) {
      const answer = await app.call(method, path);
      expectProblem(answer, 503);
      expect([path, answer.body.degraded, answer.headers['retry-after']]).toEqual([path, true, '1']);
    }
    // What is wrong is said all the same.
    expectProblem(await send({ to: {} }), 400, 'message.to.user_id');

    await server.restart();
    await until(async () => (await get('/messages')).status === 200);
    // A Cluster keeps nothing on disk here.
    if (onCluster()) await join('ann', 'acme');
    const before = (await all()).length;
    expect(before).toBe(onCluster() ? 0 : 1);
    for (const [index, content] of contents.entries()) {
      const id = await sent(content, key(index));
      expect(await sent(content, key(index))).toBe(id);
    }
    expect((await all()).slice(before).map(({ recipient, status }) => [recipient, status])).toEqual([
      ['ann', 'ENQUEUED'],
      ['ann', 'ENQUEUED'],
      ['bob', 'ENQUEUED'],
      ['ann', 'ENQUEUED'],
      ['ann', 'DELAYED'],
    ]);
  }, 60_000);
});
