import { createHmac, randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { ADMIN_KEY, type Answer, startTestApp, type TestApp, type TestAppOptions } from '../support/app';
import { type RecordedEvent, RUDDERSTACK_EVENTS, SEGMENT_EVENTS } from '../support/recorded-events';

let app: TestApp;
const start = async (options: TestAppOptions = {}) => {
  app = await startTestApp(options);
};
afterEach(() => app.stop());

const post = (body: unknown, path = '/inbound/segment', headers: Record<string, string | null> = {}) =>
  app.call('POST', path, body, headers);
const get = async (path: string) => (await app.call('GET', path)).body;
const map = async (...mappings: Record<string, string>[]) => {
  const { status, text } = await app.call('PUT', '/inbound/mappings', { mappings });
  if (status !== 200) throw new Error(text);
};
/** The messages in the log, without what is not compared. */
async function logged(filter = ''): Promise<Record<string, unknown>[]> {
  const { results } = await get(`/messages?limit=100${filter}`);
  return results.map(({ id, status, recipient, event, account_id, topic, notification }: Record<string, unknown>) => ({
    ...{ id, status, recipient, event, account_id, topic, notification },
  }));
}
const auditTypes = async (): Promise<string[]> =>
  (await get('/audit-events?limit=100')).results.map(({ type }: { type: string }) => type);
/** Every key of the workspace that begins so; each node of a Cluster knows its own. */
async function storedKeys(beginning = ''): Promise<string[]> {
  const nodes = 'nodes' in app.redis ? app.redis.nodes('master') : [app.redis];
  const found = await Promise.all(nodes.map((node) => node.keys(`${app.keys.prefix}${beginning}*`)));
  return found.flat();
}
const outboxLength = () => app.redis.xlen(app.keys.outbox('log'));

function expectProblem(answer: Answer, status: number, ...paths: string[]) {
  expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/problem+json']);
  expect((answer.body.errors ?? []).map((error: { path: string }) => error.path)).toEqual(paths);
}

const identify = (userId: string, traits: object, rest: object = {}) => ({ type: 'identify', userId, traits, ...rest });
const track = (userId: string, event: string, rest: object = {}) => ({ type: 'track', userId, event, ...rest });

describe.each([
  ['segment', SEGMENT_EVENTS],
  ['rudderstack', RUDDERSTACK_EVENTS],
])('calls as %s documents them', (source, recorded) => {
  beforeEach(() => start());
  const path = `/inbound/${source}`;
  const of = (type: string) => recorded[type]!;

  test.each(Object.keys(recorded))('%s is taken under its messageId, by each of the paths and forms', async (type) => {
    const event = of(type);
    const { type: _type, ...untyped } = event;
    expect(await post(event, path)).toMatchObject({ status: 202, body: { messageId: event.messageId } });
    expect(await post(untyped, `${path}/v1/${type}`)).toMatchObject({
      ...{ status: 202, body: { messageId: event.messageId } },
    });
    for (const [body, where] of [
      [[event], path],
      [{ batch: [event] }, path],
      [{ batch: [event], sentAt: '2026-01-01T00:00:00.000Z', writeKey: 'x' }, `${path}/v1/batch`],
    ] as const) {
      expect(await post(body, where)).toMatchObject({ status: 202, body: { accepted: 1, errors: [] } });
    }
    const { text } = await app.call('GET', '/metrics');
    expect(text).toContain(`sendgate_inbound_events_total{source="${source}",type="${type}",outcome="done"} 5`);
  });

  test('identify makes the profile of its traits, and the next one is merged into it', async () => {
    const event = of('identify');
    const traits = (event.traits ?? (event.context as { traits: object }).traits) as object;
    await post(event, path);
    expect(await get(`/profiles/${event.userId}`)).toEqual({ profile: traits });
    const more = { plan: null, phone_number: '+15555550100', address: { city: 'Berlin' } };
    await post(identify(event.userId as string, more), path);
    const { plan: _plan, ...rest } = traits as Record<string, unknown>;
    const merged = { ...rest, phone_number: '+15555550100', address: { city: 'Berlin' } };
    expect(await get(`/profiles/${event.userId}`)).toEqual({ profile: merged });
    // Not a change that somebody made by hand.
    expect(await auditTypes()).toEqual([]);
  });

  test('group puts its user into the account before the answer, with the traits as properties of the account', async () => {
    const event = of('group');
    const user = event.userId || event.anonymousId;
    expect((await post(event, path)).status).toBe(202);
    expect(await get(`/users/${user}/accounts/${event.groupId}`)).toMatchObject({ user_id: user, profile: null });
    expect((await get(`/accounts/${event.groupId}/users`)).items).toHaveLength(1);
    expect(await get(`/accounts/${event.groupId}`)).toMatchObject({
      name: (event.traits as { name: string }).name,
      properties: event.traits,
    });
    expect(await auditTypes()).toEqual(['member.added']);
  });

  test('track becomes a send by its mapping, with its properties as data', async () => {
    const event = of('track');
    await map({ event: event.event as string, topic: 'orders', template: 'receipt' });
    expect((await post(event, path)).body).toEqual({ messageId: event.messageId });
    expect(await logged()).toEqual([
      {
        ...{ id: event.messageId, status: 'ENQUEUED', recipient: event.userId, event: event.event },
        ...{ account_id: null, topic: 'orders', notification: 'receipt' },
      },
    ]);
    const begun = (await app.store.begin(event.messageId, 1))!;
    expect(JSON.parse(begun.payload)).toEqual({
      ...{ template: 'receipt', content: null, data: event.properties, metadata: { event: event.event } },
    });
    expect(JSON.parse(begun.recipient)).toEqual({ user_id: event.userId });
    expect(await outboxLength()).toBe(1);
  });

  test('track without a mapping is logged UNMAPPED, and sent nowhere', async () => {
    const event = of('track');
    expect((await post(event, path)).status).toBe(202);
    const row = { status: 'UNMAPPED', recipient: event.userId, event: event.event, account_id: null };
    expect(await logged('&status=unmapped')).toEqual([{ id: event.messageId, ...row, topic: null, notification: '' }]);
    expect(await get(`/messages/${event.messageId}`)).toMatchObject({
      ...row,
      provider: null,
      providers: [],
      limits: [],
    });
    expect((await get(`/messages/${event.messageId}/history`)).results).toMatchObject([{ type: 'UNMAPPED' }]);
    expect((await get(`/messages/${event.messageId}/explain`)).summary).toContain('no mapping');
    for (const what of ['cancel', 'retry']) {
      expect((await app.call('POST', `/messages/${event.messageId}/${what}`)).status).toBe(409);
    }
    expect(await outboxLength()).toBe(0);
  });

  test.each(['page', 'screen', 'alias'])('%s does nothing but count', async (type) => {
    await post(of(type), path);
    expect(await logged()).toEqual([]);
    expect(await auditTypes()).toEqual([]);
    expect((await app.call('GET', `/profiles/${of(type).userId}`)).status).toBe(404);
  });
});

describe('a mapping', () => {
  beforeEach(() => start());

  test('is found by name or pattern, the first that matches, and takes recipient and account from where it says', async () => {
    await map(
      { event: 'Order Refunded', topic: 'refunds' },
      { event: 'Order *', topic: 'orders', recipient: 'properties.buyers.0.id', account: 'properties.shop' },
      { event: '*ed', topic: 'rest' },
    );
    const properties = { buyers: [{ id: 'bob' }], shop: 'acme' };
    const batch = [
      track('ann', 'Order Refunded', { messageId: 'e-1', context: { groupId: 'bolt' } }),
      track('ann', 'Order Shipped', { messageId: 'e-2', properties }),
      track('ann', 'Signed', { messageId: 'e-3' }),
      track('ann', 'order shipped', { messageId: 'e-4' }),
    ];
    expect((await post({ batch })).body).toEqual({ accepted: 4, errors: [] });
    const byId = new Map((await logged()).map((row) => [row.id, row]));
    expect(byId.get('e-1')).toMatchObject({ recipient: 'ann', account_id: 'bolt', topic: 'refunds' });
    expect(byId.get('e-2')).toMatchObject({ recipient: 'bob', account_id: 'acme', topic: 'orders' });
    expect(byId.get('e-3')).toMatchObject({ recipient: 'ann', account_id: null, topic: 'rest' });
    expect(byId.get('e-4')).toMatchObject({ status: 'ENQUEUED', topic: 'rest' });
  });

  test('takes paths as JSONPath writes them, and gives them back so', async () => {
    const mapping = { event: 'Order *', recipient: '$.properties.buyers[0].id', account: 'properties.shops[1]' };
    await map(mapping);
    expect(await get('/inbound/mappings')).toEqual({ mappings: [mapping] });
    const properties = { buyers: [{ id: 'bob' }], shops: ['acme', 'bolt'] };
    expect((await post(track('ann', 'Order Shipped', { messageId: 'e-1', properties }))).status).toBe(202);
    expect(await logged()).toMatchObject([{ recipient: 'bob', account_id: 'bolt' }]);
    expectProblem(await post(track('ann', 'Order Shipped')), 400, '$.properties.buyers[0].id');
  });

  test('makes messages that the limits hold back as any other, and the sender is told that they are taken', async () => {
    await app.limit({ id: 'user-daily', per: ['user'], period: 'day', max: 2 });
    await map({ event: 'Ping' });
    const batch = ['a', 'b', 'c'].map((messageId) => track('ann', 'Ping', { messageId }));
    expect((await post(batch)).body).toEqual({ accepted: 3, errors: [] });
    const statuses = (await logged()).map(({ status }) => status);
    expect(statuses.sort()).toEqual(['ENQUEUED', 'ENQUEUED', 'THROTTLED']);
    // A message that was throttled is not sent again by the same event.
    expect((await post(batch)).body).toEqual({ accepted: 3, errors: [] });
    expect(await logged()).toHaveLength(3);
  });

  test('counts an event for the only account of its user, and finds memberships of the same call', async () => {
    await app.call('PATCH', '/settings', { require_membership: true });
    await map({ event: 'Ping' });
    const context = { groupId: 'acme' };
    const batch = [
      track('ann', 'Ping', { messageId: 'a', context }),
      { type: 'group', userId: 'ann', groupId: 'acme' },
      track('bob', 'Ping', { messageId: 'b', context }),
      track('ann', 'Ping', { messageId: 'c' }),
    ];
    expect((await post(batch)).body.accepted).toBe(4);
    const byId = new Map((await logged()).map((row) => [row.id, row]));
    expect(byId.get('a')).toMatchObject({ status: 'ENQUEUED', account_id: 'acme' });
    expect(byId.get('b')).toMatchObject({ status: 'FILTERED' });
    expect(byId.get('c')).toMatchObject({ status: 'ENQUEUED', account_id: 'acme' });
  });

  test('without anybody where it says the recipient is, or with no id there, refuses the event by that name', async () => {
    await map({ event: 'Shipped', recipient: 'properties.customer' }, { event: 'Billed', account: 'properties.shop' });
    expectProblem(await post(track('ann', 'Shipped')), 400, 'properties.customer');
    expectProblem(await post(track('ann', 'Shipped', { properties: { customer: 7 } })), 400, 'properties.customer');
    expectProblem(
      await post(track('ann', 'Billed', { properties: { shop: 'x'.repeat(257) } })),
      400,
      'properties.shop',
    );
    await map({ event: 'Shipped' });
    expectProblem(await post({ type: 'track', anonymousId: 'someone', event: 'Shipped' }), 400, 'userId');
    expect(await logged()).toEqual([]);
  });

  test('is kept, given back as it was put, and audited', async () => {
    expect(await get('/inbound/mappings')).toEqual({ mappings: [] });
    const mappings = [
      { event: 'Order *', topic: 'orders', template: 't', recipient: 'properties.id', account: 'context.x' },
      { event: 'b' },
    ];
    const put = await app.call('PUT', '/inbound/mappings', { mappings });
    expect([put.status, put.body]).toEqual([200, { mappings }]);
    const withNull = [mappings[0], { event: 'b', topic: null, template: null, recipient: null, account: null }];
    expect((await app.call('PUT', '/inbound/mappings', { mappings: withNull })).body).toEqual({ mappings });
    expect(await get('/inbound/mappings')).toEqual({ mappings });
    await app.call('PUT', '/inbound/mappings', { mappings: [] });
    const { results } = await get('/audit-events');
    expect(results).toMatchObject([
      { type: 'mappings.updated', target: 'mappings', before: { mappings }, after: { mappings: [] } },
      { type: 'mappings.updated', target: 'mappings', before: null, after: { mappings } },
    ]);
  });

  test.each<[string, unknown, string]>([
    ['no list', { mappings: {} }, 'mappings'],
    ['nothing', {}, 'mappings'],
    ['one without an event', { mappings: [{ topic: 'a' }] }, 'mappings.0.event'],
    ['an empty event', { mappings: [{ event: '' }] }, 'mappings.0.event'],
    ['a topic that none can be', { mappings: [{ event: 'a' }, { event: 'b', topic: 'x\n' }] }, 'mappings.1.topic'],
    ['a template of 257 characters', { mappings: [{ event: 'a', template: 'x'.repeat(257) }] }, 'mappings.0.template'],
    ['a path with nothing between dots', { mappings: [{ event: 'a', recipient: 'a..b' }] }, 'mappings.0.recipient'],
    ['a path of a list alone', { mappings: [{ event: 'a', recipient: '[0].id' }] }, 'mappings.0.recipient'],
    ['a path of nothing but $.', { mappings: [{ event: 'a', recipient: '$.' }] }, 'mappings.0.recipient'],
    ['a path with a wildcard', { mappings: [{ event: 'a', account: '$.items[*].id' }] }, 'mappings.0.account'],
    ['a path with a quoted name', { mappings: [{ event: 'a', account: "$['a']" }] }, 'mappings.0.account'],
    ['a path that is a number', { mappings: [{ event: 'a', account: 7 }] }, 'mappings.0.account'],
    ['a field that is misspelt', { mappings: [{ event: 'a', tempalte: 'b' }] }, 'mappings.0.tempalte'],
    ['1,001', { mappings: Array.from({ length: 1_001 }, () => ({ event: 'a' })) }, 'mappings'],
  ])('list with %s is refused, and nothing changes', async (_what, body, path) => {
    expectProblem(await app.call('PUT', '/inbound/mappings', body), 400, path);
    expect(await get('/inbound/mappings')).toEqual({ mappings: [] });
  });
});

describe('the same messageId again', () => {
  beforeEach(() => start());

  test('is answered as the first time and does nothing, whatever else the event says', async () => {
    const messageId = randomUUID();
    const first = await post(identify('ann', { plan: 'a' }, { messageId }));
    expect(await post(identify('ann', { plan: 'b' }, { messageId }))).toMatchObject({ status: 202, body: first.body });
    expect(await post(identify('bob', { plan: 'b' }, { messageId }), '/inbound/rudderstack')).toMatchObject({
      ...{ status: 202, body: first.body },
    });
    expect(await get('/profiles/ann')).toEqual({ profile: { plan: 'a' } });
    expect((await app.call('GET', '/profiles/bob')).status).toBe(404);
  });

  test('adds nobody to an account again who has left it meanwhile', async () => {
    const group = { type: 'group', userId: 'ann', groupId: 'acme', messageId: randomUUID(), traits: { a: 1 } };
    await post(group);
    await app.call('DELETE', '/users/ann/accounts/acme');
    expect((await post({ ...group, traits: { a: 2 } })).status).toBe(202);
    expect((await app.call('GET', '/users/ann/accounts/acme')).status).toBe(404);
    expect((await get('/accounts/acme')).properties).toEqual({ a: 1 });
  });

  test('sends nothing twice, neither in one call nor in ten at once nor once its note is gone', async () => {
    await map({ event: 'Ping' });
    const event = track('ann', 'Ping', { messageId: 'm:1' });
    const answers = await Promise.all(Array.from({ length: 10 }, () => post([event, event])));
    for (const { body } of answers) expect(body).toEqual({ accepted: 2, errors: [] });
    expect(await outboxLength()).toBe(1);
    for (const key of await storedKeys('i:')) await app.redis.del(key);
    expect((await post(event)).body).toEqual({ messageId: 'm:1' });
    expect(await outboxLength()).toBe(1);
    expect(await logged()).toHaveLength(1);
  });

  test('is not sent after all once there is a mapping, nor refused by one', async () => {
    const event = track('ann', 'Ping', { messageId: 'm-1' });
    await post(event);
    await map({ event: 'Ping' });
    await post(event);
    await map({ event: 'Ping', recipient: 'properties.nobody' });
    expect((await post(event)).body).toEqual({ messageId: 'm-1' });
    expect(await logged()).toMatchObject([{ id: 'm-1', status: 'UNMAPPED' }]);
  });

  test('is noted for two days at least', async () => {
    await post(identify('ann', {}, { messageId: 'm-1' }));
    const [note] = await storedKeys('i:');
    expect(await app.redis.pttl(note!)).toBeGreaterThan(47 * 3_600_000);
  });

  test('that has the form of an id of the log is a message like any other', async () => {
    await map({ event: 'Ping' });
    const answer = await post(track('ann', 'Ping', { messageId: '1767225600000-0' }));
    expect(answer.body).toEqual({ messageId: '1767225600000-0' });
    await post(track('ann', 'Ping', { messageId: '1767225600000-0' }));
    expect(await logged('&recipient=ann')).toMatchObject([{ status: 'ENQUEUED', recipient: 'ann' }]);
  });

  test('does not hold for an event without one, which is done each time and named in the answer', async () => {
    const [one, other] = [await post(track('ann', 'Ping')), await post(track('ann', 'Ping'))];
    expect(one.body.messageId).not.toBe(other.body.messageId);
    expect((await logged()).map(({ id }) => id).sort()).toEqual([one.body.messageId, other.body.messageId].sort());
  });
});

describe('without its proof', () => {
  const SECRET = 'shared secret é';
  const sign = (text: string | Buffer, secret = SECRET) => createHmac('sha1', secret).update(text).digest('hex');
  const event = SEGMENT_EVENTS.identify!;
  const text = JSON.stringify(event);
  const signed = (body: string | Buffer, signature: string | null) =>
    post(body, '/inbound/segment', { 'x-signature': signature });

  async function expectRefused(answer: Answer) {
    expectProblem(answer, 401);
    expect(answer.headers['www-authenticate']).toBeDefined();
    expect((await app.call('GET', `/profiles/${event.userId}`)).status).toBe(404);
  }

  test('a call of Segment is refused, and one that it has signed is taken', async () => {
    await start({ segmentSecret: SECRET });
    for (const wrong of [
      null,
      '',
      'x',
      sign(text, 'another'),
      sign(`${text} `),
      sign(text).slice(2),
      `${sign(text)}00`,
    ]) {
      await expectRefused(await signed(text, wrong));
    }
    expect((await signed(text, sign(text))).status).toBe(202);
    expect((await signed(text, sign(text).toUpperCase())).status).toBe(202);
    // The other product signs nothing.
    expect((await post(event, '/inbound/rudderstack')).status).toBe(202);
  });

  test('a list is signed over its first event, as it was written or as it is written anew', async () => {
    await start({ segmentSecret: SECRET });
    const second = JSON.stringify(SEGMENT_EVENTS.group);
    const list = ` [ ${text} ,\n${second}]`;
    await expectRefused(await signed(list, sign(second)));
    await expectRefused(await signed('[]', sign('[]x')));
    for (const signature of [sign(text), sign(list)]) {
      expect((await signed(list, signature)).body).toEqual({ accepted: 2, errors: [] });
    }
    const spaced = `[${JSON.stringify(event, null, 2)}]`;
    expect((await signed(spaced, sign(text))).status).toBe(202);
    expect((await signed(spaced, sign(JSON.stringify(event, null, 2)))).status).toBe(202);
  });

  test('a batch is signed over its first event or as a whole, and what is compressed over what it was before', async () => {
    await start({ segmentSecret: SECRET });
    const second = JSON.stringify(SEGMENT_EVENTS.group);
    const batch = `{ "sentAt": "2026-01-01T00:00:00Z", "batch" : [ ${text} ,${second}] }`;
    await expectRefused(await signed(batch, sign(second)));
    await expectRefused(await signed('{"batch":[]}', sign('')));
    for (const signature of [sign(text), sign(batch)]) {
      expect((await signed(batch, signature)).body).toEqual({ accepted: 2, errors: [] });
    }
    const packed = gzipSync(batch);
    const headers = { 'content-encoding': 'gzip', 'content-length': `${packed.length}` };
    const send = (signature: string) => post(packed, '/inbound/segment', { ...headers, 'x-signature': signature });
    expectProblem(await send(sign(packed)), 401);
    for (const signature of [sign(text), sign(batch)]) expect((await send(signature)).status).toBe(202);
  });

  test.each<[string, string | Buffer, Record<string, string>]>([
    ['that is no JSON', '{oops', {}],
    ['that is no list that ends', `[${text},{oops`, {}],
    ['that is not there', '', {}],
    ['that is no UTF-8', Buffer.from([0xff, 0xfe]), {}],
    ['that is not the gzip that it says', text, { 'content-encoding': 'gzip' }],
    ['that holds no event', '7', {}],
    ['by a path that there is not', text, { path: '/v1/purchase' }],
  ])('a body %s is refused for that first, and what is wrong with it is said to those who have it', async (...row) => {
    const [, body, { path = '', ...given }] = row;
    const length = { 'content-length': `${Buffer.byteLength(body)}`, ...given };
    await start({ segmentSecret: SECRET, rudderstackHeader: { name: 'X-Proof', value: 'long secret' } });
    const segment = (signature: string | null) =>
      post(body, `/inbound/segment${path}`, { ...length, 'x-signature': signature });
    for (const wrong of [null, 'x', sign(`${text} `), sign(text, 'another')]) await expectRefused(await segment(wrong));
    expect((await segment(sign(body))).status).toBe(400);
    const rudderstack = (value: string | null) =>
      post(body, `/inbound/rudderstack${path}`, { ...length, 'x-proof': value });
    for (const wrong of [null, 'long']) await expectRefused(await rudderstack(wrong));
    expect((await rudderstack('long secret')).status).toBe(400);
  });

  test('a body that is not read is refused for that where it may be signed, and else for its proof', async () => {
    await start({ segmentSecret: SECRET, rudderstackHeader: { name: 'X-Proof', value: 'long secret' } });
    const large = ' '.repeat(5_242_881);
    const bomb = gzipSync(large);
    const packed = { 'content-encoding': 'gzip', 'content-length': `${bomb.length}` };
    const unread: [string | Buffer, Record<string, string>, number][] = [
      [large, {}, 413],
      [bomb, packed, 413],
      [text, { 'content-encoding': 'br' }, 415],
    ];
    for (const [body, headers, status] of unread) {
      for (const wrong of [null, 'x']) {
        await expectRefused(await post(body, '/inbound/segment', { ...headers, 'x-signature': wrong }));
      }
      expect((await post(body, '/inbound/segment', { ...headers, 'x-signature': sign('x') })).status).toBe(status);
      await expectRefused(await post(body, '/inbound/rudderstack', { ...headers, 'x-proof': 'long' }));
      const proven = await post(body, '/inbound/rudderstack', { ...headers, 'x-proof': 'long secret' });
      expect(proven.status).toBe(status);
    }
  });

  test('a first event nested so deep that it cannot be written anew is refused', async () => {
    await start({ segmentSecret: SECRET });
    const deep = `[{"type":"identify","userId":"ann","context":${'['.repeat(50_000)}${']'.repeat(50_000)}}]`;
    await expectRefused(await signed(deep, sign('x')));
  });

  test('a call of RudderStack is refused, and one with the header is taken', async () => {
    await start({ rudderstackHeader: { name: 'X-Proof', value: 'long secret' } });
    const call = (value: string | null) => post(event, '/inbound/rudderstack', { 'x-proof': value });
    for (const wrong of [null, '', 'long', 'long secret, long secret', 'LONG SECRET'])
      await expectRefused(await call(wrong));
    expect((await call('long secret')).status).toBe(202);
    expect((await post(event)).status).toBe(202);
  });
});

describe('bad input', () => {
  beforeEach(() => start());

  const nested = (depth: number): unknown => JSON.parse(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`);
  const NESTED = 'must not be nested deeper than 64';

  test.each<[string, unknown, string, string]>([
    ['no type', { userId: 'ann' }, 'type', 'is missing'],
    ['an event of no known type', { type: 'purchase', userId: 'ann' }, 'type', 'must be one of identify, group'],
    ['a type that is a number', { type: 7, userId: 'ann' }, 'type', 'must be one of'],
    ['a type that objects have by nature', { type: 'constructor', userId: 'ann' }, 'type', 'must be one of'],
    ['no user', { type: 'identify', traits: {} }, 'userId', 'is missing'],
    ['a user that is null', { type: 'identify', userId: null }, 'userId', 'is missing'],
    ['a user that is a number', { type: 'identify', userId: 7 }, 'userId', 'must be a string'],
    [
      'a user that is a number beside an anonymousId',
      { type: 'page', userId: 7, anonymousId: 'x' },
      'userId',
      'string',
    ],
    ['a user of 257 characters', { type: 'track', event: 'a', userId: 'x'.repeat(257) }, 'userId', 'at most 256'],
    ['a user with a line in it', { type: 'alias', userId: 'a\nb' }, 'userId', 'control characters'],
    ['an anonymousId that is a list', { type: 'page', anonymousId: [] }, 'anonymousId', 'must be a string'],
    ['no groupId', { type: 'group', userId: 'ann' }, 'groupId', 'is missing'],
    ['a groupId that is a number', { type: 'group', userId: 'ann', groupId: 1 }, 'groupId', 'must be a string'],
    [
      'a groupId of 10,000 characters',
      { type: 'group', userId: 'ann', groupId: 'x'.repeat(10_000) },
      'groupId',
      'most 256',
    ],
    ['traits nested 100 deep', identify('ann', nested(100) as object), 'traits', NESTED],
    [
      'traits of an account nested 100 deep',
      { type: 'group', userId: 'a', groupId: 'b', traits: nested(100) },
      'traits',
      NESTED,
    ],
    ['traits that are a list', identify('ann', []), 'traits', 'must be a JSON object'],
    ['traits in words', { type: 'identify', userId: 'ann', traits: 'rich' }, 'traits', 'must be a JSON object'],
    ['traits of 66 KB', identify('ann', { a: 'x'.repeat(66_000) }), 'traits', 'must be at most 65536 bytes'],
    [
      'traits of the context in words',
      { type: 'identify', userId: 'ann', context: { traits: 1 } },
      'context.traits',
      'object',
    ],
    ['a context that is a text', { type: 'page', userId: 'ann', context: 'web' }, 'context', 'must be an object'],
    ['no name of what happened', { type: 'track', userId: 'ann' }, 'event', 'is missing'],
    ['a name that is no text', track('ann', 7 as unknown as string), 'event', 'must be a string'],
    ['properties that are a list', track('ann', 'a', { properties: [] }), 'properties', 'must be a JSON object'],
    ['properties nested 100 deep', track('ann', 'a', { properties: nested(100) }), 'properties', NESTED],
    ['a messageId that is a number', identify('ann', {}, { messageId: 7 }), 'messageId', 'must be a string'],
    ['a messageId of 257 characters', identify('ann', {}, { messageId: 'x'.repeat(257) }), 'messageId', 'at most 256'],
    ['a batch that is none', { batch: 'all' }, 'batch', 'must be a list'],
    ['an empty batch', { batch: [] }, 'batch', 'must not be empty'],
    ['an empty list', [], '', 'must not be empty'],
    ['a text', '"identify"', '', 'must be an event'],
    ['null', 'null', '', 'must be an event'],
    ['no JSON', '{"type":', '', 'must be JSON'],
    ['nothing', undefined, '', ''],
    ['only bad ones in a list', [{ type: 'x', userId: 'a' }, 7], '0.type', 'must be one of'],
    ['only bad ones in a batch', { batch: [{ type: 'identify' }] }, 'batch.0.userId', 'is missing'],
  ])('%s is a 400 that names it, and does nothing', async (_what, body, path, words) => {
    for (const source of ['segment', 'rudderstack']) {
      const answer = await post(body, `/inbound/${source}`);
      expect([answer.status, answer.headers['content-type']]).toEqual([400, 'application/problem+json']);
      expect(answer.body.errors[0].path).toBe(path);
      expect(answer.body.errors[0].message).toContain(words);
    }
    expect(await storedKeys()).toEqual([]);
  });

  test('a type that the path does not know is a 400', async () => {
    expectProblem(await post({}, '/inbound/segment/v1/purchase'), 400, 'call');
  });

  test('a body of 6 MB is a 413, also when it only unfolds to that', async () => {
    const large = JSON.stringify(identify('ann', { a: 'x'.repeat(6_000_000) }));
    expectProblem(await post(large), 413, '');
    const packed = gzipSync(large);
    expect(packed.length).toBeLessThan(10_000);
    const headers = { 'content-encoding': 'gzip', 'content-length': `${packed.length}` };
    expectProblem(await post(packed, '/inbound/rudderstack', headers), 413, '');
    expect(await storedKeys()).toEqual([]);
  });

  test('what says that it is compressed and is not is a 400, and another compression a 415', async () => {
    expectProblem(await post('{}', '/inbound/segment', { 'content-encoding': 'gzip' }), 400, '');
    expectProblem(await post('{}', '/inbound/segment', { 'content-encoding': 'br' }), 415, 'Content-Encoding');
  });

  test('no content type, or that of a form, does not matter', async () => {
    for (const type of [null, 'application/x-www-form-urlencoded', 'text/plain']) {
      const answer = await post(JSON.stringify(identify('ann', {})), '/inbound/rudderstack', { 'content-type': type });
      expect(answer.status).toBe(202);
    }
  });

  test('5,001 events are a 413, and none of them is done', async () => {
    const batch = Array.from({ length: 5_001 }, (_, index) => identify(`u${index}`, {}));
    expectProblem(await post({ batch }), 413, '');
    expect(await storedKeys()).toEqual([]);
  });

  test('among good ones is named by its place, and the good ones are done', async () => {
    const batch = [
      identify('ann', { a: 1 }),
      identify('ann', nested(100) as object),
      { type: 'group', userId: 'ann', groupId: 'x'.repeat(10_000) },
      { type: 'group', userId: 'ann', groupId: 'acme' },
      { type: 'nothing', userId: 7 },
      null,
    ];
    const { status, body } = await post({ batch });
    expect([status, body.accepted]).toEqual([202, 2]);
    expect(body.errors.map(({ index }: { index: number }) => index)).toEqual([1, 2, 4, 5]);
    expect(body.errors[0].message).toBe(`traits ${NESTED}`);
    expect(body.errors[2].message).toMatch(/^type must be one of .*; userId must be a string$/);
    expect(await get('/profiles/ann')).toEqual({ profile: { a: 1 } });
    expect((await app.call('GET', '/users/ann/accounts/acme')).status).toBe(200);
    expect(app.log).toContainEqual({
      ...{ level: 'warn', message: 'Events were refused' },
      fields: { source: 'segment', count: 4, first: `traits ${NESTED}` },
    });
  });

  test('a profile, or the properties of an account, that would become too large is refused, and stays as it is', async () => {
    const large = { a: 'x'.repeat(40_000) };
    for (const event of [identify('ann', large), { type: 'group', userId: 'ann', groupId: 'acme', traits: large }]) {
      expect((await post(event)).status).toBe(202);
      expectProblem(await post({ ...event, traits: { b: 'x'.repeat(40_000) } }), 400, 'traits');
    }
    expect(await get('/profiles/ann')).toEqual({ profile: large });
    expect((await get('/accounts/acme')).properties).toEqual(large);
  });

  test('names that objects have by nature are names like any other', async () => {
    const traits = JSON.parse(
      '{"__proto__":{"admin":true},"constructor":1,"\\ud800":"\\ud800","é😀":[],"n":[{}],"e":{}}',
    );
    expect((await post(identify('__proto__', traits))).status).toBe(202);
    expect((await post({ type: 'group', userId: 'a', groupId: '__proto__', traits })).status).toBe(202);
    const { properties } = await get('/accounts/__proto__');
    for (const kept of [(await get('/profiles/__proto__')).profile, properties]) {
      expect(Object.entries(kept).sort()).toEqual(Object.entries(traits).sort());
    }
  });
});

describe('a batch of 5,000', () => {
  beforeEach(() => start({ checkTimeoutMs: 10_000 }));

  test('is done within the 5 seconds that its sender waits, whatever is in it, and so is the same again', async () => {
    await map({ event: 'Order *', topic: 'orders' });
    const kinds: ((index: number) => Omit<RecordedEvent, 'messageId'>)[] = [
      (index) => identify(`u${index}`, { email: `u${index}@example.com`, plan: 'premium' }),
      (index) => ({
        type: 'group',
        userId: `u${index}`,
        groupId: `g${index % 50}`,
        traits: { plan: 'gold', last: index },
      }),
      (index) => track(`u${index}`, 'Order Completed', { properties: { order: index } }),
      (index) => track(`u${index}`, 'Looked', {}),
      (index) => ({ type: 'page', userId: `u${index}` }),
    ];
    const batch = Array.from({ length: 5_000 }, (_, index) => ({
      ...kinds[index % kinds.length]!(index),
      messageId: `m-${index}`,
    }));
    for (let round = 0; round < 2; round += 1) {
      expect(await post({ batch })).toMatchObject({ status: 202, body: { accepted: 5_000, errors: [] } });
      expect(await app.redis.xlen(app.keys.logRows)).toBe(2_000);
    }
    expect((await app.call('GET', '/accounts/g1/users')).headers['x-total-count']).toBe('100');
    expect(await get('/accounts/g1')).toMatchObject({ properties: { plan: 'gold' } });
    expect(await get('/profiles/u4995')).toEqual({ profile: { email: 'u4995@example.com', plan: 'premium' } });
  });

  test('that several senders bring at once changes one account as one after the other would', async () => {
    const groups = (sender: number) =>
      Array.from({ length: 200 }, (_, index) => ({
        ...{ type: 'group', userId: `u${index}`, groupId: 'acme', traits: { [`s${sender}`]: index } },
      }));
    const answers = await Promise.all([0, 1, 2].map((sender) => post({ batch: groups(sender) })));
    for (const { body } of answers) expect(body).toEqual({ accepted: 200, errors: [] });
    expect((await get('/accounts/acme')).properties).toEqual({ s0: 199, s1: 199, s2: 199 });
  });
});

test('a key may come as the user name of Basic, and one of the role inbound is enough', async () => {
  await start();
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
  const event = identify('ann', {});
  expect((await post(event, '/inbound/segment', basic(`${ADMIN_KEY}:`))).status).toBe(202);
  expect((await post(event, '/inbound/segment/v1/batch', basic(`${ADMIN_KEY}:whatever`))).status).toBe(202);
  expect((await post(event, '/inbound/segment', basic(`user:${ADMIN_KEY}`))).status).toBe(401);
  expect((await post(event, '/inbound/segment', basic('wrong:'))).status).toBe(401);
  // Elsewhere it is none.
  expect((await app.call('GET', '/limits', undefined, basic(`${ADMIN_KEY}:`))).status).toBe(401);
});
