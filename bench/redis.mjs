import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/** A free port on loopback. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Starts a Redis of our own.
 * @param options.appendOnly whether it writes an append-only file, as it should in production; else it keeps nothing
 */
export async function startRedis({ appendOnly = false } = {}) {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'sendgate-bench-'));
  const options = ['--port', port, '--bind', '127.0.0.1', '--dir', directory, '--save', ''];
  const program = spawn('redis-server', [...options, '--appendonly', appendOnly ? 'yes' : 'no'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  program.on('error', (error) => {
    throw new Error(`redis-server cannot be started: ${error.message}`);
  });
  // Also when what is measured fails: nothing may stay behind.
  process.on('exit', () => {
    program.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });
  const client = new Redis(port, '127.0.0.1', { retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on('error', () => undefined); // Until it listens.
  await client.ping();

  async function info(section, ...names) {
    const text = await client.info(section);
    return names.map((name) => new RegExp(`^${name}:(.*)\r$`, 'm').exec(text)[1]);
  }
  return {
    port,
    client,
    url: (database = 0) => `redis://127.0.0.1:${port}/${database}`,
    /** CPU time used so far, by user and system, in microseconds. */
    async cpuMicros() {
      const used = await info('cpu', 'used_cpu_sys', 'used_cpu_user');
      return used.reduce((sum, seconds) => sum + Number(seconds) * 1e6, 0);
    },
    async memoryBytes() {
      return Number((await info('memory', 'used_memory'))[0]);
    },
    async version() {
      return (await info('server', 'redis_version'))[0];
    },
    async stop() {
      client.disconnect();
      program.kill('SIGKILL');
      await once(program, 'exit');
    },
  };
}
