import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Redis from 'ioredis';
import type { CheckOutcome } from '../../src/gate/check';
import type { Decision } from '../../src/limits/decision';
import { connectFailingFast, connectPatiently, parseRedisUrl } from '../../src/store/connection';
import { redisAdvice, redisWords } from '../../src/store/failure';
import { createKeys } from '../../src/store/keys';
import { messageTo, startTestGate, type TestGate } from '../support/gate';
import { freePort } from '../support/ports';
import { type RedisServer, startRedis, startRedisOnHost, uniqueWorkspace } from '../support/redis';
import { startRedisProcess } from '../support/redis-process';
import { MASTER_NAME, type SentinelGroup, startSentinel } from '../support/redis-sentinel';
import { endAllSendgates, type Sendgate, startSendgate } from '../support/sendgate';

jest.setTimeout(120_000);

const CHECK_TIMEOUT_MS = 250;
/** One within which a Redis that is well decides, on a busy machine too. */
const AMPLE_MS = 2_000;
/** What a busy machine may add to them. */
const NOISE_MS = 1_500;
const PASSWORD = 'hunter2/p@ss:w%rd';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  await endAllSendgates();
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** The check timeout of each gate. */
const timeoutsMs = new WeakMap<TestGate, number>();

async function gateOn(url: string, workspace = uniqueWorkspace(), checkTimeoutMs = CHECK_TIMEOUT_MS) {
  const gate = await startTestGate({ url, workspace, checkTimeoutMs });
  cleanups.push(() => gate.close());
  timeoutsMs.set(gate, checkTimeoutMs);
  return gate;
}

async function own(starting: Promise<RedisServer>): Promise<RedisServer> {
  const server = await starting;
  cleanups.push(() => server.stop());
  return server;
}

function adminOf({ port }: { port: number }): Redis {
  const redis = new Redis({ port });
  cleanups.push(() => redis.disconnect());
  return redis;
}

function decisionOf(outcome: CheckOutcome): Decision {
  if (outcome.kind !== 'decided') throw new Error(`not decided: ${outcome.kind}`);
  return outcome.decision;
}

/** Asks whether ann may have a message. */
async function ask(t: TestGate, messageId: string | null = null): Promise<Decision> {
  const startedMs = performance.now();
  const outcome = await t.gate.check({ message: messageTo('ann'), messageId, cost: 1, dry: false, atMs: null });
  expect(performance.now() - startedMs).toBeLessThan(timeoutsMs.get(t)! + NOISE_MS);
  return decisionOf(outcome);
}

/** Asks until Redis decides. */
async function askOn(t: TestGate, messageId: string | null = null): Promise<Decision> {
  for (;;) {
    const decision = await ask(t, messageId);
    if (!decision.degraded) return decision;
    await new Promise(setImmediate);
  }
}

const countAll = (t: TestGate) =>
  t.limit({ id: 'user', per: ['user'], period: 'day', max: 100_000, on_redis_down: 'allow' });

async function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

const readyz = async (url: string) => (await fetch(`${url}/readyz`)).status;

/** Starts API and worker on a Redis, and sees both do their work. */
async function runOn(REDIS_URL: string): Promise<{ sendgate: Sendgate; url: string }> {
  const keys = createKeys(uniqueWorkspace());
  const redis = connectPatiently(parseRedisUrl(REDIS_URL), { name: 'test', commandTimeoutMs: 0, reconnectMs: 20 });
  await redis.xadd(keys.audit, '1000-0', 'type', 'x');
  const sendgate = startSendgate(['up'], {
    REDIS_URL,
    SENDGATE_WORKSPACE: keys.workspace,
    SENDGATE_CHECK_TIMEOUT_MS: '2000',
    PORT: '0',
  });
  const url = await sendgate.ready();
  await sendgate.logged('The worker is ready.');
  expect(await sendgate.logged('Old entries were removed.')).toMatchObject({ role: 'worker', audit: 1 });
  expect(await redis.xlen(keys.audit)).toBe(0);
  redis.disconnect();
  expect((await post(`${url}/limits`, { id: 'daily', per: ['user'], period: 'day', max: 2 })).status).toBe(201);
  expect(await (await post(`${url}/check`, { user_id: 'ann' })).json()).toMatchObject({ decision: 'accepted' });
  expect(await readyz(url)).toBe(200);
  return { sendgate, url };
}

/** Stops it, and looks whether anything went wrong. */
async function stopInOrder(sendgate: Sendgate): Promise<void> {
  const startedMs = performance.now();
  sendgate.signal('SIGTERM');
  expect(await sendgate.ended).toBe(0);
  // Nothing was cut off for want of an end: that is done after seven of its ten seconds.
  expect(performance.now() - startedMs).toBeLessThan(6_900);
  expect(sendgate.stderr()).toBe('');
  expect(sendgate.log().filter(({ level }) => level === 'error')).toEqual([]);
}

describe('Sentinel', () => {
  let group: SentinelGroup;
  beforeAll(async () => {
    group = await startSentinel();
  });
  afterAll(() => group?.stop());

  const portOf = (t: TestGate) => (t.redis as Redis).stream.remotePort;

  test('a master that is killed: every check is answered in time, all go on with the new one, and none counts twice', async () => {
    const { sendgate, url } = await runOn(group.url);
    const t = await gateOn(group.url);
    await countAll(t);
    // What the replica has not been told is lost with the master: the limit must not be.
    expect(await (t.redis as Redis).wait(1, 10_000)).toBe(1);
    const ids = Array.from({ length: 100 }, (_, index) => `m-${index}`);
    await Promise.all(ids.slice(0, 50).map((id) => ask(t, id)));
    const onTheirWay = Promise.all(ids.slice(50).map((id) => ask(t, id)));
    // An engine for containers says late that it is gone, when there may be another: the connection knows at once.
    const gone = new Promise((resolve) => t.redis.once('close', resolve));
    const killing = group.killMaster();
    await gone;
    expect(await ask(t, 'm-0')).toMatchObject({ allowed: true, degraded: true });
    await onTheirWay;
    const killed = await killing;

    await Promise.all(ids.map((id) => askOn(t, id)));
    expect((await t.gate.usage(messageTo('ann')))!.map(({ used }) => used)).toEqual([100]);

    for (const _role of ['api', 'worker']) await sendgate.logged('Redis answers again.');
    expect(await readyz(url)).toBe(200);
    expect((await post(`${url}/check`, { user_id: 'bob' })).status).toBe(200);
    await stopInOrder(sendgate);
    await killed.restart();
    await group.follow(killed);
  });

  test('a master that is replaced while it is well is left at once, while it still takes itself for one', async () => {
    const t = await gateOn(group.url);
    await countAll(t);
    await askOn(t);
    const worker = connectPatiently(parseRedisUrl(group.url), { name: 'test', commandTimeoutMs: 0, reconnectMs: 20 });
    const blocking = (worker as Redis).duplicate();
    cleanups.push(
      () => worker.disconnect(),
      () => blocking.disconnect(),
    );
    await Promise.all([worker.ping(), blocking.ping()]);
    const replacedPort = portOf(t);
    const replaced = group.servers.find(({ port }) => port === replacedPort)!;
    const left = Promise.all([worker, blocking].map((redis) => once(redis, 'close')));
    await group.failOver();
    do await askOn(t);
    while (portOf(t) === replacedPort);
    await left;
    await Promise.all([worker.ping(), blocking.ping()]);
    expect((await adminOf(replaced).role())[0]).toBe('master');
    expect((worker as Redis).stream.remotePort).toBe(portOf(t));
    expect(blocking.stream.remotePort).toBe(portOf(t));
    await group.follow(replaced);
  });

  test('a Sentinel that is frozen and one that is gone keep nobody from the master', async () => {
    const [first, second] = group.sentinels;
    await first!.freeze();
    await second!.kill();
    try {
      const t = await gateOn(group.url, uniqueWorkspace(), AMPLE_MS);
      expect((await ask(t)).degraded).toBe(false);
    } finally {
      await first!.thaw();
      await second!.restart();
    }
  });

  test('why no Sentinel names a master is said of each', async () => {
    const gone = await freePort();
    const [sentinel] = group.sentinels;
    const url = `redis+sentinel://127.0.0.1:${gone},127.0.0.1:${sentinel!.port}/other`;
    expect(await refusal(url)).toBe(
      `No Sentinel names the master other (127.0.0.1:${gone}: connect ECONNREFUSED 127.0.0.1:${gone}; 127.0.0.1:${sentinel!.port}: it knows no master of that name)`,
    );
  });
});

/** What a connection's first error says. */
async function refusal(url: string): Promise<string | null> {
  const redis = connectFailingFast(parseRedisUrl(url), { name: 'test', commandTimeoutMs: 1_000, reconnectMs: 20 });
  const error = await new Promise((resolve) => redis.on('error', resolve));
  redis.disconnect();
  return redisWords(error);
}

/** The first advice that comes of a connection's errors. */
async function advice(url: string): Promise<string> {
  const redis = connectFailingFast(parseRedisUrl(url), { name: 'test', commandTimeoutMs: 1_000, reconnectMs: 20 });
  const given = await new Promise<string>((resolve) => {
    redis.on('error', (error) => {
      // One end of a connection may be closed before it has read why the other one closed it.
      const advice = redisAdvice(error);
      if (advice !== null) resolve(advice);
    });
  });
  redis.disconnect();
  return given;
}

test('a server that has become a replica is left for the one that its address now leads to', async () => {
  const [former, next] = await Promise.all([own(startRedis()), own(startRedis())]);
  // An address that moves, as that of a managed Redis does.
  let port = former.port;
  const address = createServer((socket) => {
    const server = connect(port, '127.0.0.1');
    socket.pipe(server).pipe(socket);
    for (const [one, other] of [[socket, server] as const, [server, socket] as const]) {
      one.on('error', () => undefined).on('close', () => other.destroy());
    }
  }).listen(0, '127.0.0.1');
  cleanups.push(() => address.close());
  await once(address, 'listening');
  const workspace = uniqueWorkspace();
  await countAll(await gateOn(next.url, workspace));
  const t = await gateOn(`redis://127.0.0.1:${(address.address() as { port: number }).port}`, workspace);
  await countAll(t);
  await askOn(t);

  await adminOf(former).replicaof('127.0.0.1', await freePort());
  expect(await ask(t)).toMatchObject({ allowed: true, degraded: true });
  expect(await advice(former.url)).toBe('it is a replica. REDIS_URL must lead to its master, or name its Sentinels.');
  port = next.port;
  expect(await askOn(t)).toMatchObject({ limits: [{ used: 1 }] });
});

describe('TLS', () => {
  let folder: string;
  let server: RedisServer;
  let tlsPort: number;
  const path = (name: string) => join(folder, name);
  /** What a client needs that is to be let in. */
  const secrets = () => `tls_ca=${path('redis.crt')}&tls_cert=${path('redis.crt')}&tls_key=${path('redis.key')}`;

  /** A certificate that is its own authority. */
  function makeCertificate(name: string, subjectAltName: string): void {
    try {
      execFileSync(
        'openssl',
        [
          ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${name}`],
          ...['-addext', `subjectAltName=${subjectAltName}`],
          ...['-keyout', path(`${name}.key`), '-out', path(`${name}.crt`)],
        ],
        { stdio: 'pipe' },
      );
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new Error('openssl is not on the PATH: it makes the certificates of this test');
    }
  }

  /** A server that speaks TLS at a port of its own, and only with those whose certificate it knows. */
  async function startTls(options: Parameters<typeof startRedisOnHost>[0] = {}) {
    const port = await freePort();
    const files = Object.fromEntries(
      ['redis.crt', 'redis.key'].map((name) => [name, readFileSync(path(name), 'utf8')] as const),
    );
    const args = [
      ...['--tls-port', `${port}`, '--tls-cert-file', 'redis.crt', '--tls-key-file', 'redis.key'],
      ...['--tls-ca-cert-file', 'redis.crt', '--tls-auth-clients', 'yes', '--tls-replication', 'yes'],
      ...(options.args ?? []),
    ];
    return { server: await startRedisOnHost({ ...options, files, args }), port };
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sendgate-tls-'));
    makeCertificate('redis', 'DNS:redis.test,IP:127.0.0.1');
    makeCertificate('stranger', 'DNS:redis.test,IP:127.0.0.1');
    ({ server, port: tlsPort } = await startTls());
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('API and worker run on rediss://', async () => {
    const { sendgate } = await runOn(`rediss://127.0.0.1:${tlsPort}?${secrets()}`);
    await stopInOrder(sendgate);
  });

  test('API and worker run on rediss+cluster://, found by a name that the certificate is for', async () => {
    const port = await freePort();
    const args = ['--cluster-enabled', 'yes', '--tls-cluster', 'yes', '--cluster-announce-ip', '127.0.0.1'];
    const node = await startTls({ port, args });
    cleanups.push(() => node.server.stop());
    const admin = adminOf(node.server);
    await admin.call('CLUSTER', 'ADDSLOTS', ...Array.from({ length: 16_384 }, (_, slot) => `${slot}`));
    const { sendgate } = await runOn(`rediss+cluster://localhost:${node.port}?${secrets()}&tls_servername=redis.test`);
    await stopInOrder(sendgate);
  });

  test('Sentinels and the master that they name are reached by rediss+sentinel://', async () => {
    const sentinel = await startTls({ sentinel: true });
    cleanups.push(() => sentinel.server.stop());
    await adminOf(sentinel.server).call('SENTINEL', 'MONITOR', MASTER_NAME, '127.0.0.1', `${tlsPort}`, '1');
    const url = `rediss+sentinel://127.0.0.1:${sentinel.port}/${MASTER_NAME}?${secrets()}`;
    const t = await gateOn(url, uniqueWorkspace(), AMPLE_MS);
    expect((await ask(t)).degraded).toBe(false);
  });

  test('a Redis that is not believed, and one that does not believe, are refused with words for the operator', async () => {
    const { port: sentinelPort, server: sentinel } = await startTls({ sentinel: true });
    cleanups.push(() => sentinel.stop());
    const client = `tls_cert=${path('redis.crt')}&tls_key=${path('redis.key')}`;
    expect(await advice(`rediss://127.0.0.1:${tlsPort}?${client}`)).toMatch(/certificate is not trusted.*tls_ca/);
    expect(await advice(`rediss+cluster://127.0.0.1:${tlsPort}?${client}`)).toMatch(/not trusted.*tls_ca/);
    expect(await advice(`rediss+sentinel://127.0.0.1:${sentinelPort}/mymaster?${client}`)).toMatch(/not trusted/);
    expect(await advice(`rediss://localhost:${tlsPort}?${secrets()}`)).toMatch(/another name.*tls_servername/);
    expect(await advice(`rediss://127.0.0.1:${tlsPort}?tls_ca=${path('redis.crt')}`)).toMatch(/tls_cert and tls_key/);
  });

  test('an API that does not believe its Redis says so, sends it nothing, and is not ready', async () => {
    const api = startSendgate(['api'], {
      REDIS_URL: `rediss://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${tlsPort}?tls_ca=${path('stranger.crt')}`,
      PORT: '0',
    });
    await expectUseless(api, /^Redis cannot be used: its certificate is not trusted\. Name .* tls_ca in REDIS_URL\.$/);
  });
});

/** An API that cannot use its Redis says why, is not ready, lives, and answers checks in time. */
async function expectUseless(api: Sendgate, words: RegExp, checkTimeoutMs = CHECK_TIMEOUT_MS): Promise<string> {
  const { host, port } = await api.logged('The API listens.');
  const url = `http://${host}:${port}`;
  expect(await api.logged(words)).toMatchObject({ level: 'error', role: 'api', reason: expect.any(String) });
  expect(await readyz(url)).toBe(503);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const startedMs = performance.now();
  expect((await post(`${url}/check`, { user_id: 'ann' })).status).toBe(503);
  expect(performance.now() - startedMs).toBeLessThan(checkTimeoutMs + NOISE_MS);
  expect(api.stdout() + api.stderr()).not.toContain('hunter2');
  return url;
}

describe('a user and a password', () => {
  const withSecrets = (url: string) => url.replace('redis://', `redis://ann:${encodeURIComponent(PASSWORD)}@`);
  let server: RedisServer;
  let admin: Redis;

  beforeEach(async () => {
    server = await own(startRedis());
    admin = adminOf(server);
  });

  test('in the URL are those that Redis is used with, in the database that it names', async () => {
    await admin.acl('SETUSER', 'ann', 'on', `>${PASSWORD}`, '~sg:*', '&*', '+@all');
    await admin.acl('SETUSER', 'default', 'off');
    const t = await gateOn(`${withSecrets(server.url)}/3`, uniqueWorkspace(), AMPLE_MS);
    await countAll(t);
    expect(await ask(t)).toMatchObject({ degraded: false, limits: [{ used: 1 }] });
    const [client] = ((await t.redis.client('LIST', 'ID', await t.redis.client('ID'))) as string).split('\n');
    expect(client).toMatch(/ db=3 .* user=ann /);
  });

  test('that are wrong are said to be, never repeated, and used as soon as they are right', async () => {
    await server.kill();
    const api = startSendgate(['api'], {
      ...{ REDIS_URL: withSecrets(server.url), PORT: '0', SENDGATE_CHECK_TIMEOUT_MS: `${AMPLE_MS}` },
    });
    await api.logged('Waiting for Redis.');
    await server.restart();
    const url = await expectUseless(
      api,
      /^Redis cannot be used: it refuses the user name or the password in REDIS_URL\.$/,
      AMPLE_MS,
    );
    await admin.acl('SETUSER', 'ann', 'on', `>${PASSWORD}`, '~*', '&*', '+@all');
    await api.ready();
    expect((await post(`${url}/check`, { user_id: 'ann' })).status).toBe(200);
    expect(api.stdout() + api.stderr()).not.toContain('hunter2');
  });

  test('that are missing are said to be', async () => {
    await admin.config('SET', 'requirepass', PASSWORD);
    expect(await advice(server.url)).toBe('it asks for a password, and REDIS_URL gives none.');
  });
});

test('API and worker run on unix://', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sendgate-unix-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const socket = join(folder, 'redis.sock');
  // A process also where the other servers are containers: a socket is of one machine.
  await own(startRedisProcess({ args: ['--unixsocket', socket] }));
  const { sendgate } = await runOn(`unix://${socket}`);
  await stopInOrder(sendgate);
});
