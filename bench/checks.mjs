// What a check costs, beside what else an HTTP service does for one.
import { spread, summary, table, whole } from './figures.mjs';
import { FIVE_OF_A_USER, FIVE_SCOPES } from './limits.mjs';
import { startSendgate, startServer } from './processes.mjs';
import { measureInTurns, ratios, warmUp } from './rounds.mjs';

const USERS = 10_000;

/** What is measured on one version of Node.js, at one number of connections. */
async function scenariosOn(node, redis, workspace) {
  const redisUrl = redis.url();
  const sendgate = (name, limits) => startSendgate(node, { redisUrl, workspace: `${workspace}-${name}`, limits });
  const [bare, express, ownBody, union, five, scopes, refusing] = [
    await startServer(node, 'node-http.mjs'),
    await startServer(node, 'express.mjs'),
    await startServer(node, 'express.mjs', ['own-body']),
    await startServer(node, 'union.mjs', [], { REDIS_URL: redisUrl }),
    await sendgate('five', FIVE_OF_A_USER),
    await sendgate('scopes', FIVE_SCOPES),
    await sendgate(
      'refusing',
      FIVE_OF_A_USER.map((limit) => ({ ...limit, max: 0 })),
    ),
  ];
  await judgeAnswers({ five, scopes, refusing, union });
  const load = { users: USERS };
  return [
    { name: 'bare node:http, no-op', server: bare, load },
    { name: 'Express, no-op', server: express, load },
    { name: 'Express without express.json(), no-op', server: ownBody, load },
    { name: 'Express and RateLimiterUnion, 5 limits', server: union, load },
    { name: '**Sendgate, 5 limits**', server: five, load },
    { name: 'Sendgate, 5 limits of 5 scopes', server: scopes, load },
    { name: 'Sendgate, 5 limits, with message_id', server: five, load: { ...load, messageIds: true } },
    { name: 'Sendgate, 5 limits, throttled and logged', server: refusing, load },
  ];
}

/** What is measured must do what is said of it. */
async function judgeAnswers({ five, scopes, refusing, union }) {
  const message = { user_id: 'judge', account_id: 'judge', topic_id: 'judge' };
  for (const [server, decision] of [
    [five, 'accepted'],
    [scopes, 'accepted'],
    [refusing, 'throttled'],
  ]) {
    const answer = await server.post('/check', message);
    if (answer.decision !== decision || answer.limits.length !== 5) {
      throw new Error(`Sendgate answered what is not to be measured: ${JSON.stringify(answer)}`);
    }
  }
  const response = await fetch(`${union.url}/check`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(message),
  });
  const answer = await response.json();
  if (!answer.allowed || answer.limits.length !== 5) throw new Error(`The union answered ${JSON.stringify(answer)}`);
}

/** Measures, and returns the report in Markdown. */
export async function benchChecks({ nodes, redis, generator, rounds, seconds, connectionCounts, progress }) {
  const report = [];
  const verdicts = [];
  for (const { version, path } of nodes) {
    const scenarios = await scenariosOn(path, redis, `node-${version}`);
    progress(`warming up on Node.js ${version}`);
    await warmUp(scenarios, { generator, seconds });
    for (const connections of connectionCounts) {
      progress(`checks on Node.js ${version}, ${connections} connections`);
      const all = await measureInTurns(
        scenarios.map((scenario) => ({ ...scenario, connections })),
        { redis, generator, rounds, seconds },
      );
      const [bare, , , union, five] = all;
      report.push(
        `#### Node.js ${version}, ${connections} ${connections === 1 ? 'connection' : 'connections'}`,
        table(
          ['', 'Node.js, µs', 'Redis, µs', 'together, µs', 'per CPU second', 'Node.js over no-op', 'wall, per s'],
          scenarios.map(({ name }, index) => {
            const column = (key) => all[index].map((figure) => figure[key]);
            return [
              name,
              spread(column('serverMicros')),
              spread(column('redisMicros')),
              spread(column('bothMicros')),
              whole(summary(column('perCpuSecond')).median),
              spread(ratios(all[index], bare, 'serverMicros'), 2),
              whole(summary(column('perSecond')).median),
            ];
          }),
        ),
      );
      verdicts.push([
        version,
        connections,
        spread(ratios(five, union, 'perCpuSecond'), 2),
        spread(ratios(five, bare, 'serverMicros'), 2),
      ]);
    }
    for (const server of new Set(scenarios.map((scenario) => scenario.server))) await server.stop();
  }
  return [
    '### CPU time of a check with 5 limits',
    table(
      ['Node.js', 'connections', 'decisions per CPU second, over the union’s', 'Node.js time, in bare no-ops'],
      verdicts,
    ),
    ...report,
  ].join('\n\n');
}
