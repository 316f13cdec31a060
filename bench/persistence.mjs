// What it costs Redis to keep what it is told: an append-only file, synced once a second.
import { spread, table } from './figures.mjs';
import { FIVE_OF_A_USER } from './limits.mjs';
import { startSendgate } from './processes.mjs';
import { startRedis } from './redis.mjs';
import { measureInTurns, ratios, warmUp } from './rounds.mjs';

const USERS = 10_000;
const CONNECTIONS = 64;

/** Measures, and returns the report in Markdown. */
export async function benchPersistence({ nodes, redis, generator, rounds, seconds, progress }) {
  const { version, path } = nodes.at(-1);
  progress(`persistence on Node.js ${version}`);
  const keeping = await startRedis({ appendOnly: true });
  const start = ({ url }) => startSendgate(path, { redisUrl: url(), workspace: 'persistence', limits: FIVE_OF_A_USER });
  const common = { load: { users: USERS }, connections: CONNECTIONS };
  const scenarios = [
    { name: 'keeps nothing', ...common, redis, server: await start(redis) },
    { name: '`appendonly yes`, `appendfsync everysec`', ...common, redis: keeping, server: await start(keeping) },
  ];
  await warmUp(scenarios, { generator, seconds });
  const all = await measureInTurns(scenarios, { redis, generator, rounds, seconds });
  for (const { server } of scenarios) await server.stop();
  await keeping.stop();
  return [
    `### CPU time of Redis for a check, by what it keeps, ${CONNECTIONS} connections`,
    table(
      ['', 'Redis, µs', 'ratio'],
      scenarios.map(({ name }, index) => [
        name,
        spread(all[index].map((figure) => figure.redisMicros)),
        spread(ratios(all[index], all[0], 'redisMicros'), 2),
      ]),
    ),
  ].join('\n\n');
}
