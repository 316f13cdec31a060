import { Cluster } from 'ioredis';
import { createApiKeys } from '../../src/access/api-keys';
import { type AuditTrail, createAuditTrail } from '../../src/log/audit';
import { createMessageLog, type LoggedMessage, type MessageFilter, type MessageLog } from '../../src/log/messages';
import { createLogRows, LOOK_ROWS } from '../../src/log/rows';
import { trimLogs } from '../../src/log/trim';
import { loadScripts } from '../../src/store/scripts';
import { messageTo, startTestGate, type TestGate } from '../support/gate';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';

let t: TestGate;
let messageLog: MessageLog;
let auditTrail: AuditTrail;
beforeEach(async () => {
  t = await startTestGate({ url: sharedRedisUrl(), workspace: uniqueWorkspace() });
  messageLog = createMessageLog(t);
  auditTrail = createAuditTrail(t);
});
afterEach(() => t.close());

/** Has a message decided; with `max: 0` it is throttled. */
const check = (message: Parameters<typeof messageTo>[1] & { user: string; id?: string; cost?: number }) => {
  const { user, id = null, cost = 1, ...rest } = message;
  return t.gate.check({ message: messageTo(user, rest), messageId: id, cost, dry: false, atMs: null });
};

/** Every message is throttled. */
const blockAll = () => t.limit({ id: 'all', per: [], period: 'day', max: 0 });

/** Follows a list to its end. `meanwhile` is done between any two pages. */
async function followAll<Item>(
  page: (before: string | null) => Promise<{ items: Item[]; next: string | null }>,
  meanwhile: () => Promise<unknown> = async () => undefined,
): Promise<Item[]> {
  const items: Item[] = [];
  let next: string | null = null;
  do {
    const read = await page(next);
    items.push(...read.items);
    next = read.next;
    await meanwhile();
  } while (next !== null);
  return items;
}

describe('the message log', () => {
  const followed = (filter: MessageFilter, most: number, meanwhile?: () => Promise<unknown>) =>
    followAll<LoggedMessage>(async (before) => {
      const { messages, next } = await messageLog.page(filter, before, most);
      return { items: messages, next };
    }, meanwhile);

  test('has a throttled message with the same limits, uses and times as its decision', async () => {
    await t.limit(
      { id: 'per-user', per: ['user'], period: 'day', max: 2 },
      { id: 'all', per: [], period: 'month', max: 100 },
      { id: 'watch', per: ['user'], period: 'hour', max: 1, mode: 'shadow' },
    );
    await check({ user: 'ann', cost: 2 });
    const outcome = await check({ user: 'ann', account: 'acme', topic: 'news', channel: 'sms', cost: 2, id: 'm-1' });
    if (outcome.kind !== 'decided') throw new Error(outcome.kind);
    const { messages, next } = await messageLog.page({}, null, 10);
    const { limits, throttled_by, retry_at } = outcome.decision;
    expect(messages).toEqual([
      {
        ...{ id: 'm-1', status: 'THROTTLED', user: 'ann', account: 'acme', topic: 'news', channel: 'sms', cost: 2 },
        logId: expect.stringMatching(/^\d+-\d+$/),
        atMs: expect.any(Number),
        decision: { limits, throttled_by, retry_at },
        recorded: expect.any(Array),
        send: null,
      },
    ]);
    expect(messages[0]!.recorded.map(({ limit, used }) => [limit.id, used])).toEqual(
      limits.map(({ limit_id, used }) => [limit_id, used]),
    );
    expect(throttled_by).toEqual(['per-user']);
    expect(Math.abs(messages[0]!.atMs - Date.now())).toBeLessThan(10_000);
    expect(next).toBeNull();
  });

  test('has a filtered message without limits, and an accepted one only when asked to', async () => {
    await t.limit({ id: 'per-user', per: ['user'], period: 'day', max: 2 });
    await check({ user: 'ann' });
    expect(await messageLog.page({}, null, 10)).toEqual({ messages: [], next: null });
    await t.settings({ log_checks: 'all', require_membership: true });
    await check({ user: 'ann' });
    await check({ user: 'ann', account: 'acme' });
    const { messages } = await messageLog.page({}, null, 10);
    expect(messages.map(({ status, decision }) => ({ status, used: decision.limits.map(({ used }) => used) }))).toEqual(
      [
        { status: 'FILTERED', used: [] },
        { status: 'ACCEPTED', used: [2] },
      ],
    );
    expect(messages.flatMap(({ decision }) => decision.limits).some(({ exceeded }) => exceeded)).toBe(false);
  });

  test('is followed from the newest to the oldest, each message once, while others are written', async () => {
    await blockAll();
    for (let index = 0; index < 25; index += 1) await check({ user: 'ann', id: `m-${index}` });
    const all = Array.from({ length: 25 }, (_, index) => `m-${24 - index}`);
    for (const filter of [{}, { user: 'ann' }, { statuses: ['THROTTLED', 'SENT'] as const, user: 'ann' }]) {
      const seen = await followed(filter, 4, () => check({ user: 'ann', id: 'later' }));
      expect(seen.map(({ id }) => id).filter((id) => id !== 'later')).toEqual(all);
    }
  });

  test('shows what matches all of a filter, on full pages with no empty one behind them', async () => {
    const users = ['ann', 'b:o{b}%'];
    const statuses = ['THROTTLED', 'FILTERED', 'ACCEPTED'];
    await t.settings({ log_checks: 'all', require_membership: true });
    // A message is accepted without an account, throttled on one channel, filtered for an account.
    await t.limit({ id: 'sms', per: [], period: 'day', max: 0, where: { channel: 'sms' } });
    const accountOf = (index: number) => (index % 3 === 1 ? (index % 5 === 0 ? 'acme' : 'other') : null);
    for (let index = 0; index < 60; index += 1) {
      await check({
        id: `m-${index}`,
        user: users[index % 2]!,
        account: accountOf(index),
        channel: index % 3 === 0 ? 'sms' : null,
        topic: index % 4 === 0 ? 'news' : null,
      });
    }
    const expected = (matches: (index: number) => boolean) =>
      Array.from({ length: 60 }, (_, index) => 59 - index)
        .filter(matches)
        .map((index) => `m-${index}`);
    const seen = await followed({}, 7);
    expect(seen.map(({ status }) => status)).toEqual(
      Array.from({ length: 60 }, (_, index) => statuses[(59 - index) % 3]),
    );
    const atMs = (index: number) => seen[59 - index]!.atMs;
    const cases: [MessageFilter, (index: number) => boolean][] = [
      [{ user: 'ann' }, (index) => index % 2 === 0],
      [{ user: 'b:o{b}%' }, (index) => index % 2 === 1],
      [{ account: 'acme' }, (index) => accountOf(index) === 'acme'],
      [{ topic: 'news' }, (index) => index % 4 === 0],
      [{ statuses: ['FILTERED', 'ACCEPTED'] }, (index) => index % 3 !== 0],
      [{ statuses: ['THROTTLED'], user: 'ann', topic: 'news' }, (index) => index % 12 === 0],
      [{ fromMs: atMs(20) }, (index) => atMs(index) >= atMs(20)],
      [{ untilMs: atMs(20) }, (index) => atMs(index) < atMs(20)],
      [
        { fromMs: atMs(10), untilMs: atMs(40), user: 'ann' },
        (i) => i % 2 === 0 && atMs(i) >= atMs(10) && atMs(i) < atMs(40),
      ],
      [{ fromMs: Date.now() + 3_600_000 }, () => false],
      [{ untilMs: 5 }, () => false],
      [{ user: 'ann', event: 'order' }, () => false],
      [{ statuses: [] }, () => false],
      [{ tags: [] }, () => false],
      [{ tags: ['a', 'b'] }, () => false],
      [{ traceId: 'x' }, () => false],
      [{ user: 'nobody' }, () => false],
      [{ user: 'nobody', statuses: ['THROTTLED'] }, () => false],
    ];
    for (const [filter, matches] of cases) {
      expect((await followed(filter, 7)).map(({ id }) => id)).toEqual(expected(matches));
    }
    // Exactly one page of ten: it says that it is the last.
    expect((await messageLog.page({ statuses: ['THROTTLED'], user: 'ann' }, null, 10)).next).toBeNull();
  });

  test('looks at a bounded part of an index per call, says where to go on, and misses nothing', async () => {
    await blockAll();
    const both = { user: 'zoe', topic: 'news' };
    await check({ ...both, id: 'oldest' });
    for (const [user, topic] of [
      ['zoe', 'other'],
      ['other', 'news'],
    ] as const) {
      for (let index = 0; index < LOOK_ROWS + 5; index += 100) {
        await Promise.all(Array.from({ length: 100 }, () => check({ user, topic })));
      }
    }
    await check({ ...both, id: 'newest' });
    const rows = createLogRows(t);
    const groups = [[t.keys.logIndex('u', 'zoe')], [t.keys.logIndex('t', 'news')]];
    await rows.index();
    const first = await rows.page({ groups }, null, 10);
    expect(first.rows).toHaveLength(1);
    expect(first.next).not.toBeNull();
    const second = await rows.page({ groups }, first.next, 10);
    expect(second.rows).toHaveLength(1);
    expect(second.next).toBeNull();
    expect((await followed(both, 10)).map(({ id }) => id)).toEqual(['newest', 'oldest']);
    // Two indexes together, each longer than one look.
    const seen = await followed({ statuses: ['THROTTLED', 'FILTERED'], user: 'zoe' }, 100);
    expect(new Set(seen.map(({ id }) => id)).size).toBe(LOOK_ROWS + 100 + 2);
  });

  test('finds a message by its own id, the last decision of it, and one without an id by the entry', async () => {
    await blockAll();
    await check({ user: 'ann', id: 'm-1', cost: 1 });
    await check({ user: 'ann', id: 'm-1', cost: 2 });
    await check({ user: 'ann', cost: 3 });
    const [first, second, third] = (await t.redis.xrange(t.keys.log, '-', '+')).map(([id]) => id) as string[];
    expect(await messageLog.get('m-1')).toMatchObject({ id: 'm-1', cost: 2 });
    expect(await messageLog.get(third!)).toMatchObject({ id: third, cost: 3, atMs: Number.parseInt(third!, 10) });
    // An earlier decision of an id is found by its entry.
    expect(await messageLog.get(first!)).toMatchObject({ id: 'm-1', logId: first, cost: 1 });
    expect(await messageLog.get(second!)).toMatchObject({ id: 'm-1', logId: second, cost: 2 });
    // Somebody calls a message what looks like an entry.
    await check({ user: 'ann', id: third!, cost: 4 });
    await check({ user: 'ann', id: '5-1', cost: 5 });
    expect(await messageLog.get(third!)).toMatchObject({ id: third, cost: 4 });
    expect(await messageLog.get('5-1')).toMatchObject({ id: '5-1', cost: 5 });
    for (const unknown of ['m-2', '', '5-2', '5-9', '5', '5-', '-', '+', '$', '(5-3', '05-3', `5-${'9'.repeat(20)}`]) {
      expect(await messageLog.get(unknown)).toBeNull();
    }
  });
});

describe('the audit trail', () => {
  const followed = (most: number, meanwhile?: () => Promise<unknown>) =>
    followAll(async (before) => {
      const { changes, more } = await auditTrail.page(before, most);
      return { items: changes, next: more ? changes.at(-1)!.id : null };
    }, meanwhile);

  test('is followed from the newest to the oldest, each change once, while others are made', async () => {
    const apiKeys = createApiKeys({
      ...t,
      scripts: loadScripts(),
      nowMs: () => 0,
      randomBytes: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
    });
    const create = (name: string) => apiKeys.create({ id: 'test', name: null }, 'system', name, ['read']);
    for (let index = 0; index < 9; index += 1) await create(`key ${index}`);
    const seen = await followed(3, () => create('later'));
    expect(seen.map(({ after }) => (after as { name: string }).name)).toEqual(
      Array.from({ length: 9 }, (_, index) => `key ${8 - index}`),
    );
    expect(await auditTrail.get(seen[4]!.id)).toEqual(seen[4]);
    expect(seen[4]).toMatchObject({ type: 'key.created', source: 'system', before: null, actor: { id: 'test' } });
  });

  test('has no change by an id that is none of its own', async () => {
    await t.redis.xadd(t.keys.audit, '5-3', 'actor', '{"id":"a","name":null}', 'before', '', 'after', '{"max":1}');
    expect(await auditTrail.get('5-3')).toMatchObject({ id: '5-3', atMs: 5, before: null, after: { max: 1 } });
    for (const unknown of ['', '5', '5-4', '-', '+', '05-3', '5-03', '5-3 ', '(5-3', '99999999999999999999-0']) {
      expect(await auditTrail.get(unknown)).toBeNull();
    }
  });
});

describe('trimming', () => {
  const ids = async (key: string) => (await t.redis.xrange(key, '-', '+')).map(([id]) => id);
  const trim = (options: Partial<Parameters<typeof trimLogs>[0]> = {}) =>
    trimLogs({ ...t, nowMs: Date.now(), logMaxMessages: 1_000_000, ...options });
  /** Everything that is there because of the log. */
  async function logKeys(): Promise<string[]> {
    const nodes = t.redis instanceof Cluster ? t.redis.nodes('master') : [t.redis];
    const found = await Promise.all(nodes.map((node) => node.keys(`${t.keys.prefix}l*`)));
    return found
      .flat()
      .filter((key) => key.startsWith(t.keys.prefix))
      .sort();
  }

  test('removes what is older than it may be, with all that belongs to it, and nothing else', async () => {
    await blockAll();
    for (const user of ['ann', 'bob', 'cas']) await check({ user, account: 'acme', topic: 'news', id: `to-${user}` });
    const all = await messageLog.page({}, null, 10);
    const logMaxAgeMs = 60_000;
    // All but the newest are too old, by less than they are apart.
    const nowMs = all.messages[0]!.atMs + logMaxAgeMs;
    const old = all.messages.filter(({ atMs }) => atMs < nowMs - logMaxAgeMs);
    expect(await trim({ nowMs, logMaxAgeMs })).toEqual({ log: old.length, audit: 0 });
    expect((await messageLog.page({}, null, 10)).messages).toEqual(all.messages.slice(0, 3 - old.length));
    expect(await trim({ nowMs: nowMs + 1, logMaxAgeMs })).toEqual({ log: 3 - old.length, audit: 0 });
    expect(await trim({ nowMs: nowMs + 1, logMaxAgeMs })).toEqual({ log: 0, audit: 0 });
    for (const filter of [{}, { user: 'ann' }, { account: 'acme' }, { topic: 'news' }]) {
      expect(await messageLog.page(filter, null, 10)).toEqual({ messages: [], next: null });
    }
    for (const user of ['ann', 'bob', 'cas']) expect(await messageLog.get(`to-${user}`)).toBeNull();
    // Empty streams stay, the number that was given out last, and what the limits were, which goes by itself.
    expect(await logKeys()).toEqual([
      `${t.keys.prefix}l:meta`,
      t.keys.logRows,
      expect.stringMatching(/:l:x:[0-9a-f]{20}$/),
      t.keys.log,
    ]);
    expect(await t.redis.xlen(t.keys.log)).toBe(0);
    expect(await t.redis.xlen(t.keys.logRows)).toBe(0);
  });

  test('removes the oldest of more messages than there may be, in more steps than one', async () => {
    await blockAll();
    for (let step = 0; step < 5; step += 1) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => check({ user: 'ann', id: `m-${step}-${index}` })));
    }
    const kept = (await messageLog.page({}, null, 70)).messages;
    expect(await trim({ logMaxMessages: 70 })).toEqual({ log: 430, audit: 0 });
    expect(await messageLog.page({}, null, 100)).toEqual({ messages: kept, next: null });
    expect(await messageLog.page({ user: 'ann' }, null, 100)).toEqual({ messages: kept, next: null });
    await check({ user: 'ann', id: 'one more' });
    expect(await trim({ logMaxMessages: 70 })).toEqual({ log: 1, audit: 0 });
  });

  test('removes nothing that is not yet so old, and makes no stream that was not there', async () => {
    expect(await trim()).toEqual({ log: 0, audit: 0 });
    expect(await logKeys()).toEqual([]);
    await blockAll();
    await check({ user: 'ann' });
    expect(await trim({ nowMs: 1_000 })).toEqual({ log: 0, audit: 0 });
    expect(await trim()).toEqual({ log: 0, audit: 0 });
  });

  test('removes what is older than it may be from the audit trail', async () => {
    const nowMs = 1_000_000;
    for (const id of ['899999-0', '900000-0']) await t.redis.xadd(t.keys.audit, id, 'type', 'x');
    expect(await trim({ nowMs, auditMaxAgeMs: 100_000 })).toEqual({ log: 0, audit: 1 });
    expect(await ids(t.keys.audit)).toEqual(['900000-0']);
    expect(await trim({ nowMs, auditMaxAgeMs: 100_000 })).toEqual({ log: 0, audit: 0 });
  });
});
