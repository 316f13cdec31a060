// How long it takes to try limits on a log, and what that is beside reading the log alone.
import { createRequire } from 'node:module';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { spread, table, whole } from './figures.mjs';
import { FIVE_OF_A_USER } from './limits.mjs';
import { writeMessages } from './log.mjs';
import { startSendgate } from './processes.mjs';

const require = createRequire(import.meta.url);

/** Measures, and returns the report in Markdown. */
export async function benchSimulate({ nodes, redis, rounds, progress }) {
  const { connectPatiently, parseRedisUrl } = require('../dist/store/connection.js');
  const { createKeys } = require('../dist/store/keys.js');
  const { loadScripts } = require('../dist/store/scripts.js');
  const { readPastEvents } = require('../dist/log/replay.js');
  const count = Number(process.env.BENCH_SIMULATED ?? 100_000);
  const { version, path } = nodes.at(-1);
  const workspace = 'simulate';
  const limits = FIVE_OF_A_USER.map((limit) => (limit.period === 'day' ? { ...limit, max: 9 } : limit));
  const server = await startSendgate(path, { redisUrl: redis.url(), workspace, limits });
  await writeMessages({ redis, workspace, count, progress });
  const client = connectPatiently(parseRedisUrl(redis.url()), { name: 'bench', commandTimeoutMs: 0, reconnectMs: 100 });
  const daily = limits.find(({ period }) => period === 'day');

  const reading = [];
  const simulating = [];
  const inRedis = [];
  let events = 0;
  const cpuMs = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  };
  for (let round = 0; round < rounds; round += 1) {
    progress(`round ${round + 1} of ${rounds}`);
    const beganMs = cpuMs();
    const past = await readPastEvents(
      { redis: client, scripts: loadScripts(), keys: createKeys(workspace), most: 1e6, pause: nextTurn },
      0,
    );
    reading.push(cpuMs() - beganMs);
    events = past.events.length;

    const [server0, redis0] = [await server.cpuMicros(), await redis.cpuMicros()];
    await server.post('/limits/simulate', { limits: [{ ...daily, max: 2 }] });
    simulating.push(((await server.cpuMicros()) - server0) / 1_000);
    inRedis.push(((await redis.cpuMicros()) - redis0) / 1_000);
  }

  // What a caller of a check notices.
  const checking = { alone: [], meanwhile: [] };
  const check = async (into) => {
    const startedMs = performance.now();
    await server.post('/check', { user_id: 'ann', dry_run: true });
    into.push(performance.now() - startedMs);
  };
  for (let times = 0; times < 300; times += 1) await check(checking.alone);
  let done = false;
  const simulation = server.post('/limits/simulate', { limits: [{ ...daily, max: 2 }] }).then(() => {
    done = true;
  });
  while (!done) await check(checking.meanwhile);
  await simulation;
  client.disconnect();
  await server.stop();

  const part = (values, share) => values.toSorted((a, b) => a - b)[Math.floor(values.length * share)];
  const middle = part(simulating, 0.5);
  const latency = (values) => `${part(values, 0.5).toFixed(1)}, ${part(values, 0.99).toFixed(1)}`;
  return [
    `### Trying a limit on a log of ${whole(count)} messages, ${whole(events)} events, Node.js ${version}`,
    table(
      ['', ''],
      [
        ['reading the log alone, CPU ms', spread(reading)],
        ['`POST /limits/simulate`, CPU ms of the API', spread(simulating)],
        ['that over reading', spread(simulating.map((ms, round) => ms / reading[round]))],
        ['CPU ms of Redis', spread(inRedis)],
        ['events decided again per CPU second, under both', whole((2_000 * events) / middle)],
        ['a check otherwise, ms: the median, and 99 of 100', latency(checking.alone)],
        ['a check meanwhile, ms: the same', latency(checking.meanwhile)],
      ],
    ),
  ].join('\n\n');
}
