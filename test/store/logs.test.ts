import { createApiKeys } from '../../src/access/api-keys';
import { type AuditTrail, createAuditTrail } from '../../src/log/audit';
import {
  createMessageLog,
  type LoggedMessage,
  type MessageFilter,
  type MessageLog,
  SCAN_MAX_ENTRIES,
} from '../../src/log/messages';
import { trimByAge } from '../../src/log/trim';
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

/** Writes entries as lua/take.lua does, without deciding anything. */
async function writeEntries(entries: { id?: string; fields?: Record<string, string> }[]): Promise<void> {
  const pipeline = t.redis.pipeline();
  for (const { id = '*', fields = {} } of entries) {
    const all = {
      ...{ status: 'THROTTLED', id: '', user: 'ann', account: '', topic: '', channel: '', cost: '1' },
      ...{ limits: '[]', used: '' },
      ...fields,
    };
    pipeline.xadd(t.keys.log, id, ...Object.entries(all).flat());
  }
  for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
}

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
  const check = (message: Parameters<typeof messageTo>[1] & { user: string; id?: string; cost?: number }) => {
    const { user, id = null, cost = 1, ...rest } = message;
    return t.gate.check({ message: messageTo(user, rest), messageId: id, cost, dry: false, atMs: null });
  };
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
        atMs: expect.any(Number),
        decision: { limits, throttled_by, retry_at },
      },
    ]);
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

  test('is followed from the newest to the oldest, each entry once, while others are written', async () => {
    await writeEntries(Array.from({ length: 25 }, (_, index) => ({ fields: { id: `m-${index}` } })));
    const seen = await followed({}, 4, () => writeEntries([{ fields: { id: 'later' } }]));
    expect(seen.map(({ id }) => id)).toEqual(Array.from({ length: 25 }, (_, index) => `m-${24 - index}`));
  });

  test('shows what matches all of a filter, on full pages with no empty one behind them', async () => {
    const users = ['ann', 'bob'];
    const statuses = ['THROTTLED', 'FILTERED', 'ACCEPTED'];
    await writeEntries(
      Array.from({ length: 60 }, (_, index) => ({
        fields: {
          id: `m-${index}`,
          user: users[index % 2]!,
          status: statuses[index % 3]!,
          account: index % 5 === 0 ? 'acme' : '',
          topic: index % 4 === 0 ? 'news' : '',
        },
      })),
    );
    const expected = (matches: (index: number) => boolean) =>
      Array.from({ length: 60 }, (_, index) => 59 - index)
        .filter(matches)
        .map((index) => `m-${index}`);
    const cases: [MessageFilter, (index: number) => boolean][] = [
      [{ user: 'ann' }, (index) => index % 2 === 0],
      [{ account: 'acme' }, (index) => index % 5 === 0],
      [{ topic: 'news' }, (index) => index % 4 === 0],
      [{ statuses: ['FILTERED', 'ACCEPTED'] }, (index) => index % 3 !== 0],
      [{ statuses: ['THROTTLED'], user: 'ann', account: 'acme' }, (index) => index % 30 === 0],
      [{ statuses: [] }, () => false],
      [{ user: 'nobody' }, () => false],
    ];
    for (const [filter, matches] of cases) {
      expect((await followed(filter, 7)).map(({ id }) => id)).toEqual(expected(matches));
    }
    // Exactly one page of ten: it says that it is the last.
    expect((await messageLog.page({ statuses: ['THROTTLED'], user: 'ann' }, null, 10)).next).toBeNull();
  });

  test('looks at a bounded part of itself per call, says where to go on, and misses nothing', async () => {
    await writeEntries([{ fields: { id: 'oldest', user: 'zoe' } }]);
    await writeEntries(Array.from({ length: SCAN_MAX_ENTRIES }, () => ({})));
    await writeEntries([{ fields: { id: 'newest', user: 'zoe' } }]);
    const first = await messageLog.page({ user: 'zoe' }, null, 10);
    expect(first.messages.map(({ id }) => id)).toEqual(['newest']);
    expect(first.next).not.toBeNull();
    const second = await messageLog.page({ user: 'zoe' }, first.next, 10);
    expect(second.messages.map(({ id }) => id)).toEqual(['oldest']);
    expect(second.next).toBeNull();
    expect((await messageLog.get('newest'))?.id).toBe('newest');
    expect(await messageLog.get('oldest')).toBeNull();
  });

  test('finds a message by its own id, the last decision of it, and one without an id by the entry', async () => {
    await writeEntries([
      { id: '5-1', fields: { id: 'm-1', cost: '1' } },
      { id: '5-2', fields: { id: 'm-1', cost: '2' } },
      { id: '5-3' },
      // Somebody calls a message what looks like an entry.
      { id: '5-4', fields: { id: '5-1', cost: '4' } },
      { id: '5-5', fields: { id: '5-3', cost: '5' } },
    ]);
    expect(await messageLog.get('m-1')).toMatchObject({ id: 'm-1', cost: 2 });
    expect(await messageLog.get('5-1')).toMatchObject({ id: '5-1', cost: 4 });
    expect(await messageLog.get('5-3')).toMatchObject({ id: '5-3', cost: 1, atMs: 5 });
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

describe('trimming by age', () => {
  const ids = async (key: string) => (await t.redis.xrange(key, '-', '+')).map(([id]) => id);

  test('removes all that is older, even of a quiet workspace, and nothing else', async () => {
    const nowMs = 1_000_000;
    await writeEntries([{ id: '799999-0' }, { id: '799999-7' }, { id: '800000-0' }, { id: '1000000-0' }]);
    for (const id of ['899999-0', '900000-0']) await t.redis.xadd(t.keys.audit, id, 'type', 'x');
    const trim = () => trimByAge({ ...t, nowMs, logMaxAgeMs: 200_000, auditMaxAgeMs: 100_000 });
    expect(await trim()).toEqual({ log: 2, audit: 1 });
    expect(await ids(t.keys.log)).toEqual(['800000-0', '1000000-0']);
    expect(await ids(t.keys.audit)).toEqual(['900000-0']);
    expect(await trim()).toEqual({ log: 0, audit: 0 });
  });

  test('removes more than one command may, and makes no stream that was not there', async () => {
    await writeEntries(Array.from({ length: 12_345 }, (_, index) => ({ id: `${index + 1}-0` })));
    expect(await trimByAge({ ...t, nowMs: 1_012_340, logMaxAgeMs: 1_000_000 })).toEqual({ log: 12_339, audit: 0 });
    expect((await ids(t.keys.log))[0]).toBe('12340-0');
    expect(await t.redis.exists(t.keys.audit)).toBe(0);
  });

  test('removes nothing that is not yet so old, also when less time than that has ever passed', async () => {
    await writeEntries([{ id: '1-0' }]);
    expect(await trimByAge({ ...t, nowMs: 1_000 })).toEqual({ log: 0, audit: 0 });
  });
});
