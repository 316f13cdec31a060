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
  const checking = { meanwhile: [], alone: [] };
  let events = 0;
  const check = async (into) => {
    const startedMs = performance.now();
    await server.post('/check', { user_id: 'ann', dry_run: true });
    into.push(performance.now() - startedMs);
  };
  for (let round = 0; round < rounds; round += 1) {
    progress(`round ${round + 1} of ${rounds}`);
    let startedMs = performance.now();
    const past = await readPastEvents(
      { redis: client, scripts: loadScripts(), keys: createKeys(workspace), pause: nextTurn },
      0,
    );
    reading.push(performance.now() - startedMs);
    events = past.events.length;
    for (let times = 0; times < 100; times += 1) await check(checking.alone);

    startedMs = performance.now();
    let done = false;
    const simulation = server.post('/limits/simulate', { limits: [{ ...daily, max: 2 }] }).then(() => {
      simulating.push(performance.now() - startedMs);
      done = true;
    });
    while (!done) await check(checking.meanwhile);
    await simulation;
  }
  client.disconnect();
  await server.stop();
  const sorted = (values) => values.toSorted((a, b) => a - b);
  const part = (values, share) => sorted(values)[Math.floor(values.length * share)].toFixed(1);
  return [
    `### Trying a limit on a log of ${whole(count)} messages (${whole(events)} events), Node.js ${version}`,
    table(
      ['', ''],
      [
        ['to read the log alone, ms', spread(reading)],
        ['`POST /limits/simulate`, ms', spread(simulating)],
        ['that over reading', spread(simulating.map((ms, round) => ms / reading[round]))],
        ['events replayed per second, twice each', whole((events * 1_000) / Number(part(simulating, 0.5)))],
        [
          'a check meanwhile, ms: median, 99 of 100',
          `${part(checking.meanwhile, 0.5)}, ${part(checking.meanwhile, 0.99)}`,
        ],
        ['a check otherwise, ms', `${part(checking.alone, 0.5)}, ${part(checking.alone, 0.99)}`],
      ],
    ),
  ].join('\n\n');
}
