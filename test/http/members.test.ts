import { type Answer, startTestApp, type TestApp } from '../support/app';
import { mirrored, openMembership, type TestMembership } from '../support/members';
import { sharedRedisUrl } from '../support/redis';

/** A way to say where and what a membership is: a prefix and a wording. */
interface Form {
  prefix: '' | '/membership';
  many: 'accounts' | 'tenants';
  idField: 'account_id' | 'tenant_id';
}
const FORMS: Form[] = (['', '/membership'] as const).flatMap((prefix) => [
  { prefix, many: 'accounts', idField: 'account_id' },
  { prefix, many: 'tenants', idField: 'tenant_id' },
]);
const named = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
const segment = encodeURIComponent;

let app: TestApp;
let direct: TestMembership;
async function start() {
  app = await startTestApp();
  direct = openMembership(sharedRedisUrl(), app.workspace);
}
async function stop() {
  direct.close();
  await app.stop();
}
/** A workspace for each test. */
function startEach() {
  beforeEach(start);
  afterEach(stop);
}
/** One workspace for tests that leave it as it is, or do not mind each other. */
function startOnce() {
  beforeAll(start);
  afterAll(stop);
}

const put = (path: string, body?: unknown) => app.call('PUT', path, body);
const get = (path: string) => app.call('GET', path);
const del = (path: string) => app.call('DELETE', path);

function expectProblem(answer: Answer, status: number, path?: string) {
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.body).toMatchObject({ status });
  if (path !== undefined) expect(answer.body.errors?.map((error: { path: string }) => error.path)).toContain(path);
}

/** The paths of a form, each with what follows it. */
function pathsOf({ prefix, many }: Form) {
  return {
    ofUser: (user: string, rest = '') => `${prefix}/users/${segment(user)}/${many}${rest}`,
    usersOf: (account: string, rest = '') => `${prefix}/${many}/${segment(account)}/users${rest}`,
  };
}

describe.each(FORMS)('at $prefix/users/…/$many', (form) => {
  const { many, idField } = form;
  const { ofUser, usersOf } = pathsOf(form);
  startEach();

  test('a user is added to many and to one, found from both sides, and removed', async () => {
    const items = [{ [idField]: 'acme', profile: { role: 'owner' } }, { [idField]: 'bolt' }];
    const added = await put(ofUser('ann'), { [many]: items });
    expect([added.status, added.text]).toEqual([204, '']);
    expect((await put(ofUser('ann', '/cargo'), { profile: { role: 'guest' } })).status).toBe(204);
    expect((await put(ofUser('bob', '/acme'))).status).toBe(204);

    const list = await get(ofUser('ann'));
    expect(list.status).toBe(200);
    expect(list.body).toEqual({
      type: 'list',
      items: [
        { [idField]: 'acme', user_id: 'ann', profile: { role: 'owner' } },
        { [idField]: 'bolt', user_id: 'ann', profile: null },
        { [idField]: 'cargo', user_id: 'ann', profile: { role: 'guest' } },
      ],
      has_more: false,
      url: ofUser('ann'),
    });
    expect((await get(usersOf('acme'))).body).toEqual({
      type: 'list',
      items: [
        { [idField]: 'acme', user_id: 'ann', profile: { role: 'owner' } },
        { [idField]: 'acme', user_id: 'bob', profile: null },
      ],
      has_more: false,
      url: usersOf('acme'),
    });
    const one = await get(ofUser('ann', '/acme'));
    expect([one.status, one.body]).toEqual([200, { [idField]: 'acme', user_id: 'ann', profile: { role: 'owner' } }]);

    const removed = await del(ofUser('ann', '/acme'));
    expect([removed.status, removed.text]).toEqual([204, '']);
    expect((await del(ofUser('ann', '/acme'))).status).toBe(204);
    expectProblem(await get(ofUser('ann', '/acme')), 404);
    expect((await get(usersOf('acme'))).body.items).toHaveLength(1);

    expect((await del(ofUser('ann'))).status).toBe(204);
    expect((await del(ofUser('ann'))).status).toBe(204);
    expect((await get(ofUser('ann'))).body.items).toEqual([]);
    expect(await mirrored(direct, ['ann', 'bob'], ['acme', 'bolt', 'cargo'])).toEqual(new Set(['bob/acme']));
  });

  test('a list is read on by next_url, 20 at a time, to its end', async () => {
    const accounts = named('account', 45).sort();
    await put(ofUser('ann'), { [many]: accounts.map((id) => ({ [idField]: id })) });
    const read: string[] = [];
    const sizes: number[] = [];
    let next: string | undefined = ofUser('ann');
    while (next !== undefined) {
      const { status, body }: Answer = await get(next);
      expect(status).toBe(200);
      expect(body.url).toBe(ofUser('ann'));
      expect(body.has_more).toBe(body.cursor !== undefined);
      read.push(...body.items.map((item: Record<string, string>) => item[idField]));
      sizes.push(body.items.length);
      next = body.next_url;
    }
    expect(read).toEqual(accounts);
    expect(sizes).toEqual([20, 20, 5]);
  });

  test('a list says on each of its pages how many there are on all of them, now', async () => {
    const total = async (path: string) => (await get(path)).headers['x-total-count'];
    expect([await total(ofUser('ann')), await total(usersOf('acme'))]).toEqual(['0', '0']);
    await put(ofUser('ann'), { [many]: named('account', 45).map((id) => ({ [idField]: id })) });
    for (const user of ['ann', 'bob', 'cid']) await put(ofUser(user, '/acme'));
    const { next_url: next } = (await get(ofUser('ann'))).body;
    for (const path of [ofUser('ann'), next, ofUser('ann', '?limit=1')]) expect(await total(path)).toBe('46');
    expect(await total(ofUser('bob'))).toBe('1');
    expect([await total(usersOf('acme')), await total(usersOf('acme', '?limit=2'))]).toEqual(['3', '3']);
    await del(ofUser('ann', '/acme'));
    expect([await total(ofUser('ann')), await total(usersOf('acme'))]).toEqual(['45', '2']);
    // Of a refusal there is nothing to count.
    expect(await total(ofUser('ann', '?limit=0'))).toBeUndefined();
  });

  test('the list narrowed to one is that one, or empty', async () => {
    await put(ofUser('ann'), { [many]: ['acme', 'b/c'].map((id) => ({ [idField]: id })) });
    for (const [id, found] of [
      ['b%2Fc', ['b/c']],
      ['b', []],
      ['', ['acme', 'b/c']],
    ] as const) {
      const { status, body, headers } = await get(ofUser('ann', `?${idField}=${id}`));
      expect([status, headers['x-total-count'], body.has_more]).toEqual([200, `${found.length}`, false]);
      expect(body.items.map((item: Record<string, string>) => item[idField])).toEqual(found);
    }
    expectProblem(await get(ofUser('ann', `?${idField}=a%0Ab`)), 400, idField);
  });

  test('the users of one are read on by cursor and limit', async () => {
    for (const user of ['ann', 'bob', 'cid']) await put(ofUser(user, '/acme'));
    const first = (await get(usersOf('acme', '?limit=2'))).body;
    expect(first).toMatchObject({ has_more: true, url: usersOf('acme') });
    expect(first.next_url).toBe(usersOf('acme', `?cursor=${first.cursor}&limit=2`));
    const second = (await get(usersOf('acme', `?limit=2&cursor=${first.cursor}`))).body;
    expect(second.items.map((item: { user_id: string }) => item.user_id)).toEqual(['cid']);
    expect(second).not.toHaveProperty('cursor');
    expect(second).not.toHaveProperty('next_url');
  });

  test('a profile that is given replaces, null removes, and one that is left out leaves what is there', async () => {
    const profile = async () => (await get(ofUser('ann', '/acme'))).body.profile;
    await put(ofUser('ann', '/acme'), { profile: { role: 'owner' } });
    await put(ofUser('ann', '/acme'), {});
    await put(ofUser('ann', '/acme'));
    await put(ofUser('ann'), { [many]: [{ [idField]: 'acme' }] });
    expect(await profile()).toEqual({ role: 'owner' });
    await put(ofUser('ann'), { [many]: [{ [idField]: 'acme', profile: { role: 'guest' } }] });
    expect(await profile()).toEqual({ role: 'guest' });
    await put(ofUser('ann', '/acme'), { profile: null });
    expect(await profile()).toBeNull();
  });

  test('what a list has can be put back', async () => {
    await put(ofUser('ann'), { [many]: [{ [idField]: 'acme', profile: { a: [1] } }, { [idField]: 'bolt' }] });
    const { items } = (await get(ofUser('ann'))).body;
    const withType = items.map((item: object) => ({ ...item, type: 'user' }));
    expect((await put(ofUser('ann'), { [many]: withType })).status).toBe(204);
    expect((await get(ofUser('ann'))).body.items).toEqual(items);
  });

  test("a cursor of another list is a 400, also of the same user's or account's other lists", async () => {
    for (const user of ['x', 'y']) await put(ofUser(user), { [many]: [{ [idField]: 'x' }, { [idField]: 'y' }] });
    const cursor = (await get(ofUser('x', '?limit=1'))).body.cursor;
    expectProblem(await get(ofUser('y', `?cursor=${cursor}`)), 400, 'cursor');
    expectProblem(await get(usersOf('x', `?cursor=${cursor}`)), 400, 'cursor');
    expect((await get(ofUser('x', `?cursor=${cursor}`))).status).toBe(200);
  });
});

describe.each(FORMS)('what is refused at $prefix/users/…/$many changes nothing:', (form) => {
  const { prefix, many, idField } = form;
  const { ofUser, usersOf } = pathsOf(form);
  startOnce();

  describe('a body:', () => {
    const item = { [idField]: 'acme' };
    const deep = JSON.parse(`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`);
    const field = `${many}.0.profile`;
    test.each<[string, unknown, string]>([
      ['none', undefined, ''],
      ['no list', {}, many],
      ['an empty list', { [many]: [] }, many],
      ['1,001 items', { [many]: named('a', 1_001).map((id) => ({ [idField]: id })) }, many],
      ['a list that is an object', { [many]: { 0: item } }, many],
      ['an array', [item], ''],
      ['a string', '"acme"', ''],
      ['the other wording', { [many === 'tenants' ? 'accounts' : 'tenants']: [item] }, many],
      ['an unknown field', { [many]: [item], extra: 1 }, 'extra'],
      ['an unknown field of an item', { [many]: [{ ...item, extra: 1 }] }, `${many}.0.extra`],
      [
        'the other wording of an item',
        { [many]: [{ [idField === 'tenant_id' ? 'account_id' : 'tenant_id']: 'a' }] },
        `${many}.0.${idField}`,
      ],
      ['an item that is a string', { [many]: ['acme'] }, `${many}.0`],
      ['an item without an id', { [many]: [item, {}] }, `${many}.1.${idField}`],
      ['an empty id', { [many]: [{ [idField]: '' }] }, `${many}.0.${idField}`],
      ['an id that is a number', { [many]: [{ [idField]: 7 }] }, `${many}.0.${idField}`],
      ['an id with a newline', { [many]: [{ [idField]: 'a\nb' }] }, `${many}.0.${idField}`],
      ['an id of 257 characters', { [many]: [{ [idField]: 'a'.repeat(257) }] }, `${many}.0.${idField}`],
      ['an id with half a character', `{"${many}":[{"${idField}":"\\ud800"}]}`, `${many}.0.${idField}`],
      ['an id that repeats', { [many]: [item, item] }, `${many}.1.${idField}`],
      ['another user', { [many]: [{ ...item, user_id: 'bob' }] }, `${many}.0.user_id`],
      ['another type', { [many]: [{ ...item, type: 'account' }] }, `${many}.0.type`],
      ['a profile that is a string', { [many]: [{ ...item, profile: 'owner' }] }, field],
      ['a profile that is a list', { [many]: [{ ...item, profile: [] }] }, field],
      ['a profile over 64 KB', { [many]: [{ ...item, profile: { a: 'é'.repeat(32_768) } }] }, field],
      ['a profile nested 65 deep', { [many]: [{ ...item, profile: deep }] }, field],
      ['a profile with a number beyond numbers', `{"${many}":[{"${idField}":"acme","profile":{"a":1e400}}]}`, field],
      ['broken JSON', `{"${many}":[`, ''],
    ])('%s', async (_name, body, path) => {
      expectProblem(await put(ofUser('ann'), body), 400, path);
      expect(await mirrored(direct, ['ann', 'bob'], ['acme', 'a'])).toEqual(new Set());
      expect(await direct.audit()).toEqual([]);
    });

    test.each<[string, unknown, string]>([
      ['an unknown field', { profil: {} }, 'profil'],
      ['a profile that is a number', { profile: 1 }, 'profile'],
      ['an array', [], ''],
      ['null', null, ''],
      ['a profile nested 65 deep', { profile: deep }, 'profile'],
    ])('of one membership: %s', async (_name, body, path) => {
      expectProblem(await put(ofUser('ann', '/acme'), body), 400, path);
      expect(await mirrored(direct, ['ann'], ['acme'])).toEqual(new Set());
    });
  });

  test.each([
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=1.5', 'limit'],
    ['limit=abc', 'limit'],
    ['limit=5&limit=6', 'limit'],
    ['limit[a]=5', 'limit[a]'],
    ['cursor=abc', 'cursor'],
    ['cursor=%00', 'cursor'],
    [`cursor=${'a'.repeat(9_000)}`, 'cursor'],
    ['cursor=a&cursor=b', 'cursor'],
    ['offset=5', 'offset'],
  ])('a list asked for with ?%s is a 400 that names it', async (query, name) => {
    expectProblem(await get(ofUser('ann', `?${query}`)), 400, name);
    expectProblem(await get(usersOf('acme', `?${query}`)), 400, name);
  });

  test.each([
    ['user_id', (id: string) => [`/users/${id}/${many}`, `/users/${id}/${many}/acme`]],
    [idField, (id: string) => [`/users/ann/${many}/${id}`, `/${many}/${id}/users`]],
  ])('a bad %s in the path is a 400 that names it', async (name, pathsOf) => {
    for (const id of ['a%0Ab', '%00', '%C2%85', 'a'.repeat(257), segment('😀'.repeat(257))]) {
      for (const path of pathsOf(id)) {
        for (const method of path.endsWith('/users') ? ['GET'] : ['GET', 'PUT', 'DELETE']) {
          if (method === 'GET' || method === 'DELETE') expectProblem(await app.call(method, prefix + path), 400, name);
          else {
            const body = path.endsWith(many) ? { [many]: [{ [idField]: 'acme' }] } : {};
            expectProblem(await put(prefix + path, body), 400, name);
          }
        }
      }
    }
    expect(await direct.audit()).toEqual([]);
  });
});

describe('an id or a path', () => {
  startOnce();

  test.each([
    ...['a:b', 'a%3Ab', '{w}', '}{', 'a/b', '../../etc/passwd', 'a b+c', 'a\'"\\<>&?#;=,@', 'é😀', '__proto__'].map(
      (id) => [id, id],
    ),
    ['256 emoji', '😀'.repeat(256)],
    ['256 letters', 'a'.repeat(256)],
  ])('%j is an id like any other, of a user and of an account', async (_name, id) => {
    const path = `/users/${segment(id)}/accounts`;
    expect((await put(path, { accounts: [{ account_id: id, profile: { mine: true } }] })).status).toBe(204);
    const item = { account_id: id, user_id: id, profile: { mine: true } };
    expect((await get(`${path}/${segment(id)}`)).body).toEqual(item);
    expect((await get(path)).body.items).toEqual([item]);
    expect((await get(`/accounts/${segment(id)}/users`)).body.items).toEqual([item]);
    await put(`${path}/zzz`);
    const page = (await get(`${path}?limit=1`)).body;
    expect((await get(page.next_url)).body.items.map((i: { account_id: string }) => i.account_id)).toEqual([
      id > 'zzz' ? id : 'zzz',
    ]);
    expect((await del(path)).status).toBe(204);
    expect((await get(`/accounts/${segment(id)}/users`)).body.items).toEqual([]);
  });

  test.each(['/users//accounts', '/users/ann/accounts//', '/users/../accounts/x/y', '/users/ann/accounts/../../..'])(
    'the path %s leads nowhere',
    async (path) => {
      expectProblem(await get(path), 404);
    },
  );

  test.each(['/users/%/accounts', '/users/%ff/accounts', '/accounts/%zz/users'])(
    'the path %s, which is not percent-encoded, is a 400',
    async (path) => {
      expectProblem(await get(path), 400);
    },
  );

  test('a method that a path does not have is a 405', async () => {
    expectProblem(await app.call('POST', '/users/ann/accounts', {}), 405);
    expectProblem(await app.call('PATCH', '/membership/users/ann/tenants/acme', {}), 405);
    expectProblem(await app.call('DELETE', '/accounts/acme/users'), 405);
  });
});

describe('members, in any wording:', () => {
  startEach();

  test('both speak of the same ones, and go on where the other stopped', async () => {
    await put('/users/ann/tenants', { tenants: [{ tenant_id: 'a' }, { tenant_id: 'b' }, { tenant_id: 'c' }] });
    const { cursor } = (await get('/users/ann/tenants?limit=1')).body;
    const rest = (await get(`/membership/users/ann/accounts?cursor=${cursor}`)).body.items;
    expect(rest.map((item: { account_id: string }) => item.account_id)).toEqual(['b', 'c']);
  });

  test("an empty limit and cursor are none, as Courier's SDK sends null", async () => {
    await put('/users/ann/tenants/acme');
    const { status, body } = await get('/users/ann/tenants?cursor=&limit=');
    expect([status, body.items.length]).toEqual([200, 1]);
  });

  test('a profile comes back as it was given, whatever its fields are called', async () => {
    const profile = '{"__proto__":{"admin":true},"constructor":null,"":0,"deep":[{"é😀":"\\u0000"}],"n":1.5}';
    expect((await app.call('PUT', '/users/ann/accounts/acme', `{"profile":${profile}}`)).status).toBe(204);
    expect((await get('/users/ann/accounts/acme')).text).toContain(JSON.stringify(JSON.parse(profile)));
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  test('an unknown field called __proto__ is refused like any other', async () => {
    const body = '{"accounts":[{"account_id":"acme"}],"__proto__":{"accounts":[]}}';
    expectProblem(await app.call('PUT', '/users/ann/accounts', body), 400, '__proto__');
  });

  test('a profile may be of exactly 64 KB and nested 64 deep', async () => {
    const nested = JSON.parse(`${'{"a":'.repeat(64)}1${'}'.repeat(64)}`);
    expect((await put('/users/ann/accounts/acme', { profile: nested })).status).toBe(204);
    const large = { a: 'a'.repeat(65_536 - '{"a":""}'.length) };
    expect((await put('/users/ann/accounts/acme', { profile: large })).status).toBe(204);
    expect((await get('/users/ann/accounts/acme')).body.profile).toEqual(large);
  });

  test('1,000 accounts are added in one call, and removed in one', async () => {
    const accounts = named('account', 1_000);
    expect(
      (await put('/users/ann/accounts', { accounts: accounts.map((account_id) => ({ account_id })) })).status,
    ).toBe(204);
    expect(await direct.redis.zcard(direct.keys.userAccounts('ann'))).toBe(1_000);
    expect((await del('/users/ann/accounts')).status).toBe(204);
    expect(await mirrored(direct, ['ann'], accounts)).toEqual(new Set());
  });

  test('one call may name 1,000 accounts also with the longest ids there are', async () => {
    const accounts = named('😀'.repeat(252), 1_000).map((account_id) => ({ account_id }));
    const escaped = JSON.stringify({ accounts }).replace(/[\ud800-\udfff]/g, (unit) => {
      return `\\u${unit.charCodeAt(0).toString(16)}`;
    });
    expect((await put('/users/ann/accounts', escaped)).status).toBe(204);
    expect(await direct.redis.zcard(direct.keys.userAccounts('ann'))).toBe(1_000);
  });

  test('decide whether a message for an account goes out, where membership is required, from the next check on', async () => {
    await app.call('PATCH', '/settings', { require_membership: true });
    const decision = async () =>
      (await app.call('POST', '/check', { user_id: 'ann', account_id: 'acme' })).body.decision;
    expect(await decision()).toBe('filtered');
    await put('/users/ann/tenants/acme');
    expect(await decision()).toBe('accepted');
    await del('/users/ann/accounts');
    expect(await decision()).toBe('filtered');
    await put('/users/ann/accounts', { accounts: [{ account_id: 'acme' }] });
    expect(await decision()).toBe('accepted');
    await del('/accounts/acme');
    expect(await decision()).toBe('filtered');
  });

  test('who changed a membership stands in the audit trail', async () => {
    await put('/users/ann/accounts/acme', { profile: { role: 'owner' } });
    await del('/users/ann/tenants');
    expect(await direct.audit()).toMatchObject([
      { type: 'member.added', target: 'member:ann/acme', after: { profile: { role: 'owner' } }, source: 'api' },
      { type: 'member.removed_all', target: 'member:ann/*', before: { account_ids: ['acme'] }, source: 'api' },
    ]);
  });
});
