import { type Answer, startTestApp, type TestApp } from '../support/app';
import { uniqueWorkspace } from '../support/redis';

let app: TestApp;
beforeEach(async () => {
  app = await startTestApp({ workspace: uniqueWorkspace() });
});
afterEach(() => app.stop());

const BASE = { per: ['user'], period: 'day', max: 50 };
const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const post = (body: unknown) => app.call('POST', '/limits', body);
const put = (id: string, body: unknown) => app.call('PUT', `/limits/${id}`, body);
const list = async () => (await app.call('GET', '/limits')).body.items;
const auditTypes = async () =>
  (await app.call('GET', '/audit-events')).body.results.map((event: { type: string }) => event.type);

function expectProblem(answer: Answer, status: number, ...paths: string[]) {
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.body).toMatchObject({ status });
  if (paths.length > 0) expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual(paths);
}

test('a limit is created with its defaults, listed, read, replaced and deleted, each change audited', async () => {
  const created = await post({ id: 'user-daily', ...BASE });
  expect(created.status).toBe(201);
  expect(created.headers.location).toBe('/limits/user-daily');
  expect(created.body).toEqual({
    id: 'user-daily',
    ...BASE,
    where: null,
    mode: 'enforce',
    on_exceeded: 'throttle',
    on_redis_down: 'deny',
    from: null,
    until: null,
    reason: null,
    source: 'api',
    created_at: INSTANT,
    updated_at: INSTANT,
  });
  expect(await list()).toEqual([created.body]);
  expect((await app.call('GET', '/limits/user-daily')).body).toEqual(created.body);

  // What was read can be sent back, changed.
  const replaced = await put('user-daily', { ...created.body, max: 60 });
  expect([replaced.status, replaced.body.max, replaced.body.created_at]).toEqual([200, 60, created.body.created_at]);
  expect((await app.call('DELETE', '/limits/user-daily')).status).toBe(204);
  expect(await list()).toEqual([]);
  expectProblem(await app.call('DELETE', '/limits/user-daily'), 404);
  expectProblem(await app.call('GET', '/limits/user-daily'), 404);
  expect(await auditTypes()).toEqual(['limit.deleted', 'limit.updated', 'limit.created']);
  const [deleted, updated] = (await app.call('GET', '/audit-events')).body.results;
  expect(deleted).toMatchObject({ target: 'limit:user-daily', before: { max: 60 }, after: null });
  expect(updated).toMatchObject({ before: { max: 50 }, after: { max: 60 } });
});

test('an id is generated where none is given, and PUT makes a limit that is not there, with a 200 as always', async () => {
  const { body } = await post(BASE);
  expect(body.id).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
  expect((await put('weekly', { ...BASE, period: 'week' })).status).toBe(200);
  expect((await list()).map((limit: { id: string }) => limit.id).sort()).toEqual([body.id, 'weekly'].sort());
});

test('all dimensions, periods and policies there are can be had', async () => {
  const full = {
    id: 'a.b_c-9',
    per: ['channel', 'account'],
    period: 'billing_period',
    max: null,
    where: { account: 'acme', topic: '🙂', user: 'a:b', channel: '{x}' },
    mode: 'shadow',
    on_exceeded: 'defer',
    on_redis_down: 'local',
    from: '2026-01-01T00:00:00.000Z',
    until: '2026-02-01T00:00:00.000Z',
    reason: 'The January campaign',
  };
  expect((await post(full)).body).toMatchObject(full);
  expect((await post({ ...BASE, max: 1_000_000_000_000, from: '2026-01-01T01:30:00+01:30' })).body).toMatchObject({
    from: '2026-01-01T00:00:00.000Z',
  });
});

test('an account is also called a tenant', async () => {
  const { body } = await post({ id: 'acme', ...BASE, per: ['user', 'tenant'], where: { tenant: 'acme', user: 'ann' } });
  expect(body).toMatchObject({ per: ['user', 'account'], where: { account: 'acme', user: 'ann' } });
  expect(body.where).not.toHaveProperty('tenant');
  const same = { id: 'same', ...BASE, per: ['account', 'user'], where: { user: 'ann', account: 'acme' } };
  expectProblem(await post(same), 409, 'where');
});

test('409 for a taken id, and for one that counts the same for the same messages; neither changes anything', async () => {
  await post({ id: 'one', ...BASE });
  expectProblem(await post({ id: 'one', ...BASE, period: 'week' }), 409, 'id');
  const conflict = await post({ id: 'two', ...BASE, max: 9 });
  expectProblem(conflict, 409, 'where');
  expect(conflict.body).toMatchObject({ conflicts_with: 'one' });
  expectProblem(await put('three', BASE), 409);
  const december = { from: '2026-12-01T00:00:00Z', until: '2027-01-01T00:00:00Z' };
  expect((await post({ id: 'december', ...BASE, ...december })).status).toBe(201);
  expectProblem(await post({ id: 'advent', ...BASE, ...december }), 409);
  expect((await post({ id: 'january', ...BASE, from: december.until })).status).toBe(201);
  expect(await list()).toHaveLength(3);
  expect(await auditTypes()).toEqual(['limit.created', 'limit.created', 'limit.created']);
});

test.each<[string, Record<string, unknown>, string]>([
  ['no period', { per: ['user'], max: 1 }, 'period'],
  ['no max', { per: ['user'], period: 'day' }, 'max'],
  ['no per', { period: 'day', max: 1 }, 'per'],
  ['a period that there is not', { ...BASE, period: 'year' }, 'period'],
  ['a max in words', { ...BASE, max: '50' }, 'max'],
  ['a negative max', { ...BASE, max: -1 }, 'max'],
  ['a fractional max', { ...BASE, max: 0.5 }, 'max'],
  ['a max above 10^12', { ...BASE, max: 1_000_000_000_001 }, 'max'],
  ['a per that repeats', { ...BASE, per: ['user', 'topic', 'user'] }, 'per'],
  ['a per of what there is not', { ...BASE, per: ['planet'] }, 'per.0'],
  ['a per that repeats in other words', { ...BASE, per: ['account', 'tenant'] }, 'per'],
  ['a where of two accounts', { ...BASE, where: { account: 'acme', tenant: 'bolt' } }, 'where.tenant'],
  ['a where that names nothing', { ...BASE, where: {} }, 'where'],
  ['a where of what there is not', { ...BASE, where: { planet: 'x' } }, 'where.planet'],
  ['a where of no id', { ...BASE, where: { user: 'a\nb' } }, 'where.user'],
  ['an id with a slash', { ...BASE, id: 'a/b' }, 'id'],
  ['an id of 65 characters', { ...BASE, id: 'x'.repeat(65) }, 'id'],
  ['a mode that there is not', { ...BASE, mode: 'off' }, 'mode'],
  ['an on_exceeded that there is not', { ...BASE, on_exceeded: 'drop' }, 'on_exceeded'],
  ['an on_redis_down that there is not', { ...BASE, on_redis_down: 'open' }, 'on_redis_down'],
  ['a from that is no instant', { ...BASE, from: 'tomorrow' }, 'from'],
  ['an until without an offset', { ...BASE, until: '2026-01-01T00:00:00' }, 'until'],
  ['an until before its from', { ...BASE, from: '2026-02-01T00:00:00Z', until: '2026-01-01T00:00:00Z' }, 'until'],
  ['an unknown field', { ...BASE, burst: 3 }, 'burst'],
])('400 for %s, naming it, and nothing changes', async (_what, body, path) => {
  expectProblem(await post(body), 400, path);
  expectProblem(await put('some', body), 400, path);
  expect(await list()).toEqual([]);
  expect(await auditTypes()).toEqual([]);
});

test('400 for an id in the path that none can be, or that is not the one in the body', async () => {
  expectProblem(await put('one', { ...BASE, id: 'two' }), 400, 'id');
  expectProblem(await put('a%2Fb', BASE), 400, 'limit_id');
  expectProblem(await app.call('GET', '/limits/..%2F..%2Fetc'), 400, 'limit_id');
});

test('a limit raised, lowered or overridden keeps what was counted', async () => {
  const check = async (user: string) => (await app.call('POST', '/check', { user_id: user })).body;
  await put('daily', { ...BASE, max: 2 });
  await check('ann');
  await check('ann');
  await put('daily', { ...BASE, max: 1 });
  expect(await check('ann')).toMatchObject({ allowed: false, limits: [{ max: 1, used: 2, remaining: 0 }] });
  await put('daily', { ...BASE, max: 3 });
  expect(await check('ann')).toMatchObject({ allowed: true, limits: [{ used: 3 }] });
  await put('ann', { ...BASE, max: 4, where: { user: 'ann' } });
  expect(await check('ann')).toMatchObject({ allowed: true, limits: [{ limit_id: 'ann', used: 4 }] });
  expect(await check('bob')).toMatchObject({ limits: [{ limit_id: 'daily', used: 1 }] });
});

test('20 limits created at once by two processes are all there, and of 20 that conflict there is one', async () => {
  const other = await startTestApp({ workspace: app.workspace });
  try {
    const both = (index: number) => (index % 2 === 0 ? app : other);
    const created = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        both(index).call('POST', '/limits', { ...BASE, id: `l-${index}`, where: { user: `u-${index}` } }),
      ),
    );
    expect(created.map((answer) => answer.status)).toEqual(created.map(() => 201));
    const same = await Promise.all(
      Array.from({ length: 20 }, (_, index) => both(index).call('POST', '/limits', { ...BASE, id: `same-${index}` })),
    );
    expect(same.map((answer) => answer.status).sort()).toEqual([201, ...Array.from({ length: 19 }, () => 409)]);
    expect(await list()).toHaveLength(21);
  } finally {
    await other.stop();
  }
});
