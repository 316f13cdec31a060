import { type Answer, startTestApp, type TestApp } from '../support/app';
import { openMembership, type TestMembership } from '../support/members';
import { sharedRedisUrl } from '../support/redis';

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
const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const NONE = {
  name: null,
  timezone: null,
  billing_anchor: null,
  billing_months: null,
  properties: null,
  user_profile: null,
  brand_id: null,
  parent_tenant_id: null,
  default_preferences: null,
};

function expectProblem(answer: Answer, status: number, path?: string) {
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.body).toMatchObject({ status });
  if (path !== undefined) expect(answer.body.errors?.map((error: { path: string }) => error.path)).toContain(path);
}

describe.each(['accounts', 'tenants'])('at /%s', (many) => {
  startEach();

  test('an account is put, read, replaced as a whole, listed and deleted', async () => {
    const fields = {
      name: 'Acme',
      timezone: 'America/New_York',
      billing_anchor: '2024-01-31T15:00:00',
      billing_months: 3,
      properties: { plan: 'pro' },
      user_profile: { locale: 'en' },
      brand_id: 'brand-1',
      parent_tenant_id: 'holding',
      default_preferences: { items: [{ id: 'news', status: 'OPTED_IN' }] },
    };
    const created = await put(`/${many}/acme`, { id: 'acme', ...fields });
    const acme = { id: 'acme', ...fields, created_at: INSTANT, updated_at: INSTANT };
    expect([created.status, created.body]).toEqual([200, acme]);
    expect((await get(`/${many}/acme`)).body).toEqual(created.body);
    expect((await put(`/${many}/acme`, created.body)).body).toEqual({ ...created.body, updated_at: INSTANT });
    expect((await get(`/${many}`)).body).toMatchObject({
      type: 'list',
      items: [{ id: 'acme', ...fields }],
      has_more: false,
      url: `/${many}`,
    });

    const replaced = await put(`/${many}/acme`, { name: 'Acme Inc', timezone: null });
    expect([replaced.status, replaced.body]).toEqual([
      200,
      { id: 'acme', ...NONE, name: 'Acme Inc', created_at: created.body.created_at, updated_at: INSTANT },
    ]);

    const deleted = await del(`/${many}/acme`);
    expect([deleted.status, deleted.text]).toEqual([204, '']);
    expect((await del(`/${many}/acme`)).status).toBe(204);
    expectProblem(await get(`/${many}/acme`), 404);
    expect((await get(`/${many}`)).body.items).toEqual([]);
  });

  test('accounts are listed a page at a time, all of them or those of one parent', async () => {
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      await put(`/${many}/${id}`, { name: id, parent_tenant_id: id < 'd' ? 'p&p' : null });
    }
    for (const [query, expected] of [
      ['', ['a', 'b', 'c', 'd', 'e']],
      ['parent_tenant_id=p%26p&', ['a', 'b', 'c']],
    ] as const) {
      const read: string[] = [];
      let next: string | undefined = `/${many}?${query}limit=2`;
      while (next !== undefined) {
        const { status, body }: Answer = await get(next);
        expect([status, body.url]).toEqual([200, `/${many}`]);
        expect(body.items.length).toBeLessThanOrEqual(2);
        read.push(...body.items.map((account: { id: string }) => account.id));
        next = body.next_url;
      }
      expect(read).toEqual(expected);
    }
  });

  test('the list narrowed to one is that one, or empty', async () => {
    for (const id of ['a', 'b/c']) await put(`/${many}/${encodeURIComponent(id)}`, { parent_tenant_id: 'p' });
    const idsOf = async (query: string) => {
      const { status, body } = await get(`/${many}?${query}`);
      expect([status, body.has_more]).toEqual([200, false]);
      return body.items.map(({ id }: { id: string }) => id);
    };
    expect(await idsOf('id=b%2Fc')).toEqual(['b/c']);
    expect(await idsOf('id=b')).toEqual([]);
    expect(await idsOf('id=a&parent_tenant_id=p')).toEqual(['a']);
    expect(await idsOf('id=a&parent_tenant_id=q')).toEqual([]);
    expect(await idsOf('id=')).toEqual(['a', 'b/c']);
  });

  test('deleting an account takes its users out of it, and leaves them in others', async () => {
    await put('/users/ann/accounts', { accounts: [{ account_id: 'acme' }, { account_id: 'bolt' }] });
    await put('/users/bob/accounts/acme');
    await put(`/${many}/acme`, { name: 'Acme' });
    expect((await del(`/${many}/acme`)).status).toBe(204);
    expect((await get('/accounts/acme/users')).body.items).toEqual([]);
    const { items } = (await get('/users/ann/accounts')).body;
    expect(items.map((item: { account_id: string }) => item.account_id)).toEqual(['bolt']);
  });

  test('a cursor of another list, or of another parent, is a 400', async () => {
    for (const id of ['a', 'b']) await put(`/${many}/${id}`, { parent_tenant_id: 'p' });
    const ofAll = (await get(`/${many}?limit=1`)).body.cursor;
    const ofParent = (await get(`/${many}?limit=1&parent_tenant_id=p`)).body.cursor;
    expectProblem(await get(`/${many}?cursor=${ofParent}`), 400, 'cursor');
    expectProblem(await get(`/${many}?parent_tenant_id=p&cursor=${ofAll}`), 400, 'cursor');
    expectProblem(await get(`/${many}?parent_tenant_id=q&cursor=${ofParent}`), 400, 'cursor');
    expectProblem(await get(`/users/p/${many}?cursor=${ofAll}`), 400, 'cursor');
  });
});

describe.each(['accounts', 'tenants'])('what is refused at /%s changes nothing:', (many) => {
  startOnce();

  test.each<[string, unknown, string]>([
    ['none', undefined, ''],
    ['null', null, ''],
    ['an array', [], ''],
    ['an unknown field', { nam: 'Acme' }, 'nam'],
    ['another id', { id: 'bolt' }, 'id'],
    ['an id that is a number', { id: 7 }, 'id'],
    ['a name that is a number', { name: 7 }, 'name'],
    ['an empty name', { name: '' }, 'name'],
    ['a name of 257 characters', { name: 'a'.repeat(257) }, 'name'],
    ['an unknown zone', { timezone: 'Mars/Olympus' }, 'timezone'],
    ['an offset for a zone', { timezone: '+02:00' }, 'timezone'],
    ['an anchor that is no date', { billing_anchor: '2024-02-30T00:00:00' }, 'billing_anchor'],
    ['an anchor with an offset', { billing_anchor: '2024-01-31T15:00:00Z' }, 'billing_anchor'],
    ['an anchor that is a number', { billing_anchor: 1706713200 }, 'billing_anchor'],
    ['no months', { billing_months: 0 }, 'billing_months'],
    ['half a month', { billing_months: 0.5 }, 'billing_months'],
    ['months as text', { billing_months: '1' }, 'billing_months'],
    ['properties that are a list', { properties: [] }, 'properties'],
    ['properties over 64 KB', { properties: { a: 'a'.repeat(65_536) } }, 'properties'],
    ['a user profile that is text', { user_profile: 'x' }, 'user_profile'],
    ['preferences that are a list', { default_preferences: [] }, 'default_preferences'],
    ['a parent with a newline', { parent_tenant_id: 'a\nb' }, 'parent_tenant_id'],
    ['a parent with half a character', '{"parent_tenant_id":"\\ud800"}', 'parent_tenant_id'],
    ['broken JSON', '{"name":', ''],
  ])('a body: %s', async (_name, body, path) => {
    await put(`/${many}/acme`, { name: 'Acme', timezone: 'Asia/Tokyo' });
    const before = (await get(`/${many}/acme`)).body;
    const events = (await direct.audit()).length;
    expectProblem(await put(`/${many}/acme`, body), 400, path);
    expect((await get(`/${many}/acme`)).body).toEqual(before);
    expect((await direct.audit()).length).toBe(events);
  });

  test.each([
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['limit=abc', 'limit'],
    ['cursor=abc', 'cursor'],
    ['parent_tenant_id=a%0Ab', 'parent_tenant_id'],
    ['id=a%0Ab', 'id'],
    ['parent=a', 'parent'],
  ])('a list asked for with ?%s is a 400 that names it', async (query, name) => {
    expectProblem(await get(`/${many}?${query}`), 400, name);
  });

  test('a bad id in the path is a 400 that names it', async () => {
    const name = many === 'tenants' ? 'tenant_id' : 'account_id';
    for (const id of ['a%0Ab', '%00', 'a'.repeat(257)]) {
      expectProblem(await get(`/${many}/${id}`), 400, name);
      expectProblem(await put(`/${many}/${id}`, { name: 'A' }), 400, name);
      expectProblem(await del(`/${many}/${id}`), 400, name);
    }
    expect((await direct.audit()).map(({ target }) => target).filter((target) => target !== 'account:acme')).toEqual(
      [],
    );
  });
});

describe.each(['accounts', 'tenants'])('at /%s', (many) => {
  startOnce();

  test.each([
    ...['a:b', '{w}', 'a/b', '../..', 'é😀', '__proto__', 'users'].map((id) => [id, id]),
    ['256 emoji', '😀'.repeat(256)],
  ])('%j is an id like any other', async (_name, id) => {
    const path = `/${many}/${encodeURIComponent(id)}`;
    expect((await put(path, { name: 'A', parent_tenant_id: id })).body).toMatchObject({ id, parent_tenant_id: id });
    expect((await get(path)).body).toMatchObject({ id });
    expect((await get(`/${many}?parent_tenant_id=${encodeURIComponent(id)}`)).body.items).toMatchObject([{ id }]);
    expect((await del(path)).status).toBe(204);
    expect((await get(`/${many}`)).body.items).toEqual([]);
  });
});

describe('an account', () => {
  startEach();

  test('both wordings speak of the same accounts', async () => {
    const { body } = await put('/tenants/acme', { name: 'Acme' });
    expect((await get('/accounts/acme')).body).toEqual(body);
  });

  test('properties come back as they were given, whatever their fields are called', async () => {
    const properties = '{"__proto__":{"admin":true},"constructor":null,"":0,"é😀":["\\u0000"]}';
    const { text } = await app.call('PUT', '/accounts/acme', `{"properties":${properties}}`);
    expect(text).toContain(JSON.stringify(JSON.parse(properties)));
    expect((await get('/accounts/acme')).text).toBe(text);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  test('that is put or deleted here is known here at once, without a decision that is refused first', async () => {
    const known = () => app.services.accountSettings.known('acme');
    await put('/accounts/acme', { timezone: 'Asia/Tokyo' });
    expect(known()).toMatchObject({ calendar: { timezone: 'Asia/Tokyo', billing_anchor: null, billing_months: null } });
    await del('/accounts/acme');
    expect(known()).toBeUndefined();
  });

  test("a change of an account's calendar is in force for the next check, on this replica and on another", async () => {
    const other = await startTestApp({ workspace: app.workspace });
    try {
      await app.call('POST', '/limits', { id: 'account-daily', per: ['account'], period: 'day', max: 10 });
      const startOn = async (replica: TestApp) => {
        const { body } = await replica.call('POST', '/check', { user_id: 'ann', account_id: 'acme', dry_run: true });
        return new Date(body.limits[0].window_start).getUTCHours();
      };
      expect([await startOn(app), await startOn(other)]).toEqual([0, 0]);
      await put('/accounts/acme', { timezone: 'Asia/Tokyo' });
      expect([await startOn(app), await startOn(other)]).toEqual([15, 15]);
      await put('/accounts/acme', { timezone: 'Asia/Dubai' });
      expect([await startOn(other), await startOn(app)]).toEqual([20, 20]);
      await del('/tenants/acme');
      expect([await startOn(other), await startOn(app)]).toEqual([0, 0]);
    } finally {
      await other.stop();
    }
  });
});
