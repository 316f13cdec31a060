import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Redis from 'ioredis';
import { freePort } from '../support/ports';
import { type RedisServer, startRedis } from '../support/redis';
import { startCluster } from '../support/redis-cluster';
import { endAllSendgates, runSendgate, startSendgate } from '../support/sendgate';
import { until } from '../support/sends';

jest.setTimeout(120_000);

/** For whoever expects that Redis decides, on a busy machine too. */
const PATIENT = { SENDGATE_CHECK_TIMEOUT_MS: '5000' };

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  await endAllSendgates();
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sg-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function redisServer(options: Parameters<typeof startRedis>[0] = {}): Promise<RedisServer> {
  const server = await startRedis(options);
  cleanups.push(() => server.stop());
  return server;
}

function privateRedisPid(dataDir: string): number {
  return Number(readFileSync(join(dataDir, 'redis.pid'), 'utf8'));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A process that is not our child tells nobody of its end: it can only be looked at. */
async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await delay(5);
}

async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

const status = async (url: string) => (await fetch(url)).status;

/** A request whose head has reached the server, and whose body it waits for. */
async function begunCheck(url: string): Promise<{ finish(): Promise<IncomingMessage> }> {
  const begun = request(`${url}/check`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', expect: '100-continue' },
  });
  begun.flushHeaders();
  await once(begun, 'continue');
  begun.on('error', () => undefined); // Cut off, which some tests are about.
  return {
    async finish() {
      const answered = once(begun, 'response');
      begun.end('{"user_id":"ann"}');
      return (await answered)[0] as IncomingMessage;
    },
  };
}

describe('sendgate up', () => {
  test('starts with a Redis of its own, decides, stops with 0, leaves no process, and has its data again', async () => {
    const dataDir = join(temporaryFolder(), 'data');
    const env = { PORT: '0', SENDGATE_DATA_DIR: dataDir, ...PATIENT };
    const first = startSendgate(['up'], env);
    const url = await first.ready();
    await first.logged('The worker is ready.');
    const redisPid = privateRedisPid(dataDir);
    const limit = { id: 'daily', per: ['user'], period: 'day', max: 1 };
    expect((await post(`${url}/limits`, limit)).status).toBe(201);
    expect(await (await post(`${url}/check`, { user_id: 'ann' })).json()).toMatchObject({ decision: 'accepted' });
    expect(await (await post(`${url}/check`, { user_id: 'ann' })).json()).toMatchObject({ decision: 'throttled' });

    first.signal('SIGTERM');
    expect(await first.ended).toBe(0);
    expect(first.stderr()).toBe('');
    expect(isAlive(redisPid)).toBe(false);

    const second = startSendgate(['up'], env);
    const again = await second.ready();
    expect(await (await post(`${again}/check`, { user_id: 'ann' })).json()).toMatchObject({ decision: 'throttled' });
    second.signal('SIGINT');
    expect(await second.ended).toBe(0);
  });

  test('takes its Redis with it when it is killed, and starts again at once', async () => {
    const dataDir = temporaryFolder();
    const env = { PORT: '0', SENDGATE_DATA_DIR: dataDir };
    const killed = startSendgate(['up'], env);
    await killed.ready();
    const redisPid = privateRedisPid(dataDir);
    killed.signal('SIGKILL');
    expect(await killed.ended).toBe('SIGKILL');
    const next = startSendgate(['up'], env);
    await gone(redisPid);
    await next.ready();
    expect(privateRedisPid(dataDir)).not.toBe(redisPid);
  });

  test('goes on when its Redis is killed: unready until that is back, with what it held', async () => {
    const dataDir = temporaryFolder();
    const sendgate = startSendgate(['up'], { PORT: '0', SENDGATE_DATA_DIR: dataDir });
    const url = await sendgate.ready();
    await post(`${url}/limits`, { id: 'daily', per: ['user'], period: 'day', max: 1 });
    process.kill(privateRedisPid(dataDir), 'SIGKILL');
    await sendgate.logged('The private Redis ended by itself, and is started again.');
    await sendgate.logged('Redis answers again.');
    // That may have been the worker, whose connection is another one.
    await until(async () => (await status(`${url}/readyz`)) === 200);
    expect(await status(`${url}/limits/daily`)).toBe(200);
  });

  test('is refused a data folder that another one holds, and told which process that is', async () => {
    const env = { PORT: '0', SENDGATE_DATA_DIR: temporaryFolder() };
    const first = startSendgate(['up'], env);
    await first.ready();
    const second = await runSendgate(['up'], env);
    expect(second).toMatchObject({ code: 1 });
    expect(second.stderr).toContain(`is held by another Sendgate (process ${first.pid})`);
  });

  test('without a Redis to start says what to install or to set', async () => {
    const { code, stderr } = await runSendgate(['up'], { PATH: '/nowhere', PORT: '0' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^REDIS_URL is not set, and there is no redis-server .*\n$/);
  });

  test('prints where it is and a call that works, and says who may make it', async () => {
    const sendgate = startSendgate(['up'], { PORT: '0', SENDGATE_DATA_DIR: temporaryFolder() });
    const url = await sendgate.ready();
    sendgate.signal('SIGTERM');
    await sendgate.ended;
    expect(sendgate.stdout()).toContain(`Sendgate is ready: ${url} `);
    expect(sendgate.stdout()).toContain('There is no API key yet, so only this machine can connect.');
    expect(sendgate.stdout()).toContain(
      `curl ${url}/check \\\n    -H 'Content-Type: application/json' -d '{"user_id": "ann"}'`,
    );
  });

  test('with a key prints a call that takes it from the environment, and never the key itself', async () => {
    const key = 'hunter2-hunter2-hunter2';
    const sendgate = startSendgate(['up'], {
      PORT: '0',
      HOST: '0.0.0.0',
      SENDGATE_DATA_DIR: temporaryFolder(),
      SENDGATE_API_KEY: key,
      SENDGATE_LOG_LEVEL: 'debug',
      ...PATIENT,
    });
    const url = await sendgate.ready();
    expect((await post(`${url}/check`, { user_id: 'ann' })).status).toBe(401);
    const allowed = await post(`${url}/check`, { user_id: 'ann' }, { authorization: `Bearer ${key}` });
    expect(allowed.status).toBe(200);
    sendgate.signal('SIGTERM');
    await sendgate.ended;
    expect(sendgate.stdout()).toContain('-H "Authorization: Bearer $SENDGATE_API_KEY"');
    expect(sendgate.stdout() + sendgate.stderr()).not.toContain('hunter2');
  });
});

describe('API and worker by themselves', () => {
  test('share a Redis, answer for their health, and stop with 0', async () => {
    const redis = await redisServer();
    const admin = new Redis(redis.url);
    await admin.config('SET', 'requirepass', 'hunter2');
    admin.disconnect();
    const REDIS_URL = redis.url.replace('redis://', 'redis://:hunter2@');
    const worker = startSendgate(['worker'], { REDIS_URL, SENDGATE_WORKER_PORT: '0', SENDGATE_LOG_LEVEL: 'debug' });
    const api = startSendgate(['api'], { REDIS_URL, PORT: '0', SENDGATE_LOG_LEVEL: 'debug' });
    const apiUrl = await api.ready();
    const { port } = await worker.logged('The worker listens.');
    await worker.logged('The worker is ready.');
    for (const url of [apiUrl, `http://127.0.0.1:${port}`]) {
      expect(await status(`${url}/healthz`)).toBe(200);
      expect(await status(`${url}/readyz`)).toBe(200);
      expect(await (await fetch(`${url}/metrics`)).text()).toContain('sendgate_redis_up 1');
    }
    expect(await status(`http://127.0.0.1:${port}/check`)).toBe(404);
    for (const process of [api, worker]) {
      process.signal('SIGTERM');
      expect(await process.ended).toBe(0);
      expect(process.stdout() + process.stderr()).not.toContain('hunter2');
    }
  });

  test('run on a Redis Cluster, in one process too', async () => {
    const cluster = await startCluster();
    cleanups.push(() => cluster.stop());
    const env = { REDIS_URL: cluster.url, PORT: '0', ...PATIENT };
    const sendgate = startSendgate(['up'], env);
    const url = await sendgate.ready();
    await sendgate.logged('The worker is ready.');
    expect(await status(`${url}/readyz`)).toBe(200);
    expect(await (await post(`${url}/check`, { user_id: 'ann' })).json()).toMatchObject({ decision: 'accepted' });
    expect(await runSendgate(['keys', 'create', '--role', 'admin'], env)).toMatchObject({ code: 0 });
    sendgate.signal('SIGTERM');
    expect(await sendgate.ended).toBe(0);
    expect(sendgate.log().filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('without REDIS_URL are refused', async () => {
    for (const role of ['api', 'worker']) {
      const { code, stderr } = await runSendgate([role]);
      expect(code).toBe(2);
      expect(stderr).toContain(`REDIS_URL must be set: sendgate ${role} has no Redis of its own`);
    }
  });

  test('wait for a Redis that is away, are unready while it is, and ready when it is back', async () => {
    const redis = await redisServer();
    await redis.kill();
    const env = { REDIS_URL: redis.url, ...PATIENT };
    const worker = startSendgate(['worker'], env);
    const api = startSendgate(['api'], { ...env, PORT: '0' });
    const { host, port } = await api.logged('The API listens.');
    const url = `http://${host}:${port}`;
    await api.logged('Waiting for Redis.');
    expect(await status(`${url}/healthz`)).toBe(200);
    expect(await status(`${url}/readyz`)).toBe(503);
    expect((await post(`${url}/check`, { user_id: 'ann' })).status).toBe(503);

    await redis.restart();
    await api.ready();
    await worker.logged('The worker is ready.');
    expect(await status(`${url}/readyz`)).toBe(200);
    expect((await post(`${url}/check`, { user_id: 'ann' })).status).toBe(200);

    await redis.kill();
    await api.logged(/^Redis does not answer/);
    expect(await status(`${url}/readyz`)).toBe(503);
    await redis.restart();
    await api.logged('Redis answers again.');
    expect(await status(`${url}/readyz`)).toBe(200);
  });

  test('notice a Redis that is frozen, and stop without it', async () => {
    const redis = await redisServer();
    const env = { REDIS_URL: redis.url, PORT: '0', SENDGATE_SHUTDOWN_TIMEOUT_MS: '5000' };
    const sendgate = startSendgate(['up'], env);
    const url = await sendgate.ready();
    await sendgate.logged('The worker is ready.');
    await redis.freeze();
    // The API's: the worker may have noticed first.
    await sendgate.logged(/^Redis does not answer: checks/);
    expect(await status(`${url}/readyz`)).toBe(503);
    sendgate.signal('SIGTERM');
    expect(await sendgate.ended).toBe(0);
    await redis.thaw();
  });

  test('refuse a Redis that is too old', async () => {
    const { port } = await redisServer();
    // A real one, but for the version that it gives.
    const proxy = createServer((socket) => {
      const server = connect(port, '127.0.0.1');
      socket.pipe(server);
      server.on('data', (data) => {
        socket.write(data.toString('latin1').replace(/redis_version:\d/, 'redis_version:5'), 'latin1');
      });
      for (const [one, other] of [[socket, server] as const, [server, socket] as const]) {
        one.on('error', () => undefined).on('close', () => other.destroy());
      }
    }).listen(0, '127.0.0.1');
    cleanups.push(() => proxy.close());
    await once(proxy, 'listening');
    const REDIS_URL = `redis://127.0.0.1:${(proxy.address() as { port: number }).port}`;
    for (const role of ['api', 'worker', 'up']) {
      const { code, stderr } = await runSendgate([role], { REDIS_URL, PORT: '0' });
      expect({ role, code, stderr }).toEqual({
        role,
        code: 1,
        stderr: expect.stringMatching(/^Redis 5\..* is too old: Sendgate needs 6\.2 or newer\.\n$/),
      });
    }
  });

  test('warn of a Redis that throws counters away', async () => {
    const redis = await redisServer({ args: ['--maxmemory-policy', 'allkeys-lru'] });
    const worker = startSendgate(['worker'], { REDIS_URL: redis.url });
    expect(await worker.logged(/maxmemory-policy is allkeys-lru/)).toMatchObject({ level: 'warn' });
  });
});

describe('a stop', () => {
  test('lets requests that have begun end, takes no new ones, and says that the connection closes', async () => {
    const redis = await redisServer();
    const api = startSendgate(['api'], { REDIS_URL: redis.url, PORT: '0', ...PATIENT });
    const url = await api.ready();
    const begun = await begunCheck(url);
    api.signal('SIGTERM');
    await api.logged('SIGTERM: stopping.');
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
    const response = await begun.finish();
    expect(response.statusCode).toBe(200);
    expect(response.headers.connection).toBe('close');
    expect(await api.ended).toBe(0);
  });

  test('cuts off what does not end in time, and ends at once at a second signal', async () => {
    const redis = await redisServer();
    const env = { REDIS_URL: redis.url, PORT: '0' };
    const patient = startSendgate(['api'], { ...env, SENDGATE_SHUTDOWN_TIMEOUT_MS: '3000' });
    await begunCheck(await patient.ready());
    patient.signal('SIGTERM');
    await patient.logged('Requests that had not ended are cut off.');
    expect(await patient.ended).toBe(0);

    const hurried = startSendgate(['api'], { ...env, SENDGATE_SHUTDOWN_TIMEOUT_MS: '600000' });
    await begunCheck(await hurried.ready());
    hurried.signal('SIGTERM');
    await hurried.logged('SIGTERM: stopping.');
    hurried.signal('SIGTERM');
    expect(await hurried.ended).toBe(1);
  });
});

describe('a start is refused', () => {
  test('with everything that is wrong with the environment, and without its secrets', async () => {
    const { code, stdout, stderr } = await runSendgate(['up'], {
      PORT: 'http',
      REDIS_URL: 'redis://:hunter2@',
      SENDGATE_API_KEY: 'hunter2 hunter2',
      SENDGATE_REPLICAS: '0',
    });
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr.split('\n').map((line) => line.trim().split(' ')[0])).toEqual([
      'The',
      'PORT',
      'REDIS_URL',
      'SENDGATE_API_KEY',
      'SENDGATE_REPLICAS',
      '',
    ]);
    expect(stderr).not.toContain('hunter2');
  });

  test('on a port that is in use', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    cleanups.push(() => squatter.close());
    await once(squatter, 'listening');
    const { port } = squatter.address() as { port: number };
    const dataDir = temporaryFolder();
    const { code, stderr } = await runSendgate(['up'], { PORT: `${port}`, SENDGATE_DATA_DIR: dataDir });
    expect(code).toBe(1);
    expect(stderr).toBe(
      `Port ${port} of 127.0.0.1 is in use by another process. Stop that one, or choose another port with PORT.\n`,
    );
    expect(existsSync(join(dataDir, 'redis.pid'))).toBe(false);
  });

  test('on an address that others reach, without any key', async () => {
    const redis = await redisServer();
    const env = { REDIS_URL: redis.url, PORT: '0', HOST: '0.0.0.0' };
    const { code, stderr } = await runSendgate(['api'], env);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^There is no API key, and HOST is 0\.0\.0\.0, which others can reach\./);

    // A key in Redis is as good as one in the environment.
    const { code: created } = await runSendgate(['keys', 'create', '--role', 'admin'], env);
    expect(created).toBe(0);
    await startSendgate(['api'], env).ready();
  });

  test('with a limits file that cannot be applied while nothing else limits, else not', async () => {
    const redis = await redisServer();
    const path = join(temporaryFolder(), 'limits.yaml');
    const env = { REDIS_URL: redis.url, PORT: '0', SENDGATE_LIMITS_FILE: path };
    writeFileSync(path, 'limits:\n  - {id: daily, per: [user], period: fortnight, max: 1}\n');
    const refused = await runSendgate(['api'], env);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('every message would pass');
    expect(refused.stdout).toContain(`${path}:2`);

    writeFileSync(path, 'limits:\n  - {id: daily, per: [user], period: day, max: 1}\n');
    const first = startSendgate(['api'], env);
    const url = await first.ready();
    expect(await (await fetch(`${url}/limits/daily`)).json()).toMatchObject({ max: 1, source: 'file' });
    first.signal('SIGTERM');
    await first.ended;

    writeFileSync(path, 'limits: {}\n');
    const second = startSendgate(['api'], env);
    expect(await status(`${await second.ready()}/limits/daily`)).toBe(200);
  });
});

describe('the command line', () => {
  test('checks the health of a process: 0 when it lives, 1 when it does not', async () => {
    const redis = await redisServer();
    const PORT = `${await freePort()}`;
    const env = { REDIS_URL: redis.url, PORT };
    expect(await runSendgate(['healthcheck'], env)).toMatchObject({ code: 1, stderr: expect.stringContaining(PORT) });
    const api = startSendgate(['api'], env);
    await api.logged('The API listens.');
    expect(await runSendgate(['healthcheck'], { PORT, HOST: '0.0.0.0' })).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await runSendgate(['healthcheck', '--port', PORT])).toMatchObject({ code: 0 });
    expect(await runSendgate(['healthcheck', '--port', 'http'])).toMatchObject({ code: 1 });
  });

  test('creates, lists and revokes keys, and applies limits, on the private Redis that runs', async () => {
    const dataDir = temporaryFolder();
    const env = { SENDGATE_DATA_DIR: dataDir };
    await startSendgate(['up'], { ...env, PORT: '0' }).ready();
    const created = await runSendgate(['keys', 'create', '--role', 'check,read', '--name', 'shop'], env);
    expect(created).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sg_\w+\n$/) });
    const listed = await runSendgate(['keys', 'list', '--json'], env);
    const [key] = JSON.parse(listed.stdout);
    expect(key).toMatchObject({ name: 'shop', roles: ['check', 'read'] });
    expect(await runSendgate(['keys', 'revoke', key.id], env)).toMatchObject({ code: 0 });
    expect(await runSendgate(['keys', 'revoke', key.id], env)).toMatchObject({ code: 1 });
    expect((await runSendgate(['keys', 'list'], env)).stdout).toBe('');

    const file = join(temporaryFolder(), 'limits.yaml');
    writeFileSync(file, 'limits:\n  - {id: daily, per: [user], period: day, max: 1}\n');
    expect(await runSendgate(['limits', 'validate', '-f', file])).toMatchObject({ code: 0 });
    expect(await runSendgate(['limits', 'diff', '-f', file], env)).toMatchObject({ code: 1 });
    expect(await runSendgate(['limits', 'simulate', '-f', file, '--days', '1'], env)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Over the last day [\s\S]*Nothing was changed\.\n$/),
    });
    expect(await runSendgate(['limits', 'apply', '-f', file], env)).toMatchObject({ code: 0 });
    expect(await runSendgate(['limits', 'diff', '-f', file], env)).toMatchObject({ code: 0 });
  });

  test('says what to set or to start when there is no Redis to work on', async () => {
    const none = join(temporaryFolder(), 'none');
    const missing = await runSendgate(['keys', 'list'], { SENDGATE_DATA_DIR: none });
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining(`no private Redis in ${none}`) });
    expect(existsSync(none)).toBe(false);
    const stopped = await runSendgate(['keys', 'list'], { SENDGATE_DATA_DIR: temporaryFolder() });
    expect(stopped).toMatchObject({ code: 1, stderr: expect.stringContaining('does not run') });
    const away = await runSendgate(['keys', 'list'], { REDIS_URL: `redis://127.0.0.1:${await freePort()}` });
    expect(away).toMatchObject({ code: 1, stderr: expect.stringContaining('Redis does not answer (') });
  });

  test('ends with 0 for what was asked for, and with 2 for what it does not understand', async () => {
    const { version } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8'));
    expect(await runSendgate(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect(await runSendgate(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('healthcheck') });
    for (const args of [
      [],
      ['down'],
      ['keys'],
      ['keys', 'create'],
      ['up', '--fast'],
      ['limits', 'apply'],
      ['limits', 'simulate', '-f', 'x', '--days', '31'],
    ]) {
      const { code, stdout, stderr } = await runSendgate(args);
      expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' });
      expect(stderr).not.toBe('');
    }
  });
});
