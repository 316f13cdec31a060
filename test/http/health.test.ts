import { startTestApp } from '../support/app';
import { freePort } from '../support/ports';
import { startRedis } from '../support/redis';

const NO_KEY = { authorization: null };

test('the process lives without Redis and without a key, but is not ready', async () => {
  const app = await startTestApp({ redisUrl: `redis://127.0.0.1:${await freePort()}`, withoutRedis: true });
  const alive = await app.call('GET', '/healthz', undefined, NO_KEY);
  expect([alive.status, alive.body]).toEqual([200, { status: 'ok' }]);
  const ready = await app.call('GET', '/readyz', undefined, NO_KEY);
  expect(ready.status).toBe(503);
  expect(ready.headers['content-type']).toBe('application/problem+json');
  expect(ready.body).toMatchObject({ status: 503, ready: false, redis: false, limits_loaded: false, degraded: true });
  expect((await app.call('GET', '/metrics', undefined, NO_KEY)).text).toContain('\nsendgate_redis_up 0\n');
  await app.stop();
});

test('it is ready once Redis answers and the limits are loaded, not while Redis is gone, and again afterwards', async () => {
  const server = await startRedis({ appendonly: true });
  const app = await startTestApp({ redisUrl: server.url });
  const ready = async () => (await app.call('GET', '/readyz', undefined, NO_KEY)).status;
  const expected = {
    ready: true,
    redis: true,
    limits_loaded: true,
    degraded: false,
    queue_depth: null,
    stopping: false,
  };
  expect((await app.call('GET', '/readyz', undefined, NO_KEY)).body).toEqual(expected);

  const closed = new Promise((resolve) => app.redis.once('close', resolve));
  await server.kill();
  await closed;
  expect(await ready()).toBe(503);
  expect((await app.call('GET', '/healthz', undefined, NO_KEY)).status).toBe(200);

  const again = new Promise((resolve) => app.redis.once('ready', resolve));
  await server.restart();
  await again;
  expect(await ready()).toBe(200);
  expect((await app.call('POST', '/check', { user_id: 'ann' })).body.degraded).toBe(false);
  await app.stop();
  await server.stop();
});
