import { encodeCursor } from '../../src/http/cursor';
import { type Answer, startTestApp, type TestApp } from '../support/app';
import { uniqueWorkspace } from '../support/redis';

let app: TestApp;
beforeEach(async () => {
  app = await startTestApp({ workspace: uniqueWorkspace() });
});
afterEach(() => app.stop());

const get = (path: string) => app.call('GET', path);

function expectProblem(answer: Answer, status: number, ...paths: string[]) {
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.body).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
  if (paths.length > 0) expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual(paths);
}

/** Reads a list to its end by its cursors, from its beginning or from a first cursor. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into it and compare
async function follow(path: string, from?: string): Promise<Record<string, any>[]> {
  const results: Record<string, unknown>[] = [];
  let cursor = from === undefined ? '' : `&cursor=${from}`;
  for (;;) {
    const { status, body } = await get(`${path}${cursor}`);
    expect(status).toBe(200);
    results.push(...body.results);
    expect(body.paging).toEqual({ cursor: body.paging.more ? expect.any(String) : null, more: expect.any(Boolean) });
    if (!body.paging.more) return results;
    cursor = `&cursor=${body.paging.cursor}`;
  }
}

/** What no list takes. */
const BAD_QUERIES: [string, string][] = [
  ['limit=0', 'limit'],
  ['limit=101', 'limit'],
  ['limit=-1', 'limit'],
  ['limit=1.5', 'limit'],
  ['limit=ten', 'limit'],
  ['limit=1&limit=2', 'limit'],
  ['cursor=abc', 'cursor'],
  ['cursor=%00', 'cursor'],
  [`cursor=${encodeCursor('users/ann/accounts', '5-3')}`, 'cursor'],
  ['cursor=a&cursor=b', 'cursor'],
  ['order=asc', 'order'],
  ['__proto__=1', '__proto__'],
  ['%ff=1', '%ff'],
];

describe('GET /messages', () => {
  const check = (body: Record<string, unknown>) => app.call('POST', '/check', body);

  beforeEach(() => app.limit({ id: 'user-daily', per: ['user'], period: 'day', max: 1 }));

  test('shows a throttled message with what stopped it, in Courier’s shape', async () => {
    await check({ user_id: 'ann' });
    const message = { user_id: 'ann', account_id: 'acme', topic_id: 'news', channel: 'sms', message_id: 'm/1 ü' };
    const decision = (await check(message)).body;
    expect(decision.decision).toBe('throttled');
    const beforeMs = Date.now();
    const { status, body } = await get('/messages');
    expect(status).toBe(200);
    expect(body).toEqual({
      paging: { cursor: null, more: false },
      results: [
        {
          id: 'm/1 ü',
          log_id: expect.stringMatching(/^\d+-\d+$/),
          status: 'THROTTLED',
          recipient: 'ann',
          event: '',
          notification: '',
          enqueued: expect.any(Number),
          error: null,
          reason: null,
          kind: 'check',
          request_id: null,
          account_id: 'acme',
          tenant_id: 'acme',
          topic: 'news',
          channel: 'sms',
          provider: null,
          tags: [],
          trace_id: null,
          tries: 0,
          cost: 1,
          throttled_by: ['user-daily'],
          limits: decision.limits,
          retry_at: decision.retry_at,
        },
      ],
    });
    expect(body.results[0].limits[0]).toMatchObject({ max: 1, used: 1, exceeded: true });
    expect(Math.abs(body.results[0].enqueued - beforeMs)).toBeLessThan(10_000);
    expect((await get(`/messages/${encodeURIComponent('m/1 ü')}`)).body).toEqual({ ...body.results[0], providers: [] });
  });

  test('shows a filtered message and why, and one without a message_id under an id of its own', async () => {
    await app.call('PATCH', '/settings', { require_membership: true });
    await check({ user_id: 'ann', account_id: 'acme' });
    const [filtered] = (await get('/messages?status=FILTERED')).body.results;
    expect(filtered).toMatchObject({ status: 'FILTERED', reason: 'FILTERED', throttled_by: [], limits: [] });
    expect(filtered.error).toMatch(/not in the account/);
    expect((await get(`/messages/${filtered.id}`)).body).toEqual({ ...filtered, providers: [] });
  });

  test('is followed by cursors, each message once, and filtered by what messages have', async () => {
    for (let index = 0; index < 12; index += 1) {
      await check({
        user_id: index % 2 === 0 ? 'ann' : 'bob',
        message_id: `m-${index}`,
        ...(index % 3 === 0 ? { account_id: 'acme' } : {}),
        ...(index % 4 === 0 ? { topic_id: 'a,b&c' } : {}),
      });
    }
    // The first to each user were accepted.
    const throttled = Array.from({ length: 10 }, (_, index) => 11 - index);
    const ids = (matches: (index: number) => boolean) => throttled.filter(matches).map((index) => `m-${index}`);
    const shown = async (query: string) => (await follow(`/messages?limit=3${query}`)).map(({ id }) => id);
    expect(await shown('')).toEqual(ids(() => true));
    expect(await shown('&status=THROTTLED')).toEqual(ids(() => true));
    expect(await shown('&status=throttled')).toEqual(ids(() => true));
    expect(await shown('&status=SENT,THROTTLED')).toEqual(ids(() => true));
    expect(await shown('&status=SENT&status=THROTTLED')).toEqual(ids(() => true));
    expect(await shown('&status=CLICKED')).toEqual([]);
    expect(await shown('&status=ACCEPTED')).toEqual([]);
    expect(await shown('&recipient=ann')).toEqual(ids((index) => index % 2 === 0));
    for (const name of ['account_id', 'tenant_id']) {
      expect(await shown(`&${name}=acme`)).toEqual(ids((index) => index % 3 === 0));
    }
    for (const name of ['topic', 'topic_id']) {
      expect(await shown(`&${name}=${encodeURIComponent('a,b&c')}`)).toEqual(ids((index) => index % 4 === 0));
    }
    expect(await shown('&recipient=bob&account_id=acme')).toEqual(ids((index) => index % 6 === 3));
    // How Courier's SDK says null.
    expect(await shown('&status=&recipient=&tenant_id=&topic=')).toEqual(ids(() => true));
  });

  test.each<[string, string]>([
    ...BAD_QUERIES,
    ['status=LOST', 'status'],
    ['status=THROTTLED,LOST', 'status'],
    ['recipient=a%0Ab', 'recipient'],
    [`recipient=${'a'.repeat(257)}`, 'recipient'],
    ['recipient=a&recipient=b', 'recipient'],
    ['account_id=a&tenant_id=b', 'tenant_id'],
    ['topic=a&topic_id=b', 'topic_id'],
    [`cursor=${encodeCursor('audit-events', '5-3')}`, 'cursor'],
    [`cursor=${encodeCursor('messages', '(5-3')}`, 'cursor'],
    [`cursor=${encodeCursor('messages', '5-3')}`, 'cursor'],
    [`cursor=${encodeCursor('messages', '05')}`, 'cursor'],
    [`cursor=${encodeCursor('messages', '0')}`, 'cursor'],
    [`cursor=${encodeCursor('messages', '9'.repeat(16))}`, 'cursor'],
  ])('?%s is a 400 that names %s', async (query, path) => {
    expectProblem(await get(`/messages?${query}`), 400, path);
  });

  test.each(['nobody', '5-3', '-', '%2B', '%24', '..%2F..', '%7Bx%7D', 'a:b', '99999999999999999999-1', '🔑'])(
    '/messages/%s is a 404',
    async (id) => {
      expectProblem(await get(`/messages/${encodeURI(id).replaceAll('%25', '%')}`), 404);
    },
  );

  test.each(['%0A', 'a%00b', 'a'.repeat(257), '%ff'])('/messages/%s is a 400 that names message_id', async (id) => {
    expectProblem(await get(`/messages/${id}`), 400, 'message_id');
  });
});

describe('GET /audit-events', () => {
  test('shows what was changed, by whom, and what it was before and after, in Courier’s shape', async () => {
    await app.call('PUT', '/limits/all', { per: [], period: 'day', max: 5 });
    await app.call('PUT', '/limits/all', { per: [], period: 'day', max: 6 });
    await app.call('DELETE', '/limits/all');
    const { body } = await get('/audit-events');
    expect(body.paging).toEqual({ cursor: null, more: false });
    const common = {
      auditEventId: expect.stringMatching(/^\d+-\d+$/),
      actor: { id: 'env', name: 'SENDGATE_API_KEY' },
      target: 'limit:all',
      source: 'api',
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    };
    const limit = (max: number) => expect.objectContaining({ id: 'all', max });
    expect(body.results).toEqual([
      { ...common, type: 'limit.deleted', before: limit(6), after: null },
      { ...common, type: 'limit.updated', before: limit(5), after: limit(6) },
      { ...common, type: 'limit.created', before: null, after: limit(5) },
    ]);
    const [newest] = body.results;
    expect(Math.abs(Date.parse(newest.timestamp) - Date.now())).toBeLessThan(10_000);
    expect((await get(`/audit-events/${newest.auditEventId}`)).body).toEqual(newest);
  });

  test('is followed by cursors, each event once, while others are made', async () => {
    for (let max = 1; max <= 7; max += 1) await app.call('PUT', '/limits/all', { per: [], period: 'day', max });
    const first = (await get('/audit-events?limit=3')).body;
    await app.call('PUT', '/limits/all', { per: [], period: 'day', max: 8 });
    const rest = await follow('/audit-events?limit=3', first.paging.cursor);
    const maxima = [...first.results, ...rest].map(({ after }) => after.max);
    expect(maxima).toEqual([7, 6, 5, 4, 3, 2, 1]);
  });

  test.each<[string, string]>([
    ...BAD_QUERIES,
    [`cursor=${encodeCursor('messages', '5-3')}`, 'cursor'],
    [`cursor=${encodeCursor('audit-events', '-')}`, 'cursor'],
  ])('?%s is a 400 that names %s', async (query, path) => {
    expectProblem(await get(`/audit-events?${query}`), 400, path);
  });

  test.each(['nobody', '5-3', '-', '5', '%2B', '05-3', '99999999999999999999-1'])(
    '/audit-events/%s is a 404',
    async (id) => {
      expectProblem(await get(`/audit-events/${id}`), 404);
    },
  );

  test('/audit-events/{id} with a control character is a 400', async () => {
    expectProblem(await get('/audit-events/%0A'), 400, 'audit_event_id');
  });
});

test('neither is changed by any method', async () => {
  for (const path of ['/messages', '/messages/m', '/audit-events', '/audit-events/5-3']) {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const answer = await app.call(method, path, {});
      expectProblem(answer, 405);
      expect(answer.headers.allow).toContain('GET');
    }
  }
});
