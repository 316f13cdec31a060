import { type Answer, startTestApp, type TestApp } from '../support/app';
import { freePort } from '../support/ports';

const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const MINUTE_MS = 60_000;

// biome-ignore lint/suspicious/noExplicitAny: tests look into it and compare
type Json = any;

let app: TestApp;
beforeEach(async () => {
  app = await startTestApp();
});
afterEach(() => app.stop());

const get = (path: string) => app.call('GET', path);
const check = async (body: object, query = '') => (await app.call('POST', `/check${query}`, body)).body;
const send = (message: object, headers = {}) =>
  app.call('POST', '/send', { message: { to: { user_id: 'ann' }, ...message } }, headers);

/** The overview once what was counted has been added to what is kept. */
async function overview(range = 'hour'): Promise<Json> {
  await app.traffic.flush();
  const { status, body } = await get(`/overview?range=${range}`);
  expect(status).toBe(200);
  return body;
}

function expectProblem(answer: Answer, status: number, ...paths: string[]) {
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.body).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
  if (paths.length > 0) expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual(paths);
}

const NONE = { accepted: 0, throttled: 0, filtered: 0, failed: 0, degraded: 0 };

test.each([
  ['hour', 60, 61, 70],
  ['day', 1_800, 49, 50],
  ['week', 3_600, 169, 192],
])('a %s has a point for every %d seconds up to now, and nothing in them while nothing happened', async (...row) => {
  const [range, stepSeconds, fewest, most] = row;
  const body = await overview(range);
  expect(body).toEqual({
    ...{ range, start: INSTANT, end: INSTANT, step_seconds: stepSeconds, totals: NONE, points: expect.any(Array) },
    top: { users: [], accounts: [], topics: [], limits: [] },
    queue: { depth: null, providers: null },
    redis: { up: true, degraded: false },
  });
  const startMs = Date.parse(body.start);
  expect(body.points.length).toBeGreaterThanOrEqual(fewest);
  expect(body.points.length).toBeLessThanOrEqual(most);
  for (const [index, point] of body.points.entries()) {
    expect(point).toEqual({ ...NONE, start: new Date(startMs + index * stepSeconds * 1_000).toISOString() });
  }
  const lastMs = Date.parse(body.points.at(-1).start);
  expect(Date.parse(body.end) - lastMs).toBeGreaterThanOrEqual(0);
  expect(Date.parse(body.end) - lastMs).toBeLessThan(stepSeconds * 1_000);
});

test('an hour it is, unless said', async () => {
  expect((await get('/overview')).body.range).toBe('hour');
  expect((await get('/overview?range=')).body.range).toBe('hour');
});

test.each([
  ['?range=foo', 'range'],
  ['?range=HOUR', 'range'],
  ['?range=hour&range=day', 'range'],
  ['?from=2026-01-01', 'from'],
])('400 for %s, naming it', async (query, path) => {
  expectProblem(await get(`/overview${query}`), 400, path);
});

test('checks count once each, with those that were throttled, in every range', async () => {
  await app.limit(
    { id: 'user-daily', per: ['user'], period: 'day', max: 2 },
    { id: 'topic-hourly', per: ['user', 'topic'], period: 'hour', max: 2 },
  );
  for (let count = 0; count < 5; count += 1) await check({ user_id: 'ann', account_id: 'acme', topic_id: 'news' });
  for (let count = 0; count < 4; count += 1) await check({ user_id: 'bob' });
  await app.call('POST', '/check/batch', { messages: [{ user_id: 'bob', account_id: 'acme' }, { user_id: 'cat' }] });
  await check({ user_id: 'bob' }, '?on_throttled=429');
  await app.call('PATCH', '/settings', { require_membership: true });
  await check({ user_id: 'ann', account_id: 'acme' });

  for (const range of ['hour', 'day', 'week']) {
    const { totals, points, top } = await overview(range);
    expect(totals).toEqual({ ...NONE, accepted: 5, throttled: 7, filtered: 1 });
    for (const outcome of Object.keys(NONE)) {
      expect(points.reduce((sum: number, point: Json) => sum + point[outcome], 0)).toBe(totals[outcome]);
    }
    expect(top).toEqual({
      users: [
        { id: 'bob', throttled: 4 },
        { id: 'ann', throttled: 3 },
      ],
      accounts: [{ id: 'acme', throttled: 4 }],
      topics: [{ id: 'news', throttled: 3 }],
      limits: [
        { id: 'user-daily', throttled: 7 },
        { id: 'topic-hourly', throttled: 3 },
      ],
    });
  }
});

test('what counts nothing is not counted: dry runs, usage, verdicts that are given again, conflicts', async () => {
  await app.limit({ id: 'user-daily', per: ['user'], period: 'day', max: 1 });
  await check({ user_id: 'ann', message_id: 'm-1' });
  await check({ user_id: 'ann', message_id: 'm-1' });
  await check({ user_id: 'bob', message_id: 'm-1' });
  await check({ user_id: 'ann', dry_run: true });
  await check({ user_id: 'bob', dry_run: true });
  await get('/usage?user_id=ann');
  const { totals, top } = await overview();
  expect(totals).toEqual({ ...NONE, accepted: 1 });
  expect(top.users).toEqual([]);
});

test('sends count when they are decided, under the account that they are counted for; a repeat is none', async () => {
  await app.limit({ id: 'account-daily', per: ['account'], period: 'day', max: 1 });
  await app.call('PUT', '/users/ann/accounts/acme');
  const key = { 'idempotency-key': 'k-1' };
  await send({}, key);
  await send({}, key);
  await send({ delay: { duration: 60_000 } });
  // The account is the only one that she is in.
  await send({ preferences: { subscription_topic_id: 'news' } });
  await app.limit({ id: 'user-daily', per: ['user'], period: 'day', max: 0, on_exceeded: 'defer' });
  await send({ to: { user_id: 'bob' } });
  await app.call('PATCH', '/settings', { require_membership: true });
  await send({ to: { user_id: 'ann', account_id: 'bolt' } });
  const { totals, top } = await overview();
  // Bob's can never fit, so it is not held.
  expect(totals).toEqual({ ...NONE, accepted: 1, throttled: 2, filtered: 1 });
  expect(top).toEqual({
    users: [
      { id: 'ann', throttled: 1 },
      { id: 'bob', throttled: 1 },
    ],
    accounts: [{ id: 'acme', throttled: 1 }],
    topics: [{ id: 'news', throttled: 1 }],
    limits: [
      { id: 'account-daily', throttled: 1 },
      { id: 'user-daily', throttled: 1 },
    ],
  });
});

test('a send that is held is not counted until it is decided', async () => {
  await app.limit({ id: 'user-daily', per: ['user'], period: 'day', max: 1, on_exceeded: 'defer' });
  await send({});
  await send({});
  expect((await overview()).totals).toEqual({ ...NONE, accepted: 1 });
});

test('a throttled message is named as it is called, whatever that is', async () => {
  await app.limit({ id: 'user-daily', per: ['user'], period: 'day', max: 0 });
  const ids = ['a:b', '{x}', '🙂', '__proto__', '"quoted"', 'ü'.repeat(256)];
  for (const id of ids) await check({ user_id: id });
  expect((await overview()).top.users.map(({ id }: Json) => id).sort()).toEqual([...ids].sort());
});

test('checks without Redis are degraded, and what they were decided; it is shown when Redis is back', async () => {
  const away = await startTestApp({
    ...{ redisUrl: `redis://127.0.0.1:${await freePort()}`, withoutRedis: true, checkTimeoutMs: 50 },
  });
  try {
    expect((await away.call('POST', '/check', { user_id: 'ann' })).status).toBe(503);
    expectProblem(await away.call('GET', '/overview'), 503);
    const [ten] = away.traffic.tally.take();
    expect([...ten!.minutes.values()]).toEqual([{ ...NONE, degraded: 1 }]);
  } finally {
    await away.stop();
  }
});

test('its points begin at whole minutes, also those of a week', async () => {
  await check({ user_id: 'ann' });
  for (const range of ['hour', 'day', 'week']) {
    const { points } = await overview(range);
    const [hit, ...others] = points.filter((point: Json) => point.accepted > 0);
    expect(others).toEqual([]);
    expect(Date.parse(hit.start) % MINUTE_MS).toBe(0);
    expect(hit).toEqual(points.at(-1).accepted === 1 ? points.at(-1) : points.at(-2));
  }
});
