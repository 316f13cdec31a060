import type { MessageFilter } from '../../src/log/messages';
import { createMessageLog } from '../../src/log/messages';
import { trimLogs } from '../../src/log/trim';
import { messageTo } from '../support/gate';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';
import { deferring, requestIdOf, startTestSends, type TestSends } from '../support/sends';

const ACTOR = { id: 'test', name: null };
const DAY_MS = 86_400_000;

let t: TestSends;
beforeEach(async () => {
  t = await startTestSends({ url: sharedRedisUrl(), workspace: uniqueWorkspace() });
});
afterEach(() => t.close());

/** Reads the log without remembering anything. */
const startTestLog = () => createMessageLog(t);
const perUser = (max: number | null) => t.limit({ id: 'user', per: ['user'], period: 'day', max });
const outbox = () => t.outbox();
const audited = async () => (await t.redis.xrange(t.keys.audit, '-', '+')).map(([, fields]) => fields[1]);
/** Everything that is there because of a message. */
const payloadOf = (requestId: string) => t.redis.hgetall(t.keys.payload(requestId));

describe('a send', () => {
  test('that there is room for is counted, written down and put into the outbox, in one call', async () => {
    await perUser(2);
    await t.send({ user: 'warm' });
    const id = await t.send({ user: 'ann', account: 'acme' }, { topic: 'news', channel: 'email', tags: ['a', 'b'] });
    t.events.length = 0;
    await t.send({ user: 'ann', account: 'acme' });
    expect(t.events).toEqual(['called', 'accepted']);
    expect(await t.used('ann')).toEqual({ user: 2 });
    const message = await t.message(id);
    expect(message).toMatchObject({
      ...{ id, status: 'ENQUEUED', user: 'ann', account: 'acme', topic: 'news', channel: 'email', cost: 1 },
      decision: { limits: [{ limit_id: 'user', used: 1, max: 2, remaining: 1 }], throttled_by: [], retry_at: null },
      send: { requestId: id, provider: 'log', attempt: 1, tries: 0, counts: true, tags: ['a', 'b'], sentMs: null },
    });
    expect(Math.abs(message.atMs - Date.now())).toBeLessThan(10_000);
    expect(await outbox()).toContainEqual({ id, attempt: 1, dueMs: null });
    expect((await t.history(id)).map(({ type }) => type)).toEqual(['ENQUEUED']);
  });

  test('that there is no room for counts nothing, goes nowhere, and says why', async () => {
    await perUser(1);
    await t.send({ user: 'ann' });
    const id = await t.send({ user: 'ann' });
    expect(await t.message(id)).toMatchObject({
      status: 'THROTTLED',
      decision: { limits: [{ used: 1, exceeded: true }], throttled_by: ['user'], retry_at: expect.any(String) },
      send: { counts: null },
    });
    expect(await t.used('ann')).toEqual({ user: 1 });
    expect(await outbox()).toHaveLength(1);
  });

  test('for an account that its user is not in is filtered where membership is required', async () => {
    await perUser(5);
    await t.settings({ require_membership: true });
    const id = await t.send({ user: 'ann', account: 'acme' });
    expect(await t.message(id)).toMatchObject({ status: 'FILTERED', decision: { limits: [] } });
    await t.members.add('ann', [{ accountId: 'acme' }], ACTOR, 'api');
    expect(await t.status(await t.send({ user: 'ann', account: 'acme' }))).toBe('ENQUEUED');
    expect(await t.used('ann')).toEqual({ user: 1 });
  });

  test('about an exempt topic counts and is never throttled', async () => {
    await perUser(1);
    await t.settings({ exempt_topics: ['security'] });
    for (let index = 0; index < 3; index += 1) {
      expect(await t.status(await t.send({ user: 'ann' }, { topic: 'security' }))).toBe('ENQUEUED');
    }
    expect(await t.used('ann')).toEqual({ user: 3 });
  });

  test('has its limits written down again when Redis has lost what they were', async () => {
    await perUser(5);
    const first = await t.send({ user: 'ann' });
    await t.redis.del(t.keys.loggedLimits((await t.redis.hget(t.keys.send(first), 'x'))!));
    t.events.length = 0;
    const id = await t.send({ user: 'ann' });
    expect(t.events).toEqual(['called', 'replanned limits-forgotten', 'called', 'accepted']);
    const { decision } = (await startTestLog().get(id))!;
    expect(decision.limits).toMatchObject([{ limit_id: 'user', used: 2 }]);
  });

  test('never goes over a max, however many are handed over at once, beside checks', async () => {
    await t.limit(
      { id: 'all', per: [], period: 'day', max: 100 },
      { id: 'user', per: ['user'], period: 'day', max: 60 },
    );
    const ids = await Promise.all(
      Array.from({ length: 200 }, (_, index) => t.send({ user: index % 2 ? 'ann' : 'bob' })),
    );
    const checks = await Promise.all(
      Array.from({ length: 100 }, () =>
        t.gate.check({ message: messageTo('cas'), messageId: null, cost: 1, dry: false, atMs: null }),
      ),
    );
    const accepted = (await t.messageLog.read(ids)).filter((message) => message!.status === 'ENQUEUED').length;
    const passed = checks.filter((check) => check.kind === 'decided' && check.decision.allowed).length;
    expect(accepted + passed).toBe(100);
    expect(await outbox()).toHaveLength(accepted);
    const { all, user } = await t.used('ann');
    expect(all).toBe(100);
    expect(user).toBeLessThanOrEqual(60);
  });
});

describe('the account of a send', () => {
  beforeEach(() => t.limit({ id: 'account', per: ['account'], period: 'day', max: 100 }));
  const join = (...accounts: string[]) =>
    t.members.add(
      'ann',
      accounts.map((accountId) => ({ accountId })),
      ACTOR,
      'api',
    );
  const accountOf = async (id: string) => (await t.message(id)).account;

  test('that names none is that of the user’s only membership, as it is now', async () => {
    expect(await accountOf(await t.send({ user: 'ann' }))).toBeNull();
    await join('acme');
    expect(await accountOf(await t.send({ user: 'ann' }))).toBe('acme');
    t.events.length = 0;
    expect(await accountOf(await t.send({ user: 'ann' }))).toBe('acme');
    // Once it is known, it costs nothing.
    expect(t.events.filter((event) => event === 'called')).toHaveLength(1);
    expect(await t.used('ann', { account: 'acme' })).toEqual({ account: 2 });
    await join('other');
    expect(await accountOf(await t.send({ user: 'ann' }))).toBeNull();
    await t.members.remove('ann', 'acme', ACTOR, 'api');
    expect(await accountOf(await t.send({ user: 'ann' }))).toBe('other');
  });

  test('that is named is that one', async () => {
    await join('acme');
    expect(await accountOf(await t.send({ user: 'ann', account: 'other' }))).toBe('other');
  });
});

describe('a request to several', () => {
  const all = async () => (await t.messageLog.page({}, null, 100)).messages;

  test('is a message for each, each decided by itself, with an id of its own', async () => {
    await t.limit({ id: 'all', per: [], period: 'day', max: 2 });
    const requestId = requestIdOf(await t.accept(t.request([{ user: 'ann' }, { user: 'bob' }, { user: 'cas' }])));
    const messages = (await all()).reverse();
    expect(messages.map(({ user, status }) => [user, status])).toEqual([
      ['ann', 'ENQUEUED'],
      ['bob', 'ENQUEUED'],
      ['cas', 'THROTTLED'],
    ]);
    expect(new Set(messages.map(({ id }) => id)).size).toBe(3);
    for (const { id, send } of messages) {
      expect(send!.requestId).toBe(requestId);
      expect(id).not.toBe(requestId);
    }
    expect(Object.keys(await payloadOf(requestId)).sort()).toEqual(['m', ...messages.map(({ id }) => id)].sort());
  });

  test('to an account is to every member of it, once, and to those it names besides', async () => {
    for (const user of ['ann', 'bob', 'cas']) await t.members.add(user, [{ accountId: 'acme' }], ACTOR, 'api');
    await t.accept(
      t.request([
        { account: 'acme' },
        // Named with the account: his message is this one.
        { user: 'bob', account: 'acme', to: { user_id: 'bob', account_id: 'acme', data: { vip: true } } },
        { user: 'dan' },
        { user: 'dan' },
        { account: 'acme' },
      ]),
    );
    const messages = await all();
    expect(messages.map(({ user, account }) => [user, account]).sort()).toEqual([
      ['ann', 'acme'],
      ['bob', 'acme'],
      ['cas', 'acme'],
      ['dan', null],
    ]);
  });

  test('names an account without members, or one with too many, and does nothing then', async () => {
    expect(await t.accept(t.request([{ user: 'ann' }, { account: 'nobody' }]))).toEqual({
      kind: 'no-members',
      index: 1,
    });
    const users = Array.from({ length: 10_000 }, (_, index) => `user-${index}`);
    await t.redis.zadd(t.keys.accountUsers('big'), ...users.flatMap((user) => [0, user]));
    expect(await t.accept(t.request([{ user: 'ann' }, { account: 'big' }]))).toEqual({ kind: 'too-many', index: 1 });
    expect(await all()).toEqual([]);
  });
});

describe('an idempotency key', () => {
  const withKey = (key: string, body: unknown = 'same') => ({ idempotencyKey: key, body });

  test('gives the same request again and sends nothing twice; with another body it is a conflict', async () => {
    await perUser(5);
    const id = await t.send({ user: 'ann' }, withKey('k-1'));
    expect(await t.send({ user: 'ann' }, withKey('k-1'))).toBe(id);
    expect(await Promise.all([1, 2, 3].map(() => t.send({ user: 'ann' }, withKey('k-1'))))).toEqual([id, id, id]);
    expect(await t.accept(t.request([{ user: 'ann' }], withKey('k-1', 'other')))).toEqual({ kind: 'conflict' });
    expect(await t.accept(t.request([{ user: 'ann' }, { user: 'bob' }], withKey('k-1', 'other')))).toEqual({
      kind: 'conflict',
    });
    expect(await t.send({ user: 'ann' }, withKey('k-2'))).not.toBe(id);
    expect(await t.used('ann')).toEqual({ user: 2 });
  });

  test('is kept with a TTL, and means another request after it', async () => {
    const own = await startTestSends({ url: sharedRedisUrl(), workspace: uniqueWorkspace(), idempotencyTtlMs: 50 });
    const id = await own.send({ user: 'ann' }, withKey('k-1'));
    let again = id;
    while (again === id) again = await own.send({ user: 'ann' }, withKey('k-1'));
    expect((await own.messageLog.page({}, null, 10)).messages.map((message) => message.id)).toEqual([again, id]);
    own.close();
  });

  test('has a request to many that was cut off go on where it stopped', async () => {
    await t.limit({ id: 'all', per: [], period: 'day', max: 10_000 });
    const recipients = Array.from({ length: 200 }, (_, index) => ({ user: `user-${index}` }));
    // The connection breaks in the middle.
    let left = 3;
    const { evalsha } = t.redis;
    Object.assign(t.redis, {
      evalsha(...args: Parameters<typeof evalsha>) {
        if (args[0] === t.scripts.send.sha && --left < 0) return Promise.reject(new Error('Connection is closed.'));
        return evalsha.apply(t.redis, args);
      },
    });
    expect(await t.accept(t.request(recipients, withKey('k-1')))).toEqual({ kind: 'unavailable' });
    expect(await t.used('user-0')).toEqual({ all: 96 });
    Object.assign(t.redis, { evalsha });
    const requestId = requestIdOf(await t.accept(t.request(recipients, withKey('k-1'))));
    expect(await t.used('user-0')).toEqual({ all: 200 });
    expect(requestIdOf(await t.accept(t.request(recipients, withKey('k-1'))))).toBe(requestId);
    expect(await t.used('user-0')).toEqual({ all: 200 });
    expect(await outbox()).toHaveLength(200);
  });

  test('of a request to an account that was cut off goes on with who is in it by then, under the same ids', async () => {
    await t.members.add('ann', [{ accountId: 'acme' }], ACTOR, 'api');
    const accept = () => t.accept(t.request([{ account: 'acme' }], withKey('k-1')));
    // What is lost is the note that all of it was written down.
    const { noteWhole } = t.store;
    Object.assign(t.store, { noteWhole: () => Promise.reject(new Error('Connection is closed.')) });
    await expect(accept()).rejects.toThrow('Connection is closed.');
    const [first] = (await t.messageLog.page({}, null, 10)).messages;
    expect(first).toMatchObject({ user: 'ann', id: first!.send!.requestId });
    await t.members.add('bob', [{ accountId: 'acme' }], ACTOR, 'api');
    Object.assign(t.store, { noteWhole });
    expect(await accept()).toEqual({ kind: 'taken', requestId: first!.id });
    expect((await t.messageLog.page({}, null, 10)).messages.map(({ user }) => user)).toEqual(['bob', 'ann']);
    // Both are found by the id of their request, which is also that of the first.
    const found: (string | null)[] = [];
    for (let next: string | null = null; ; ) {
      const page = await t.messageLog.page({ request: first!.id }, next, 1);
      found.push(...page.messages.map(({ user }) => user));
      next = page.next;
      if (next === null) break;
    }
    expect(found).toEqual(['bob', 'ann']);
    // Now all of it has been written down.
    await t.members.add('cat', [{ accountId: 'acme' }], ACTOR, 'api');
    expect(await accept()).toEqual({ kind: 'taken', requestId: first!.id });
    expect((await t.messageLog.page({}, null, 10)).messages).toHaveLength(2);
  });
});

describe('what is handed over while Redis does not answer', () => {
  test('is not taken: the caller is told, and nothing is counted later', async () => {
    await perUser(5);
    await t.send({ user: 'ann' });
    t.redis.disconnect();
    expect(await t.accept(t.request([{ user: 'ann' }]))).toEqual({ kind: 'unavailable' });
    expect(await t.accept(t.request([{ user: 'ann' }], { due: { atMs: Date.now() + DAY_MS } }))).toEqual({
      kind: 'unavailable',
    });
  });
});

describe('canceling', () => {
  test('stops a message that is queued, gives back what it counted, once, and is audited', async () => {
    await perUser(5);
    const [id, other] = [await t.send({ user: 'ann' }), await t.send({ user: 'ann' })];
    expect(await t.actions.cancel(id, ACTOR)).toMatchObject({ kind: 'done', message: { id, status: 'CANCELED' } });
    expect(await t.used('ann')).toEqual({ user: 1 });
    expect(await t.actions.cancel(id, ACTOR)).toMatchObject({ kind: 'done', message: { status: 'CANCELED' } });
    expect(await t.used('ann')).toEqual({ user: 1 });
    expect(await payloadOf(id)).toEqual({});
    expect(await t.store.begin(id, 1)).toBeNull();
    expect(await t.store.begin(other, 1)).not.toBeNull();
    expect(await audited()).toEqual(['message.canceled']);
    expect((await t.history(id)).map(({ type }) => type)).toEqual(['ENQUEUED', 'CANCELED']);
    const { messages } = await t.messageLog.page({ statuses: ['CANCELED'] }, null, 10);
    expect(messages.map((message) => message.id)).toEqual([id]);
    expect((await t.messageLog.page({ statuses: ['ENQUEUED'] }, null, 10)).messages.map((one) => one.id)).toEqual([
      other,
    ]);
  });

  test('stops one that waits for its time, or for room, which counted nothing', async () => {
    await t.limit(deferring({ id: 'user', per: ['user'], period: 'day', max: 1 }));
    const delayed = await t.send({ user: 'ann' }, { due: { atMs: Date.now() + DAY_MS } });
    await t.send({ user: 'ann' });
    const held = await t.send({ user: 'ann' });
    expect([await t.status(delayed), await t.status(held)]).toEqual(['DELAYED', 'DELAYED']);
    for (const id of [delayed, held]) {
      expect(await t.actions.cancel(id, ACTOR)).toMatchObject({ kind: 'done', message: { status: 'CANCELED' } });
    }
    expect(await t.used('ann')).toEqual({ user: 1 });
    expect(await t.redis.zcard(t.keys.due)).toBe(0);
    const [counter] = await t.redis.zrange(t.keys.holds, '0', '-1');
    expect(await t.redis.zcard(t.keys.held(counter!))).toBe(0);
  });

  test('refuses what is being sent, is over, or is a check, and names what is not there', async () => {
    await perUser(1);
    const id = await t.send({ user: 'ann' });
    const throttled = await t.send({ user: 'ann' });
    const begun = (await t.store.begin(id, 1))!;
    expect(await t.actions.cancel(id, ACTOR)).toMatchObject({ kind: 'refused', message: { status: 'ENQUEUED' } });
    await t.store.finish(id, 1, begun, { kind: 'sent', detail: {}, reference: null, keepPayload: false });
    expect(await t.actions.cancel(id, ACTOR)).toMatchObject({ kind: 'refused', message: { status: 'SENT' } });
    expect(await t.actions.cancel(throttled, ACTOR)).toMatchObject({
      kind: 'refused',
      message: { status: 'THROTTLED' },
    });
    await t.gate.check({ message: messageTo('ann'), messageId: 'c-1', cost: 1, dry: false, atMs: null });
    expect(await t.actions.cancel('c-1', ACTOR)).toMatchObject({ kind: 'refused' });
    expect(await t.actions.cancel('nobody', ACTOR)).toEqual({ kind: 'unknown' });
    expect(await t.used('ann')).toEqual({ user: 1 });
  });

  test('gives nothing back that a reset of the counter has taken away already', async () => {
    await perUser(5);
    const id = await t.send({ user: 'ann' });
    await t.gate.reset({ user: 'ann' }, 'day', ACTOR, 'api');
    await t.send({ user: 'ann' });
    await t.actions.cancel(id, ACTOR);
    expect(await t.used('ann')).toEqual({ user: 1 });
  });
});

describe('an attempt', () => {
  const sent = { kind: 'sent', detail: { provider: 'log' }, reference: 'r-1', keepPayload: false } as const;
  const failed = {
    kind: 'failed',
    detail: {},
    error: 'no such phone',
    reason: 'PROVIDER_ERROR',
    refund: true,
  } as const;

  test('is begun with what is to be sent, and recorded as sent, once', async () => {
    await perUser(5);
    const id = await t.send(
      { user: 'ann', to: { user_id: 'ann', email: 'ann@example.com' } },
      { payload: { template: 't', content: null, data: { n: 1 }, metadata: null }, topic: 'news' },
    );
    const begun = (await t.store.begin(id, 1))!;
    expect(begun).toMatchObject({ message: { user: 'ann', topic: 'news' }, provider: 'log', tries: 0, again: false });
    expect(JSON.parse(begun.payload)).toEqual({ template: 't', content: null, data: { n: 1 }, metadata: null });
    expect(JSON.parse(begun.recipient)).toEqual({ user_id: 'ann', email: 'ann@example.com' });
    expect((await t.message(id)).send!.sending).toBe(true);
    expect(await t.store.finish(id, 1, begun, sent)).toMatchObject({ status: 'SENT' });
    expect(await t.store.finish(id, 1, begun, sent)).toBeNull();
    expect(await t.store.finish(id, 1, begun, failed)).toBeNull();
    expect(await t.message(id)).toMatchObject({
      status: 'SENT',
      send: { tries: 1, reference: 'r-1', sentMs: expect.any(Number), sending: false, counts: true },
    });
    expect(await t.store.begin(id, 1)).toBeNull();
    // What it was sent with is of no use any more.
    expect(await payloadOf(id)).toEqual({});
    expect(await t.used('ann')).toEqual({ user: 1 });
  });

  test('that failed for now is another one, later; the earlier one is over', async () => {
    const id = await t.send({ user: 'ann' });
    const begun = (await t.store.begin(id, 1))!;
    const dueMs = Date.now() + 60_000;
    await t.store.finish(id, 1, begun, { kind: 'retry', detail: { error: 'busy' }, error: 'busy', dueMs });
    expect(await t.message(id)).toMatchObject({ status: 'ENQUEUED', send: { attempt: 2, tries: 1, error: 'busy' } });
    expect((await outbox()).at(-1)).toEqual({ id, attempt: 2, dueMs });
    expect(await t.store.begin(id, 1)).toBeNull();
    const second = (await t.store.begin(id, 2))!;
    expect(second.tries).toBe(1);
    await t.store.finish(id, 2, second, sent);
    expect((await t.message(id)).send).toMatchObject({ tries: 2, error: null });
    expect((await t.history(id)).map(({ type, detail }) => [type, detail.error])).toEqual([
      ['ENQUEUED', undefined],
      ['RETRYING', 'busy'],
      ['SENT', undefined],
    ]);
  });

  test('that failed for good gives back what was counted, to its own windows, once, unless it is not to', async () => {
    await t.limit(
      { id: 'user', per: ['user'], period: 'day', max: 5 },
      { id: 'all', per: [], period: 'month', max: 5 },
    );
    const [id, kept] = [await t.send({ user: 'ann' }), await t.send({ user: 'ann' })];
    const begun = (await t.store.begin(id, 1))!;
    expect(await t.store.finish(id, 1, begun, failed)).toMatchObject({ status: 'UNDELIVERABLE' });
    expect(await t.store.finish(id, 1, begun, failed)).toBeNull();
    expect(await t.used('ann')).toEqual({ user: 1, all: 1 });
    expect(await t.message(id)).toMatchObject({
      status: 'UNDELIVERABLE',
      send: { error: 'no such phone', reason: 'PROVIDER_ERROR', counts: false },
    });
    await t.store.finish(kept, 1, (await t.store.begin(kept, 1))!, { ...failed, refund: false });
    expect(await t.used('ann')).toEqual({ user: 1, all: 1 });
    expect((await t.message(kept)).send!.counts).toBe(true);
  });

  test('that was begun before is made again, and said to be: nobody knows what became of the first', async () => {
    const id = await t.send({ user: 'ann' });
    await t.store.begin(id, 1);
    const again = (await t.store.begin(id, 1))!;
    expect(again.again).toBe(true);
    expect((await t.message(id)).send!.redeliveries).toBe(1);
    expect((await t.history(id)).map(({ type }) => type)).toEqual(['ENQUEUED', 'REDELIVERED']);
    await t.store.finish(id, 1, again, sent);
    expect(await t.status(id)).toBe('SENT');
  });

  test('that was sent after all, when another try was planned already, is sent', async () => {
    const id = await t.send({ user: 'ann' });
    const begun = (await t.store.begin(id, 1))!;
    await t.store.finish(id, 1, begun, { kind: 'retry', detail: {}, error: 'busy', dueMs: Date.now() });
    expect(await t.store.finish(id, 1, begun, sent)).toMatchObject({ status: 'SENT' });
    expect(await t.store.begin(id, 2)).toBeNull();
  });
});

describe('sending again', () => {
  test('decides a throttled message anew: the same message, under what is in force now', async () => {
    await perUser(1);
    await t.send({ user: 'ann' });
    const id = await t.send({ user: 'ann' });
    expect(await t.actions.retry(id, ACTOR)).toMatchObject({ kind: 'done', message: { status: 'THROTTLED' } });
    await perUser(2);
    expect(await t.actions.retry(id, ACTOR)).toMatchObject({
      kind: 'done',
      message: { id, status: 'ENQUEUED', decision: { limits: [{ max: 2, used: 2 }] } },
    });
    expect(await t.used('ann')).toEqual({ user: 2 });
    const { attempt } = (await t.message(id)).send!;
    expect((await outbox()).at(-1)).toEqual({ id, attempt, dueMs: null });
    expect(JSON.parse((await t.store.begin(id, attempt))!.payload).content).toEqual({ body: 'hello' });
    expect((await t.history(id)).map(({ type }) => type)).toEqual(['THROTTLED', 'THROTTLED', 'ENQUEUED']);
    expect(await audited()).toEqual(['message.retried', 'message.retried']);
  });

  test('sends one that could not be delivered, under a new decision', async () => {
    await perUser(1);
    const id = await t.send({ user: 'ann' });
    const begun = (await t.store.begin(id, 1))!;
    await t.store.finish(id, 1, begun, { kind: 'failed', detail: {}, error: 'x', reason: 'FAILED', refund: true });
    expect(await t.actions.retry(id, ACTOR)).toMatchObject({ kind: 'done', message: { status: 'ENQUEUED' } });
    expect(await t.message(id)).toMatchObject({ send: { tries: 0, error: null, reason: null, counts: true } });
    expect(await t.used('ann')).toEqual({ user: 1 });
    const { attempt } = (await t.message(id)).send!;
    expect(await t.store.begin(id, attempt)).toMatchObject({ tries: 0 });
  });

  test('refuses what is on its way or sent, a check, and what is not there; of two at once one is done', async () => {
    await perUser(1);
    const id = await t.send({ user: 'ann' });
    const throttled = await t.send({ user: 'ann' });
    expect(await t.actions.retry(id, ACTOR)).toMatchObject({ kind: 'refused' });
    expect(await t.actions.retry('nobody', ACTOR)).toEqual({ kind: 'unknown' });
    await t.gate.check({ message: messageTo('ann'), messageId: 'c-1', cost: 1, dry: false, atMs: null });
    expect(await t.actions.retry('c-1', ACTOR)).toMatchObject({ kind: 'refused' });
    await perUser(5);
    const both = await Promise.all([t.actions.retry(throttled, ACTOR), t.actions.retry(throttled, ACTOR)]);
    expect(both.map(({ kind }) => kind).sort()).toEqual(['done', 'refused']);
    expect(await t.used('ann')).toEqual({ user: 2 });
  });
});

describe('the log', () => {
  test('finds sends by each of their indexes, beside checks', async () => {
    await perUser(3);
    const ids = [
      await t.send({ user: 'ann', account: 'acme' }, { topic: 'news', tags: ['a'], traceId: 't-1', event: 'order' }),
      await t.send({ user: 'ann' }, { tags: ['a', 'b'], traceId: 't-2', provider: 'webhook' }),
      await t.send(
        { user: 'bob' },
        { tags: ['b'], payload: { template: 'x', content: null, data: null, metadata: null } },
      ),
    ];
    const found = async (filter: Parameters<typeof t.messageLog.page>[0]) =>
      (await t.messageLog.page(filter, null, 10)).messages.map(({ id }) => ids.indexOf(id));
    expect(await found({})).toEqual([2, 1, 0]);
    expect(await found({ tags: ['a'] })).toEqual([1, 0]);
    expect(await found({ tags: ['a', 'b'] })).toEqual([2, 1, 0]);
    expect(await found({ tags: ['b'], user: 'ann' })).toEqual([1]);
    expect(await found({ traceId: 't-1' })).toEqual([0]);
    expect(await found({ account: 'acme', topic: 'news' })).toEqual([0]);
    expect(await found({ event: 'order' })).toEqual([0]);
    expect(await found({ providers: ['webhook'] })).toEqual([1]);
    expect(await found({ template: 'x' })).toEqual([2]);
    expect(await found({ statuses: ['ENQUEUED'] })).toEqual([2, 1, 0]);
    expect(await found({ statuses: ['SENT'] })).toEqual([]);
  });

  test('finds the messages of a request by its id, and forgets which they were with the last of them', async () => {
    const users = ['ann', 'bob', 'cat'];
    const requestId = requestIdOf(await t.accept(t.request(users.map((user) => ({ user })))));
    const single = await t.send({ user: 'ann' });
    const of = async (filter: MessageFilter) =>
      (await t.messageLog.page(filter, null, 10)).messages.map(({ user }) => user);
    expect(await of({ request: requestId })).toEqual(['cat', 'bob', 'ann']);
    expect(await of({ request: requestId, user: 'bob' })).toEqual(['bob']);
    expect(await of({ request: single })).toEqual(['ann']);
    expect(await of({ request: single, user: 'bob' })).toEqual([]);
    expect(await of({ request: 'another' })).toEqual([]);
    const index = t.keys.logIndex('q', requestId);
    expect(await t.redis.zcard(index)).toBe(3);
    for (const { id } of (await t.messageLog.page({ request: requestId }, null, 10)).messages) {
      await t.store.finish(id, 1, (await t.store.begin(id, 1))!, {
        ...{ kind: 'failed', detail: {}, error: 'x', reason: 'FAILED', refund: false },
      });
    }
    await trimLogs({ ...t, nowMs: Date.now() + 60_000, logMaxAgeMs: 1_000, logMaxMessages: 1_000 });
    expect(await of({ request: requestId })).toEqual([]);
    expect(await t.redis.exists(index)).toBe(0);
  });

  test('trims a send with everything that belongs to it, but never one that is still to be sent', async () => {
    await perUser(2);
    const done = await t.send({ user: 'ann', account: 'acme' }, { topic: 'news', tags: ['a', 'b'], traceId: 't-1' });
    await t.store.finish(done, 1, (await t.store.begin(done, 1))!, {
      ...{ kind: 'failed', detail: {}, error: 'x', reason: 'FAILED', refund: false },
    });
    const queued = await t.send({ user: 'ann' });
    const throttled = await t.send({ user: 'ann' });
    const trim = (nowMs: number) => trimLogs({ ...t, nowMs, logMaxAgeMs: 1_000, logMaxMessages: 1_000 });
    expect(await trim(Date.now() + 60_000)).toEqual({ log: 2, audit: 0 });
    for (const id of [done, throttled]) {
      expect(await t.messageLog.get(id)).toBeNull();
      expect(await payloadOf(id)).toEqual({});
    }
    expect((await t.messageLog.page({}, null, 10)).messages.map(({ id }) => id)).toEqual([queued]);
    for (const filter of [{ user: 'ann' }, { statuses: ['ENQUEUED'] as const }]) {
      expect((await t.messageLog.page(filter, null, 10)).messages.map(({ id }) => id)).toEqual([queued]);
    }
    expect(await t.history(queued)).toHaveLength(1);
    // Once it is over it is kept for as long as others, from then on.
    const overMs = Date.now();
    await t.store.finish(queued, 1, (await t.store.begin(queued, 1))!, {
      ...{ kind: 'sent', detail: {}, reference: null, keepPayload: false },
    });
    expect(await trim(overMs + 900)).toEqual({ log: 0, audit: 0 });
    expect(await t.status(queued)).toBe('SENT');
    expect(await trim(overMs + 60_000)).toEqual({ log: 1, audit: 0 });
    expect(await t.messageLog.get(queued)).toBeNull();
    expect(await t.redis.xlen(t.keys.log)).toBe(0);
    expect(await t.redis.xlen(t.keys.logRows)).toBe(0);
    for (const [kind, value] of [
      ['s', 'SENT'],
      ['u', 'ann'],
      ['a', 'acme'],
      ['t', 'news'],
      ['g', 'a'],
      ['r', 't-1'],
    ] as const) {
      expect(await t.redis.exists(t.keys.logIndex(kind, value))).toBe(0);
    }
  });
});
