import { once } from 'node:events';
import Redis from 'ioredis';
import { connectFailingFast, connectPatiently, parseRedisUrl } from '../../src/store/connection';
import { isRedisUnavailable, redisFailureReason } from '../../src/store/failure';
import { createLink } from '../../src/store/link';
import { freePort } from '../support/ports';
import { type RedisServer, startRedis } from '../support/redis';

/** What a promise is rejected with. */
async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('nothing failed');
}

async function connected(server: RedisServer, commandTimeoutMs = 2_000) {
  const redis = connectFailingFast(parseRedisUrl(server.url), { name: 'test', commandTimeoutMs, reconnectMs: 20 });
  redis.on('error', () => undefined);
  const link = createLink(redis);
  if (!link.isReady()) await link.nextAttempt();
  return redis;
}

test('a Redis that nobody listens for is unreachable', async () => {
  const url = `redis://127.0.0.1:${await freePort()}`;
  const redis = connectFailingFast(parseRedisUrl(url), { name: 'test', commandTimeoutMs: 2_000, reconnectMs: 20 });
  const connecting = new Promise((resolve) => redis.once('error', resolve));
  expect(redisFailureReason(await failure(redis.get('x')))).toBe('unreachable');
  expect(redisFailureReason(await connecting)).toBe('unreachable');
  redis.disconnect();
  expect(redisFailureReason(await failure(redis.get('x')))).toBe('unreachable');
});

test('a Redis that is killed, frozen, full or read-only is unavailable, each for its reason', async () => {
  const server = await startRedis();
  const redis = await connected(server);

  await redis.config('SET', 'maxmemory', '1');
  expect(redisFailureReason(await failure(redis.set('x', 'y')))).toBe('refused');
  expect(redisFailureReason(await failure(redis.eval("return redis.call('set', KEYS[1], 'y')", 1, 'x')))).toBe(
    'refused',
  );
  await redis.config('SET', 'maxmemory', '0');

  await redis.config('SET', 'min-replicas-to-write', '1');
  expect(redisFailureReason(await failure(redis.set('x', 'y')))).toBe('refused');
  await redis.config('SET', 'min-replicas-to-write', '0');

  // A replica of nobody refuses writes at once; and reads too, once it may not serve stale data. The connection is made again.
  const admin = new Redis(server.url);
  await admin.config('SET', 'replica-serve-stale-data', 'no');
  await admin.replicaof('127.0.0.1', String(await freePort()));
  const connectedAgain = once(redis, 'ready');
  expect(redisFailureReason(await failure(redis.get('x')))).toBe('refused');
  await admin.replicaof('NO', 'ONE');
  admin.disconnect();
  await connectedAgain;

  await server.freeze();
  expect(redisFailureReason(await failure(redis.get('x')))).toBe('timeout');
  await server.thaw();

  // Killed before a command may have taken too long, on a busy machine too.
  const other = await connected(server, 20_000);
  const waiting = failure(other.blpop('nothing', 0));
  await server.kill();
  expect(redisFailureReason(await waiting)).toBe('unreachable');
  redis.disconnect();
  other.disconnect();
  await server.stop();
});

test('a connection that is told to disconnect while it waits to be made again ends, and so does what waits for it', async () => {
  const server = await startRedis();
  const options = { name: 'test', commandTimeoutMs: 0, reconnectMs: 60_000 };
  const redis = connectPatiently(parseRedisUrl(server.url), options) as Redis;
  await redis.ping();
  const duplicate = redis.duplicate();
  await duplicate.ping();
  const both = [redis, duplicate].map((connection) => {
    connection.on('error', () => undefined);
    // `once` of node:events would be rejected by the error that may come before.
    const lost = new Promise((resolve) => connection.once('reconnecting', resolve));
    return { connection, blocked: failure(connection.blpop('nothing', 0)), lost };
  });
  await server.kill();
  for (const { connection, blocked, lost } of both) {
    await lost;
    const ended = once(connection, 'end');
    connection.disconnect();
    await ended;
    expect(redisFailureReason(await blocked)).toBe('unreachable');
  }
  await server.stop();
});

test.each([
  'LOADING Redis is loading the dataset in memory',
  'MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.',
  'CLUSTERDOWN Hash slot not served',
  'TRYAGAIN Multiple keys request during rehashing of slot',
  'BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.',
  'ERR max number of clients reached',
  "ERR Error running script (call to f_0123): @user_script:9: @user_script: 9: -OOM command not allowed when used memory > 'maxmemory'. ",
])('a server that says "%s" cannot serve now', (message) => {
  expect(redisFailureReason(Object.assign(new Error(message), { name: 'ReplyError' }))).toBe('refused');
});

test.each([
  new Error('ERR unknown command'),
  new Error('WRONGTYPE Operation against a key holding the wrong kind of value'),
  new Error('NOSCRIPT No matching script.'),
  new Error('ERR user_script:9: attempt to index a nil value script: 0123, on @user_script:9.'),
  new Error('A message that says OOM somewhere'),
  new TypeError("Cannot read properties of undefined (reading 'x')"),
  Object.assign(new Error('no such file'), { code: 'ENOENT' }),
  Object.assign(new Error('The operation was aborted'), { name: 'AbortError', code: 'ABORT_ERR' }),
  'LOADING as a text',
  null,
  undefined,
])('%s is a fault of ours', (error) => {
  expect(isRedisUnavailable(error)).toBe(false);
});
