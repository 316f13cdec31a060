import { setTimeout as delay } from 'node:timers/promises';
import Redis from 'ioredis';
import { freePort, isFree } from './ports';
import { redisMode } from './redis';
import { startRedisProcess } from './redis-process';
import { type RedisServer, START_TIMEOUT_MS } from './redis-server';

const NODES = 3;
const SLOTS = 16_384;

/** A Redis Cluster; what is done to it is done to all its nodes. */
export interface RedisClusterServer extends Omit<RedisServer, 'port'> {
  /** `redis+cluster://127.0.0.1:port,127.0.0.1:port,127.0.0.1:port` */
  url: string;
  ports: number[];
}

/** Starts a Redis Cluster of three masters that serve every slot between them. Takes about three seconds. */
export async function startCluster(attemptsLeft = 2): Promise<RedisClusterServer> {
  const ports = await distinctPorts();
  const nodes = ports.map((port) => ({
    port,
    // A machine that is busy, or a test that freezes the nodes, must not make them call each other failed.
    args: ['--cluster-enabled', 'yes', '--cluster-node-timeout', '60000', '--cluster-announce-ip', '127.0.0.1'],
  }));
  let group: Group;
  try {
    group = redisMode() === 'process' ? await startProcesses(nodes) : await startContainer(nodes);
  } catch (error) {
    // Between their choice and the start of the nodes another process may take one of the ports.
    if (attemptsLeft === 0 || !(await hasLostPorts(error, ports))) throw error;
    return startCluster(attemptsLeft - 1);
  }
  try {
    await formCluster(ports);
  } catch (error) {
    await group.stop();
    throw error;
  }
  return {
    ...group,
    url: `redis+cluster://${ports.map((port) => `127.0.0.1:${port}`).join(',')}`,
    ports,
    async restart() {
      await group.restart();
      await Promise.all(ports.map((port) => withRedis(port, untilClusterIsUp)));
    },
  };
}

type Group = Omit<RedisServer, 'url' | 'port'>;

async function startProcesses(nodes: { port: number; args: string[] }[]): Promise<Group> {
  const started = await Promise.allSettled(nodes.map(({ port, args }) => startRedisProcess({ port, args })));
  const servers = started.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const each = async (act: (server: RedisServer) => Promise<void>) => void (await Promise.all(servers.map(act)));
  const failed = started.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) {
    await each((server) => server.stop());
    throw failed.reason;
  }
  return {
    stop: () => each((server) => server.stop()),
    kill: () => each((server) => server.kill()),
    restart: () => each((server) => server.restart()),
    freeze: () => each((server) => server.freeze()),
    thaw: () => each((server) => server.thaw()),
  };
}

function startContainer(nodes: { port: number; args: string[] }[]): Promise<Group> {
  const { startRedisGroupContainer }: typeof import('./redis-container') = require('./redis-container');
  return startRedisGroupContainer(nodes);
}

async function distinctPorts(): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < NODES) ports.add(await freePort());
  return [...ports];
}

/** Whether a group did not start because another process has one of its ports, or of its cluster bus. */
async function hasLostPorts(error: unknown, ports: readonly number[]): Promise<boolean> {
  if (error instanceof Error && error.message.includes('Address already in use')) return true;
  // A container tells nothing. It is gone, so whoever listens there is another.
  const free = await Promise.all(ports.flatMap((port) => [isFree(port), isFree(port + 10_000)]));
  return free.includes(false);
}

async function formCluster(ports: number[]): Promise<void> {
  await Promise.all(
    ports.map((port, index) =>
      withRedis(port, async (redis) => {
        const first = Math.floor((index * SLOTS) / NODES);
        const last = Math.floor(((index + 1) * SLOTS) / NODES) - 1;
        // ADDSLOTS takes the slots one by one, as servers before 7.0 have no ADDSLOTSRANGE.
        const slots = Array.from({ length: last - first + 1 }, (_, offset) => String(first + offset));
        await redis.call('CLUSTER', 'ADDSLOTS', ...slots);
        await redis.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
      }),
    ),
  );
  await Promise.all(
    ports.map((port) =>
      withRedis(port, async (redis) => {
        for (const other of ports) if (other !== port) await redis.call('CLUSTER', 'MEET', '127.0.0.1', String(other));
        await untilClusterIsUp(redis);
      }),
    ),
  );
}

/** Redis announces the state of a cluster to nobody, so it has to be asked for. */
async function untilClusterIsUp(redis: Redis): Promise<void> {
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const info = String(await redis.call('CLUSTER', 'INFO'));
    if (
      ['cluster_state:ok', 'cluster_slots_assigned:16384', 'cluster_known_nodes:3'].every((line) => info.includes(line))
    )
      return;
    if (Date.now() > giveUpAt) throw new Error(`the Redis Cluster did not come up in time:\n${info}`);
    await delay(20);
  }
}

async function withRedis<T>(port: number, act: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({ host: '127.0.0.1', port });
  try {
    return await act(redis);
  } finally {
    redis.disconnect();
  }
}
