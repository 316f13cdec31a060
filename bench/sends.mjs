// What it costs to hand a send over, beside asking whether it may go out.
import { spread, table } from './figures.mjs';
import { FIVE_OF_A_USER } from './limits.mjs';
import { startSendgate } from './processes.mjs';
import { measureInTurns, ratios, warmUp } from './rounds.mjs';

const USERS = 10_000;

/** Measures, and returns the report in Markdown. */
export async function benchSends({ nodes, redis, generator, rounds, seconds, connectionCounts, progress }) {
  const report = [];
  for (const { version, path } of nodes) {
    const start = (name) =>
      startSendgate(path, { redisUrl: redis.url(), workspace: `sends-${version}-${name}`, limits: FIVE_OF_A_USER });
    const [checks, sends] = [await start('checks'), await start('sends')];
    const answer = await sends.post('/send', { message: { to: { user_id: 'judge' } } });
    if (typeof answer.requestId !== 'string') throw new Error(`Sendgate answered ${JSON.stringify(answer)}`);
    const load = { users: USERS };
    const scenarios = [
      { name: '`/check`', server: checks, load },
      { name: '`/check` with message_id', server: checks, load: { ...load, messageIds: true } },
      { name: '**`/send`**', server: sends, path: '/send', load: { ...load, sends: true } },
      {
        name: '`/send` with Idempotency-Key',
        server: sends,
        path: '/send',
        load: { ...load, sends: true, idempotencyKeys: true },
      },
    ];
    progress(`warming up on Node.js ${version}`);
    await warmUp(scenarios, { generator, seconds });
    for (const connections of connectionCounts) {
      progress(`sends on Node.js ${version}, ${connections} connections`);
      const all = await measureInTurns(
        scenarios.map((scenario) => ({ ...scenario, connections })),
        { redis, generator, rounds, seconds },
      );
      report.push(
        `#### Node.js ${version}, ${connections} ${connections === 1 ? 'connection' : 'connections'}`,
        table(
          ['', 'Node.js, µs', 'Redis, µs', 'together, µs', 'over `/check`', 'over `/check` with message_id'],
          scenarios.map(({ name }, index) => {
            const column = (key) => all[index].map((figure) => figure[key]);
            return [
              name,
              spread(column('serverMicros')),
              spread(column('redisMicros')),
              spread(column('bothMicros')),
              spread(ratios(all[index], all[0], 'bothMicros'), 2),
              spread(ratios(all[index], all[1], 'bothMicros'), 2),
            ];
          }),
        ),
      );
    }
    for (const server of [checks, sends]) await server.stop();
  }
  return ['### CPU time of an accepted send with 5 limits', ...report].join('\n\n');
}
