import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from 'testcontainers';
import { ifKilled } from './if-killed';
import { freePort, isFree } from './ports';
import {
  READY_WORDS,
  type RedisOptions,
  type RedisServer,
  redisArguments,
  redisFiles,
  START_TIMEOUT_MS,
} from './redis-server';

const IMAGE = process.env.REDIS_IMAGE ?? 'redis:8-alpine';

// On Linux the containers take the host's network. A published port is a proxy there, which accepts connections for a
// container that is only starting, and loses them for a second: no Redis that was killed behaves so. Elsewhere the host
// is a machine behind the engine's own, and there is no other way.
const onHostNetwork = process.platform === 'linux';
const bind = onHostNetwork ? '127.0.0.1' : '0.0.0.0';

/** A Redis in a container of its own, at a port of this host that stays the same over a restart. */
export async function startRedisContainer(options: RedisOptions, attemptsLeft = 3): Promise<RedisServer> {
  const port = options.port ?? (await freePort());
  const command = ['redis-server', ...redisArguments({ ...options, port, bind, directory: '/data' })];
  let container: StartedTestContainer;
  try {
    const configured = new GenericContainer(IMAGE)
      .withCommand(command)
      .withCopyContentToContainer(
        redisFiles(options).map(([name, content]) => ({ content, target: `/data/${name}`, mode: 0o666 })),
      );
    container = await run(configured, [port]);
  } catch (error) {
    // However it ended, a port that another took meanwhile is the likely reason.
    if (options.port !== undefined || attemptsLeft === 0 || (await isFree(port))) throw error;
    return startRedisContainer(options, attemptsLeft - 1);
  }
  return { url: `redis://127.0.0.1:${port}`, port, ...(await controls(container, [port])) };
}

/**
 * Several Redis servers in one container, each at the same port inside and outside: so one address reaches a node from
 * the tests and from its fellow nodes, which a Redis Cluster needs.
 */
export async function startRedisGroupContainer(
  nodes: { port: number; args: string[] }[],
): Promise<Omit<RedisServer, 'url' | 'port'>> {
  const servers = nodes.map(({ port, args }) =>
    ['redis-server', ...redisArguments({ port, bind, directory: `/data/${port}`, args })]
      .map((word) => `'${word}'`)
      .join(' '),
  );
  const script = `mkdir -p ${nodes.map(({ port }) => `/data/${port}`).join(' ')}\n${servers.join(' &\n')} &\nwait`;
  const ports = nodes.map(({ port }) => port);
  const container = await run(new GenericContainer(IMAGE).withEntrypoint(['sh', '-c']).withCommand([script]), ports);
  return controls(container, ports);
}

async function run(container: GenericContainer, ports: number[]): Promise<StartedTestContainer> {
  const reachable = onHostNetwork
    ? container.withNetworkMode('host')
    : container.withExposedPorts(...ports.map((port) => ({ container: port, host: port })));
  const started = await reachable
    .withWaitStrategy(Wait.forLogMessage(READY_WORDS, ports.length))
    .withStartupTimeout(START_TIMEOUT_MS)
    .start();
  await Promise.all(ports.map(untilRedisAnswers));
  return started;
}

async function controls(container: StartedTestContainer, ports: number[]): Promise<Omit<RedisServer, 'url' | 'port'>> {
  const engine = (await getContainerRuntimeClient()).container.getById(container.getId());
  const callOff = ifKilled(['docker', 'rm', '-f', '-v', container.getId()]);

  const state = async () => (await engine.inspect()).State;
  const kill = async () => {
    if ((await state()).Running) await engine.kill({ signal: 'SIGKILL' });
    await engine.wait();
  };
  return {
    async stop() {
      await engine.remove({ force: true, v: true });
      callOff();
    },
    kill,
    async restart() {
      await kill();
      await engine.start();
      await Promise.all(ports.map(untilRedisAnswers));
    },
    async freeze() {
      if (!(await state()).Paused) await engine.pause();
    },
    async thaw() {
      if ((await state()).Paused) await engine.unpause();
    },
  };
}

/** A published port accepts connections before the server behind it does, so only an answer to PING counts. */
async function untilRedisAnswers(port: number): Promise<void> {
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  while (!(await answers(port))) {
    if (Date.now() > giveUpAt) throw new Error(`the Redis container did not answer at port ${port} in time`);
    await delay(10);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const done = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.setTimeout(1_000, () => done(false));
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', (data) => done(data.toString().startsWith('+PONG')));
    socket.once('error', () => done(false));
    socket.once('close', () => resolve(false));
  });
}
