import { composePhoneOf } from '../../src/compose/sends';
import { createMembers } from '../../src/membership/members';
import { createProfiles } from '../../src/membership/profiles';
import type { ProviderReceipt } from '../../src/sends/providers/provider';
import { createVonageProvider } from '../../src/sends/providers/vonage';
import { readVonageReceipt } from '../../src/sends/providers/vonage-receipt';
import { createRecordReceipt, type ReceiptEnd } from '../../src/sends/receipts';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';
import { openTestDelivery, startTestSends, type TestDelivery, type TestSends, until } from '../support/sends';
import { type FakeVonage, newPartId, startFakeVonage, taken, type VonagePart } from '../support/vonage';

let t: TestSends;
let vonage: FakeVonage;
const opened: TestDelivery[] = [];
const closing: (() => Promise<void>)[] = [];
beforeEach(async () => {
  vonage = await startFakeVonage();
  t = await startTestSends({ url: sharedRedisUrl(), workspace: uniqueWorkspace() });
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((process) => process.stop()));
  await Promise.all(closing.splice(0).map((close) => close()));
  t.close();
  await vonage.stop();
});

const NUMBER = '+447700900000';

/** A process with a relay and workers for Vonage. */
async function start(
  options: Omit<Parameters<TestDelivery['workers']>[0], 'deliver'> & { keepJobs?: number } = {},
): Promise<TestDelivery> {
  const { keepJobs = 0 } = options;
  const process = await openTestDelivery({
    ...{ url: sharedRedisUrl(), workspace: t.keys.workspace, providers: ['vonage'], keepJobs },
  });
  opened.push(process);
  const provider = createVonageProvider({
    ...{ url: vonage.url, apiKey: 'abcd1234', apiSecret: 'secret', from: 'Acme', timeoutMs: 5_000 },
    ...{ phoneOf: async () => null, nowMs: Date.now },
  });
  closing.push(() => provider.close());
  process.relay();
  process.workers({ ...{ deliver: provider.deliver, provider: 'vonage', ratePerSecond: 1_000 }, ...options });
  return process;
}

const send = (user = 'ann', text = 'Hello') =>
  t.send(
    { user, to: { user_id: user, phone_number: NUMBER } },
    { provider: 'vonage', payload: { template: null, content: { body: text }, data: null, metadata: null } },
  );
const has = (id: string, status: string) => async () => (await t.status(id)) === status;
const types = async (id: string) => (await t.history(id)).map(({ type }) => type);

/** Records a receipt as an API does. */
async function receive(messageId: string, status: string, errorCode = '0', refundFailed = true): Promise<ReceiptEnd> {
  const record = createRecordReceipt({
    ...{ redis: t.redis, scripts: t.scripts, keys: t.keys, messageLog: t.messageLog, refundFailed },
    observer: {
      received: (_provider, end) => t.events.push(`receipt ${end}`),
      gaveUp: () => t.events.push('gave up'),
    },
  });
  const read = readVonageReceipt({ messageId, status, 'err-code': errorCode });
  return record((read as { receipt: ProviderReceipt }).receipt);
}

/** Sends a message of so many parts. @returns its id, and Vonage's of its parts */
async function sendParts(count: number): Promise<{ id: string; parts: string[] }> {
  const parts = Array.from({ length: count }, newPartId);
  vonage.answer(() => parts.map((part) => ({ status: '0', 'message-id': part })));
  const id = await send();
  await until(has(id, 'SENT'));
  return { id, parts };
}

describe('a message that Vonage refuses', () => {
  beforeEach(() => t.limit({ id: 'user', per: ['user'], period: 'day', max: 5 }));

  test.each(['3', '29'])(
    'for good, with %s, is undeliverable with the code and what to do, and its count is given back',
    async (status) => {
      vonage.answer(() => [{ status }]);
      const id = await send();
      await start();
      await until(has(id, 'UNDELIVERABLE'));
      expect((await t.message(id)).send).toMatchObject({
        reason: 'PROVIDER_ERROR',
        error: expect.stringContaining(`Vonage refused it with ${status}, `),
        code: { code: status, meaning: expect.stringMatching(/\.$/), whatToDo: expect.stringMatching(/\.$/) },
        tries: 1,
        counts: false,
      });
      expect(await t.used('ann')).toEqual({ user: 0 });
      expect(vonage.requests).toHaveLength(1);
    },
  );

  test.each(['1', '10'])('for now, with %s, is tried again until it is taken', async (status) => {
    vonage.answer(() => (vonage.requests.length < 4 ? [{ status }] : [taken()]));
    const id = await send();
    await start();
    await until(has(id, 'SENT'));
    expect(vonage.requests.map(({ fields }) => fields['client-ref'])).toEqual([id, id, id, id]);
    expect(await types(id)).toEqual(['ENQUEUED', 'RETRYING', 'RETRYING', 'RETRYING', 'SENT']);
    expect((await t.history(id))[1]!.detail).toMatchObject({ code: status, what_to_do: expect.any(String) });
    expect((await t.message(id)).send).toMatchObject({ tries: 4, error: null, code: null });
  });

  test('in part is undeliverable and never sent again, and keeps its count, for some of it was sent', async () => {
    const part = taken();
    vonage.answer(() => [part, { status: '5' }]);
    const id = await send();
    await start();
    await until(has(id, 'UNDELIVERABLE'));
    expect((await t.message(id)).send).toMatchObject({
      error: expect.stringMatching(/^1 of 2 parts were accepted, so it is not sent again: /),
      reference: part['message-id'],
      counts: true,
    });
    expect(await t.used('ann')).toEqual({ user: 1 });
    // What is said of that part later is known, and changes nothing.
    expect(await receive(part['message-id']!, 'delivered')).toBe('late');
    expect(await t.status(id)).toBe('UNDELIVERABLE');
    expect(vonage.requests).toHaveLength(1);
  });
});

describe('an account in trouble', () => {
  test.each(['4', '9', '32'])(
    'as by %s stops the provider, and when it is well again everything is sent that was queued, each once',
    async (status) => {
      await t.limit({ id: 'all', per: [], period: 'day', max: 1_000 });
      let isWell = false;
      vonage.answer(() => (isWell ? [taken()] : [{ status }]));
      const workers = await Promise.all([start({ stopMs: 1_000, triesMax: 1 }), start({ stopMs: 1_000, triesMax: 1 })]);
      const ids = await Promise.all(Array.from({ length: 40 }, (_, index) => send(`user-${index}`)));
      await until(() => workers.some(({ events }) => events.includes(`stopped by ${status}`)));
      isWell = true;
      await until(async () => (await t.messageLog.page({ statuses: ['SENT'] }, null, 100)).messages.length === 40);
      // That it was stopped was no try: with triesMax 1 a try that failed would have been the last.
      for (const id of ids) expect((await t.message(id)).send).toMatchObject({ tries: 1, error: null, code: null });
      const ends = workers.flatMap(({ events }) => events);
      expect(ends.filter((end) => end === 'sent')).toHaveLength(40);
      expect(ends).not.toContain('redelivered');
      expect(await t.used('ann')).toEqual({ all: 40 });
    },
  );

  test.each([[['0', '9']], [['9', '0']], [['1', '0', '9']]])(
    'in parts %j of a message stops the provider too: that message is over, and the next one waits',
    async (statuses) => {
      await t.limit({ id: 'user', per: ['user'], period: 'day', max: 5 });
      vonage.answer(() => statuses.map((status) => (status === '0' ? taken() : { status })));
      const pauseMs = 1_500;
      const workers = await Promise.all([start({ stopMs: pauseMs }), start({ stopMs: pauseMs })]);
      const first = await send();
      const queue = workers[0]!.queues.byProvider.get('vonage')!;
      // Longer than a window of the rate.
      await until(async () => (await queue.getRateLimitTtl()) > 200);
      vonage.answer(() => [taken()]);
      const next = await send();
      const stop = JSON.parse((await t.redis.get(`${t.keys.prefix}stopped:vonage`))!);
      expect(stop.error).toMatch(/^Vonage refused it with 9, /);
      expect((await t.message(first)).send).toMatchObject({
        ...{ reason: 'PROVIDER_ERROR', tries: 1, counts: true, code: { code: '9' } },
        error: expect.stringContaining('so it is not sent again: Vonage refused it with 9, '),
      });

      await until(has(next, 'SENT'));
      expect(vonage.requests.map(({ fields }) => fields['client-ref'])).toEqual([first, next]);
      // Timers may be early by a millisecond or two.
      expect(vonage.requests[1]!.atMs - vonage.requests[0]!.atMs).toBeGreaterThanOrEqual(pauseMs - 5);
      expect(await types(first)).toEqual(['ENQUEUED', 'UNDELIVERABLE']);
      expect(await t.used('ann')).toEqual({ user: 2 });
      const ends = workers.flatMap(({ events }) => events);
      expect(ends.toSorted()).toEqual(['failed', 'gave up', 'sent', 'stopped by 9']);
    },
  );

  test('is left alone for the pause by all workers, and its messages can be looked at and canceled', async () => {
    vonage.answer(() => [{ status: '9', 'error-text': 'Quota Exceeded - rejected' }]);
    const workers = await Promise.all([start({ stopMs: 3_600_000 }), start({ stopMs: 3_600_000 })]);
    const first = await send();
    await until(async () => (await types(first)).includes('STOPPED'));
    const waiting = await Promise.all(Array.from({ length: 10 }, () => send()));
    await until(async () => (await workers[0]!.queues.waiting('vonage')) === 10);
    expect(vonage.requests).toHaveLength(1);
    expect(workers.flatMap(({ events }) => events)).toEqual(expect.arrayContaining(['stopped by 9', 'stopped']));
    const { send: state, status } = await t.message(first);
    expect(status).toBe('ENQUEUED');
    expect(state).toMatchObject({
      tries: 0,
      sending: false,
      error: expect.stringContaining('The account has not enough credit.'),
      code: { code: '9' },
    });
    expect((await t.history(first))[1]).toMatchObject({
      type: 'STOPPED',
      detail: { code: '9', next_try: expect.any(Number), what_to_do: expect.stringContaining('Top it up') },
    });
    for (const id of [first, waiting[0]!]) {
      expect(await t.actions.cancel(id, { id: 'test', name: null })).toMatchObject({ kind: 'done' });
    }
  });

  test('that lasts is met once in each pause, and told with since when', async () => {
    vonage.answer(() => [{ status: '8' }]);
    const { events } = await start({ stopMs: 50 });
    const id = await send();
    await until(() => events.filter((event) => event === 'stopped by 8').length >= 3);
    expect((await types(id)).filter((type) => type === 'STOPPED').length).toBeGreaterThanOrEqual(3);
    vonage.answer(() => [taken()]);
    await until(has(id, 'SENT'));
    expect(await t.redis.exists(`${t.keys.prefix}stopped:vonage`)).toBe(0);
  });

  test('is told with since when, by one of those that meet it, and does not fill the log of a message', async () => {
    const [id, other] = [await send(), await send()];
    const code = { code: '9', meaning: 'No credit.', whatToDo: 'Top it up.' };
    const end = async (of: string, attempt: number, pauseMs: number) => {
      const begun = await t.store.begin(of, attempt);
      const outcome = { kind: 'stopped', detail: { provider: 'vonage' }, error: 'No.', code, pauseMs } as const;
      return (await t.store.finish(of, attempt, begun!, outcome))!.stop!;
    };
    const first = await end(id, 1, 60_000);
    expect(first).toMatchObject({ isFirst: true, untilMs: first.sinceMs + 60_000 });
    // Another one that was under way then.
    expect(await end(other, 1, 60_000)).toEqual({ ...first, isFirst: false });
    expect((await t.outbox('vonage')).map(({ dueMs }) => dueMs)).toEqual([null, null, first.untilMs, first.untilMs]);
    for (let attempt = 2; attempt <= 25; attempt += 1) await end(id, attempt, 60_000);
    expect((await types(id)).filter((type) => type === 'STOPPED')).toHaveLength(20);
    expect((await t.message(id)).send).toMatchObject({ tries: 0, attempt: 26, redeliveries: 0 });
  });
});

test('in no second are more requests made than the rate, by two workers together, whatever it is cut into', async () => {
  const rate = 30;
  const count = 100;
  await Promise.all(Array.from({ length: count }, () => send()));
  const options = { ratePerSecond: rate, keepJobs: count };
  const [{ queues }] = await Promise.all([start(options), start(options)]);
  const queue = queues.byProvider.get('vonage')!;
  await until(async () => (await queue.getCompletedCount()) === count);
  // A request may be on its way for longer than the next one. When Redis let it go is not known, but it was between
  // when the worker asked for it and when the server got it: no more than the rate went in a second for certain.
  const epochMs = Date.now() - performance.now();
  const arrivedMs = new Map(vonage.requests.map(({ fields, atMs }) => [fields['client-ref'], epochMs + atMs]));
  const requests = (await queue.getCompleted())
    .map(({ data, processedOn }) => ({ askedMs: processedOn!, arrivedMs: arrivedMs.get(data.id)! }))
    .sort((one, other) => one.arrivedMs - other.arrivedMs);
  expect(vonage.requests).toHaveLength(count);
  expect(requests).toHaveLength(count);
  for (let index = rate; index < count; index += 1) {
    const firstMs = Math.min(...requests.slice(index - rate, index + 1).map(({ askedMs }) => askedMs));
    expect(requests[index]!.arrivedMs - firstMs).toBeGreaterThan(1_000);
  }
});

describe('a receipt', () => {
  test('that says so makes the message delivered, with when, and forgets what it was sent with', async () => {
    await start();
    const { id, parts } = await sendParts(1);
    expect(await t.redis.exists(t.keys.payload(id))).toBe(1);
    expect(await receive(parts[0]!, 'delivered')).toBe('delivered');
    const { status, send: state } = await t.message(id);
    expect(status).toBe('DELIVERED');
    expect(state!.deliveredMs).toBeGreaterThanOrEqual(state!.sentMs!);
    expect(await types(id)).toEqual(['ENQUEUED', 'SENT', 'DELIVERED']);
    expect((await t.messageLog.page({ statuses: ['DELIVERED'] }, null, 10)).messages.map((one) => one.id)).toEqual([
      id,
    ]);
    expect(await t.redis.exists(t.keys.payload(id))).toBe(0);
  });

  test('that says it failed makes it undeliverable, with why, and gives its count back, once', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 5 });
    await start();
    const { id, parts } = await sendParts(1);
    vonage.answer(() => [taken()]);
    await send();
    expect(await receive(parts[0]!, 'failed', '3')).toBe('undeliverable');
    expect(await receive(parts[0]!, 'failed', '3')).toBe('late');
    const { status, send: state } = await t.message(id);
    expect(status).toBe('UNDELIVERABLE');
    expect(state).toMatchObject({
      reason: 'BOUNCED',
      error: expect.stringContaining('The number is not in use any more.'),
      code: { code: '3' },
      counts: false,
    });
    expect(await t.used('ann')).toEqual({ user: 1 });
    expect((await t.history(id)).at(-1)).toMatchObject({
      type: 'UNDELIVERABLE',
      detail: { provider: 'vonage', receipt: 'failed', error_code: '3', gave_back: true },
    });
    expect(t.events.filter((event) => event === 'gave up')).toHaveLength(1);
  });

  test('that says it failed keeps the count when that is configured', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 5 });
    await start();
    const { id, parts } = await sendParts(1);
    expect(await receive(parts[0]!, 'rejected', '6', false)).toBe('undeliverable');
    expect(await t.used('ann')).toEqual({ user: 1 });
    expect((await t.message(id)).send!.counts).toBe(true);
  });

  test.each([
    [['accepted', 'buffered', 'delivered'], 'DELIVERED'],
    [['delivered', 'accepted', 'buffered', 'unknown', 'delivered', 'failed', 'expired'], 'DELIVERED'],
    [['expired', 'delivered', 'accepted'], 'UNDELIVERABLE'],
    [['buffered', 'accepted', 'accepted', 'unknown'], 'SENT'],
  ])('in the order %j leaves the message %s: what is final stays', async (statuses, end) => {
    await start();
    const { id, parts } = await sendParts(1);
    for (const status of statuses) await receive(parts[0]!, status);
    expect(await t.status(id)).toBe(end);
    // Each thing that is new is in the history once.
    const found = await types(id);
    expect(found.length).toBe(new Set(found).size + Math.max(0, found.filter((type) => type === 'RECEIPT').length - 1));
    expect(found.filter((type) => type === 'RECEIPT').length).toBeLessThanOrEqual(2);
  });

  test('about some parts leaves the message sent; when all were delivered, it is', async () => {
    await start();
    const { id, parts } = await sendParts(3);
    expect(await receive(parts[2]!, 'delivered')).toBe('noted');
    expect(await receive(parts[2]!, 'delivered')).toBe('repeated');
    expect(await receive(parts[0]!, 'delivered')).toBe('noted');
    expect(await t.status(id)).toBe('SENT');
    expect(await receive(parts[1]!, 'delivered')).toBe('delivered');
    expect(await t.status(id)).toBe('DELIVERED');
  });

  test('about one part that failed makes the whole undeliverable', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 5 });
    await start();
    const { id, parts } = await sendParts(2);
    await receive(parts[0]!, 'delivered');
    expect(await receive(parts[1]!, 'failed', '1')).toBe('undeliverable');
    expect(await t.status(id)).toBe('UNDELIVERABLE');
    expect(await t.used('ann')).toEqual({ user: 0 });
  });

  test.each([
    ['delivered', 'DELIVERED', 1],
    ['failed', 'UNDELIVERABLE', 0],
    ['accepted', 'SENT', 1],
  ])(
    'that comes before it is recorded that the message was sent, and says %s, is not lost',
    async (said, end, used) => {
      await t.limit({ id: 'user', per: ['user'], period: 'day', max: 5 });
      const part = newPartId();
      vonage.answer(() => (_request, response) => {
        // The receipt is there before the answer.
        void receive(part, said, '1')
          .then(() => receive(part, 'accepted'))
          .then((came) => {
            t.events.push(`early ${came}`);
            response.end(JSON.stringify({ 'message-count': '1', messages: [{ status: '0', 'message-id': part }] }));
          });
      });
      const id = await send();
      await start();
      await until(has(id, end));
      expect(t.events).toContain('early unknown');
      expect(await t.used('ann')).toEqual({ user: used });
      // And those after it find their message.
      expect(await receive(part, 'accepted')).toBe(end === 'SENT' ? 'repeated' : 'late');
    },
  );

  test('about a message that nobody knows is kept for a minute, and is gone then', async () => {
    const part = newPartId();
    expect(await receive(part, 'delivered')).toBe('unknown');
    const key = `${t.keys.prefix}pe:vonage:${part}`;
    expect(await t.redis.pttl(key)).toBeGreaterThan(30_000);
    expect(await t.redis.pttl(key)).toBeLessThanOrEqual(60_000);
  });

  test('of an earlier sending of the same message says nothing about the later one', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 5 });
    await start();
    const { id, parts } = await sendParts(1);
    await receive(parts[0]!, 'failed', '7');
    const again: VonagePart = taken();
    vonage.answer(() => [again]);
    // What it was sent with has been kept for this.
    expect(await t.actions.retry(id, { id: 'test', name: null })).toMatchObject({ kind: 'done' });
    await until(has(id, 'SENT'));
    expect(vonage.requests.at(-1)!.fields).toMatchObject({ text: 'Hello', 'client-ref': id });
    expect(await receive(parts[0]!, 'failed', '7')).toBe('late');
    expect(await t.message(id)).toMatchObject({ status: 'SENT', send: { error: null, code: null, counts: true } });
    expect(await receive(again['message-id']!, 'delivered')).toBe('delivered');
    expect(await t.used('ann')).toEqual({ user: 1 });
  });

  test('of many at once is counted once', async () => {
    await t.limit({ id: 'user', per: ['user'], period: 'day', max: 5 });
    await start();
    const { id, parts } = await sendParts(1);
    vonage.answer(() => [taken()]);
    await send();
    const ends = await Promise.all(
      Array.from({ length: 20 }, (_, index) => receive(parts[0]!, index % 2 === 0 ? 'failed' : 'delivered', '1')),
    );
    expect(ends.filter((end) => end !== 'late' && end !== 'repeated')).toHaveLength(1);
    expect(await t.used('ann')).toEqual({ user: (await t.status(id)) === 'DELIVERED' ? 2 : 1 });
  });
});

describe('the number that a user is known by', () => {
  const actor = { id: 'test', name: null };
  const profiles = () => createProfiles({ redis: t.redis, scripts: t.scripts, keys: t.keys });
  const members = () => createMembers({ redis: t.redis, scripts: t.scripts, keys: t.keys });
  const phoneOf = (account: string | null) => composePhoneOf(profiles(), members())('ann', account);

  test('is that of the membership in the account, else that of the user', async () => {
    expect([await phoneOf(null), await phoneOf('acme')]).toEqual([null, null]);
    await profiles().merge('ann', { phone: '+447700900001' }, actor, 'api');
    const writes = [
      { accountId: 'acme', profile: { phone: 'by the trait', phone_number: '+447700900002' } },
      { accountId: 'bolt', profile: { phone: '+447700900003' } },
      { accountId: 'cargo', profile: { phone_number: '', phone: 7, role: 'owner' } },
      { accountId: 'delta', profile: null },
    ];
    await members().add('ann', writes, actor, 'api');
    const accounts = [null, 'acme', 'bolt', 'cargo', 'delta', 'none'];
    expect(await Promise.all(accounts.map(phoneOf))).toEqual([
      ...['+447700900001', '+447700900002', '+447700900003'],
      ...['+447700900001', '+447700900001', '+447700900001'],
    ]);
  });
});
