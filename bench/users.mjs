// Whether a check costs the same however many users and overrides there are, and what a counter takes in memory.
import { spread, table, whole } from './figures.mjs';
import { FIVE_OF_A_USER } from './limits.mjs';
import { startSendgate } from './processes.mjs';
import { measureInTurns, ratios, warmUp } from './rounds.mjs';

const OVERRIDES = 10_000;
const CONNECTIONS = 64;
const BATCH_MAX = 1_000;

/** Does something for 0, 1, 2 … count - 1, some of them at a time. */
async function forEach(count, atATime, work) {
  let next = 0;
  const worker = async () => {
    while (next < count) {
      next += 1;
      await work(next - 1);
    }
  };
  await Promise.all(Array.from({ length: atATime }, worker));
}

/** Has every user checked once, so that each has the counters of all limits. */
async function countEveryUser(server, users) {
  await forEach(Math.ceil(users / BATCH_MAX), 4, async (batch) => {
    const first = batch * BATCH_MAX;
    const count = Math.min(BATCH_MAX, users - first);
    await server.post('/check/batch', {
      messages: Array.from({ length: count }, (_, index) => ({ user_id: `user-${first + index}` })),
    });
  });
}

/** Measures, and returns the report in Markdown. Each number of users is a database of its own in the same Redis. */
export async function benchUsers({ nodes, redis, generator, rounds, seconds, userCounts, progress }) {
  const { version, path } = nodes.at(-1);
  const memory = [];
  const scenarios = [];
  const start = (database) =>
    startSendgate(path, { redisUrl: redis.url(database), workspace: 'users', limits: FIVE_OF_A_USER });

  for (const [index, users] of userCounts.entries()) {
    progress(`counting ${whole(users)} users on Node.js ${version}`);
    const server = await start(index + 1);
    const before = await redis.memoryBytes();
    await countEveryUser(server, users);
    const counters = users * FIVE_OF_A_USER.length;
    memory.push([whole(users), whole(counters), whole(((await redis.memoryBytes()) - before) / counters)]);
    scenarios.push({ name: `${whole(users)} users`, server, load: { users }, connections: CONNECTIONS });
  }

  const users = 100_000;
  progress(`writing ${whole(OVERRIDES)} overrides`);
  const server = await start(userCounts.length + 1);
  const userStep = users / OVERRIDES;
  await forEach(OVERRIDES, 16, (number) =>
    server.post('/limits', {
      per: ['user'],
      period: 'day',
      max: 900_000_000,
      where: { user: `user-${number * userStep}` },
    }),
  );
  await countEveryUser(server, users);
  const name = `${whole(users)} users and ${whole(OVERRIDES)} overrides`;
  scenarios.push(
    { name: `${name}, all users asking`, server, load: { users }, connections: CONNECTIONS },
    { name: `${name}, only overridden users asking`, server, load: { users, userStep }, connections: CONNECTIONS },
  );

  progress(`checks among those users on Node.js ${version}`);
  await warmUp(scenarios, { generator, seconds });
  const all = await measureInTurns(scenarios, { redis, generator, rounds, seconds });
  for (const each of new Set(scenarios.map((scenario) => scenario.server))) await each.stop();
  return [
    '### Memory of a counter',
    table(['users', 'counters', 'bytes of Redis for each counter'], memory),
    `### CPU time of a check by the number of users and overrides, Node.js ${version}, ${CONNECTIONS} connections`,
    table(
      ['', 'Node.js, µs', 'Redis, µs', 'Node.js, ratio', 'Redis, ratio', 'together, ratio'],
      scenarios.map((scenario, index) => {
        const column = (key) => all[index].map((figure) => figure[key]);
        const ratio = (key) => spread(ratios(all[index], all[0], key), 2);
        return [
          scenario.name,
          spread(column('serverMicros')),
          spread(column('redisMicros')),
          ratio('serverMicros'),
          ratio('redisMicros'),
          ratio('bothMicros'),
        ];
      }),
    ),
  ].join('\n\n');
}
