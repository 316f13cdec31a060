import { Analytics } from '@segment/analytics-node';
import { createApiKeys } from '../../src/access/api-keys';
import { startTestApp, type TestApp, type TestAppOptions } from '../support/app';
import { type RedisServer, startRedis } from '../support/redis';
import { until } from '../support/sends';

import RudderAnalytics = require('@rudderstack/rudder-sdk-node');

import { randomBytes } from 'node:crypto';

let app: TestApp;
let key: string;
let ownRedis: RedisServer | null = null;
async function start(options: TestAppOptions = {}) {
  app = await startTestApp({ logRequests: true, ...options });
  const { redis, keys, scripts } = app;
  const apiKeys = createApiKeys({ redis, keys, scripts, nowMs: Date.now, randomBytes });
  ({ key } = await apiKeys.create({ id: 'test', name: null }, 'cli', 'sdk', ['inbound']));
  await app.ring.refresh();
  await app.call('PUT', '/inbound/mappings', {
    mappings: [{ event: 'Order *', topic: 'orders', template: 'receipt' }],
  });
}
afterEach(async () => {
  await app.stop();
  await ownRedis?.stop();
  ownRedis = null;
});

const get = async (path: string) => (await app.call('GET', path)).body;
/** The statuses of the calls that brought events, in order. */
const statuses = () =>
  app.log
    .filter(({ fields }) => `${fields.route}`.startsWith('/inbound/s') || `${fields.route}`.startsWith('/inbound/r'))
    .filter(({ message }) => message === 'Request')
    .map(({ fields }) => fields.status);

/** What both SDKs are made to say, and what of it must be there afterwards. */
async function expectAllThere(): Promise<void> {
  expect(await get('/profiles/ann')).toEqual({ profile: { email: 'ann@example.com', plan: 'premium' } });
  expect(await get('/users/ann/accounts/acme')).toMatchObject({ account_id: 'acme' });
  expect(await get('/accounts/acme')).toMatchObject({ name: 'Acme', properties: { name: 'Acme', employees: 7 } });
  const { results } = await get('/messages?limit=100');
  expect(results).toHaveLength(2);
  expect(results.find(({ event }: { event: string }) => event === 'Order Completed')).toMatchObject({
    ...{ status: 'ENQUEUED', recipient: 'ann', account_id: 'acme', topic: 'orders', notification: 'receipt' },
  });
  expect(results.find(({ event }: { event: string }) => event === 'Looked Around')).toMatchObject({
    ...{ status: 'UNMAPPED', recipient: 'ann' },
  });
  expect(app.log.filter(({ message }) => message === 'Events were refused')).toEqual([]);
}

const IDENTIFY = { userId: 'ann', traits: { email: 'ann@example.com', plan: 'premium' } };
const GROUP = { userId: 'ann', groupId: 'acme', traits: { name: 'Acme', employees: 7 } };
const ORDER = { userId: 'ann', event: 'Order Completed', properties: { order: 81 }, context: { groupId: 'acme' } };
const LOOKED = { anonymousId: 'someone', userId: 'ann', event: 'Looked Around' };
const PAGE = { userId: 'ann', name: 'Home' };
const ALIAS = { userId: 'ann', previousId: 'someone' };

describe("Segment's own SDK for Node", () => {
  function sdk(options: Partial<ConstructorParameters<typeof Analytics>[0]> = {}) {
    const analytics = new Analytics({
      writeKey: key,
      host: app.url,
      path: '/inbound/segment',
      maxRetries: 3,
      ...options,
    });
    const errors: unknown[] = [];
    analytics.on('error', (error) => errors.push(error));
    return { analytics, errors };
  }

  test('brings each of its calls with a key of the role inbound as its write key', async () => {
    await start();
    const { analytics, errors } = sdk();
    analytics.identify(IDENTIFY);
    analytics.group(GROUP);
    analytics.track(ORDER);
    analytics.track(LOOKED);
    analytics.page(PAGE);
    analytics.screen(PAGE);
    analytics.alias(ALIAS);
    await analytics.closeAndFlush();
    expect(errors).toEqual([]);
    expect(new Set(statuses())).toEqual(new Set([202]));
    await expectAllThere();
  });

  test('brings them to the path that it has by itself, one by one', async () => {
    await start();
    const { analytics, errors } = sdk({ path: '/inbound/segment/v1/batch', flushAt: 1 });
    analytics.identify(IDENTIFY);
    analytics.group(GROUP);
    await analytics.flush();
    analytics.track(ORDER);
    analytics.track(LOOKED);
    await analytics.closeAndFlush();
    expect(errors).toEqual([]);
    expect(statuses()).toEqual([202, 202, 202, 202]);
    await expectAllThere();
  });

  test('drops an event that is bad, and does not bring it again', async () => {
    await start();
    const { analytics, errors } = sdk();
    analytics.identify({ userId: 'x'.repeat(300), traits: {} });
    await analytics.closeAndFlush();
    expect(errors).toHaveLength(1);
    expect(statuses()).toEqual([400]);
  });

  test('comes again after a fault that passes, and each event is done once', async () => {
    ownRedis = await startRedis();
    await start({ redisUrl: ownRedis.url, checkTimeoutMs: 300 });
    const { analytics, errors } = sdk({ httpRequestTimeout: 20_000 });
    await ownRedis.freeze();
    for (let order = 0; order < 10; order += 1) analytics.track({ ...ORDER, properties: { order } });
    const flushed = analytics.closeAndFlush({ timeout: 25_000 });
    // For longer than a command may take.
    await until(() => statuses().length > 0);
    await ownRedis.thaw();
    await flushed;
    expect(errors).toEqual([]);
    expect(statuses().at(0)).toBe(503);
    expect(statuses().at(-1)).toBe(202);
    expect(new Set(statuses())).toEqual(new Set([202, 503]));
    await until(async () => (await get('/messages?limit=100')).results.length === 10);
    const { length } = (await app.redis.xrange(app.keys.outbox('log'), '-', '+')).flatMap(
      ([, [, , ...pairs]]) => pairs,
    );
    expect(length).toBe(20);
  });
});

describe("RudderStack's own SDK for Node", () => {
  function sdk(options: object = {}) {
    return new RudderAnalytics(key, {
      ...{ dataPlaneUrl: `${app.url}/inbound/rudderstack`, flushInterval: 60_000, logLevel: 'silly', retryCount: 3 },
      ...options,
    } as never);
  }
  const called = (call: (done: (error?: Error) => void) => void) =>
    new Promise<Error | undefined>((resolve) => call((error) => resolve(error)));

  test.each([true, false])(
    'brings each of its calls (gzip %s) with a key of the role inbound as its write key',
    async (gzip) => {
      await start();
      const analytics = sdk({ gzip, flushAt: 20 });
      // The first one is sent at once, by itself.
      expect(await called((done) => analytics.identify(IDENTIFY, done))).toBeFalsy();
      analytics.group(GROUP);
      analytics.track(ORDER);
      analytics.track(LOOKED);
      analytics.page(PAGE);
      analytics.screen(PAGE as never);
      analytics.alias(ALIAS);
      await analytics.flush();
      expect(statuses()).toEqual([202, 202]);
      await expectAllThere();
    },
  );

  test('drops an event that is bad, and does not bring it again', async () => {
    await start();
    const analytics = sdk({ errorHandler: () => undefined });
    const error = await called((done) => analytics.identify({ userId: 'x'.repeat(300), traits: {} }, done));
    expect(error).toBeInstanceOf(Error);
    expect(statuses()).toEqual([400]);
  });

  test('comes again after a fault that passes, and each event is done once', async () => {
    ownRedis = await startRedis();
    await start({ redisUrl: ownRedis.url, checkTimeoutMs: 300 });
    const analytics = sdk({ flushAt: 1, axiosRetryConfig: { retries: 5, retryDelay: () => 1_000 } });
    await ownRedis.freeze();
    const brought = called((done) => analytics.track(ORDER, done));
    await until(() => statuses().length > 0);
    await ownRedis.thaw();
    expect(await brought).toBeFalsy();
    expect(statuses().at(0)).toBe(503);
    expect(statuses().at(-1)).toBe(202);
    expect((await get('/messages')).results).toHaveLength(1);
  });
});
