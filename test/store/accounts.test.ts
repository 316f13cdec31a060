import fc from 'fast-check';
import { createAccountSettings } from '../../src/membership/account-settings';
import type { Account } from '../../src/membership/accounts';
import { ACTOR, fieldsOf, openMembership, readAll, type TestMembership } from '../support/members';
import { sharedRedisUrl } from '../support/redis';

let t: TestMembership;
beforeEach(() => {
  t = openMembership(sharedRedisUrl());
});
afterEach(() => t.close());

const put = (id: string, fields: Partial<Account['fields']> = {}) => t.accounts.put(id, fieldsOf(fields), ACTOR, 'api');
const remove = (id: string) => t.accounts.remove(id, ACTOR, 'api');
const ids = (accounts: readonly Account[]) => accounts.map((account) => account.id);
const FIRST = { after: null, limit: 100 };
/** What the decision's script compares and hands out. */
const known = (id: string) => t.redis.hmget(t.keys.account(id), 'revision', 'json');

describe('an account', () => {
  test('is kept as it was put, and replaced as a whole', async () => {
    const fields = fieldsOf({
      name: 'Acme',
      timezone: 'America/New_York',
      billing_anchor: '2024-01-31T15:00:00',
      billing_months: 3,
      properties: JSON.parse('{"__proto__":{"admin":true},"é😀":[1,null]}'),
      parent_tenant_id: 'holding',
    });
    const { account } = await t.accounts.put('acme', fields, ACTOR, 'api');
    expect(JSON.stringify(await t.accounts.find('acme'))).toBe(JSON.stringify(account));
    expect(JSON.stringify(account.fields)).toBe(JSON.stringify(fields));

    await put('acme', { name: 'Acme Inc' });
    expect((await t.accounts.find('acme'))?.fields).toEqual(fieldsOf({ name: 'Acme Inc' }));
  });

  test('keeps the time of its creation, and that of its last change, by the clock of Redis', async () => {
    const [seconds] = await t.redis.time();
    const { account: created } = await put('acme', { name: 'A' });
    const { account: changed } = await put('acme', { name: 'B' });
    const { account: same } = await put('acme', { name: 'B' });
    expect(created.createdMs).toBe(created.updatedMs);
    expect(created.createdMs).toBeGreaterThanOrEqual(Number(seconds) * 1_000);
    expect(changed.createdMs).toBe(created.createdMs);
    expect(changed.updatedMs).toBeGreaterThanOrEqual(created.updatedMs);
    expect(same).toEqual(changed);
    await remove('acme');
    const { account: again } = await put('acme', { name: 'A' });
    expect(again.createdMs).toBe(again.updatedMs);
  });

  test('that is not there is none, and can be removed without harm', async () => {
    expect(await t.accounts.find('acme')).toBeNull();
    await remove('acme');
    expect(await t.audit()).toEqual([]);
    expect(await t.redis.exists(t.keys.accountRevision)).toBe(0);
  });

  test('leaves nothing in Redis when it goes but the last revision and its events', async () => {
    await put('acme', { parent_tenant_id: 'holding' });
    await remove('acme');
    const { keys } = t;
    expect(await t.redis.exists(keys.accounts, keys.accountChildren, keys.account('acme'))).toBe(0);
  });

  test('keeps its members when its settings go', async () => {
    await t.members.add('ann', [{ accountId: 'acme' }], ACTOR, 'api');
    await put('acme');
    await remove('acme');
    expect(await t.members.find('ann', 'acme')).not.toBeNull();
  });
});

describe('a revision of account settings', () => {
  test('is higher with every change, in all accounts, and is never given out twice', async () => {
    const given: number[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      given.push((await put('acme', { name: `${turn}` })).current.revision);
      given.push((await put('bolt', { name: `${turn}` })).current.revision);
      if (turn % 2 === 0) await remove('acme');
    }
    expect(given).toEqual([...new Set(given)].sort((a, b) => a - b));
  });

  test('stays when nothing changes', async () => {
    const { current } = await put('acme', { name: 'A' });
    expect((await put('acme', { name: 'A' })).current).toEqual(current);
  });

  test('is not given out again by a Redis that lost its data or came back from a backup', async () => {
    const { current } = await put('acme', { name: 'A' });
    await t.redis.del(t.keys.accountRevision, t.keys.account('acme'), t.keys.accounts);
    // Not within the millisecond: the first revision is the time of the first change.
    await put('bolt', { name: 'B' });
    const { current: later } = await put('acme', { name: 'C' });
    expect(later.revision).toBeGreaterThan(current.revision);
  });

  test('stands in Redis beside the calendar, where the script of a decision reads it', async () => {
    const { current } = await put('acme', {
      name: 'A',
      timezone: 'Asia/Tokyo',
      properties: { big: 'x'.repeat(1_000) },
    });
    expect(await known('acme')).toEqual([String(current.revision), current.json]);
    expect(JSON.parse(current.json)).toEqual({ timezone: 'Asia/Tokyo', billing_anchor: null, billing_months: null });
    await remove('acme');
    expect(await known('acme')).toEqual([null, null]);
  });
});

describe('the list of accounts', () => {
  test('has those with settings, in order, and those of one parent', async () => {
    await t.members.add('ann', [{ accountId: 'without-settings' }], ACTOR, 'api');
    await put('c', { parent_tenant_id: 'p' });
    await put('a', { parent_tenant_id: 'p' });
    await put('b', { parent_tenant_id: 'pp' });
    await put('d');
    expect(ids((await t.accounts.list(FIRST)).items)).toEqual(['a', 'b', 'c', 'd']);
    expect(ids((await t.accounts.list(FIRST, 'p')).items)).toEqual(['a', 'c']);
    await put('c', { parent_tenant_id: 'pp' });
    await remove('a');
    expect(ids((await t.accounts.list(FIRST, 'p')).items)).toEqual([]);
    expect(ids((await t.accounts.list(FIRST, 'pp')).items)).toEqual(['b', 'c']);
  });

  test.each([{ parent: undefined }, { parent: 'p' }])(
    'neither skips nor repeats an account while others come and go (parent: $parent)',
    async ({ parent }) => {
      const fields = parent === undefined ? {} : { parent_tenant_id: parent };
      const staying = Array.from({ length: 20 }, (_, index) => `account-${index}`);
      for (const id of staying) await put(id, fields);
      await put('stranger', { parent_tenant_id: 'q' });
      let turn = 0;
      const listed = await readAll(
        (after) => t.accounts.list({ after, limit: 3 }, parent),
        async () => {
          for (let n = 0; n < 4; n += 1, turn += 1) {
            await put(`account-${turn}-new`, fields);
            if (turn % 2 === 1) await remove(`account-${turn - 1}-new`);
          }
        },
      );
      const found = ids(listed);
      expect(new Set(found).size).toBe(found.length);
      expect(found.filter((id) => staying.includes(id)).sort()).toEqual([...staying].sort());
      expect(found.includes('stranger')).toBe(parent === undefined);
    },
  );

  test('agrees with a plain model after any puts and removals', async () => {
    const names = ['acme', 'a:b', 'a%3Ab', '{x}', 'é😀', 'p', 'pp'];
    const id = fc.constantFrom(...names);
    const step = fc.record({ id, parent: fc.option(fc.constantFrom('p', 'pp', 'a:b', '{x}')), gone: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.integer({ min: 1, max: 3 }), async (steps, limit) => {
        const run = openMembership(sharedRedisUrl());
        try {
          const model = new Map<string, string | null>();
          for (const { id, parent, gone } of steps) {
            if (gone) {
              model.delete(id);
              await run.accounts.remove(id, ACTOR, 'api');
            } else {
              model.set(id, parent);
              await run.accounts.put(id, fieldsOf({ parent_tenant_id: parent }), ACTOR, 'api');
            }
          }
          const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
          const all = await readAll((after) => run.accounts.list({ after, limit }));
          expect(ids(all)).toEqual([...model.keys()].sort(byBytes));
          for (const parent of ['p', 'pp', 'a:b', '{x}']) {
            const children = await readAll((after) => run.accounts.list({ after, limit }, parent));
            const wanted = [...model].filter(([, of]) => of === parent).map(([child]) => child);
            expect(ids(children)).toEqual(wanted.sort(byBytes));
          }
        } finally {
          run.close();
        }
      }),
      { numRuns: 30 },
    );
  });
});

test('the audit trail has what an account was before and after, and nothing when it stayed the same', async () => {
  await put('acme', { name: 'A' });
  await put('acme', { name: 'A' });
  await put('acme', { name: 'B', timezone: 'Asia/Tokyo' });
  await remove('acme');
  await remove('acme');
  const by = { target: 'account:acme', actor: ACTOR, source: 'api' };
  const [first, second] = [fieldsOf({ name: 'A' }), fieldsOf({ name: 'B', timezone: 'Asia/Tokyo' })];
  expect(await t.audit()).toEqual([
    { type: 'account.created', before: null, after: first, ...by },
    { type: 'account.updated', before: first, after: second, ...by },
    { type: 'account.deleted', before: second, after: null, ...by },
  ]);
});

describe('what a process knows of account settings', () => {
  const TOKYO = '{"timezone":"Asia/Tokyo","billing_anchor":null,"billing_months":null}';
  const ROME = '{"timezone":"Europe/Rome","billing_anchor":"2024-01-31T15:00:00","billing_months":3}';

  test('is what it learned last, be the revision higher or lower', () => {
    const settings = createAccountSettings({ capacity: 10 });
    expect(settings.known('acme')).toBeUndefined();
    settings.learn('acme', 5, TOKYO);
    expect(settings.known('acme')).toEqual({ revision: 5, calendar: JSON.parse(TOKYO) });
    settings.learn('acme', 3, ROME);
    expect(settings.known('acme')).toEqual({ revision: 3, calendar: JSON.parse(ROME) });
  });

  test('is nothing for an account that has none any more', () => {
    const settings = createAccountSettings({ capacity: 10 });
    settings.learn('acme', 5, TOKYO);
    settings.learn('acme', 0, '');
    expect(settings.known('acme')).toBeUndefined();
  });

  test('is bounded: the account that was not used for longest is forgotten', () => {
    const settings = createAccountSettings({ capacity: 2 });
    settings.learn('a', 1, TOKYO);
    settings.learn('b', 2, TOKYO);
    settings.known('a');
    settings.learn('c', 3, TOKYO);
    expect(['a', 'b', 'c'].filter((id) => settings.known(id) !== undefined)).toEqual(['a', 'c']);
  });
});
