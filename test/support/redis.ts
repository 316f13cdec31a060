import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rewriteAppendOnlyFile } from '../../src/private-redis/server';
import { connectPatiently, parseRedisUrl } from '../../src/store/connection';
import { startRedisProcess } from './redis-process';
import type { RedisOptions, RedisServer } from './redis-server';

export type { RedisOptions, RedisServer } from './redis-server';

/** Starts a Redis for one test, which must `stop()` it. Ordinary tests use `sharedRedisUrl()`. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const server = await (redisMode() === 'process'
    ? startRedisProcess(options)
    : containers().startRedisContainer(options));
  if (!options.appendonly) return server;
  return {
    ...server,
    async restart() {
      await server.restart();
      // As docs/operations.md says, lest what it was writing when it was killed takes effect after its next death.
      const redis = connectPatiently(parseRedisUrl(server.url), { name: 'test', commandTimeoutMs: 0, reconnectMs: 20 });
      await rewriteAppendOnlyFile(redis);
      redis.disconnect();
    },
  };
}

/**
 * Starts a Redis all of whose ports, those that `args` name too, are reached at 127.0.0.1, also by the other servers
 * that were started so: containers are where they share the host's network.
 */
export async function startRedisOnHost(options: RedisOptions = {}): Promise<RedisServer> {
  return process.platform === 'linux' ? startRedis(options) : startRedisProcess(options);
}

/** Loaded only where it is used: it costs a second. */
function containers(): typeof import('./redis-container') {
  return require('./redis-container');
}

/**
 * The URL of the Redis that all ordinary tests of this run share, in the form of the product's `REDIS_URL`. It is the
 * Cluster (`redis+cluster://…`) in the project "cluster". Tests keep apart by workspace, see `uniqueWorkspace`.
 */
export function sharedRedisUrl(): string {
  const url = process.env.SENDGATE_TEST_REDIS_URL;
  if (url === undefined) throw new Error('no shared Redis: this must run under jest, whose global setup starts it');
  return url;
}

/** A workspace name that no other test uses, now or in an earlier run. */
export function uniqueWorkspace(): string {
  return `test-${randomBytes(8).toString('hex')}`;
}

/**
 * Whether Redis runs in containers (where a Docker engine answers) or as private processes: decided once and handed to
 * the workers in SENDGATE_TEST_REDIS, which also forces one of the two.
 */
export function redisMode(): 'container' | 'process' {
  const given = process.env.SENDGATE_TEST_REDIS;
  if (given === 'container' || given === 'process') return given;
  if (given !== undefined) throw new Error(`SENDGATE_TEST_REDIS must be container or process, not ${given}`);
  const mode = dockerAnswers() ? 'container' : 'process';
  process.env.SENDGATE_TEST_REDIS = mode;
  return mode;
}

/** Whether a Docker engine answers. */
export function dockerAnswers(): boolean {
  try {
    execFileSync('docker', ['info'], { stdio: 'ignore', timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}
