import { type Answer, startTestApp, type TestApp } from '../support/app';
import { uniqueWorkspace } from '../support/redis';

let app: TestApp;
beforeEach(async () => {
  app = await startTestApp({ workspace: uniqueWorkspace() });
});
afterEach(() => app.stop());

const post = (path: string, body?: unknown) => app.call('POST', path, body);
const limit = async (body: Record<string, unknown>) => {
  const answer = await post('/limits', { per: ['user'], period: 'day', ...body });
  expect(answer.status).toBe(201);
};
const usedBy = async (query: string): Promise<number[]> =>
  (await app.call('GET', `/usage?${query}`)).body.limits.map((one: { used: number }) => one.used);

function expectProblem(answer: Answer, status: number, ...paths: string[]) {
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.body).toMatchObject({ status, title: expect.any(String), type: expect.any(String) });
  if (paths.length > 0) expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual(paths);
}

describe('POST /check', () => {
  test('200 accepted: the decision, and what remains in the headers', async () => {
    await limit({ id: 'user-daily', max: 2 });
    const answer = await post('/check', { user_id: 'ann', message_id: 'm-1' });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      allowed: true,
      decision: 'accepted',
      message_id: 'm-1',
      replayed: false,
      degraded: false,
      limits: [
        {
          limit_id: 'user-daily',
          per: ['user'],
          period: 'day',
          max: 2,
          used: 1,
          remaining: 1,
          window_start: expect.stringMatching(/T00:00:00\.000Z$/),
          resets_at: expect.stringMatching(/T00:00:00\.000Z$/),
          mode: 'enforce',
          exceeded: false,
        },
      ],
      throttled_by: [],
      retry_at: null,
    });
    expect(answer.headers['ratelimit-policy']).toBe('"user-daily";q=2;w=86400');
    expect(answer.headers.ratelimit).toMatch(/^"user-daily";r=1;t=\d+$/);
    expect(answer.headers['retry-after']).toBeUndefined();
  });

  test('200 throttled, or with ?on_throttled=429 a problem with the same members', async () => {
    await limit({ id: 'user-daily', max: 0 });
    const plain = await post('/check', { user_id: 'ann', cost: 1 });
    expect(plain.status).toBe(200);
    expect(plain.body).toMatchObject({ allowed: false, decision: 'throttled', throttled_by: ['user-daily'] });
    await app.call('PUT', '/limits/user-daily', { per: ['user'], period: 'day', max: 1 });
    await post('/check', { user_id: 'ann' });
    const problem = await post('/check?on_throttled=429', { user_id: 'ann' });
    expectProblem(problem, 429);
    expect(problem.body).toMatchObject({
      allowed: false,
      decision: 'throttled',
      throttled_by: ['user-daily'],
      limits: [{ limit_id: 'user-daily', exceeded: true }],
    });
    expect(Number(problem.headers['retry-after'])).toBeGreaterThan(0);
    expect(Number(problem.headers['retry-after'])).toBeLessThanOrEqual(86_400);
    expect(problem.body.retry_at).toBe(problem.body.limits[0].resets_at);
    const never = await post('/check?on_throttled=429', { user_id: 'ann', cost: 2 });
    expect(never.headers['retry-after']).toBeUndefined();
    expect(never.body.retry_at).toBeNull();
  });

  test('an account answers to both of its names', async () => {
    await limit({ id: 'account', per: ['account'], max: 5 });
    await post('/check', { user_id: 'ann', account_id: 'acme' });
    await post('/check', { user_id: 'ann', tenant_id: 'acme' });
    expect(await usedBy('account_id=acme')).toEqual([2]);
    expect(await usedBy('tenant_id=acme')).toEqual([2]);
    expectProblem(await post('/check', { user_id: 'ann', account_id: 'a', tenant_id: 'b' }), 400, 'tenant_id');
  });

  test('null says the same as leaving an optional field out', async () => {
    const body = { user_id: 'ann', account_id: null, topic_id: null, channel: null, message_id: null, at: null };
    expect((await post('/check', body)).body).toMatchObject({ allowed: true, message_id: null });
  });

  test('409 for a message_id that was accepted with other content', async () => {
    await post('/check', { user_id: 'ann', message_id: 'm-1' });
    expectProblem(await post('/check', { user_id: 'bob', message_id: 'm-1' }), 409, 'message_id');
    expect((await post('/check', { user_id: 'ann', message_id: 'm-1' })).body.replayed).toBe(true);
  });

  test.each<[string, unknown, string[]]>([
    ['no user', {}, ['user_id']],
    ['a number for an id', { user_id: 7 }, ['user_id']],
    ['an empty id', { user_id: '' }, ['user_id']],
    ['an id of 257 characters', { user_id: 'x'.repeat(257) }, ['user_id']],
    ['an id of 257 emoji', { user_id: '🙂'.repeat(257) }, ['user_id']],
    ['an id with a newline', { user_id: 'ann', topic_id: 'a\nb' }, ['topic_id']],
    ['an id with half an emoji', { user_id: 'ann', channel: '\ud800' }, ['channel']],
    ['a negative cost', { user_id: 'ann', cost: -1 }, ['cost']],
    ['a cost of nothing', { user_id: 'ann', cost: 0 }, ['cost']],
    ['a fractional cost', { user_id: 'ann', cost: 1.5 }, ['cost']],
    ['a cost above a million', { user_id: 'ann', cost: 1_000_001 }, ['cost']],
    ['a cost in words', { user_id: 'ann', cost: '1' }, ['cost']],
    ['at without dry_run', { user_id: 'ann', at: '2026-01-01T00:00:00Z' }, ['at']],
    ['at without an offset', { user_id: 'ann', dry_run: true, at: '2026-01-01T00:00:00' }, ['at']],
    ['at on no day', { user_id: 'ann', dry_run: true, at: '2026-02-30T00:00:00Z' }, ['at']],
    ['at in another age', { user_id: 'ann', dry_run: true, at: '9999-01-01T00:00:00Z' }, ['at']],
    ['an unknown field', { user_id: 'ann', priority: 1 }, ['priority']],
    ['several things', { user_id: '', cost: -1, x: 1 }, ['cost', 'user_id', 'x']],
  ])('400 for %s, naming it, and nothing is counted', async (_what, body, paths) => {
    await limit({ id: 'all', per: [], max: 5 });
    const answer = await post('/check', body);
    expectProblem(answer, 400);
    expect(answer.body.errors.map((error: { path: string }) => error.path).sort()).toEqual(paths);
    expect(await usedBy('user_id=ann')).toEqual([0]);
  });

  test('400 for an unknown query parameter, or an on_throttled that there is not', async () => {
    expectProblem(await post('/check?on_throttled=503', { user_id: 'ann' }), 400, 'on_throttled');
    expectProblem(await post('/check?x=1', { user_id: 'ann' }), 400, 'x');
  });

  test('an id of 256 emoji with braces, colons and quotes in others counts like any other', async () => {
    await limit({ id: 'pair', per: ['user', 'topic'], max: 1 });
    const body = { user_id: '🙂'.repeat(256), topic_id: '{a}:"b"\\%3A' };
    expect((await post('/check', body)).body.allowed).toBe(true);
    expect((await post('/check', body)).body.allowed).toBe(false);
    const query = new URLSearchParams({ user_id: body.user_id, topic_id: body.topic_id });
    expect(await usedBy(query.toString())).toEqual([1]);
  });

  test('a dry run at an instant decides for the windows of that instant', async () => {
    await limit({ id: 'month', period: 'month', max: 1 });
    await app.call('PATCH', '/settings', { timezone: 'America/New_York' });
    const answer = await post('/check', { user_id: 'ann', dry_run: true, at: '2027-03-14T12:00:00+01:00' });
    expect(answer.body.limits).toMatchObject([
      { window_start: '2027-03-01T05:00:00.000Z', resets_at: '2027-04-01T04:00:00.000Z', used: 0 },
    ]);
  });
});

describe('POST /check/batch', () => {
  test('each message is decided by itself, in order, and a conflict is its own item only', async () => {
    await limit({ id: 'user', max: 1 });
    await post('/check', { user_id: 'cat', message_id: 'taken' });
    const answer = await post('/check/batch', {
      messages: [
        { user_id: 'ann', message_id: 'm-1' },
        { user_id: 'ann' },
        { user_id: 'bob', message_id: 'taken' },
        { user_id: 'ann', message_id: 'm-1' },
        { user_id: 'bob', dry_run: true },
      ],
    });
    expect(answer.status).toBe(200);
    expect(answer.body.results).toMatchObject([
      { allowed: true, message_id: 'm-1', replayed: false },
      { allowed: false, throttled_by: ['user'] },
      { status: 409, errors: [{ path: 'message_id' }] },
      { allowed: true, replayed: true },
      { allowed: true, limits: [{ used: 0 }] },
    ]);
  });

  test('1,000 messages with 256-character ids in every field fit, and come back in order', async () => {
    await limit({ id: 'user', max: 1 });
    const long = (index: number) => `${'é🙂'.repeat(126)}${String(index).padStart(4, '0')}`;
    const messages = Array.from({ length: 1_000 }, (_, index) => ({
      user_id: long(index),
      account_id: long(index),
      topic_id: long(index),
      channel: long(index),
      message_id: long(index),
    }));
    const answer = await post('/check/batch', { messages });
    expect(answer.status).toBe(200);
    expect(answer.body.results.map((result: { message_id: string }) => result.message_id)).toEqual(
      messages.map((message) => message.message_id),
    );
    expect(answer.body.results.every((result: { allowed: boolean }) => result.allowed)).toBe(true);
  });

  test.each<[string, unknown, string[]]>([
    ['no messages', {}, ['messages']],
    ['an empty list', { messages: [] }, ['messages']],
    ['1,001 messages', { messages: Array.from({ length: 1_001 }, () => ({ user_id: 'ann' })) }, ['messages']],
    ['one malformed item', { messages: [{ user_id: 'ann' }, { user_id: 'ann', cost: 0 }] }, ['messages.1.cost']],
    ['an unknown field in an item', { messages: [{ user_id: 'ann', x: 1 }] }, ['messages.0.x']],
    ['an item that is no object', { messages: ['ann'] }, ['messages.0']],
  ])('400 for %s, naming it, and nothing is counted', async (_what, body, paths) => {
    await limit({ id: 'all', per: [], max: 5 });
    expectProblem(await post('/check/batch', body), 400, ...paths);
    expect(await usedBy('user_id=ann')).toEqual([0]);
  });
});

describe('DELETE /check/{message_id}', () => {
  test('200 once with true and then with false, after which the id is decided afresh', async () => {
    await limit({ id: 'user', max: 5 });
    const id = encodeURIComponent('order/81 #1');
    await post('/check', { user_id: 'ann', message_id: 'order/81 #1', cost: 3 });
    expect((await app.call('DELETE', `/check/${id}`)).body).toEqual({ released: true });
    expect((await app.call('DELETE', `/check/${id}`)).body).toEqual({ released: false });
    expect(await usedBy('user_id=ann')).toEqual([0]);
    expect((await post('/check', { user_id: 'ann', message_id: 'order/81 #1' })).body).toMatchObject({
      allowed: true,
      replayed: false,
    });
  });

  test('404 for an id that was never accepted, also when it was throttled or only tried', async () => {
    await limit({ id: 'user', max: 0 });
    await post('/check', { user_id: 'ann', message_id: 'throttled' });
    await post('/check', { user_id: 'ann', message_id: 'dry', dry_run: true });
    for (const id of ['never', 'throttled', 'dry']) expectProblem(await app.call('DELETE', `/check/${id}`), 404);
  });

  test('400 for an id that none can be', async () => {
    expectProblem(await app.call('DELETE', `/check/${'x'.repeat(257)}`), 400, 'message_id');
    expectProblem(await app.call('DELETE', '/check/a%00b'), 400, 'message_id');
    expectProblem(await app.call('DELETE', '/check/%zz'), 400, 'message_id');
  });
});

describe('GET /usage', () => {
  test('200 with every limit that would apply to what is named, and nothing counted', async () => {
    await limit({ id: 'all', per: [], max: 9 });
    await limit({ id: 'user', max: 1 });
    await limit({ id: 'account', per: ['account'], max: 9 });
    await limit({ id: 'topic', per: ['user', 'topic'], max: 9 });
    await post('/check', { user_id: 'ann', account_id: 'acme', topic_id: 'news' });
    const ids = async (query: string) =>
      (await app.call('GET', `/usage?${query}`)).body.limits.map((one: { limit_id: string }) => one.limit_id).sort();
    expect(await ids('user_id=ann')).toEqual(['all', 'user']);
    expect(await ids('account_id=acme')).toEqual(['account', 'all']);
    expect(await ids('topic_id=news')).toEqual(['all']);
    expect(await ids('user_id=ann&topic_id=news&account_id=acme&channel=email')).toEqual([
      'account',
      'all',
      'topic',
      'user',
    ]);
    expect((await app.call('GET', '/usage?user_id=ann')).body.limits[1]).toMatchObject({ used: 1, exceeded: true });
    expect(await usedBy('user_id=ann')).toEqual([1, 1]);
  });

  test('400 without any dimension, with an unknown one, one twice, or an id that none can be', async () => {
    expectProblem(await app.call('GET', '/usage'), 400, 'user_id');
    expectProblem(await app.call('GET', '/usage?user=ann'), 400);
    expectProblem(await app.call('GET', '/usage?user_id=a&user_id=b'), 400, 'user_id');
    expectProblem(await app.call('GET', '/usage?user_id='), 400, 'user_id');
    expectProblem(await app.call('GET', '/usage?account_id=a%0Ab'), 400, 'account_id');
  });
});

describe('POST /usage/reset', () => {
  test('200: the present counter of those values is zero, others stay, and it is audited', async () => {
    await limit({ id: 'user', max: 2 });
    await limit({ id: 'hour', period: 'hour', max: 9 });
    await post('/check', { user_id: 'ann', cost: 2 });
    await post('/check', { user_id: 'bob' });
    const answer = await post('/usage/reset', { per: { user: 'ann' }, period: 'day' });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ per: { user: 'ann' }, period: 'day', used: 0, used_before: 2 });
    expect((await usedBy('user_id=ann')).sort()).toEqual([0, 2]);
    expect(await usedBy('user_id=bob')).toEqual([1, 1]);
    const { results } = (await app.call('GET', '/audit-events')).body;
    expect(results[0]).toMatchObject({ type: 'counter.reset', target: 'counter:user=ann/day' });
    const { window_start, resets_at } = answer.body;
    expect(results[0]).toMatchObject({ before: { used: 2 }, after: { used: 0, window_start, resets_at } });
  });

  test("a counter of an account is that of the account's own calendar", async () => {
    await app.call('PUT', '/accounts/acme', { timezone: 'Pacific/Kiritimati' });
    await limit({ id: 'account', per: ['account'], max: 1 });
    await post('/check', { user_id: 'ann', account_id: 'acme' });
    const { body } = await post('/usage/reset', { per: { tenant: 'acme' }, period: 'day' });
    expect(body.per).toEqual({ account: 'acme' });
    expect(body).toMatchObject({ used_before: 1, resets_at: expect.stringMatching(/T10:00:00\.000Z$/) });
    expect((await post('/check', { user_id: 'ann', account_id: 'acme' })).body.allowed).toBe(true);
  });

  test('{} is the counter of all messages', async () => {
    await limit({ id: 'all', per: [], max: 1 });
    await post('/check', { user_id: 'ann' });
    expect((await post('/usage/reset', { per: {}, period: 'day' })).body.used_before).toBe(1);
  });

  test.each<[string, unknown, string[]]>([
    ['no values', { period: 'day' }, ['per']],
    ['no period', { per: {} }, ['period']],
    ['a period that there is not', { per: {}, period: 'year' }, ['period']],
    ['a dimension that there is not', { per: { planet: 'x' }, period: 'day' }, ['per.planet']],
    ['a list of dimensions', { per: ['user'], period: 'day' }, ['per']],
  ])('400 for %s, naming it', async (_what, body, paths) => {
    expectProblem(await post('/usage/reset', body), 400, ...paths);
  });
});
