import { type Answer, startTestApp, type TestApp } from '../support/app';
import { uniqueWorkspace } from '../support/redis';

let app: TestApp;
beforeEach(async () => {
  app = await startTestApp({ workspace: uniqueWorkspace() });
});
afterEach(() => app.stop());

const BASE = { per: ['user'], period: 'day', max: 50 };
const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const DAY_MS = 86_400_000;
const simulate = (body: unknown) => app.call('POST', '/limits/simulate', body);
const logAll = () => app.call('PATCH', '/settings', { log_checks: 'all' });
const checks = async (count: number, user: string, rest = {}) => {
  for (let index = 0; index < count; index += 1) await app.call('POST', '/check', { user_id: user, ...rest });
};

function expectProblem(answer: Answer, status: number, ...paths: string[]) {
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual(paths);
}

test('a limit is tried before it is saved: how many messages of whom it would have throttled, and nothing is changed', async () => {
  await logAll();
  await app.limit({ id: 'user-daily', ...BASE, max: 3 });
  await checks(4, 'ann');
  await checks(2, 'bob', { topic_id: 'news' });
  const before = await Promise.all(
    ['/limits', '/audit-events', '/messages', '/usage?user_id=ann'].map((path) => app.call('GET', path)),
  );
  const { status, body } = await simulate({ limits: [{ id: 'user-daily', ...BASE, max: 1 }] });
  expect(status).toBe(200);
  expect(body).toEqual({
    summary: 'Over the last 7 days this would have throttled 4 messages of 2 users, instead of 1 of 1.',
    notes: [],
    from: INSTANT,
    to: INSTANT,
    asked_from: body.from,
    events: 6,
    messages: 6,
    before: { throttled: 1, users: 1, delayed: 0 },
    after: { throttled: 4, users: 2, delayed: 0 },
    newly_throttled: { messages: 3, users: 2 },
    no_longer_throttled: { messages: 0, users: 0 },
    newly_delayed: { messages: 0, users: 0 },
    no_longer_delayed: { messages: 0, users: 0 },
    most_affected: {
      users: [
        { id: 'ann', messages: 2, throttled_before: 1, throttled_after: 3, delayed_before: 0, delayed_after: 0 },
        { id: 'bob', messages: 1, throttled_before: 0, throttled_after: 1, delayed_before: 0, delayed_after: 0 },
      ],
      accounts: [],
      topics: [
        { id: 'news', messages: 1, throttled_before: 0, throttled_after: 1, delayed_before: 0, delayed_after: 0 },
      ],
    },
    by_limit: [{ limit_id: 'user-daily', mode: 'enforce', before: 1, after: 4 }],
    uncertain: { messages: 0, why: [] },
    known_from: null,
    known_from_reason: null,
    not_logged: null,
  });
  expect(Date.parse(body.to) - Date.parse(body.from)).toBe(7 * DAY_MS);
  const after = await Promise.all(
    ['/limits', '/audit-events', '/messages', '/usage?user_id=ann'].map((path) => app.call('GET', path)),
  );
  expect(after.map(({ body }) => body)).toEqual(before.map(({ body }) => body));
});

test('limits may be added without an id, deleted, or be all that there are; and nothing at all is a fair question', async () => {
  await logAll();
  await app.limit({ id: 'user-daily', ...BASE, max: 1 }, { id: 'news', per: ['topic'], period: 'day', max: 2 });
  await checks(4, 'ann', { topic_id: 'news' });
  const after = async (body: unknown) => {
    const answer = await simulate(body);
    return [answer.body.after.throttled, answer.body.by_limit.map((one: { limit_id: string }) => one.limit_id)];
  };
  expect(await after({})).toEqual([3, ['user-daily']]);
  expect(await after({ delete: ['user-daily'] })).toEqual([2, ['user-daily', 'news']]);
  expect(await after({ delete: ['user-daily', 'news'] })).toEqual([0, ['user-daily']]);
  expect(await after({ limits: [{ per: [], period: 'day', max: 0 }] })).toEqual([4, ['new', 'user-daily']]);
  expect(await after({ limits: [{ ...BASE, max: 4 }], replace: true })).toEqual([0, ['user-daily']]);
  expect(await after({ limits: [], replace: true, days: 30 })).toEqual([0, ['user-daily']]);
  const since = new Date(Date.now() - 60_000).toISOString();
  const { body } = await simulate({ since });
  expect([body.from, body.before.throttled]).toEqual([since, 3]);
});

test('an event that no message was made of is none here either', async () => {
  const event = { type: 'track', event: 'Looked Around', userId: 'ann', messageId: 'e-1' };
  expect((await app.call('POST', '/inbound/segment', event)).status).toBe(202);
  const { body } = await simulate({ limits: [{ per: [], period: 'day', max: 0 }] });
  expect(body).toMatchObject({ messages: 0, after: { throttled: 0 }, known_from: null });
});

test('a limit of the file is tried like any other', async () => {
  const limit = { ...(await app.call('POST', '/limits', { id: 'a', ...BASE })).body, source: 'file' };
  await app.services.configuration.change({ id: 'file', name: null }, 'file', () => ({
    writes: [{ id: 'a', value: limit }],
    events: [],
  }));
  expect((await simulate({ limits: [{ ...limit, max: 1 }] })).status).toBe(200);
});

test('checks that were counted and are not in the log are said', async () => {
  await checks(1, 'ann');
  const { body } = await simulate({ limits: [{ ...BASE, max: 0 }] });
  expect(body).toMatchObject({ messages: 0, not_logged: { until: INSTANT }, known_from_reason: 'checks_not_logged' });
  expect(body.notes).toEqual([expect.stringMatching(/log_checks/)]);
});

test.each<[string, unknown, string]>([
  ['no max', { limits: [{ per: ['user'], period: 'day' }] }, 'limits.0.max'],
  ['a negative max', { limits: [{ ...BASE }, { ...BASE, max: -1 }] }, 'limits.1.max'],
  ['a period that there is not', { limits: [{ ...BASE, period: 'year' }] }, 'limits.0.period'],
  ['an unknown field of a limit', { limits: [{ ...BASE, maxx: 1 }] }, 'limits.0.maxx'],
  ['an id of wrong characters', { limits: [{ ...BASE, id: 'a b' }] }, 'limits.0.id'],
  [
    'until before from',
    { limits: [{ ...BASE, from: '2026-02-01T00:00:00Z', until: '2026-01-01T00:00:00Z' }] },
    'limits.0.until',
  ],
  [
    'an id twice',
    {
      limits: [
        { ...BASE, id: 'a' },
        { ...BASE, id: 'a' },
      ],
    },
    'limits.1.id',
  ],
  ['no list', { limits: BASE }, 'limits'],
  ['the id of no limit to delete', { delete: ['none'] }, 'delete.0'],
  ['an id that is put and deleted', { limits: [{ ...BASE, id: 'a' }], delete: ['a'] }, 'delete.0'],
  ['deleting with replacing', { replace: true, delete: ['a'] }, 'delete'],
  ['no days', { days: 0 }, 'days'],
  ['too many days', { days: 31 }, 'days'],
  ['half a day', { days: 0.5 }, 'days'],
  ['days and since', { days: 1, since: '2026-01-01T00:00:00Z' }, 'since'],
  ['since an instant without an offset', { since: '2026-01-01T00:00:00' }, 'since'],
  ['since long ago', { since: '2001-01-01T00:00:00Z' }, 'since'],
  ['since tomorrow', { since: '2999-01-01T00:00:00Z' }, 'since'],
  ['an unknown field', { dry_run: true }, 'dry_run'],
  ['a list', [], ''],
])('400 for %s, with where it is', async (_name, body, path) => {
  expectProblem(await simulate(body), 400, path);
});

test('409 for a limit that may not stand beside another; unless that one goes', async () => {
  await app.limit({ id: 'user-daily', ...BASE });
  const twin = { id: 'twin', ...BASE };
  const conflict = await simulate({ limits: [{ per: [], period: 'day', max: 1 }, twin] });
  expectProblem(conflict, 409, 'limits.1.where');
  expect(conflict.body).toMatchObject({ conflicts_with: 'user-daily' });
  expect((await simulate({ limits: [twin], delete: ['user-daily'] })).status).toBe(200);
  expect((await simulate({ limits: [twin], replace: true })).status).toBe(200);
  expectProblem(await simulate({ limits: [BASE, BASE], replace: true }), 409, 'limits.1.where');
});

test('a limit without an id is tried in the place of the one that it could not stand beside', async () => {
  await logAll();
  await app.limit({ id: 'user-daily', ...BASE, max: 10 });
  for (let times = 0; times < 3; times += 1) await app.call('POST', '/check', { user_id: 'ann' });
  const { status, body } = await simulate({
    limits: [
      { ...BASE, max: 1 },
      { ...BASE, period: 'week', max: 2 },
    ],
  });
  expect([status, body.before.throttled, body.after.throttled]).toEqual([200, 0, 2]);
  expect(body.by_limit).toEqual([{ limit_id: 'user-daily', mode: 'enforce', before: 0, after: 2 }]);
});

test('a check that is asked again under its id is one message, whatever it was answered before', async () => {
  await logAll();
  await app.limit({ id: 'user-daily', ...BASE, max: 1 });
  for (const id of ['m1', 'm2', 'm2', 'm1', 'm2']) {
    await app.call('POST', '/check', { user_id: 'ann', message_id: id });
  }
  const { body } = await simulate({ limits: [{ id: 'user-daily', ...BASE, max: 0 }] });
  expect([body.messages, body.before.throttled, body.after.throttled]).toEqual([2, 1, 2]);
  expect(body.newly_throttled).toEqual({ messages: 1, users: 1 });
});

test('429 with Retry-After while another is worked out', async () => {
  await logAll();
  await app.call('POST', '/check/batch', { messages: Array(900).fill({ user_id: 'ann' }) });
  const answers = await Promise.all([1, 2, 3].map(() => simulate({})));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 429, 429]);
  const busy = answers.find(({ status }) => status === 429)!;
  expect(busy.headers['retry-after']).toMatch(/^\d+$/);
  expect((await simulate({})).status).toBe(200);
});
