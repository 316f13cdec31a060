// What it costs to look for alerts, beside another build: BENCH_BEFORE names the dist/cli.js of that one.
import { resolve } from 'node:path';
import { spread, table } from './figures.mjs';
import { FIVE_OF_A_USER } from './limits.mjs';
import { startSendgate } from './processes.mjs';
import { measureInTurns, ratios, warmUp } from './rounds.mjs';

const USERS = 10_000;
const load = { users: USERS };

/** Each throttled, and logged. */
const NONE = FIVE_OF_A_USER.map((limit) => ({ ...limit, max: 0 }));
/** Each throttled by one of them. */
const ONE_NONE = FIVE_OF_A_USER.map((limit, index) => (index === 0 ? { ...limit, max: 0 } : limit));
/** Each above its first threshold after a while, and never at the next. */
const ABOVE = FIVE_OF_A_USER.map((limit) => ({ ...limit, max: 200, mode: 'shadow' }));

/** Measures, and returns the report in Markdown. */
export async function benchAlerts({ nodes, redis, generator, rounds, seconds, progress }) {
  const { version, path } = nodes.at(-1);
  const before = process.env.BENCH_BEFORE;
  if (before === undefined) throw new Error('BENCH_BEFORE must name the dist/cli.js of the build to compare with.');
  progress(`alerts on Node.js ${version}`);
  const start = async (name, limits, cli) => {
    const options = { redisUrl: redis.url(), workspace: `alerts-${name}`, limits };
    return startSendgate(path, cli === undefined ? options : { ...options, cli });
  };
  const pairs = [];
  for (const [name, limits] of [
    ['below every threshold', FIVE_OF_A_USER],
    ['above one threshold', ABOVE],
    ['stopped by one of them and logged', ONE_NONE],
    ['stopped by all of them and logged', NONE],
  ]) {
    const key = name.replaceAll(' ', '-');
    const now = await start(
      `${key}-now`,
      limits.map((limit) => (limits === ABOVE ? withLow(limit) : limit)),
    );
    const then = await start(`${key}-then`, limits, resolve(before));
    pairs.push({ name, now, then });
  }
  const scenarios = pairs.flatMap(({ name, now, then }) =>
    [1, 64].flatMap((connections) => [
      { name: `5 limits, ${name}, ${connections} connections`, server: now, load, connections },
      { name, server: then, load, connections },
    ]),
  );
  await warmUp(scenarios, { generator, seconds });
  const measured = await measureInTurns(scenarios, { redis, generator, rounds, seconds });
  for (const { now, then } of pairs) await Promise.all([now.stop(), then.stop()]);
  const rows = scenarios.flatMap(({ name }, index) => {
    if (index % 2 === 1) return [];
    const [now, then] = [measured[index], measured[index + 1]];
    const column = (key) => now.map((figure) => figure[key]);
    return [
      [
        name,
        spread(column('redisMicros')),
        spread(ratios(now, then, 'redisMicros'), 2),
        spread(column('bothMicros')),
        spread(ratios(now, then, 'bothMicros'), 2),
      ],
    ];
  });
  return [
    `### Looking for alerts, Node.js ${version}`,
    table(['', 'Redis, µs', 'over before', 'together, µs', 'over before'], rows),
  ].join('\n\n');
}

/** With a threshold that the first use passes, which the other build does not know. */
function withLow(limit) {
  return { ...limit, alert_thresholds: [1, 100] };
}
