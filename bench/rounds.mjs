/** After so many calls V8 has compiled what it will compile: before, a server costs several times as much. */
const WARM_UP_CALLS = 30_000;

/** Sends every scenario's load until its server is warm. */
export async function warmUp(scenarios, { generator, seconds }) {
  for (const { server, load, path, connections } of scenarios) {
    for (let answered = 0; answered < WARM_UP_CALLS / (load.batch ?? 1); ) {
      answered += (await generator.run({ server, path, load, connections: connections ?? 64, seconds })).answered;
    }
  }
}

/**
 * Measures scenarios in turns, round after round, every other round backwards: whatever else the machine does then
 * falls on all of them alike, and what is compared is compared within a round.
 *
 * A scenario is {name, server, load, path?, connections, redis?}, and what it costs is told per decision: a call with a batch
 * of 100 messages is 100 decisions.
 *
 * @returns for each scenario, in their order, its figures of every round
 */
export async function measureInTurns(scenarios, { redis, generator, rounds, seconds }) {
  const figures = scenarios.map(() => []);
  const order = scenarios.map((_, index) => index);
  for (let round = 0; round < rounds; round += 1) {
    for (const index of order) figures[index].push(await measure(scenarios[index], { redis, generator, seconds }));
    order.reverse();
  }
  return figures;
}

async function measure(
  { server, load, path, connections, redis: ownRedis },
  { redis: commonRedis, generator, seconds },
) {
  const redis = ownRedis ?? commonRedis;
  const before = { server: await server.cpuMicros(), redis: await redis.cpuMicros() };
  const result = await generator.run({ server, path, load, connections, seconds });
  const after = { server: await server.cpuMicros(), redis: await redis.cpuMicros() };
  const decisions = result.answered * (load.batch ?? 1);
  const serverMicros = (after.server - before.server) / decisions;
  const redisMicros = (after.redis - before.redis) / decisions;
  return {
    serverMicros,
    redisMicros,
    bothMicros: serverMicros + redisMicros,
    perCpuSecond: 1e6 / (serverMicros + redisMicros),
    perSecond: decisions / result.seconds,
  };
}

/** One figure of a scenario over that of another, round by round. */
export function ratios(figures, other, name) {
  return figures.map((figure, round) => figure[name] / other[round][name]);
}
