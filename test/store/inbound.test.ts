import { randomBytes } from 'node:crypto';
import { type ApplyEvents, createApplyEvents } from '../../src/inbound/apply';
import { type InboundEvent, readEvent } from '../../src/inbound/events';
import { createMappings } from '../../src/inbound/mappings';
import { createAccounts } from '../../src/membership/accounts';
import { createProfiles } from '../../src/membership/profiles';
import type { AcceptSend } from '../../src/sends/accept';
import { loadScripts } from '../../src/store/scripts';
import { ACTOR } from '../support/members';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';
import { startTestSends, type TestSends } from '../support/sends';

let t: TestSends;
beforeEach(async () => {
  t = await startTestSends({ url: sharedRedisUrl(), workspace: uniqueWorkspace() });
});
afterEach(() => t.close());

interface ApplyParts {
  acceptSend?: AcceptSend;
  monotonicMs?: () => number;
}

function applyWith({ acceptSend = t.accept, monotonicMs = () => performance.now() }: ApplyParts = {}): ApplyEvents {
  const { redis, keys } = t;
  const scripts = loadScripts();
  return createApplyEvents({
    ...{ redis, keys, scripts, acceptSend, monotonicMs, randomBytes },
    ...{ mappings: createMappings({ redis, keys, scripts }), provider: 'log', idempotencyTtlMs: 1_000 },
  });
}
const apply = (events: readonly InboundEvent[], parts?: ApplyParts) => applyWith(parts)(events, ACTOR);

function event(fields: object): InboundEvent {
  const read = readEvent({ userId: 'ann', ...fields });
  if ('problems' in read) throw new Error(JSON.stringify(read.problems));
  return read;
}
const map = (...mappings: { event: string; recipient?: string }[]) =>
  createMappings({ redis: t.redis, keys: t.keys, scripts: loadScripts() }).write(mappings, ACTOR);
const orders = (count: number) =>
  Array.from({ length: count }, (_, index) => event({ type: 'track', event: 'Order', messageId: `o-${index}` }));
const done = (count: number) => ({
  kind: 'applied',
  outcomes: Array(count).fill(expect.objectContaining({ kind: 'done' })),
});

test('a batch that was cut off in the middle goes on where it stopped when it is brought again', async () => {
  await map({ event: 'Order' });
  const batch = [
    event({ type: 'identify', traits: { visits: 1 }, messageId: 'i-1' }),
    event({ type: 'group', groupId: 'acme', traits: { seats: 1 }, messageId: 'g-1' }),
    ...orders(600),
  ];
  let left = 300;
  const cutOff: AcceptSend = async (request) => {
    left -= 1;
    return left < 0 ? { kind: 'unavailable' } : t.accept(request);
  };
  expect(await apply(batch, { acceptSend: cutOff })).toEqual({ kind: 'unavailable' });
  const before = (await t.outbox()).length;
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan(600);
  expect(await apply(batch)).toEqual(done(602));
  expect(new Set((await t.outbox()).map(({ id }) => id)).size).toBe(600);
  expect(await t.outbox()).toHaveLength(600);
});

test('what takes too long for its sender is given up between two steps, and each attempt gets further', async () => {
  await map({ event: 'Order' });
  const batch = orders(1_000);
  let nowMs = 0;
  // A clock on which each look takes a second.
  const monotonicMs = () => {
    nowMs += 1_000;
    return nowMs;
  };
  const slow: AcceptSend = async (request) => t.accept(request);
  const first = await apply([...batch, ...batch, ...batch], { acceptSend: slow, monotonicMs });
  expect(first).toEqual({ kind: 'unavailable' });
  const taken = (await t.outbox()).length;
  expect(taken).toBeGreaterThan(0);
  expect(await apply(batch)).toEqual(done(1_000));
  expect(await t.outbox()).toHaveLength(1_000);
});

test('an account that others change meanwhile keeps their change and gets its own', async () => {
  const accounts = createAccounts({ redis: t.redis, keys: t.keys, scripts: loadScripts() });
  // A Cluster's node is connected to by the first command, which the second one would not wait for.
  expect(await accounts.find('acme')).toBeNull();
  const groups = (name: string) =>
    Array.from({ length: 120 }, (_, index) =>
      event({ type: 'group', userId: `${name}-${index}`, groupId: 'acme', traits: { [name]: index } }),
    );
  expect(await Promise.all(['a', 'b', 'c', 'd'].map((name) => apply(groups(name))))).toEqual(Array(4).fill(done(120)));
  expect((await accounts.find('acme'))?.fields.properties).toEqual({ a: 119, b: 119, c: 119, d: 119 });
  expect(await t.members.countUsersOf('acme')).toBe(480);
});

test('the calendar and the other settings of an account stay as they are', async () => {
  const accounts = createAccounts({ redis: t.redis, keys: t.keys, scripts: loadScripts() });
  const fields = {
    ...{ name: 'Acme', timezone: 'Asia/Tokyo', billing_anchor: null, billing_months: 3, user_profile: { a: 1 } },
    ...{
      properties: { plan: 'gold', old: true },
      brand_id: 'b',
      parent_tenant_id: 'holding',
      default_preferences: null,
    },
  };
  await accounts.put('acme', fields, ACTOR, 'api');
  await apply([event({ type: 'group', groupId: 'acme', traits: { plan: 'silver', old: null, seats: 7 } })]);
  expect((await accounts.find('acme'))?.fields).toEqual({ ...fields, properties: { plan: 'silver', seats: 7 } });
  expect((await accounts.list({ after: null, limit: 10 }, 'holding')).items.map(({ id }) => id)).toEqual(['acme']);
});

test('of a repeated id in one call only the first is done, also when another about its account comes between', async () => {
  const accounts = createAccounts({ redis: t.redis, keys: t.keys, scripts: loadScripts() });
  const group = (messageId: string, traits: object) => event({ type: 'group', groupId: 'acme', messageId, traits });
  const batch = [group('a', { n: 1 }), group('b', { n: 2 }), group('a', { n: 3 }), group('c', { m: 4 })];
  expect(await apply(batch)).toEqual(done(4));
  expect((await accounts.find('acme'))?.fields.properties).toEqual({ n: 2, m: 4 });
});

test('what an event leaves in Redis beside profiles, accounts and members is gone by itself or with the log', async () => {
  await apply([
    event({ type: 'identify', messageId: 'a', traits: { email: 'a@example.com' } }),
    event({ type: 'track', event: 'Looked', messageId: 'b' }),
    event({ type: 'page', messageId: 'c' }),
  ]);
  const { redis, keys } = t;
  expect(await createProfiles({ redis, keys, scripts: loadScripts() }).read('ann')).toEqual({ email: 'a@example.com' });
  // Each node has its own keys, and all of a workspace are on one.
  const notes = ['a', 'b'].map((id) => redis.exists(keys.send(id)));
  expect(await Promise.all(notes)).toEqual([0, 1]);
  expect((await t.messageLog.page({ statuses: ['UNMAPPED'] }, null, 10)).messages).toMatchObject([
    { id: 'b', status: 'UNMAPPED', user: 'ann', send: { event: 'Looked', decidedMs: null, counts: null } },
  ]);
});
