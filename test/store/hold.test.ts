import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';
import {
  deferring,
  openTestDelivery,
  startTestSends,
  type TestDelivery,
  type TestSends,
  until,
} from '../support/sends';

const ACTOR = { id: 'test', name: null };

let t: TestSends;
const opened: TestDelivery[] = [];
beforeEach(async () => {
  t = await startTestSends({ url: sharedRedisUrl(), workspace: uniqueWorkspace() });
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((process) => process.stop()));
  t.close();
});

async function hold(options: { holdMaxMs?: number } = {}): Promise<TestDelivery> {
  const process = await openTestDelivery({ url: sharedRedisUrl(), workspace: t.keys.workspace });
  opened.push(process);
  process.hold(options);
  return process;
}

const perUser = (max: number) => t.limit(deferring({ id: 'user', per: ['user'], period: 'day', max }));
const statuses = (ids: readonly string[]) => Promise.all(ids.map((id) => t.status(id)));
const sendMany = async (count: number, user = 'ann') => {
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) ids.push(await t.send({ user }));
  return ids;
};
const counts = async (ids: readonly string[]) => {
  const all = await statuses(ids);
  return Object.fromEntries(
    [...new Set(all)].sort().map((status) => [status, all.filter((one) => one === status).length]),
  );
};
/** What is held for nobody any more is not looked after any more either. */
const nobodyIsHeld = async () => (await t.redis.zcard(t.keys.holds)) === 0;

describe('a message that its sender delays', () => {
  test('counts nothing until it is due, and is decided then, by what is in force then', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 1 });
    const dueMs = Date.now() + 600;
    const [first, second] = [
      await t.send({ user: 'ann' }, { due: { atMs: dueMs } }),
      await t.send({ user: 'ann' }, { due: { atMs: dueMs + 1 } }),
    ];
    const later = await t.send({ user: 'ann' }, { due: { atMs: Date.now() + 3_600_000 } });
    expect(await t.message(first)).toMatchObject({ status: 'DELAYED', send: { dueMs, counts: null } });
    expect(await t.used('ann')).toEqual({ user: 0 });
    await hold();
    await until(async () => (await t.status(second)) !== 'DELAYED');
    expect(await statuses([first, second, later])).toEqual(['ENQUEUED', 'THROTTLED', 'DELAYED']);
    expect((await t.message(first)).send!.decidedMs).toBeGreaterThanOrEqual(dueMs);
    expect((await t.message(first)).send!.dueMs).toBeNull();
    expect(await t.redis.zrange(t.keys.due, '0', '-1')).toEqual([later]);
  });
});

describe('a message that there is no room for, under a limit that defers', () => {
  test('is held, counts nothing, and says until when', async () => {
    await perUser(1);
    const [, id] = await sendMany(2);
    expect(await t.message(id!)).toMatchObject({
      status: 'DELAYED',
      decision: { throttled_by: ['user'], retry_at: expect.any(String) },
      send: { heldSinceMs: expect.any(Number), counts: null },
    });
    expect(await t.used('ann')).toEqual({ user: 1 });
    // A check is not held: its caller waits for an answer.
    const check = { messageId: null, cost: 1, dry: false, atMs: null };
    expect(
      await t.gate.check({ ...check, message: { user: 'ann', account: null, topic: null, channel: null } }),
    ).toMatchObject({ decision: { decision: 'throttled' } });
  });

  test('goes when its limit is raised: the oldest first, and never more than there is room', async () => {
    await perUser(1);
    const [, ...held] = await sendMany(11);
    await hold();
    await perUser(4);
    await until(async () => (await t.used('ann')).user === 4);
    expect(await statuses(held)).toEqual([...Array(3).fill('ENQUEUED'), ...Array(7).fill('DELAYED')]);
    await perUser(8);
    await until(async () => (await t.used('ann')).user === 8);
    expect(await statuses(held)).toEqual([...Array(7).fill('ENQUEUED'), ...Array(3).fill('DELAYED')]);
    await t.remove('user');
    await until(async () => (await counts(held)).ENQUEUED === 10);
    await until(nobodyIsHeld);
  });

  test('goes when something is given back, one for each, also while others hold', async () => {
    await perUser(2);
    const [first, second, ...held] = await sendMany(5);
    await Promise.all([hold(), hold()]);
    await t.actions.cancel(first!, ACTOR);
    await until(async () => (await t.status(held[0]!)) === 'ENQUEUED');
    expect(await statuses(held)).toEqual(['ENQUEUED', 'DELAYED', 'DELAYED']);
    await t.store.finish(second!, 1, (await t.store.begin(second!, 1))!, {
      ...{ kind: 'failed', detail: {}, error: 'x', reason: 'FAILED', refund: true },
    });
    await until(async () => (await t.status(held[1]!)) === 'ENQUEUED');
    expect(await statuses(held)).toEqual(['ENQUEUED', 'ENQUEUED', 'DELAYED']);
    expect(await t.used('ann')).toEqual({ user: 2 });
    await t.gate.reset({ user: 'ann' }, 'day', ACTOR, 'api');
    await until(async () => (await t.status(held[2]!)) === 'ENQUEUED');
  });

  test('goes when a check that had used the room is released', async () => {
    await perUser(1);
    const message = { user: 'ann', account: null, topic: null, channel: null };
    await t.gate.check({ message, messageId: 'c-1', cost: 1, dry: false, atMs: null });
    const id = await t.send({ user: 'ann' });
    await hold();
    await t.gate.release('c-1');
    await until(async () => (await t.status(id)) === 'ENQUEUED');
  });

  test('held by two counters waits for both, and holds up nobody in the one that has room', async () => {
    await t.limit(
      deferring({ id: 'user', per: ['user'], period: 'day', max: 1 }),
      deferring({ id: 'topic', per: ['topic'], period: 'day', max: 1 }),
    );
    const news = await t.send({ user: 'bob' }, { topic: 'news' });
    await t.send({ user: 'ann' });
    const both = await t.send({ user: 'ann' }, { topic: 'news' });
    const behind = await t.send({ user: 'cas' }, { topic: 'news' });
    expect(await statuses([both, behind])).toEqual(['DELAYED', 'DELAYED']);
    expect((await t.message(both)).decision.throttled_by.sort()).toEqual(['topic', 'user']);
    await hold();
    await t.actions.cancel(news, ACTOR);
    await until(async () => (await t.status(behind)) === 'ENQUEUED');
    expect(await t.status(both)).toBe('DELAYED');
    await t.limit(deferring({ id: 'topic', per: ['topic'], period: 'day', max: 5 }));
    await until(async () => (await t.message(both)).decision.throttled_by.join() === 'user');
    expect(await t.status(both)).toBe('DELAYED');
    await perUser(2);
    await until(async () => (await t.status(both)) === 'ENQUEUED');
    await until(nobodyIsHeld);
  });

  test('is throttled when a limit that throttles has no room either, or it can never fit', async () => {
    await t.limit(deferring({ id: 'user', per: ['user'], period: 'day', max: 1 }), {
      id: 'all',
      per: [],
      period: 'day',
      max: 1,
    });
    const ids = await sendMany(2);
    expect(await statuses(ids)).toEqual(['ENQUEUED', 'THROTTLED']);
    await t.remove('all');
    await t.limit(deferring({ id: 'user', per: ['user'], period: 'day', max: 0 }));
    expect(await statuses(await sendMany(1, 'bob'))).toEqual(['THROTTLED']);
    await t.remove('user');
  });

  test('that has waited for as long as any may is throttled', async () => {
    const own = await startTestSends({ url: sharedRedisUrl(), workspace: uniqueWorkspace(), holdMaxMs: 300 });
    await own.limit(deferring({ id: 'user', per: ['user'], period: 'day', max: 1 }));
    await own.send({ user: 'ann' });
    const id = await own.send({ user: 'ann' });
    expect(await own.status(id)).toBe('DELAYED');
    const process = await openTestDelivery({ url: sharedRedisUrl(), workspace: own.keys.workspace });
    opened.push(process);
    process.hold({ holdMaxMs: 300 });
    await until(async () => (await own.status(id)) === 'THROTTLED');
    const { send, decision } = await own.message(id);
    expect(send!.decidedMs! - (await own.message(id)).atMs).toBeGreaterThanOrEqual(300);
    expect(decision.throttled_by).toEqual(['user']);
    await until(async () => (await own.redis.zcard(own.keys.holds)) === 0);
    own.close();
  });

  test('is decided in the next window, the oldest first, when the present one ends', async () => {
    // A window that ends soon: the hour of a zone in which it does, as Redis's clock has it.
    await perUser(1);
    const [, ...held] = await sendMany(4);
    const [counter] = await t.redis.zrange(t.keys.holds, '0', '-1');
    // As if the window had ended: the counter of another day has no room either, and is the present one's.
    const nextMs = Date.now() - 1;
    const ended = counter!.replace(
      /:[0-9a-z]+:[0-9a-z]+:/,
      `:${(nextMs - 1_000).toString(36)}:${nextMs.toString(36)}:`,
    );
    await t.redis.rename(t.keys.held(counter!), t.keys.held(ended));
    await t.redis.zrem(t.keys.holds, counter!);
    await t.redis.zadd(t.keys.holds, nextMs, ended);
    for (const id of held) await t.redis.hset(t.keys.send(id), 'hb', ended);
    await hold();
    // They are held by the present window's counter now, in the same order.
    await until(async () => (await t.redis.zscore(t.keys.holds, ended)) === null);
    await perUser(3);
    await until(async () => (await t.used('ann')).user === 3);
    expect(await statuses(held)).toEqual(['ENQUEUED', 'ENQUEUED', 'DELAYED']);
  });

  test('is decided once, however many processes look after those that wait, and also when one of them dies', async () => {
    await t.limit(deferring({ id: 'all', per: [], period: 'day', max: 10 }));
    const ids = await sendMany(200);
    const [first] = await Promise.all([hold(), hold(), hold()]);
    for (let max = 30; max <= 150; max += 30) {
      await t.limit(deferring({ id: 'all', per: [], period: 'day', max }));
      await until(async () => (await t.used('ann')).all === max);
      if (max === 60) await first!.stop();
      expect(await counts(ids)).toEqual({ DELAYED: 200 - max, ENQUEUED: max });
      expect((await statuses(ids)).slice(0, max).every((status) => status === 'ENQUEUED')).toBe(true);
    }
    expect(await t.outbox()).toHaveLength(150);
  });
});
