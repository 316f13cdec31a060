import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createKeys } from '../../src/store/keys';
import { connectTo } from '../support/members';
import { SEGMENT_EVENTS } from '../support/recorded-events';
import { type RedisServer, startRedis, uniqueWorkspace } from '../support/redis';
import { endAllSendgates, runSendgate, startSendgate } from '../support/sendgate';
import { until } from '../support/sends';

import RudderAnalytics = require('@rudderstack/rudder-sdk-node');

const ADMIN_KEY = 'admin-key-0123456789';
const SECRET = 'shared-secret-of-segment';
const PROOF = 'agreed-with-rudderstack';

let redisServer: RedisServer;
let environment: Record<string, string>;
let receiver: Server;
/** The data of each message that was delivered, by its id. */
const delivered = new Map<string, Record<string, unknown>>();

beforeEach(async () => {
  delivered.clear();
  redisServer = await startRedis({ appendonly: true });
  receiver = createServer((incoming, outgoing) => {
    let body = '';
    incoming.setEncoding('utf8').on('data', (chunk) => {
      body += chunk;
    });
    incoming.on('end', () => {
      const { data } = JSON.parse(body);
      delivered.set(data.message_id, data);
      outgoing.end('{}');
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => receiver.once('listening', resolve));
  environment = {
    ...{ REDIS_URL: redisServer.url, SENDGATE_WORKSPACE: uniqueWorkspace(), PORT: '0', SENDGATE_API_KEY: ADMIN_KEY },
    ...{ SENDGATE_SEGMENT_SECRET: SECRET, SENDGATE_RUDDERSTACK_HEADER: `X-Proof: ${PROOF}` },
    SENDGATE_PROVIDER: 'webhook',
    SENDGATE_WEBHOOK_URL: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`,
    SENDGATE_ALLOW_PRIVATE_TARGETS: 'true',
  };
}, 60_000);
afterEach(async () => {
  await endAllSendgates();
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
  await redisServer.stop();
});

async function call(url: string, method: string, path: string, body: unknown, headers: Record<string, string> = {}) {
  const answer = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: await answer.json() };
}
const signed = (body: unknown) => ({
  'x-signature': createHmac('sha1', SECRET).update(JSON.stringify(body)).digest('hex'),
});
const mappings = [{ event: 'Order *', topic: 'orders', template: 'receipt' }];

test('an event goes all the way: signed by its product, mapped, decided, delivered, with a key that can do only that', async () => {
  const sendgate = startSendgate(['up'], environment);
  const url = await sendgate.ready();
  const { stdout } = await runSendgate(['keys', 'create', '--role', 'inbound'], environment);
  const key = stdout.trim();
  expect((await call(url, 'PUT', '/inbound/mappings', { mappings })).status).toBe(200);
  const event = SEGMENT_EVENTS.track!;
  const inbound = { authorization: `Bearer ${key}` };
  // Every process knows of the key within some seconds.
  await until(
    async () => (await call(url, 'POST', '/inbound/segment', {}, { ...inbound, ...signed({}) })).status === 400,
  );

  expect((await call(url, 'POST', '/inbound/segment', event, inbound)).status).toBe(401);
  expect((await call(url, 'POST', '/check', { user_id: 'ann' }, inbound)).status).toBe(403);
  const taken = await call(url, 'POST', '/inbound/segment', event, { ...inbound, ...signed(event) });
  expect(taken).toEqual({ status: 202, body: { messageId: event.messageId } });

  const headers = { 'X-Proof': PROOF };
  const analytics = new RudderAnalytics(key, {
    ...{ dataPlaneUrl: `${url}/inbound/rudderstack`, flushAt: 1, logLevel: 'silly', axiosConfig: { headers } },
  } as never);
  await new Promise<void>((resolve, reject) => {
    const order = { userId: 'bob', event: 'Order Shipped', messageId: 'order:82', properties: { order: 82 } };
    analytics.track(order as never, (error?: Error) => (error ? reject(error) : resolve()));
  });

  await until(() => delivered.size === 2);
  expect(delivered.get(event.messageId)).toMatchObject({
    ...{ user_id: event.userId, topic_id: 'orders', template: 'receipt', data: event.properties },
    ...{ to: { user_id: event.userId }, metadata: { event: 'Order Completed' } },
  });
  expect(delivered.get('order:82')).toMatchObject({ user_id: 'bob', data: { order: 82 } });
  expect(await sendgate.logged(/^Events were refused/)).toMatchObject({
    ...{ level: 'warn', source: 'segment', refused: 1, first: expect.stringContaining('type is missing') },
  });
  for (const secret of [SECRET, PROOF, key, ADMIN_KEY])
    expect(sendgate.stdout() + sendgate.stderr()).not.toContain(secret);
}, 60_000);

test('a batch whose process is killed in the middle is brought again whole, and every event of it is done once', async () => {
  const batch = Array.from({ length: 3_000 }, (_, order) => ({
    ...{
      type: 'track',
      event: order % 3 === 0 ? 'Looked' : 'Order Placed',
      messageId: `order-${order}`,
      userId: `u${order}`,
    },
    properties: { order },
  }));
  const body = { batch };
  const bring = (url: string) => call(url, 'POST', '/inbound/segment/v1/batch', body, signed(body));
  const first = startSendgate(['api'], environment);
  const firstUrl = await first.ready();
  expect((await call(firstUrl, 'PUT', '/inbound/mappings', { mappings })).status).toBe(200);

  const keys = createKeys(environment.SENDGATE_WORKSPACE!);
  const redis = connectTo(redisServer.url);
  try {
    const answer = bring(firstUrl).then(
      ({ status }) => status,
      () => 'broken',
    );
    await until(async () => (await redis.xlen(keys.logRows)) > 100);
    first.signal('SIGKILL');
    expect(await answer).toBe('broken');
    expect(await redis.xlen(keys.logRows)).toBeLessThan(3_000);

    const url = await startSendgate(['up'], environment).ready();
    for (let times = 0; times < 2; times += 1) {
      // What takes a busy machine too long is brought again, as its sender does: what was done of it is found done.
      let answer = await bring(url);
      while (answer.status === 503) answer = await bring(url);
      expect(answer).toEqual({ status: 202, body: { accepted: 3_000, errors: [] } });
    }
    expect(await redis.xlen(keys.logRows)).toBe(3_000);
    await until(() => delivered.size === 2_000, 60_000);
    expect(new Set([...delivered.values()].map(({ user_id }) => user_id)).size).toBe(2_000);
  } finally {
    redis.disconnect();
  }
}, 120_000);
