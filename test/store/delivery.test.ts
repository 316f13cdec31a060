import { Queue } from 'bullmq';
import { createProcessAttempt } from '../../src/sends/process';
import type { Delivery, DeliveryOutcome, Provider } from '../../src/sends/providers/provider';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';
import { openTestDelivery, startTestSends, type TestDelivery, type TestSends, until } from '../support/sends';

const sent: DeliveryOutcome = { kind: 'sent', reference: null, response: null };

let t: TestSends;
const opened: TestDelivery[] = [];
beforeEach(async () => {
  t = await startTestSends({ url: sharedRedisUrl(), workspace: uniqueWorkspace() });
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((process) => process.stop()));
  t.close();
});

async function open(options: { keepJobs?: number } = {}): Promise<TestDelivery> {
  const opening = await openTestDelivery({ url: sharedRedisUrl(), workspace: t.keys.workspace, ...options });
  opened.push(opening);
  return opening;
}

/** A provider that writes down what it is given. */
function recorder(
  outcomeOf: (delivery: Delivery, times: number) => DeliveryOutcome | Promise<DeliveryOutcome> = () => sent,
) {
  const times = new Map<string, number>();
  const deliveries: Delivery[] = [];
  return {
    times,
    deliveries,
    deliver: async (delivery: Delivery) => {
      const count = (times.get(delivery.messageId) ?? 0) + 1;
      times.set(delivery.messageId, count);
      deliveries.push(delivery);
      return outcomeOf(delivery, count);
    },
  };
}

const outboxLength = () => t.redis.xlen(t.keys.outbox('log'));
const has = (id: string, status: string) => async () => (await t.status(id)) === status;

describe('the relay and the workers', () => {
  test.each(['m:1', 'a%3A1', '{x}:é😀', '7', '…'.repeat(256)])(
    'deliver a message whose sender has given it the id %j under that id, once',
    async (requestId) => {
      const process = await open();
      const provider = recorder();
      process.relay();
      process.workers(provider);
      for (let times = 0; times < 2; times += 1) expect(await t.send({ user: 'ann' }, { requestId })).toBe(requestId);
      await until(has(requestId, 'SENT'));
      expect([...provider.times]).toEqual([[requestId, 1]]);
      expect(await outboxLength()).toBe(0);
    },
  );

  test('deliver what was accepted, with all that it was handed over with, and nothing else', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 1 });
    const to = { user_id: 'ann', email: 'ann@example.com', data: { name: 'Ann' } };
    const payload = { template: 'x', content: { body: 'hi' }, data: { n: 1 }, metadata: { tags: ['a'] } };
    const id = await t.send({ user: 'ann', account: 'acme', to }, { topic: 'news', channel: 'email', payload });
    await t.send({ user: 'ann' });
    const process = await open();
    const provider = recorder();
    process.relay();
    process.workers(provider);
    await until(has(id, 'SENT'));
    expect(provider.deliveries).toEqual([
      {
        ...{ messageId: id, userId: 'ann', accountId: 'acme', topicId: 'news', channel: 'email', to, ...payload },
        takenMs: (await t.message(id)).atMs,
      },
    ]);
    await until(async () => (await outboxLength()) === 0);
  });

  test.each([0, 1_000])(
    'deliver nothing twice, two relays and three workers together, when queues keep %d finished jobs',
    async (keepJobs) => {
      const [first, second, third] = await Promise.all([open({ keepJobs }), open({ keepJobs }), open({ keepJobs })]);
      const provider = recorder();
      first!.relay();
      second!.relay();
      for (const process of [first!, second!, third!]) process.workers({ ...provider, concurrency: 8 });
      const count = 1_000;
      const ids: string[] = [];
      while (ids.length < count) {
        const some = Array.from({ length: 100 }, (_, index) => t.send({ user: `user-${(ids.length + index) % 7}` }));
        ids.push(...(await Promise.all(some)));
      }
      await until(async () => (await t.messageLog.page({ statuses: ['ENQUEUED'] }, null, 1)).messages.length === 0);
      expect(provider.times.size).toBe(count);
      expect([...new Set(provider.times.values())]).toEqual([1]);
      await until(async () => (await outboxLength()) === 0);
      const queue = new Queue('log', { connection: t.redis, prefix: t.keys.queuePrefix, skipVersionCheck: true });
      await until(async () => (await queue.getJobCountByTypes('waiting', 'active', 'delayed', 'failed')) === 0);
      expect(await queue.getCompletedCount()).toBe(keepJobs);
      await queue.close();
    },
  );

  test('an entry that a relay read and never moved is moved by another one', async () => {
    const id = await t.send({ user: 'ann' });
    const outbox = t.keys.outbox('log');
    await t.redis.xgroup('CREATE', outbox, 'relay', '0');
    await t.redis.xreadgroup('GROUP', 'relay', 'dead', 'COUNT', 10, 'STREAMS', outbox, '>');
    // It was eleven seconds ago.
    const [[entry]] = (await t.redis.xpending(outbox, 'relay', '-', '+', 10)) as [[string]];
    await t.redis.call('XCLAIM', outbox, 'relay', 'dead', '0', entry, 'IDLE', '11000');
    const process = await open();
    const provider = recorder();
    process.relay();
    process.workers(provider);
    await until(has(id, 'SENT'));
    await until(async () => (await outboxLength()) === 0);
  });

  test('an entry that is moved a second time, after its attempt was made and forgotten, delivers nothing', async () => {
    const id = await t.send({ user: 'ann' });
    const process = await open({ keepJobs: 0 });
    const provider = recorder();
    process.relay();
    process.workers(provider);
    await until(has(id, 'SENT'));
    // As if the relay had died between the queue and the outbox.
    await t.redis.xadd(t.keys.outbox('log'), '*', 'd', '', id, '1');
    await until(async () => (await outboxLength()) === 0);
    const other = await t.send({ user: 'ann' });
    await until(has(other, 'SENT'));
    expect(provider.times.get(id)).toBe(1);
  });

  test('a full queue is given no more until it drains, and the metrics are told', async () => {
    const process = await open();
    const held: [string, boolean][] = [];
    process.relay({ maxDepth: 10, observer: { held: (provider, isHeld) => held.push([provider, isHeld]) } });
    await Promise.all(Array.from({ length: 10 }, () => t.send({ user: 'ann' })));
    await until(() => held.some(([provider, isHeld]) => provider === 'log' && isHeld));
    const late = await t.send({ user: 'ann' });
    // One provider's full queue is not another's.
    const elsewhere = await t.send({ user: 'ann' }, { provider: 'webhook' });
    await until(async () => (await process.queues.waiting('webhook')) === 1);
    expect(await outboxLength()).toBe(1);
    expect(await process.queues.waiting('log')).toBe(10);
    expect(await process.queues.depths()).toEqual([
      { provider: 'log', outbox: 1, oldestOutboxMs: expect.any(Number), waiting: 10, active: 0, delayed: 0 },
      { provider: 'webhook', outbox: 0, oldestOutboxMs: null, waiting: 1, active: 0, delayed: 0 },
    ]);
    const provider = recorder();
    process.workers(provider);
    process.workers({ ...provider, provider: 'webhook' });
    await until(has(late, 'SENT'));
    await until(has(elsewhere, 'SENT'));
    expect(held.filter(([name]) => name === 'log').map(([, isHeld]) => isHeld)).toEqual([false, true, false]);
  });

  test('a provider is given no more a second than its rate, by all workers together', async () => {
    const [first, second] = await Promise.all([open(), open()]);
    const startsMs: number[] = [];
    const provider = recorder(() => {
      startsMs.push(performance.now());
      return sent;
    });
    first!.relay();
    for (const process of [first!, second!]) process.workers({ ...provider, ratePerSecond: 10 });
    await Promise.all(Array.from({ length: 25 }, () => t.send({ user: 'ann' })));
    await until(() => startsMs.length === 25);
    // In no second are there more; a window of the queue's may begin in the middle of one of ours.
    startsMs.sort((one, other) => one - other);
    expect(startsMs[20]! - startsMs[0]!).toBeGreaterThan(950);
  });
});

describe('a delivery that fails', () => {
  const retry: DeliveryOutcome = {
    kind: 'retry',
    error: 'busy',
    response: { status: 503, body: 'later' },
    retryAfterMs: null,
  };

  test('for now is tried again, under the same id, until it is sent', async () => {
    const id = await t.send({ user: 'ann' });
    const process = await open();
    const provider = recorder((_delivery, times) => (times < 4 ? retry : sent));
    process.relay();
    process.workers(provider);
    await until(has(id, 'SENT'));
    expect(new Set(provider.deliveries.map(({ messageId }) => messageId))).toEqual(new Set([id]));
    expect((await t.history(id)).map(({ type, detail }) => [type, detail.try ?? null])).toEqual([
      ['ENQUEUED', null],
      ['RETRYING', 1],
      ['RETRYING', 2],
      ['RETRYING', 3],
      ['SENT', 4],
    ]);
    expect((await t.history(id))[1]!.detail).toMatchObject({ error: 'busy', response: { status: 503, body: 'later' } });
  });

  test('as often as it may is undeliverable, with what the provider said, and its count is given back', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 5 });
    const id = await t.send({ user: 'ann' });
    const process = await open();
    const provider = recorder(() => retry);
    process.relay();
    process.workers({ ...provider, triesMax: 3 });
    await until(has(id, 'UNDELIVERABLE'));
    expect(provider.times.get(id)).toBe(3);
    expect((await t.message(id)).send).toMatchObject({
      error: 'busy (given up after 3 tries)',
      reason: 'FAILED',
      tries: 3,
      counts: false,
    });
    expect(await t.used('ann')).toEqual({ user: 0 });
  });

  test('for good is undeliverable at once, and keeps its count when that is configured', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 5 });
    const id = await t.send({ user: 'ann' });
    const process = await open();
    const provider = recorder(() => ({ kind: 'failed', error: 'no such user', response: null }));
    process.relay();
    process.workers({ ...provider, refundFailed: false });
    await until(has(id, 'UNDELIVERABLE'));
    expect(provider.times.get(id)).toBe(1);
    expect((await t.message(id)).send).toMatchObject({ error: 'no such user', reason: 'PROVIDER_ERROR', counts: true });
    expect(await t.used('ann')).toEqual({ user: 1 });
    await until(() => process.events.includes('gave up'));
    expect(process.events).toEqual(['failed', 'gave up']);
  });

  test('for good after another has sent it gives nothing up', async () => {
    const id = await t.send({ user: 'ann' });
    const told: string[] = [];
    const attemptBy = (deliver: Provider['deliver']) =>
      createProcessAttempt({
        ...{ store: t.store, providers: new Map([['log', { name: 'log', deliver, close: async () => undefined }]]) },
        ...{
          backoff: { firstMs: 1, mostMs: 1 },
          triesMax: 8,
          refundFailed: true,
          stopMs: 1,
          holdQueue: async () => undefined,
        },
        ...{ nowMs: Date.now, monotonicMs: () => performance.now(), random: () => 0 },
        observer: {
          delivered: (_provider, end) => told.push(end),
          redelivered: () => told.push('redelivered'),
          sentAfter: () => undefined,
          gaveUp: () => told.push('gave up'),
          stopped: () => told.push('stopped'),
        },
      });
    const { signal } = new AbortController();
    let fail: ((outcome: DeliveryOutcome) => void) | undefined;
    const late = attemptBy(
      () =>
        new Promise((resolve) => {
          fail = resolve;
        }),
    )(id, 1, signal);
    await until(() => fail !== undefined);
    // As when the first one's worker has been silent for too long.
    await attemptBy(async () => sent)(id, 1, signal);
    fail!({ kind: 'failed', error: 'no such user', response: null });
    await late;
    expect(told).toEqual(['redelivered', 'sent', 'failed']);
    expect(await t.status(id)).toBe('SENT');
  });

  test('waits for as long as the provider asks, when that is longer', async () => {
    const id = await t.send({ user: 'ann' });
    const process = await open();
    const provider = recorder((_delivery, times) => (times === 1 ? { ...retry, retryAfterMs: 700 } : sent));
    const startsMs: number[] = [];
    process.relay();
    process.workers({
      deliver: (delivery) => {
        startsMs.push(performance.now());
        return provider.deliver(delivery);
      },
    });
    await until(has(id, 'SENT'));
    expect(startsMs[1]! - startsMs[0]!).toBeGreaterThan(690);
  });

  test('by a fault of ours is made again, and loses nothing', async () => {
    const id = await t.send({ user: 'ann' });
    const process = await open();
    process.relay();
    let faults = 0;
    process.workers({
      deliver: async () => {
        if (++faults === 1) throw new Error('a fault');
        return sent;
      },
    });
    await until(has(id, 'SENT'));
    expect(process.events.filter((event) => event.startsWith('failed Error: a fault'))).toHaveLength(1);
    // Nobody knows whether the first attempt had been made.
    expect((await t.message(id)).send!.redeliveries).toBe(1);
  });

  test('can be canceled between two tries', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 5 });
    const id = await t.send({ user: 'ann' });
    const process = await open();
    const provider = recorder(() => ({ ...retry, retryAfterMs: 60_000 }));
    process.relay();
    process.workers(provider);
    await until(async () => (await t.message(id)).send!.tries === 1);
    expect(await t.actions.cancel(id, { id: 'test', name: null })).toMatchObject({ kind: 'done' });
    expect(await t.used('ann')).toEqual({ user: 0 });
  });
});

test('a stop lets deliveries end that have begun, and begins no other', async () => {
  const process = await open();
  process.relay();
  let release: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    release = resolve;
  });
  let finish: (outcome: DeliveryOutcome) => void = () => undefined;
  const workers = process.workers({
    concurrency: 1,
    deliver: () => {
      release();
      return new Promise((resolve) => {
        finish = resolve;
      });
    },
  });
  const [id, next] = [await t.send({ user: 'ann' }), await t.send({ user: 'ann' })];
  await begun;
  const stopped = workers.stop(false);
  finish(sent);
  await stopped;
  expect([await t.status(id), await t.status(next)].sort()).toEqual(['ENQUEUED', 'SENT']);
});
