import { type Answer, startTestApp, type TestApp } from '../support/app';
import { limitOf } from '../support/gate';
import { uniqueWorkspace } from '../support/redis';

let app: TestApp;
beforeEach(async () => {
  app = await startTestApp({ workspace: uniqueWorkspace() });
});
afterEach(() => app.stop());

const BASE = { per: ['user'], period: 'day', max: 50 };
const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const post = (body: unknown) => app.call('POST', '/limits', body);
const put = (id: string, body: unknown, headers = {}) => app.call('PUT', `/limits/${id}`, body, headers);
const get = (id: string) => app.call('GET', `/limits/${id}`);
const del = (id: string, headers = {}) => app.call('DELETE', `/limits/${id}`, undefined, headers);
const preview = (body: unknown) => app.call('POST', '/limits/preview', body);
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
    alert_thresholds: null,
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
  ['a threshold of 0 %', { ...BASE, alert_thresholds: [0, 80] }, 'alert_thresholds.0'],
  ['a threshold above 100 %', { ...BASE, alert_thresholds: [101] }, 'alert_thresholds.0'],
  ['half a percent', { ...BASE, alert_thresholds: [99.5] }, 'alert_thresholds.0'],
  ['a threshold twice', { ...BASE, alert_thresholds: [80, 80] }, 'alert_thresholds'],
  ['a threshold for a list', { ...BASE, alert_thresholds: 80 }, 'alert_thresholds'],
  ['eleven thresholds', { ...BASE, alert_thresholds: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] }, 'alert_thresholds'],
  ['an on_redis_down that there is not', { ...BASE, on_redis_down: 'open' }, 'on_redis_down'],
  ['a from that is no instant', { ...BASE, from: 'tomorrow' }, 'from'],
  ['an until without an offset', { ...BASE, until: '2026-01-01T00:00:00' }, 'until'],
  ['an until before its from', { ...BASE, from: '2026-02-01T00:00:00Z', until: '2026-01-01T00:00:00Z' }, 'until'],
  ['an unknown field', { ...BASE, burst: 3 }, 'burst'],
])('400 for %s, naming it, and nothing changes', async (_what, body, path) => {
  expectProblem(await post(body), 400, path);
  expectProblem(await put('some', body), 400, path);
  expectProblem(await preview(body), 400, path);
  expect(await list()).toEqual([]);
  expect(await auditTypes()).toEqual([]);
});

test('400 for an id in the path that none can be, or that is not the one in the body', async () => {
  expectProblem(await put('one', { ...BASE, id: 'two' }), 400, 'id');
  expectProblem(await put('a%2Fb', BASE), 400, 'limit_id');
  expectProblem(await app.call('GET', '/limits/..%2F..%2Fetc'), 400, 'limit_id');
});

describe('the version of a limit', () => {
  test('is its ETag: the same wherever it is read, another after every change', async () => {
    const created = await post({ id: 'daily', ...BASE });
    expect(created.headers.etag).toMatch(/^"[0-9a-f]{16}"$/);
    const other = await startTestApp({ workspace: app.workspace });
    try {
      expect((await other.call('GET', '/limits/daily')).headers.etag).toBe(created.headers.etag);
    } finally {
      await other.stop();
    }
    const replaced = await put('daily', { ...BASE, max: 60 });
    expect(replaced.headers.etag).not.toBe(created.headers.etag);
    expect((await get('daily')).headers.etag).toBe(replaced.headers.etag);
    const back = await put('daily', BASE);
    expect(back.headers.etag).not.toBe(replaced.headers.etag);
    expect((await get('daily')).headers.etag).toBe(back.headers.etag);
  });

  test('named in If-Match lets a change through, and one from before is a 412 with the limit as it is', async () => {
    const { etag } = (await post({ id: 'daily', ...BASE })).headers;
    const mine = await put('daily', { ...BASE, max: 60 }, { 'if-match': etag });
    expect([mine.status, mine.body.max]).toEqual([200, 60]);
    const events = await auditTypes();
    for (const lost of [
      await put('daily', { ...BASE, max: 70 }, { 'if-match': etag }),
      await del('daily', { 'if-match': etag }),
    ]) {
      expectProblem(lost, 412);
      expect(lost.body).toMatchObject({ title: 'Limit changed', current: mine.body });
    }
    expect((await get('daily')).body).toEqual(mine.body);
    expect(await auditTypes()).toEqual(events);
    expect((await del('daily', { 'if-match': mine.headers.etag })).status).toBe(204);
  });

  test.each<[string, (etag: string) => string]>([
    ['among others', (etag) => `"0000000000000000", ${etag},"x"`],
    ['as any', () => '*'],
  ])('may be named %s', async (_name, ifMatch) => {
    const { etag } = (await post({ id: 'daily', ...BASE })).headers;
    expect((await put('daily', { ...BASE, max: 60 }, { 'if-match': ifMatch(etag!) })).status).toBe(200);
  });

  test.each<[string, (etag: string) => string]>([
    ['without its quotes', (etag) => etag.slice(1, -1)],
    ['as a weak one', (etag) => `W/${etag}`],
    ['in part', (etag) => `${etag.slice(0, 9)}"`],
    ['as nothing', () => ''],
    ['as nonsense', () => '","'],
  ])('is not matched %s', async (_name, ifMatch) => {
    const { etag } = (await post({ id: 'daily', ...BASE })).headers;
    expectProblem(await put('daily', { ...BASE, max: 60 }, { 'if-match': ifMatch(etag!) }), 412);
    expect((await get('daily')).body.max).toBe(50);
  });

  test('of a limit that is gone matches nothing: it does not come back', async () => {
    const { etag } = (await post({ id: 'daily', ...BASE })).headers;
    await del('daily');
    for (const ifMatch of [etag, '*']) {
      const refused = await put('daily', BASE, { 'if-match': ifMatch });
      expectProblem(refused, 412);
      expect(refused.body.current).toBeNull();
      expectProblem(await del('daily', { 'if-match': ifMatch }), 404);
    }
    expect(await list()).toEqual([]);
  });

  test('none at all is what If-None-Match: * asks for: a limit is made, and none replaced', async () => {
    const made = await put('daily', BASE, { 'if-none-match': '*' });
    expect(made.status).toBe(200);
    const refused = await put('daily', { ...BASE, max: 60 }, { 'if-none-match': '*' });
    expectProblem(refused, 412);
    expect(refused.body).toMatchObject({ title: 'Limit exists', current: made.body });
    expect((await put('daily', { ...BASE, max: 60 }, { 'if-none-match': made.headers.etag })).status).toBe(412);
    expect((await put('daily', { ...BASE, max: 60 }, { 'if-none-match': '"other"' })).status).toBe(200);
  });

  test('of changes at once that name the same one, through two processes, one is made', async () => {
    const { etag } = (await post({ id: 'daily', ...BASE })).headers;
    const other = await startTestApp({ workspace: app.workspace });
    try {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 === 0 ? app : other).call('PUT', '/limits/daily', { ...BASE, max: index }, { 'if-match': etag! }),
        ),
      );
      const [made, ...more] = answers.filter(({ status }) => status === 200);
      expect(more).toEqual([]);
      expect(answers.filter(({ status }) => status === 412)).toHaveLength(19);
      expect((await get('daily')).body).toEqual(made!.body);
      expect(await auditTypes()).toEqual(['limit.updated', 'limit.created']);
    } finally {
      await other.stop();
    }
  });

  test('says nothing of a limit from the file, which stays a 409', async () => {
    const fromFile = limitOf({ id: 'daily', per: ['user'], period: 'day', max: 9, source: 'file' });
    await app.services.configuration.change({ id: 'file', name: null }, 'file', () => ({
      writes: [{ id: 'daily', value: fromFile }],
      events: [],
    }));
    const { etag } = (await get('daily')).headers;
    expectProblem(await put('daily', BASE, { 'if-match': etag }), 409);
    expectProblem(await del('daily', { 'if-match': etag }), 409);
  });
});

describe('a preview', () => {
  test('says in words what a limit would mean, with its present and next window, and changes nothing', async () => {
    await app.call('PATCH', '/settings', { timezone: 'America/New_York' });
    const events = await auditTypes();
    const { status, body } = await preview(BASE);
    expect(status).toBe(200);
    expect(body).toEqual({
      description: 'Each user, at most 50 messages a day, midnight to midnight in New York.',
      window: { start: INSTANT, end: INSTANT },
      next_window: { start: body.window.end, end: INSTANT },
      timezone: 'America/New_York',
    });
    expect(Date.parse(body.window.start)).toBeLessThanOrEqual(Date.now());
    expect(Date.parse(body.window.end)).toBeGreaterThan(Date.now());
    for (const instant of [body.window.start, body.window.end, body.next_window.end]) {
      const clock = new Intl.DateTimeFormat('en-GB', { timeZone: 'America/New_York', timeStyle: 'medium' });
      expect(clock.format(new Date(instant))).toBe('00:00:00');
    }
    expect(await list()).toEqual([]);
    expect(await auditTypes()).toEqual(events);
  });

  test('has the windows that a check is then held against, by the calendar of the account that is named', async () => {
    await app.call('PATCH', '/settings', { timezone: 'America/New_York' });
    await app.call('PUT', '/accounts/acme', {
      ...{ timezone: 'Asia/Kathmandu', billing_anchor: '2024-01-31T15:00:00', billing_months: 2 },
    });
    for (const period of ['hour', 'day', 'week', 'month', 'billing_period']) {
      for (const [account, timezone] of [
        ['acme', 'Asia/Kathmandu'],
        ['bolt', 'America/New_York'],
      ]) {
        const limit = { id: 'tried', per: ['account'], period, max: 5, where: { account } };
        const { body } = await preview(limit);
        expect(body.timezone).toBe(timezone);
        await put('tried', limit);
        const { limits } = (await app.call('GET', `/usage?account_id=${account}`)).body;
        // An hour may have ended in between.
        if (limits[0].window_start !== body.window.start) expect(limits[0].window_start).toBe(body.next_window.start);
        else expect(limits[0].resets_at).toBe(body.window.end);
        await del('tried');
      }
    }
    // Of accounts as such the workspace's calendar stands for all.
    expect((await preview({ ...BASE, per: ['account'] })).body.timezone).toBe('America/New_York');
    expect((await preview({ ...BASE, where: { account: 'acme' } })).body.timezone).toBe('America/New_York');
  });

  test('does not mind a limit that there is already', async () => {
    await post({ id: 'daily', ...BASE });
    expect((await preview({ id: 'daily', ...BASE, max: 0 })).body.description).toBe('Each user, no messages at all.');
  });
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
