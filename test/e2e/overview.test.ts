import { freePort } from '../support/ports';
import { type RedisServer, startRedis, uniqueWorkspace } from '../support/redis';
import { endAllSendgates, startSendgate } from '../support/sendgate';
import { until } from '../support/sends';

let redis: RedisServer;
let environment: Record<string, string>;
beforeAll(async () => {
  redis = await startRedis({ appendonly: true });
}, 60_000);
afterAll(() => redis.stop());
beforeEach(() => {
  environment = {
    ...{ REDIS_URL: redis.url, PORT: '0', SENDGATE_WORKSPACE: uniqueWorkspace() },
    // What is counted here is what was decided by Redis.
    SENDGATE_CHECK_TIMEOUT_MS: '5000',
  };
});
afterEach(endAllSendgates);

async function call(url: string, method: string, path: string, body?: unknown) {
  const response = await fetch(url + path, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it and compare
  return { status: response.status, body: (text === '' ? null : JSON.parse(text)) as any };
}

const overview = async (url: string) => (await call(url, 'GET', '/overview')).body;
const send = async (url: string, user: string): Promise<string> =>
  (await call(url, 'POST', '/send', { message: { to: { user_id: user }, content: { body: 'hi' } } })).body.requestId;

test('what one process decides and delivers is in the overview within seconds, with what waits', async () => {
  const url = await startSendgate(['up'], environment).ready();
  await call(url, 'PUT', '/limits/user-daily', { per: ['user'], period: 'day', max: 1 });
  for (let count = 0; count < 3; count += 1) await send(url, 'ann');
  await call(url, 'POST', '/check', { user_id: 'bob' });
  await until(async () => {
    const { totals, queue } = await overview(url);
    return totals.accepted + totals.throttled === 4 && queue.depth === 0;
  });
  expect(await overview(url)).toMatchObject({
    ...{ range: 'hour', step_seconds: 60, redis: { up: true, degraded: false } },
    totals: { accepted: 2, throttled: 2, filtered: 0, failed: 0, degraded: 0 },
    top: { users: [{ id: 'ann', throttled: 2 }], accounts: [], limits: [{ id: 'user-daily', throttled: 2 }] },
    queue: {
      depth: 0,
      providers: expect.arrayContaining([
        {
          ...{ provider: 'log', outbox: 0, waiting: 0, active: 0, delayed: 0 },
          oldest_outbox_age_seconds: null,
        },
      ]),
    },
  });
});

test('what several processes have counted is there once they have stopped: none of it is lost', async () => {
  const worker = startSendgate(['worker'], {
    ...environment,
    SENDGATE_PROVIDER: 'webhook',
    // Nobody listens there.
    SENDGATE_WEBHOOK_URL: `http://127.0.0.1:${await freePort()}/`,
    SENDGATE_ALLOW_PRIVATE_TARGETS: 'true',
    SENDGATE_TRIES: '1',
  });
  const more = {
    ...environment,
    SENDGATE_PROVIDER: 'webhook',
    SENDGATE_WEBHOOK_URL: 'http://127.0.0.1:1/',
    SENDGATE_ALLOW_PRIVATE_TARGETS: 'true',
  };
  const apis = [startSendgate(['api'], more), startSendgate(['api'], more)];
  const urls = await Promise.all(apis.map((api) => api.ready()));
  await call(urls[0]!, 'PUT', '/limits/user-daily', { per: ['user'], period: 'day', max: 1 });
  const id = await send(urls[0]!, 'ann');
  for (const url of urls) {
    for (let count = 0; count < 10; count += 1) await call(url, 'POST', '/check', { user_id: 'bob' });
  }
  await until(async () => (await call(urls[0]!, 'GET', `/messages/${id}`)).body.status === 'UNDELIVERABLE');
  for (const one of [worker, apis[1]!]) one.signal('SIGTERM');
  expect(await Promise.all([worker.ended, apis[1]!.ended])).toEqual([0, 0]);
  // The other API has counted too; a new one has counted nothing.
  apis[0]!.signal('SIGTERM');
  expect(await apis[0]!.ended).toBe(0);
  const url = await startSendgate(['api'], more).ready();
  const { totals, top } = await overview(url);
  expect(totals).toEqual({ accepted: 2, throttled: 19, filtered: 0, failed: 1, degraded: 0 });
  expect(top.users).toEqual([{ id: 'bob', throttled: 19 }]);
});
