import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { createAlerts } from '../../src/alerts/alerts';
import { createDegradedAlerts, type DegradedAlerts } from '../../src/alerts/degraded';
import { createDeliverAlert, type DeliverAlert } from '../../src/alerts/deliver';
import { type AdminMail, createAdminMail } from '../../src/alerts/mail';
import { openAlertQueue, startAlertWorker } from '../../src/alerts/queue';
import { startAlertRelay } from '../../src/alerts/relay';
import { type AlertDelivery, createAlertStore } from '../../src/alerts/store';
import { createAlertWebhooks } from '../../src/alerts/webhooks';
import type { AlertWebhook } from '../../src/limits/alert-settings';
import { connectPatiently, parseRedisUrl, type RedisClient } from '../../src/store/connection';
import { messageTo, startTestGate, type TestGate } from '../support/gate';
import { type MailServer, type Receiver, SECRET, startMailServer, startReceiver } from '../support/receivers';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';
import { until } from '../support/sends';

let t: TestGate;
let receiver: Receiver;
const stops: (() => unknown)[] = [];
beforeEach(async () => {
  t = await startTestGate({ url: sharedRedisUrl(), workspace: uniqueWorkspace() });
  receiver = await startReceiver();
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
  await receiver.stop();
  t.close();
});

const storeOf = (redis: RedisClient) =>
  createAlertStore({ redis, scripts: t.scripts, keys: t.keys, nowMs: () => t.clock.nowMs() });

interface WorkerOptions {
  mail?: AdminMail | null;
  triesMax?: number;
  firstMs?: number;
  allowPrivateTargets?: boolean;
}

/** A worker's part: what moves alerts, and what delivers them. Returns what it told. */
async function startWorker(options: WorkerOptions = {}): Promise<string[]> {
  const { mail = null, triesMax = 8, firstMs = 1, allowPrivateTargets = true } = options;
  const redis = connectPatiently(parseRedisUrl(sharedRedisUrl()), {
    ...{ name: 'test-worker', commandTimeoutMs: 0, reconnectMs: 20 },
  });
  redis.on('error', () => undefined);
  const told: string[] = [];
  const store = storeOf(redis);
  const queue = openAlertQueue({ redis, keys: t.keys, onTrouble: () => undefined });
  const webhooks = createAlertWebhooks({ timeoutMs: 5_000, allowPrivateTargets, nowMs: Date.now });
  const observer = { attempted: (to: string, type: string, end: string) => told.push(`${to} ${type} ${end}`) };
  const failed = (error: unknown) => told.push(`failed ${error}`);
  const common = {
    ...{ redis, keys: t.keys, workspace: t.keys.workspace, queue, store, nowMs: () => t.clock.nowMs() },
    mails: mail !== null,
    async webhooks() {
      await t.configuration.refresh();
      return t.configuration.planner()!.configuration.settings.alert_webhooks;
    },
  };
  const relay = startAlertRelay({
    ...common,
    consumer: randomUUID(),
    pause: (ms) => delay(ms),
    observer: { raised: (type) => told.push(`raised ${type}`), failed },
  });
  const worker = startAlertWorker({
    ...common,
    deliver: createDeliverAlert({ webhooks, mail, triesMax, nowMs: () => t.clock.nowMs(), observer }),
    backoff: { firstMs, mostMs: Math.max(firstMs, 20) },
    random: () => 0,
    observer: { collected: (type) => told.push(`collected ${type}`), failed, trouble: () => undefined },
  });
  stops.push(async () => {
    await Promise.all([relay.stop(false), worker.stop(false)]);
    await webhooks.close();
    await queue.close();
    redis.disconnect();
  });
  return told;
}

const hook = (url: string, events: AlertWebhook['events'] = null): AlertWebhook => ({ url, secret: SECRET, events });
const tell = (...webhooks: AlertWebhook[]) => t.settings({ alert_webhooks: webhooks });
const check = (user: string) =>
  t.gate.check({ message: messageTo(user), messageId: null, cost: 1, dry: false, atMs: null });
const bodies = () => receiver.requests.map(({ body }) => JSON.parse(body));
/** What became of the alerts, the newest first. */
async function deliveries(): Promise<AlertDelivery[][]> {
  const alerts = createAlerts({
    ...{ workspace: t.keys.workspace, store: storeOf(t.redis), mail: null, newId: randomUUID },
    deliver: () => Promise.reject(new Error('not here')),
    ...{ nowMs: () => t.clock.nowMs(), monotonicMs: () => performance.now() },
  });
  return (await alerts.page(null, 50)).alerts.map((alert) => alert.deliveries);
}
const states = async () => (await deliveries()).map((each) => each.map(({ state, tries }) => `${state} ${tries}`));

async function mailBy(server: MailServer): Promise<AdminMail> {
  const mail = createAdminMail({
    url: server.url,
    from: 'sendgate@example.com',
    to: ['ops@example.com', 'b@example.com'],
  });
  stops.push(() => mail.close());
  return mail;
}
async function mailServer(): Promise<MailServer> {
  const server = await startMailServer();
  stops.push(() => server.stop());
  return server;
}

describe('a webhook', () => {
  test('is told of each alert once, signed so that a library of the scheme verifies it', async () => {
    await tell(hook(receiver.url));
    await t.limit({ id: 'daily', per: ['user'], period: 'day', max: 5 });
    await startWorker();
    for (let time = 0; time < 7; time += 1) await check('ann');
    await until(() => receiver.requests.length === 3);
    expect(
      bodies()
        .map(({ type, data }) => [type, data.threshold, data.used])
        .sort(),
    ).toEqual([
      ['limit.threshold', 100, 5],
      ['limit.threshold', 80, 4],
      ['limit.throttled', undefined, 5],
    ]);
    for (const { headers, body } of receiver.requests) {
      const verified = new Webhook(SECRET).verify(body, headers as Record<string, string>);
      expect(verified).toMatchObject({
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        data: {
          ...{ alert_id: headers['webhook-id'], workspace: t.keys.workspace, limit_id: 'daily', user_id: 'ann' },
          ...{ per: ['user'], period: 'day', max: 5, mode: 'enforce' },
        },
      });
      expect(() => new Webhook(SECRET).verify(`${body} `, headers as Record<string, string>)).toThrow();
    }
    await until(async () => (await states()).flat().length === 3);
    expect(await states()).toEqual([['delivered 1'], ['delivered 1'], ['delivered 1']]);
  });

  test('is told of a counter of all nothing about whose message it was', async () => {
    await tell(hook(receiver.url));
    await t.limit({ id: 'all', per: [], period: 'day', max: 1, alert_thresholds: [100] });
    await startWorker();
    await check('ann');
    await until(() => receiver.requests.length === 1);
    expect(receiver.requests[0]!.body).not.toContain('ann');
    expect(bodies()[0].data).toMatchObject({ per: [], used: 1 });
  });

  test('that answers 500 is told again, with the same id, until it takes it; the last result says so', async () => {
    await tell(hook(receiver.url));
    let times = 0;
    receiver.answer = (response) => {
      times += 1;
      response.writeHead(times < 3 ? 500 : 200).end();
    };
    await t.limit({ id: 'none', per: [], period: 'day', max: 0 });
    const told = await startWorker();
    await check('ann');
    await until(async () => (await states()).flat().includes('delivered 3'));
    expect(receiver.requests).toHaveLength(3);
    expect(new Set(receiver.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    const attempt = 'webhook limit.throttled';
    expect(told).toEqual(['raised limit.throttled', `${attempt} retry`, `${attempt} retry`, `${attempt} delivered`]);
    expect(await storeOf(t.redis).lastDeliveries()).toEqual([
      expect.objectContaining({
        receiver: { to: 'webhook', url: receiver.url },
        state: 'delivered',
        tries: 3,
        status: 200,
      }),
    ]);
  });

  test.each<[string, number]>([
    ['after as many tries as there are', 503],
    ['at once when it will never take it', 404],
  ])('is given up %s, and the result says why', async (_when, status) => {
    await tell(hook(receiver.url));
    receiver.answer = (response) => response.writeHead(status).end();
    await t.limit({ id: 'none', per: [], period: 'day', max: 0 });
    await startWorker({ triesMax: 3 });
    await check('ann');
    const tries = status === 404 ? 1 : 3;
    await until(async () => (await states()).flat().includes(`failed ${tries}`));
    expect(receiver.requests).toHaveLength(tries);
    const [[delivery]] = (await deliveries()) as [[AlertDelivery]];
    expect(delivery).toMatchObject({ status, error: expect.stringContaining(`answered ${status}`) });
  });

  test('that redirects is not followed', async () => {
    const elsewhere = await startReceiver();
    stops.push(() => elsewhere.stop());
    receiver.answer = (response) => response.writeHead(307, { location: elsewhere.url }).end();
    await tell(hook(receiver.url));
    await t.limit({ id: 'none', per: [], period: 'day', max: 0 });
    await startWorker();
    await check('ann');
    await until(async () => (await states()).flat().includes('failed 1'));
    expect(elsewhere.requests).toEqual([]);
  });

  test('at a private address is not called, unless that is allowed', async () => {
    await tell(hook(receiver.url));
    await t.limit({ id: 'none', per: [], period: 'day', max: 0 });
    await startWorker({ allowPrivateTargets: false });
    await check('ann');
    await until(async () => (await states()).flat().includes('failed 1'));
    expect(receiver.requests).toEqual([]);
    expect((await deliveries())[0]![0]!.error).toContain('is not a public address');
  });

  test('gets only the alerts that it asked for', async () => {
    const other = await startReceiver();
    stops.push(() => other.stop());
    await tell(hook(receiver.url, ['limit.throttled']), hook(other.url, ['provider.stopped', 'limit.threshold']));
    await t.limit({ id: 'one', per: [], period: 'day', max: 1, alert_thresholds: [100] });
    await startWorker();
    await check('ann');
    await check('ann');
    await until(() => receiver.requests.length + other.requests.length === 2);
    expect(bodies().map(({ type }) => type)).toEqual(['limit.throttled']);
    expect(other.requests.map(({ body }) => JSON.parse(body).type)).toEqual(['limit.threshold']);
  });

  test('that was taken out of the settings gets nothing more, also of what was on its way', async () => {
    await tell(hook(receiver.url));
    receiver.answer = async (response) => {
      await tell();
      response.writeHead(500).end();
    };
    await t.limit({ id: 'none', per: [], period: 'day', max: 0 });
    await startWorker();
    await check('ann');
    await until(async () => (await states()).flat().includes('dropped 0'));
    expect(receiver.requests).toHaveLength(1);
    expect(await storeOf(t.redis).lastDeliveries()).toEqual([]);
  });

  test('is told by one of several workers, of every alert, also of those from before the first of them', async () => {
    await tell(hook(receiver.url));
    await t.limit({ id: 'none', per: ['user'], period: 'day', max: 0 });
    const users = Array.from({ length: 150 }, (_, index) => `user-${index}`);
    await Promise.all(users.slice(0, 50).map(check));
    await Promise.all([startWorker(), startWorker(), startWorker()]);
    await Promise.all(users.slice(50).map(check));
    await until(() => receiver.requests.length >= users.length);
    await until(async () => (await t.redis.xpending(t.keys.alerts, 'relay'))[0] === 0);
    expect(new Set(bodies().map(({ data }) => data.user_id)).size).toBe(users.length);
    expect(receiver.requests).toHaveLength(users.length);
  });
});

describe('a stopped provider', () => {
  const stop = { provider: 'vonage', code: '9', words: 'The account has no credit left.' };

  test('is told once for each stop, however many workers notice it', async () => {
    await tell(hook(receiver.url));
    await startWorker();
    const store = storeOf(t.redis);
    const untilMs = t.clock.nowMs() + 60_000;
    const written = await Promise.all(Array.from({ length: 20 }, () => store.providerStopped({ ...stop, untilMs })));
    expect(written.filter(Boolean)).toHaveLength(1);
    // Tried again, and stopped again: it is the same stop.
    expect(await store.providerStopped({ ...stop, untilMs: untilMs + 60_000 })).toBe(false);
    expect(await store.providerStopped({ ...stop, code: '4', untilMs })).toBe(true);
    await until(() => receiver.requests.length === 2);
    const first = bodies().find(({ data }) => data.code === '9');
    expect(first).toMatchObject({
      type: 'provider.stopped',
      data: { provider: 'vonage', reason: stop.words, until: new Date(untilMs).toISOString() },
    });
  });

  test('that was let go on for long enough is told again', async () => {
    const store = storeOf(t.redis);
    expect(await store.providerStopped({ ...stop, untilMs: t.clock.nowMs() + 20 })).toBe(true);
    const mark = t.keys.alertMark('p:vonage:9');
    await until(async () => (await t.redis.exists(mark)) === 0);
    expect(await store.providerStopped({ ...stop, untilMs: t.clock.nowMs() + 20 })).toBe(true);
  });
});

describe('a mail', () => {
  const subjectOf = (headers: readonly string[]) => headers.filter((line) => /^subject:/i.test(line));

  test('tells the administrators of an alert in plain text', async () => {
    const server = await mailServer();
    await t.limit({ id: 'daily', per: ['user'], period: 'day', max: 5, alert_thresholds: [80] });
    await startWorker({ mail: await mailBy(server) });
    for (let time = 0; time < 4; time += 1) await check('ann');
    await until(() => server.mails.length === 1);
    const [mail] = server.mails;
    expect(mail).toMatchObject({ from: 'sendgate@example.com', to: ['ops@example.com', 'b@example.com'] });
    expect(subjectOf(mail!.headers)).toEqual([`Subject: [Sendgate ${t.keys.workspace}] Limit daily: 80 % passed`]);
    expect(mail!.headers.join('\n')).toMatch(/^Content-Type: text\/plain; charset=utf-8$/m);
    expect(mail!.text).toContain('Used: 4 of 5 in a day\nuser_id: "ann"\n');
    await until(async () => (await states()).flat().includes('delivered 1'));
    expect((await deliveries())[0]![0]!.receiver).toEqual({ to: 'mail' });
  });

  test('is the only one about a limit in 24 hours; the next counts what has happened since', async () => {
    const server = await mailServer();
    await t.limit({ id: 'daily', per: ['user'], period: 'day', max: 1, alert_thresholds: [100] });
    const told = await startWorker({ mail: await mailBy(server) });
    await check('ann');
    await until(() => server.mails.length === 1);
    for (const user of ['ann', 'bob', 'bob', 'cid']) await check(user);
    await until(() => told.filter((line) => line.startsWith('collected')).length === 4);
    await t.limit({ id: 'other', per: [], period: 'day', max: 0 });
    await check('dan');
    await until(() => server.mails.length === 2);
    expect(server.mails.map(({ headers }) => subjectOf(headers)[0])).toEqual([
      expect.stringContaining('Limit daily: 100 % passed'),
      expect.stringContaining('Limit other: messages are throttled'),
    ]);
    // A day goes by.
    const key = t.keys.alertMail('limit:daily');
    const at = Number(await t.redis.hget(key, 'at'));
    await t.redis.hset(key, 'at', at - 86_400_001);
    await t.remove('other');
    await check('eve');
    await until(() => server.mails.length === 3);
    const { text } = server.mails[2]!;
    expect(text).toContain('user_id: "eve"');
    expect(text).toContain(`Since the last mail about this at ${new Date(at - 86_400_001).toISOString()}:`);
    expect(text).toContain('- 2 × 100 % passed\n- 2 × throttled\n');
  });

  test('comes a day after the last one when something has happened since, and counts it', async () => {
    const server = await mailServer();
    await t.limit({ id: 'daily', per: ['user'], period: 'day', max: 1, alert_thresholds: [] });
    const told = await startWorker({ mail: await mailBy(server) });
    for (const user of ['ann', 'ann', 'bob', 'bob', 'cid', 'cid']) await check(user);
    await until(() => told.filter((line) => line.startsWith('collected')).length === 2);
    const queue = openAlertQueue({ redis: t.redis, keys: t.keys, onTrouble: () => undefined });
    stops.push(() => queue.close());
    // It is planned, once.
    await until(async () => (await queue.depth()) === 1);
    const key = t.keys.alertMail('limit:daily');
    const at = Number(await t.redis.hget(key, 'at'));
    await t.redis.hset(key, 'at', at - 86_400_001);
    await queue.collect('limit:daily', at + 1, at + 1);
    await until(() => server.mails.length === 2);
    expect(subjectOf(server.mails[1]!.headers)[0]).toContain('Limit daily: 2 more alerts in a day');
    expect(server.mails[1]!.text).toContain('- 2 × throttled\n');
    // With nothing since there is none.
    await t.redis.hset(key, 'at', at - 86_400_001);
    await queue.collect('limit:daily', at + 2, at + 2);
    await until(async () => (await queue.depth()) === 1);
    expect(server.mails).toHaveLength(2);
  });

  test('that the server refuses for now is sent again, and the last result says so', async () => {
    const server = await mailServer();
    server.refuse(2, 451);
    await t.limit({ id: 'none', per: [], period: 'day', max: 0 });
    const told = await startWorker({ mail: await mailBy(server) });
    await check('ann');
    await until(() => server.mails.length === 1);
    await until(async () => (await states()).flat().includes('delivered 3'));
    expect(told).toContain('mail limit.throttled retry');
  });

  test('that cannot be sent is given up, visibly, and does not keep the next one away', async () => {
    const server = await mailServer();
    server.refuse(2, 550);
    await t.limit({ id: 'none', per: ['user'], period: 'day', max: 0 });
    await startWorker({ mail: await mailBy(server), triesMax: 2 });
    await check('ann');
    await until(async () => (await states()).flat().includes('failed 2'));
    expect((await deliveries())[0]![0]!.error).toContain('550');
    // Without another alert, what it would have told is mailed in an hour.
    const queue = openAlertQueue({ redis: t.redis, keys: t.keys, onTrouble: () => undefined });
    stops.push(() => queue.close());
    await until(async () => (await queue.depth()) === 1);
    await check('bob');
    await until(() => server.mails.length === 1);
    expect(server.mails[0]!.text).toContain('- 1 × throttled\n');
  });

  test('holds ids that would be headers, or lines, as what they are', async () => {
    const server = await mailServer();
    const mail = await mailBy(server);
    const user = 'x"\u2028Bcc: all@example.com\u202e<b>&\u{1f4a3}';
    await t.limit({ id: 'none', per: ['user'], period: 'day', max: 0 });
    await startWorker({ mail });
    await check(user);
    await until(() => server.mails.length === 1);
    const [{ headers, text, to }] = server.mails as [MailServer['mails'][number]];
    expect(to).toEqual(['ops@example.com', 'b@example.com']);
    expect(headers.filter((line) => /^(bcc|cc|to):/i.test(line))).toEqual(['To: ops@example.com, b@example.com']);
    expect(text.split('\n').filter((line) => line.startsWith('user_id'))).toHaveLength(1);
    expect(text).not.toContain('\u2028');
    const outcome = await mail.send({ subject: 'a\r\nBcc: all@example.com\r\n\r\nhello', text: '.\r\nQUIT', id: 'x' });
    expect(outcome.kind).toBe('sent');
    expect(server.mails[1]!.headers.filter((line) => /^bcc/i.test(line))).toEqual([]);
    expect(server.mails[1]!.to).toHaveLength(2);
  });
});

describe('while Redis does not answer', () => {
  let degraded: DegradedAlerts;
  let nowMs: number;
  let failures: unknown[];

  function startDegraded(deliver: DeliverAlert, mails = false): void {
    degraded = createDegradedAlerts({
      ...{ workspace: t.keys.workspace, replica: 'host:1', mails, deliver, store: storeOf(t.redis) },
      webhooks: () => [hook(receiver.url)],
      backoff: { firstMs: 1, mostMs: 5 },
      newId: () => `al_${randomUUID()}`,
      nowMs: () => nowMs,
      random: () => 0,
      pause: (ms, signal) => delay(ms, undefined, { signal }).catch(() => undefined),
      observer: { raised: () => undefined, failed: (error) => failures.push(error) },
    });
    stops.push(() => degraded.stop());
  }

  const delivering = (mail: AdminMail | null = null) => {
    const webhooks = createAlertWebhooks({ timeoutMs: 5_000, allowPrivateTargets: true, nowMs: Date.now });
    stops.push(() => webhooks.close());
    return createDeliverAlert({
      webhooks,
      mail,
      triesMax: 5,
      nowMs: () => nowMs,
      observer: { attempted: () => undefined },
    });
  };

  beforeEach(() => {
    nowMs = Date.now();
    failures = [];
  });

  test('webhooks are told by the process itself, once in a quarter of an hour, and it is written down later', async () => {
    let times = 0;
    receiver.answer = (response) => {
      times += 1;
      response.writeHead(times === 1 ? 503 : 200).end();
    };
    startDegraded(delivering());
    degraded.changed(false, 'not there yet');
    degraded.changed(true, '');
    degraded.changed(false, 'connect ECONNREFUSED');
    await until(() => receiver.requests.length === 2);
    const [first, second] = bodies();
    expect(first).toEqual(second);
    expect(first).toMatchObject({
      type: 'redis.degraded',
      data: { since: new Date(nowMs).toISOString(), reason: 'connect ECONNREFUSED', replica: 'host:1' },
    });
    new Webhook(SECRET).verify(receiver.requests[1]!.body, receiver.requests[1]!.headers as Record<string, string>);
    degraded.changed(true, '');
    await until(async () => (await states()).flat().includes('delivered 2'));
    nowMs += 60_000;
    degraded.changed(false, 'again');
    degraded.changed(true, '');
    nowMs += 15 * 60_000;
    degraded.changed(false, 'and again');
    await until(() => receiver.requests.length === 3);
    expect(bodies()[2].data.reason).toBe('and again');
    expect(failures).toEqual([]);
  });

  test('what is written down afterwards is delivered to nobody a second time', async () => {
    await tell(hook(receiver.url));
    startDegraded(delivering());
    degraded.changed(true, '');
    degraded.changed(false, 'gone');
    await until(() => receiver.requests.length === 1);
    degraded.changed(true, '');
    await until(async () => (await states()).length === 1);
    await startWorker();
    await t.limit({ id: 'none', per: [], period: 'day', max: 0 });
    await check('ann');
    await until(() => receiver.requests.length === 2);
    expect(bodies().map(({ type }) => type)).toEqual(['redis.degraded', 'limit.throttled']);
  });

  test('a mail goes out once in 24 hours, and counts the times since', async () => {
    const server = await mailServer();
    startDegraded(delivering(await mailBy(server)), true);
    for (let time = 0; time < 3; time += 1) {
      degraded.changed(true, '');
      degraded.changed(false, 'gone');
      nowMs += 3_600_000;
    }
    await until(() => server.mails.length === 1 && receiver.requests.length === 3);
    nowMs += 86_400_000;
    degraded.changed(true, '');
    degraded.changed(false, 'gone');
    await until(() => server.mails.length === 2);
    expect(server.mails[1]!.text).toContain('- 2 × Redis did not answer\n');
  });
});
