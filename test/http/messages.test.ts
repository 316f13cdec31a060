import type { AttemptOutcome } from '../../src/sends/store';
import { type Answer, startTestApp, type TestApp } from '../support/app';
import { until } from '../support/sends';

const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const EPOCH_MS = expect.any(Number);

// biome-ignore lint/suspicious/noExplicitAny: tests look into it and compare
type Json = any;

let app: TestApp;
beforeEach(async () => {
  app = await startTestApp();
});
afterEach(() => app.stop());

const get = (path: string) => app.call('GET', path);
const post = (path: string) => app.call('POST', path);
const perUser = (max: number | null, rest: Record<string, unknown> = {}) =>
  app.limit({ id: 'user-daily', per: ['user'], period: 'day', max, ...rest });
const deferring = (max: number) => perUser(max, { on_exceeded: 'defer' });
const used = async (user: string) => (await get(`/usage?user_id=${user}`)).body.limits[0].used;

/** What a path answers, which must be 200. */
async function read(path: string): Promise<Json> {
  const { status, body } = await get(path);
  expect([path, status]).toEqual([path, 200]);
  return body;
}
const message = (id: string) => read(`/messages/${id}`);
const explain = (id: string) => read(`/messages/${id}/explain`);
const history = async (id: string, query = '') => (await read(`/messages/${id}/history${query}`)).results;

/** Sends a message, and gives its id once Redis's clock has gone on: the next one is later. */
async function send(user = 'ann', rest: { to?: object; [field: string]: unknown } = {}): Promise<string> {
  const { to, ...fields } = rest;
  const { status, body } = await app.call('POST', '/send', { message: { ...fields, to: { user_id: user, ...to } } });
  expect(status).toBe(202);
  const { enqueued } = await message(body.requestId);
  await until(() => Date.now() > enqueued + 1);
  return body.requestId;
}

async function check(body: Record<string, unknown>): Promise<Json> {
  const answer = await app.call('POST', '/check', body);
  expect(answer.status).toBe(200);
  const enqueuedMs = Date.now();
  await until(() => Date.now() > enqueuedMs + 1);
  return answer.body;
}

const begin = async (id: string) => {
  const { attempt } = (await app.services.messageLog.get(id))!.send!;
  return { attempt, begun: (await app.store.begin(id, attempt))! };
};

const SENT: AttemptOutcome = { kind: 'sent', detail: { answer: 'ok' }, reference: 'r-1', keepPayload: false };
const FAILED: AttemptOutcome = {
  ...{ kind: 'failed', detail: { answer: 'no' }, error: 'no such phone', reason: 'PROVIDER_ERROR', refund: true },
};

/** Does what a worker does with a message. */
async function attempt(id: string, outcome: AttemptOutcome): Promise<void> {
  const { attempt: number, begun } = await begin(id);
  await app.store.finish(id, number, begun, outcome);
}

function expectProblem(answer: Answer, status: number, ...paths: string[]) {
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.body).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
  if (paths.length > 0) expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual(paths);
}

describe('GET /messages/{id}', () => {
  /** What every message has. */
  const common = (id: string) => ({
    ...{ id, recipient: 'ann', event: '', notification: '', enqueued: EPOCH_MS, error: null, reason: null },
    ...{ account_id: null, tenant_id: null, topic: null, channel: null, tags: [], trace_id: null, tries: 0, cost: 1 },
    ...{ throttled_by: [], limits: [], retry_at: null },
  });
  const asSend = (id: string) => ({ ...common(id), kind: 'send', log_id: id, request_id: id, provider: 'log' });
  const given = { provider: 'log', channel: null, tries: 1, error: null, reference: null };

  test('shows a message wherever it is, with the times that there are, in epoch milliseconds', async () => {
    const id = await send('ann', { routing: { channels: ['sms'] } });
    const inSms = { ...asSend(id), channel: 'sms' };
    const provider = { ...given, channel: { key: 'sms' } };
    expect(await message(id)).toEqual({
      ...{ ...inSms, status: 'ENQUEUED', providers: [{ ...provider, status: 'ENQUEUED', tries: 0 }] },
    });
    const dueMs = Date.now() + 60_000;
    await attempt(id, { kind: 'retry', detail: {}, error: 'busy', dueMs });
    expect(await message(id)).toEqual({
      ...{ ...inSms, status: 'ENQUEUED', tries: 1, error: 'busy' },
      providers: [{ ...provider, status: 'ENQUEUED', error: 'busy' }],
    });
    await attempt(id, SENT);
    const sent = await message(id);
    expect(sent).toEqual({
      ...{ ...inSms, status: 'SENT', tries: 2, sent: EPOCH_MS },
      providers: [{ ...provider, status: 'SENT', tries: 2, sent: sent.sent, reference: 'r-1' }],
    });
    expect(Math.abs(sent.sent - Date.now())).toBeLessThan(10_000);
    expect(sent.sent).toBeGreaterThanOrEqual(sent.enqueued);

    const failed = await send();
    await attempt(failed, FAILED);
    expect(await message(failed)).toEqual({
      ...{ ...asSend(failed), status: 'UNDELIVERABLE', tries: 1, error: 'no such phone', reason: 'PROVIDER_ERROR' },
      providers: [{ ...given, status: 'UNDELIVERABLE', error: 'no such phone' }],
    });

    const canceled = await send();
    await post(`/messages/${canceled}/cancel`);
    expect(await message(canceled)).toMatchObject({ ...asSend(canceled), status: 'CANCELED' });

    const delayed = await send('ann', { delay: { duration: 60_000 } });
    expect(await message(delayed)).toEqual({ ...asSend(delayed), status: 'DELAYED', due: EPOCH_MS, providers: [] });
  });

  test('shows a throttled, a held and a filtered one with what stopped it', async () => {
    await deferring(1);
    const limit = {
      ...{ limit_id: 'user-daily', per: ['user'], period: 'day', max: 1, used: 1, remaining: 0 },
      ...{ window_start: INSTANT, resets_at: INSTANT, mode: 'enforce', exceeded: true },
    };
    await send();
    const held = await send();
    const stopped = { throttled_by: ['user-daily'], limits: [limit], retry_at: INSTANT, providers: [] };
    expect(await message(held)).toEqual({ ...asSend(held), ...stopped, status: 'DELAYED', held_since: EPOCH_MS });
    await perUser(1);
    const throttled = await send();
    expect(await message(throttled)).toEqual({ ...asSend(throttled), ...stopped, status: 'THROTTLED' });

    await app.call('PATCH', '/settings', { require_membership: true });
    const filtered = await send('ann', { to: { account_id: 'acme' } });
    expect(await message(filtered)).toEqual({
      ...{
        ...asSend(filtered),
        status: 'FILTERED',
        reason: 'FILTERED',
        error: expect.stringMatching(/not in the account/),
      },
      ...{ account_id: 'acme', tenant_id: 'acme', providers: [] },
    });
  });

  test('shows a check, and of several with one id the last', async () => {
    await app.call('PATCH', '/settings', { log_checks: 'all' });
    await perUser(1);
    await check({ user_id: 'ann', message_id: 'm/1' });
    expect(await message('m%2F1')).toMatchObject({
      ...{ ...common('m/1'), kind: 'check', status: 'ACCEPTED', request_id: null, provider: null, providers: [] },
      limits: [{ limit_id: 'user-daily', used: 1 }],
    });
    await app.call('DELETE', '/check/m%2F1');
    await check({ user_id: 'ann' });
    await check({ user_id: 'ann', message_id: 'm/1' });
    expect(await message('m%2F1')).toMatchObject({ kind: 'check', status: 'THROTTLED', throttled_by: ['user-daily'] });
  });
});

describe('GET /messages/{id}/history', () => {
  const types = async (id: string, query = '') => (await history(id, query)).map(({ type }: Json) => type);

  test('tells what happened, the first thing first, each with its moment and what the provider said', async () => {
    await perUser(1);
    const id = await send();
    await attempt(id, { kind: 'retry', detail: { answer: 503 }, error: 'busy', dueMs: Date.now() });
    await begin(id);
    await attempt(id, FAILED);
    expect((await post(`/messages/${id}/retry`)).status).toBe(202);
    await attempt(id, SENT);
    const events = await history(id);
    const event = { id: expect.any(String), ts: EPOCH_MS };
    expect(events).toEqual([
      { ...event, type: 'ENQUEUED' },
      { ...event, type: 'RETRYING', answer: 503 },
      { ...event, type: 'REDELIVERED' },
      { ...event, type: 'UNDELIVERABLE', answer: 'no', gave_back: true },
      { ...event, type: 'ENQUEUED', again: true },
      { ...event, type: 'SENT', answer: 'ok' },
    ]);
    const moments = events.map(({ ts }: Json) => ts);
    expect(moments).toEqual([...moments].sort((a, b) => a - b));
    expect(moments[0]).toBe((await message(id)).enqueued);
    expect(moments.at(-1)).toBe((await message(id)).sent);
    expect(new Set(events.map(({ id: entry }: Json) => entry)).size).toBe(events.length);
  });

  test('has no more of one type than there is, in any case', async () => {
    const id = await send();
    await attempt(id, SENT);
    expect(await types(id, '?type=SENT')).toEqual(['SENT']);
    expect(await types(id, '?type=enqueued')).toEqual(['ENQUEUED']);
    expect(await types(id, '?type=DELIVERED')).toEqual([]);
    expect(await types(id, '?type=nonsense')).toEqual([]);
    // How Courier's SDK says null.
    expect(await types(id, '?type=')).toEqual(['ENQUEUED', 'SENT']);
  });

  test('of a check is its decision, and of a canceled message ends with that', async () => {
    await perUser(0);
    await check({ user_id: 'ann', message_id: 'm-1' });
    const { enqueued } = await message('m-1');
    expect(await history('m-1')).toEqual([{ id: 'm-1', ts: enqueued, type: 'THROTTLED' }]);
    const id = await send('ann', { delay: { duration: 60_000 } });
    await post(`/messages/${id}/cancel`);
    expect(await types(id)).toEqual(['DELAYED', 'CANCELED']);
  });

  test.each<[string, string]>([
    ['type=%00', 'type'],
    ['type=a&type=b', 'type'],
    [`type=${'a'.repeat(257)}`, 'type'],
    ['limit=1', 'limit'],
  ])('?%s is a 400 that names %s', async (query, path) => {
    expectProblem(await get(`/messages/m/history?${query}`), 400, path);
  });
});

describe('GET /messages/{id}/explain', () => {
  const usersOf = (explanation: Json): Record<string, string[]> =>
    Object.fromEntries(
      explanation.limits.map((limit: Json) => [limit.limit_id, limit.last_used_by.map((one: Json) => one.message_id)]),
    );

  test('names every limit of a throttled message, which of them stopped it, its use, and when it opens', async () => {
    await app.limit(
      { id: 'all', per: [], period: 'month', max: 10 },
      { id: 'lifted', per: ['user'], period: 'week', max: null },
      { id: 'user-hourly', per: ['user'], period: 'hour', max: 2 },
      { id: 'watched', per: ['user'], period: 'day', max: 1, mode: 'shadow' },
    );
    const ids = [await send(), await send()];
    const id = await send();
    const explanation = await explain(id);
    const { limits } = await message(id);
    const byId = (one: Json, other: Json) => (one.limit_id < other.limit_id ? -1 : 1);
    expect({ ...explanation, limits: explanation.limits.sort(byId) }).toEqual({
      message_id: id,
      status: 'THROTTLED',
      summary: `Throttled: user-hourly allows 2 in an hour, and 2 were used. There is room at ${(await message(id)).retry_at}.`,
      decided: (await message(id)).enqueued,
      checks_logged: false,
      limits: limits.sort(byId).map((limit: Json) => ({
        ...limit,
        stopped: limit.limit_id === 'user-hourly',
        opens_at: limit.resets_at,
        last_used_by: [...ids].reverse().map((other) => ({
          ...{ message_id: other, status: 'ENQUEUED', decided: EPOCH_MS, recipient: 'ann' },
          ...{ account_id: null, topic: null, cost: 1 },
        })),
      })),
    });
    expect(explanation.limits.map((one: Json) => [one.limit_id, one.used, one.exceeded, one.stopped])).toEqual([
      ['all', 2, false, false],
      ['lifted', 2, false, false],
      ['user-hourly', 2, true, true],
      ['watched', 2, true, false],
    ]);
  });

  test('names those that used each limit’s room last, the last first: its own user’s, account’s, topic’s, channel’s', async () => {
    await app.limit(
      { id: 'all', per: [], period: 'day', max: 8 },
      { id: 'account', per: ['account'], period: 'day', max: 9 },
      { id: 'topic', per: ['user', 'topic'], period: 'day', max: 9 },
      { id: 'channel', per: ['channel'], period: 'day', max: 9 },
      { id: 'user', per: ['user'], period: 'day', max: 9 },
    );
    const acme = { to: { account_id: 'acme' } };
    const news = { preferences: { subscription_topic_id: 'news' } };
    const sms = { routing: { channels: ['sms'] } };
    const ids: string[] = [];
    for (const [user, rest] of [
      ['ann', { ...acme, ...news, ...sms }],
      ['ann', {}],
      ['bob', { ...acme, ...sms }],
      ['ann', { ...news }],
      ['bob', { ...news }],
      ['ann', { ...acme, routing: { channels: ['email'] } }],
      ['cas', {}],
      ['ann', { to: { account_id: 'bolt' }, ...sms }],
      ['ann', { ...acme, ...news, ...sms }],
    ] as const) {
      ids.push(await send(user, rest));
    }
    const explanation = await explain(ids.at(-1)!);
    expect(explanation.status).toBe('THROTTLED');
    const named = Object.entries(usersOf(explanation)).map(([id, users]) => [id, users.map((one) => ids.indexOf(one))]);
    expect(Object.fromEntries(named)).toEqual({
      all: [7, 6, 5, 4, 3],
      account: [5, 2, 0],
      topic: [3, 0],
      channel: [7, 2, 0],
      user: [7, 5, 3, 1, 0],
    });
  });

  test('does not name those that gave their room back, or used it later, or in another window', async () => {
    await perUser(2);
    const [first, canceled, failed] = [await send(), await send(), await send('bob')];
    await post(`/messages/${canceled}/cancel`);
    await attempt(failed, FAILED);
    const second = await send();
    const throttled = await send();
    expect(usersOf(await explain(throttled))).toEqual({ 'user-daily': [second, first] });
    expect(usersOf(await explain(second))).toEqual({ 'user-daily': [first] });
    expect(usersOf(await explain(first))).toEqual({ 'user-daily': [] });
    // Another zone, other windows: nobody has used them.
    await app.call('PATCH', '/settings', { timezone: 'Asia/Tokyo' });
    await perUser(0);
    expect(usersOf(await explain(await send()))).toEqual({ 'user-daily': [] });
    expect(usersOf(await explain(throttled))).toEqual({ 'user-daily': [second, first] });
  });

  test('names the room of checks when accepted ones are logged, and says whether they are', async () => {
    await perUser(2);
    await check({ user_id: 'ann', message_id: 'c-1' });
    await app.call('PATCH', '/settings', { log_checks: 'all' });
    await check({ user_id: 'ann', message_id: 'c-2', account_id: 'acme', topic_id: 'news' });
    const id = await send();
    const explanation = await explain(id);
    expect(explanation).toMatchObject({ status: 'THROTTLED', checks_logged: true });
    expect(explanation.limits[0].last_used_by).toEqual([
      {
        ...{ message_id: 'c-2', status: 'ACCEPTED', decided: EPOCH_MS, recipient: 'ann' },
        ...{ account_id: 'acme', topic: 'news', cost: 1 },
      },
    ]);
    await app.call('PATCH', '/settings', { log_checks: 'throttled' });
    expect((await explain(id)).checks_logged).toBe(false);
  });

  test('explains checks: one that was throttled, one that costs more than there ever is, an accepted, a filtered one', async () => {
    await app.call('PATCH', '/settings', { log_checks: 'all' });
    await app.limit({ id: 'period', per: ['user'], period: 'billing_period', max: 4 });
    await check({ user_id: 'ann', message_id: 'accepted', cost: 3 });
    await check({ user_id: 'ann', message_id: 'throttled', cost: 2 });
    await check({ user_id: 'ann', message_id: 'huge', cost: 5 });
    expect(await explain('accepted')).toMatchObject({
      ...{ message_id: 'accepted', status: 'ACCEPTED', decided: (await message('accepted')).enqueued },
      summary: 'Accepted: its caller was told that it may go out.',
      limits: [{ limit_id: 'period', used: 3, remaining: 1, stopped: false, last_used_by: [] }],
    });
    const { retry_at } = await message('throttled');
    expect(await explain('throttled')).toMatchObject({
      summary: `Throttled: period allows 4 in a billing period, and 3 were used. The message counts 2. There is room at ${retry_at}.`,
      limits: [{ used: 3, stopped: true, opens_at: retry_at, last_used_by: [{ message_id: 'accepted', cost: 3 }] }],
    });
    expect(await explain('huge')).toMatchObject({
      summary:
        'Throttled: period allows 4 in a billing period, and 3 were used. The message counts 5. They never have room for so much.',
      limits: [{ stopped: true, opens_at: null, last_used_by: [{ message_id: 'accepted' }] }],
    });
    await app.call('PATCH', '/settings', { require_membership: true });
    await check({ user_id: 'ann', message_id: 'filtered', account_id: 'acme' });
    expect(await explain('filtered')).toMatchObject({
      ...{ status: 'FILTERED', decided: EPOCH_MS, limits: [] },
      summary: 'Filtered: the user is not in the account acme, and the workspace requires membership.',
    });
  });

  test('names all the limits that had no room', async () => {
    await app.limit({ id: 'a', per: [], period: 'month', max: 0 }, { id: 'b', per: ['user'], period: 'week', max: 0 });
    expect((await explain(await send())).summary).toMatch(
      /^Throttled: a allows 0 in a month, and 0 were used; b allows 0 in a week, and 0 were used\. They never have room for so much\.$/,
    );
  });

  test('says of a message that is held what it waits for', async () => {
    await deferring(1);
    const first = await send();
    const id = await send();
    const { retry_at } = await message(id);
    expect(await explain(id)).toMatchObject({
      ...{ status: 'DELAYED', decided: EPOCH_MS },
      summary: `Held until there is room: user-daily allows 1 in a day, and 1 were used. There is room at ${retry_at}.`,
      limits: [{ stopped: true, opens_at: retry_at, last_used_by: [{ message_id: first }] }],
    });
  });

  test('says where a message is that nothing stopped', async () => {
    await perUser(9);
    const expectSummary = async (id: string, status: string, summary: string) =>
      expect(await explain(id)).toMatchObject({ message_id: id, status, summary });

    const id = await send();
    await expectSummary(id, 'ENQUEUED', 'Accepted; it waits for the provider log.');
    await begin(id);
    await expectSummary(id, 'ENQUEUED', 'Accepted; it is being given to the provider log at this moment.');
    const busy: AttemptOutcome = { kind: 'retry', detail: {}, error: 'busy', dueMs: Date.now() };
    await attempt(id, busy);
    await expectSummary(id, 'ENQUEUED', 'Accepted, but one try failed: busy. It is tried again.');
    await attempt(id, { ...busy, error: 'busy.' });
    await expectSummary(id, 'ENQUEUED', 'Accepted, but 2 tries failed: busy. It is tried again.');
    await attempt(id, SENT);
    await expectSummary(id, 'SENT', 'Sent: the provider log took it.');
    expect(await explain(id)).toMatchObject({ limits: [{ used: 1, stopped: false, last_used_by: [] }] });

    const failed = await send();
    await attempt(failed, FAILED);
    await expectSummary(failed, 'UNDELIVERABLE', 'Undeliverable after one try: no such phone.');
    expect(await explain(failed)).not.toHaveProperty('what_to_do');

    const stopped = await send();
    const code = { code: '9', meaning: 'No credit.', whatToDo: 'Top it up.' };
    await attempt(stopped, { kind: 'stopped', detail: {}, error: 'No credit. Top it up.', code, pauseMs: 60_000 });
    await expectSummary(
      ...([stopped, 'ENQUEUED'] as const),
      'Accepted; it waits, as its provider takes no messages now: No credit. Top it up. It is tried again.',
    );
    expect(await explain(stopped)).toMatchObject({ what_to_do: 'Top it up.' });
    expect((await message(stopped)).providers[0]).toMatchObject({
      ...{ tries: 0, code: '9', meaning: 'No credit.', what_to_do: 'Top it up.' },
    });
    const dueMs = Date.now() + 3_600_000;
    const delayed = await send('ann', { delay: { until: new Date(dueMs).toISOString() } });
    const due = new Date(dueMs).toISOString();
    await expectSummary(delayed, 'DELAYED', `Delayed by its sender: it is decided at ${due}.`);
    expect(await explain(delayed)).toMatchObject({ decided: null, limits: [] });
    await post(`/messages/${delayed}/cancel`);
    await expectSummary(delayed, 'CANCELED', 'Canceled before it was sent.');
    await app.call('PATCH', '/settings', { require_membership: true });
    const filtered = await send('ann', { to: { tenant_id: 'acme' } });
    await expectSummary(
      ...([filtered, 'FILTERED'] as const),
      'Filtered: the user is not in the account acme, and the workspace requires membership.',
    );
  });
});

describe('POST /messages/{id}/cancel', () => {
  const cancel = (id: string) => post(`/messages/${id}/cancel`);

  /** Sees that nothing was stopped: a problem's words, and the message as it is. */
  async function expectRefused(id: string, detail: RegExp): Promise<void> {
    const before = await message(id);
    const answer = await cancel(id);
    expect(answer.status).toBe(409);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    // Or Courier's SDK would try again twice.
    expect(answer.headers['x-should-retry']).toBe('false');
    const problem = { type: 'about:blank', title: 'Cannot be canceled', detail: expect.stringMatching(detail) };
    expect(answer.body).toEqual({ ...problem, ...before });
    expect(await message(id)).toEqual(before);
  }

  test('stops a message that is queued, gives back what it counted, once, and answers with the record', async () => {
    await perUser(5);
    const [id, other] = [await send(), await send()];
    const answer = await cancel(id);
    expect([answer.status, answer.body]).toEqual([200, await message(id)]);
    expect(answer.body).toMatchObject({ id, status: 'CANCELED', recipient: 'ann' });
    expect(await used('ann')).toBe(1);
    const again = await cancel(id);
    expect([again.status, again.body]).toEqual([200, answer.body]);
    expect(await used('ann')).toBe(1);
    expect((await message(other)).status).toBe('ENQUEUED');
    expect(await app.store.begin(id, 1)).toBeNull();
    const { results } = await read('/audit-events?limit=1');
    expect(results).toMatchObject([
      { type: 'message.canceled', target: `message:${id}`, actor: { id: 'env' }, source: 'api' },
    ]);
    expect(results[0]).toMatchObject({ before: { status: 'ENQUEUED' }, after: { status: 'CANCELED' } });
  });

  test('stops one that waits for its time, for room, or for its next try', async () => {
    await deferring(1);
    const delayed = await send('ann', { delay: { duration: 3_600_000 } });
    const failing = await send();
    const held = await send();
    await attempt(failing, { kind: 'retry', detail: {}, error: 'busy', dueMs: Date.now() + 60_000 });
    for (const id of [delayed, held, failing]) {
      const { status, body } = await cancel(id);
      expect([status, body.status, body.due, body.held_since]).toEqual([200, 'CANCELED', undefined, undefined]);
    }
    expect(await used('ann')).toBe(0);
  });

  test('answers 409 with the record for what is being sent, is over, or is a check', async () => {
    await perUser(2);
    const [id, failed, throttled] = [await send(), await send(), await send()];
    const { begun } = await begin(id);
    await expectRefused(id, /is being sent at this moment/);
    await app.store.finish(id, 1, begun, SENT);
    await expectRefused(id, /It is SENT/);
    await attempt(failed, FAILED);
    await expectRefused(failed, /It is UNDELIVERABLE/);
    await expectRefused(throttled, /It is THROTTLED/);
    await perUser(0);
    await check({ user_id: 'ann', message_id: 'c-1' });
    await expectRefused('c-1', /is a check/);
  });
});

describe('POST /messages/{id}/retry', () => {
  const retry = (id: string) => post(`/messages/${id}/retry`);

  async function expectRefused(id: string, detail: RegExp): Promise<void> {
    const before = await message(id);
    const answer = await retry(id);
    expect(answer.status).toBe(409);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    const problem = { type: 'about:blank', title: 'Cannot be sent again', detail: expect.stringMatching(detail) };
    expect(answer.body).toEqual({ ...problem, ...before });
    expect(await message(id)).toEqual(before);
  }

  test('decides a throttled message again, which may be throttled again, and answers 202 with the record', async () => {
    await perUser(1);
    await send();
    const id = await send();
    const first = await retry(id);
    expect([first.status, first.body.status]).toEqual([202, 'THROTTLED']);
    await perUser(2);
    const second = await retry(id);
    expect([second.status, second.body]).toEqual([202, await message(id)]);
    expect(second.body).toMatchObject({ id, status: 'ENQUEUED', throttled_by: [], limits: [{ max: 2, used: 2 }] });
    expect(await used('ann')).toBe(2);
    expect((await explain(id)).decided).toBeGreaterThan(second.body.enqueued);
    const { results } = await read('/audit-events?limit=1');
    expect(results).toMatchObject([{ type: 'message.retried', target: `message:${id}`, actor: { id: 'env' } }]);
  });

  test('sends one that failed, or was filtered, again', async () => {
    const failed = await send();
    await attempt(failed, FAILED);
    expect(await retry(failed)).toMatchObject({ status: 202, body: { status: 'ENQUEUED', error: null, reason: null } });
    await app.call('PATCH', '/settings', { require_membership: true });
    const filtered = await send('ann', { to: { account_id: 'acme' } });
    expect(await retry(filtered)).toMatchObject({ status: 202, body: { status: 'FILTERED', reason: 'FILTERED' } });
    await app.call('PUT', '/users/ann/accounts/acme');
    expect(await retry(filtered)).toMatchObject({
      status: 202,
      body: { status: 'ENQUEUED', error: null, reason: null },
    });
  });

  test('answers 409 with the record for what is on its way, sent or canceled, or is a check', async () => {
    await perUser(2);
    const [id, canceled] = [await send(), await send()];
    const delayed = await send('ann', { delay: { duration: 60_000 } });
    await expectRefused(id, /It is ENQUEUED/);
    await attempt(id, SENT);
    await expectRefused(id, /It is SENT/);
    await post(`/messages/${canceled}/cancel`);
    await expectRefused(canceled, /It is CANCELED/);
    await expectRefused(delayed, /It is DELAYED/);
    await perUser(0);
    await check({ user_id: 'ann', message_id: 'c-1' });
    await expectRefused('c-1', /is a check/);
  });

  test('of several at once does one', async () => {
    await perUser(0);
    const id = await send();
    await perUser(9);
    const answers = await Promise.all([1, 2, 3, 4].map(() => retry(id)));
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409, 409, 409]);
    expect(await used('ann')).toBe(1);
  });
});

describe.each([
  ['GET', '/messages/{id}'],
  ['GET', '/messages/{id}/history'],
  ['GET', '/messages/{id}/explain'],
  ['POST', '/messages/{id}/cancel'],
  ['POST', '/messages/{id}/retry'],
])('%s %s', (method, template) => {
  const at = (id: string) => app.call(method, template.replace('{id}', id));

  test('of a message that is not there, in whatever form, is a 404', async () => {
    await send();
    const { results } = await read('/messages');
    const [entry] = await history(results[0].id);
    for (const id of [
      'nobody',
      '5-3',
      '-',
      '%2B',
      '..%2F..',
      '%7Bx%7D',
      'a:b',
      '__proto__',
      '%F0%9F%94%91',
      entry.id,
    ]) {
      expectProblem(await at(id), 404);
    }
  });

  test('of an id that is none is a 400 that names message_id', async () => {
    for (const id of ['%0A', 'a%00b', 'a'.repeat(257), '%ff']) expectProblem(await at(id), 400, 'message_id');
  });

  test('takes no parameters that it does not know', async () => {
    expectProblem(await app.call(method, `${template.replace('{id}', 'm')}?force=true`), 400, 'force');
  });
});
