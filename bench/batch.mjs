// What /check/batch decides in a second, beside Redis left alone with the same script.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { spread, summary, table, whole } from './figures.mjs';
import { FIVE_OF_A_USER } from './limits.mjs';
import { startSendgate } from './processes.mjs';
import { measureInTurns, ratios, warmUp } from './rounds.mjs';

const USERS = 10_000;
const BATCH = 100;

/**
 * The command that a call makes Sendgate send to Redis, as MONITOR shows it. Its deadline is three quarters of the
 * check timeout away: it must be used within that time.
 */
async function capture(redis, call) {
  const monitor = await redis.client.monitor();
  const command = new Promise((resolve) => {
    monitor.on('monitor', (_time, [name, ...args]) => {
      if (name.toLowerCase() === 'evalsha' && args.some((arg) => arg.includes('user-'))) resolve(args);
    });
  });
  await call();
  const args = await command;
  monitor.disconnect();
  await once(monitor, 'end');
  const replies = (await redis.client.evalsha(...args)).slice(2);
  if (!replies.every(([kind]) => kind === 1))
    throw new Error(`captured what Redis refuses: ${JSON.stringify(replies)}`);
  return args;
}

/** Runs redis-benchmark with a command for about some seconds; every key is another user's. */
async function redisBenchmark(redis, args, { decisions, commands, clients, pipeline }) {
  const keyCount = Number(args[1]);
  const varied = args.map((arg, index) =>
    index >= 2 && index < 2 + keyCount ? arg.replace(/user-\d+/, 'user-__rand_int__') : arg,
  );
  const before = await redis.cpuMicros();
  const options = ['-p', redis.port, '-n', commands, '-c', clients, '-P', pipeline, '-r', USERS, '--csv'];
  const { stdout } = await promisify(execFile)('redis-benchmark', [...options, 'evalsha', ...varied].map(String), {
    maxBuffer: 1e8,
  });
  const redisMicros = ((await redis.cpuMicros()) - before) / (commands * decisions);
  // The last line, whose first field is the command itself, with whatever it holds.
  const perSecond = Number(/.*"([\d.]+)"(?:,"[\d.]+"){6}\s*$/s.exec(stdout)[1]) * decisions;
  return { serverMicros: 0, redisMicros, bothMicros: redisMicros, perCpuSecond: 1e6 / redisMicros, perSecond };
}

/** Measures, and returns the report in Markdown. */
export async function benchBatch({ nodes, redis, generator, rounds, seconds, progress }) {
  const { version, path } = nodes.at(-1);
  progress(`batches on Node.js ${version}`);
  const server = await startSendgate(path, {
    redisUrl: redis.url(),
    workspace: 'batch',
    limits: FIVE_OF_A_USER,
    env: { SENDGATE_CHECK_TIMEOUT_MS: '60000' },
  });
  const scenario = (connections) => ({
    name: `\`/check/batch\` of ${BATCH}, ${connections} ${connections === 1 ? 'connection' : 'connections'}`,
    server,
    path: '/check/batch',
    load: { users: USERS, batch: BATCH },
    connections,
  });
  const scenarios = [
    { name: '`/check`, 64 connections', server, load: { users: USERS }, connections: 64 },
    scenario(1),
    scenario(4),
    scenario(16),
  ];
  await warmUp(scenarios, { generator, seconds });
  const measured = await measureInTurns(scenarios, { redis, generator, rounds, seconds });

  const messages = (count) => Array.from({ length: count }, (_, user) => ({ user_id: `user-${user}` }));
  const alone = { one: [], many: [] };
  for (let round = 0; round <= rounds; round += 1) {
    // Captured anew each time, because of the deadline. The first round is to warm up.
    const one = await capture(redis, () => server.post('/check', messages(1)[0]));
    const many = await capture(redis, () => server.post('/check/batch', { messages: messages(32) }));
    const results = {
      one: await redisBenchmark(redis, one, { decisions: 1, commands: 40_000 * seconds, clients: 4, pipeline: 32 }),
      many: await redisBenchmark(redis, many, { decisions: 32, commands: 2_000 * seconds, clients: 4, pipeline: 4 }),
    };
    if (round === 0) continue;
    alone.one.push(results.one);
    alone.many.push(results.many);
  }
  await server.stop();

  const rows = [
    ...scenarios.map(({ name }, index) => [name, measured[index]]),
    ['redis-benchmark, one message a call, pipelined', alone.one],
    ['redis-benchmark, 32 messages a call, pipelined', alone.many],
  ];
  return [
    `### Decisions per second in batches, Node.js ${version}`,
    table(
      ['', 'decisions per second', 'over one message a call', 'Node.js, µs', 'Redis, µs', 'per CPU second'],
      rows.map(([name, figures]) => {
        const column = (key) => figures.map((figure) => figure[key]);
        return [
          name,
          whole(summary(column('perSecond')).median),
          spread(ratios(figures, alone.one, 'perSecond'), 2),
          spread(column('serverMicros')),
          spread(column('redisMicros')),
          whole(summary(column('perCpuSecond')).median),
        ];
      }),
    ),
  ].join('\n\n');
}
