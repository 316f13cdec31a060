import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Redis from 'ioredis';
import { refuseImmortalKeys } from './immortal-keys';
import { startRedis } from './redis';
import { startCluster } from './redis-cluster';

async function ask<T>(port: number, act: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({ port, retryStrategy: () => null, maxRetriesPerRequest: 0, commandTimeout: 1_000 });
  redis.on('error', () => {});
  try {
    return await act(redis);
  } finally {
    redis.disconnect();
  }
}

test('a killed Redis comes back at its port, with its data when it writes them down', async () => {
  const server = await startRedis({ appendonly: true });
  try {
    await ask(server.port, (redis) => redis.set('a', '1'));
    await server.kill();
    await expect(ask(server.port, (redis) => redis.ping())).rejects.toThrow();
    await server.restart();
    expect(await ask(server.port, (redis) => redis.get('a'))).toBe('1');
  } finally {
    await server.stop();
  }
  await expect(ask(server.port, (redis) => redis.ping())).rejects.toThrow();
});

test('a frozen Redis does not answer, and does what it was asked once it is thawed', async () => {
  const server = await startRedis();
  const redis = new Redis({ port: server.port });
  try {
    await redis.ping();
    await server.freeze();
    const asked = redis.set('a', '1');
    await expect(ask(server.port, (other) => other.ping())).rejects.toThrow('timed out');
    await server.thaw();
    expect(await asked).toBe('OK');
  } finally {
    redis.disconnect();
    await server.stop();
  }
});

test('a Redis that is frozen can be frozen again, thawed twice, killed, started again and stopped', async () => {
  const server = await startRedis();
  try {
    await server.freeze();
    await server.freeze();
    await server.thaw();
    await server.thaw();
    expect(await ask(server.port, (redis) => redis.ping())).toBe('PONG');
    await server.freeze();
    await server.kill();
    await server.restart();
    expect(await ask(server.port, (redis) => redis.ping())).toBe('PONG');
    await server.freeze();
  } finally {
    await server.stop();
  }
  await expect(ask(server.port, (redis) => redis.ping())).rejects.toThrow();
});

test('the Cluster has three nodes that serve every slot, and its clients reach each of them', async () => {
  const server = await startCluster();
  const cluster = new Redis.Cluster(server.ports.map((port) => ({ host: '127.0.0.1', port })));
  try {
    await Promise.all(Array.from({ length: 100 }, (_, index) => cluster.set(`key-${index}`, index)));
    expect(cluster.nodes('master')).toHaveLength(3);
    const sizes = await Promise.all(server.ports.map((port) => ask(port, (redis) => redis.dbsize())));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(100);
    expect(sizes).not.toContain(0);
  } finally {
    cluster.disconnect();
    await server.stop();
  }
});

test('a string of ours without a TTL, such as a counter, fails the run, and nothing else does', async () => {
  const server = await startRedis();
  try {
    await ask(server.port, (redis) =>
      redis
        .multi()
        .set('sg:{w}:c:a', 1, 'EX', 60)
        .set('sg:{w}:m:a', 1, 'EX', 60)
        .hset('sg:{w}:limits', 'a', 1)
        .set('other', 1)
        .exec(),
    );
    await refuseImmortalKeys([server.port]);
    await ask(server.port, (redis) => redis.multi().set('sg:{w}:c:b', 1).set('sg:{w}:m:b', 1).exec());
    await expect(refuseImmortalKeys([server.port])).rejects.toThrow(/2 counters or message records/);
  } finally {
    await server.stop();
  }
});

test('a process that ends by stopping a Redis process ends with its own status, such as that of failed tests', async () => {
  const script = `const { startRedisProcess } = require(${JSON.stringify(join(__dirname, 'redis-process.ts'))});
    startRedisProcess({}).then((server) => server.stop()).then(() => { process.exitCode = 7; });`;
  const ending = spawn(process.execPath, ['-r', join(__dirname, 'typescript.js'), '-e', script], { stdio: 'inherit' });
  expect((await once(ending, 'close'))[0]).toBe(7);
});

test('when the test process is killed, what it started is killed and its data removed', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sendgate-guard-'));
  const guard = [join(__dirname, 'guard.sh'), directory, 'sleep', '1000'];
  const script = `require('node:child_process').spawn('sh', ${JSON.stringify(guard)}, { stdio: ['pipe', 'inherit', 'pipe'] })`;
  const testProcess = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(testProcess.stdout, 'data');
  testProcess.kill('SIGKILL');
  // The guard and what it guards hold this pipe too: it closes when the last of them is gone.
  await once(testProcess, 'close');
  expect(existsSync(directory)).toBe(false);
});
