import { refuseImmortalKeys } from './immortal-keys';
import type { RedisServer } from './redis';
import { startRedis } from './redis';
import { startCluster } from './redis-cluster';

/** What is shared by all test files of a jest project, for as long as jest runs. */
interface Shared {
  server: Pick<RedisServer, 'url' | 'stop'>;
  ports: number[];
}

// Jest loads a project's setup and its teardown apart, in one process.
const held = globalThis as { sendgateSharedRedis?: Map<string, Shared> };

/** Starts the Redis that ordinary tests share. */
export async function startShared(kind: 'standalone' | 'cluster'): Promise<void> {
  held.sendgateSharedRedis ??= new Map();
  if (kind === 'standalone') {
    const server = await startRedis();
    held.sendgateSharedRedis.set(kind, { server, ports: [server.port] });
    process.env.SENDGATE_TEST_REDIS_URL = server.url;
  } else {
    const server = await startCluster();
    held.sendgateSharedRedis.set(kind, { server, ports: server.ports });
    process.env.SENDGATE_TEST_CLUSTER_URL = server.url;
  }
}

/** Stops it, and fails the run when the tests left something in it that would never expire. */
export async function stopShared(kind: 'standalone' | 'cluster'): Promise<void> {
  const shared = held.sendgateSharedRedis?.get(kind);
  if (shared === undefined) return;
  try {
    await refuseImmortalKeys(shared.ports);
  } finally {
    await shared.server.stop();
  }
}
