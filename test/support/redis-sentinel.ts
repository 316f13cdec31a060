import { setTimeout as delay } from 'node:timers/promises';
import Redis from 'ioredis';
import { startRedisOnHost } from './redis';
import { type RedisOptions, type RedisServer, START_TIMEOUT_MS } from './redis-server';

export const MASTER_NAME = 'mymaster';

/** A master, its replica, and the Sentinels that watch them. */
export interface SentinelGroup {
  /** `redis+sentinel://127.0.0.1:port,127.0.0.1:port,127.0.0.1:port/mymaster` */
  url: string;
  sentinels: RedisServer[];
  /** Both Redis servers, whatever part each plays. */
  servers: RedisServer[];
  /** The port of the master, as the Sentinels have it. */
  masterPort(): Promise<number>;
  /** SIGKILL to the master; resolves with it when it is gone. */
  killMaster(): Promise<RedisServer>;
  /**
   * Makes a server follow the present master, as it does when it has written down what its Sentinels told it; resolves when
   * it has what the master has, and the Sentinels know that.
   */
  follow(server: RedisServer): Promise<void>;
  /** Makes the Sentinels put the replica in the master's place, while the master is well; resolves when it is. */
  failOver(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts a group of three Sentinels, the last of which calls a master dead after half a second. Takes about two seconds.
 */
export async function startSentinel(): Promise<SentinelGroup> {
  const started: RedisServer[] = [];
  const startAll = async (all: RedisOptions[]) => {
    const outcomes = await Promise.allSettled(all.map(startRedisOnHost));
    const servers = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    started.push(...servers);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return servers;
  };
  const stop = async () => void (await Promise.all(started.map((server) => server.stop())));
  try {
    const args = ['--repl-diskless-sync-delay', '0'];
    const [first, ...sentinels] = await startAll([{ args }, ...Array(3).fill({ sentinel: true })]);
    const [second] = await startAll([{ args: [...args, '--replicaof', '127.0.0.1', `${first!.port}`] }]);
    await watch(first!.port, sentinels);
    const group = groupOf([first!, second!], sentinels, stop);
    await group.follow(second!);
    return group;
  } catch (error) {
    await stop();
    throw error;
  }
}

function groupOf(servers: RedisServer[], sentinels: RedisServer[], stop: () => Promise<void>): SentinelGroup {
  const ask = <T>(act: (redis: Redis) => Promise<T>) => withRedis(sentinels[sentinels.length - 1]!.port, act);
  const masterPort = () =>
    ask(async (redis) =>
      Number(((await redis.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER_NAME)) as string[])[1]),
    );
  return {
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${MASTER_NAME}`,
    sentinels,
    servers,
    masterPort,
    async killMaster() {
      const port = await masterPort();
      const master = servers.find((server) => server.port === port)!;
      await master.kill();
      return master;
    },
    async follow({ port }) {
      const master = await masterPort();
      await withRedis(port, (redis) => redis.replicaof('127.0.0.1', master));
      await ask((redis) =>
        until('a replica that could take the place of its master', async () => {
          const replicas = (await redis.call('SENTINEL', 'REPLICAS', MASTER_NAME)) as string[][];
          return replicas.map(fields).some((replica) => {
            const { flags, 'master-link-status': link, 'role-reported': role } = replica;
            return flags === 'slave' && role === 'slave' && link === 'ok';
          });
        }),
      );
    },
    async failOver() {
      const before = await masterPort();
      await ask((redis) =>
        until('a failover', async () => {
          if ((await masterPort()) !== before) return true;
          const { flags = '' } = fields((await redis.call('SENTINEL', 'MASTER', MASTER_NAME)) as string[]);
          // One that was given up, for want of votes or of time, is begun anew.
          if (!flags.includes('failover_in_progress')) {
            await redis.call('SENTINEL', 'FAILOVER', MASTER_NAME).catch((error: Error) => {
              // It has not heard of the replica for a moment, or has just begun one by itself.
              if (!/^(?:NOGOODSLAVE|INPROG)\b/.test(error.message)) throw error;
            });
          }
          return false;
        }),
      );
    },
    stop,
  };
}

/** Has the Sentinels watch a master, and waits until they know its replica and each other. */
async function watch(masterPort: number, sentinels: RedisServer[]): Promise<void> {
  await Promise.all(
    sentinels.map(({ port }, index) =>
      withRedis(port, async (redis) => {
        const hurry = async (...pairs: string[]) => {
          // Servers before 7.0 cannot be hurried.
          await redis.call('SENTINEL', 'DEBUG', ...pairs).catch(() => undefined);
        };
        await hurry('INFO-PERIOD', '100', 'PUBLISH-PERIOD', '100');
        await redis.call('SENTINEL', 'MONITOR', MASTER_NAME, '127.0.0.1', `${masterPort}`, '1');
        // One is quicker than the others, and needs their votes: all at once they would now and then elect nobody.
        const downAfterMs = index === sentinels.length - 1 ? 500 : 5_000;
        const set = ['down-after-milliseconds', `${downAfterMs}`, 'failover-timeout', '2000'];
        await redis.call('SENTINEL', 'SET', MASTER_NAME, ...set);
        await until('what a Sentinel must know', async () => {
          const master = fields((await redis.call('SENTINEL', 'MASTER', MASTER_NAME)) as string[]);
          return master['num-slaves'] === '1' && master['num-other-sentinels'] === `${sentinels.length - 1}`;
        });
        // A master that was replaced while it was well is told after four of these that it is none: as long as usual.
        await hurry('PUBLISH-PERIOD', '2000');
      }),
    ),
  );
}

function fields(list: string[]): Record<string, string> {
  return Object.fromEntries(list.flatMap((name, index) => (index % 2 === 0 ? [[name, list[index + 1]!]] : [])));
}

/** What a Sentinel knows it tells nobody who has not asked. */
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  while (!(await holds())) {
    if (Date.now() > giveUpAt) throw new Error(`waited too long for ${what}`);
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
