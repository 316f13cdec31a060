// Measures what docs/performance.md says, and writes a report in Markdown: `npm run bench`, or some of it with
// `npm run bench -- checks batch users persistence sends events log simulate console`. See that page for the variables.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { benchAlerts } from './alerts.mjs';
import { benchBatch } from './batch.mjs';
import { benchChecks } from './checks.mjs';
import { benchConsole } from './console.mjs';
import { benchEvents } from './events.mjs';
import { benchLog } from './log.mjs';
import { benchPersistence } from './persistence.mjs';
import { startLoadGenerator } from './processes.mjs';
import { startRedis } from './redis.mjs';
import { benchSends } from './sends.mjs';
import { benchSimulate } from './simulate.mjs';
import { benchUsers } from './users.mjs';

const PARTS = {
  checks: benchChecks,
  batch: benchBatch,
  users: benchUsers,
  persistence: benchPersistence,
  sends: benchSends,
  events: benchEvents,
  log: benchLog,
  simulate: benchSimulate,
  console: benchConsole,
};
/** What needs another build to compare with, and so runs only when it is named. */
const ON_DEMAND = { alerts: benchAlerts };

const numbers = (text) => text.split(',').map(Number);
const { NODE_BINARIES, BENCH_ROUNDS, BENCH_SECONDS, BENCH_CONNECTIONS, BENCH_USERS } = process.env;
const chosen = process.argv.slice(2);
const unknown = chosen.filter((part) => !(part in PARTS) && !(part in ON_DEMAND));
if (unknown.length > 0) {
  console.error(
    `There is no part ${unknown.join(', ')}: choose from ${Object.keys({ ...PARTS, ...ON_DEMAND }).join(', ')}.`,
  );
  process.exit(2);
}
if (!existsSync(fileURLToPath(new URL('../dist/cli.js', import.meta.url)))) {
  console.error('There is no dist/cli.js to measure: run `npm run build` first.');
  process.exit(2);
}

const nodes = (NODE_BINARIES ?? process.execPath).split(',').map((path) => ({
  path,
  version: execFileSync(path, ['--version']).toString().trim().slice(1),
}));
const redis = await startRedis();
const generator = startLoadGenerator();
const settings = {
  nodes,
  redis,
  generator,
  rounds: Number(BENCH_ROUNDS ?? 9),
  seconds: Number(BENCH_SECONDS ?? 1),
  connectionCounts: numbers(BENCH_CONNECTIONS ?? '1,16,64'),
  userCounts: numbers(BENCH_USERS ?? '1000,100000,1000000'),
  progress: (text) => console.error(`${new Date().toISOString()} ${text}`),
};

const cpus = os.cpus();
console.log(
  [
    `${cpus.length} × ${cpus[0].model.trim()}, ${os.type()} ${os.release()}, Redis ${await redis.version()}`,
    `Node.js ${nodes.map(({ version }) => version).join(' and ')}, load generator on ${process.version.slice(1)}`,
    `${settings.rounds} rounds of ${settings.seconds} s; figures are medians, in brackets the least and the most`,
  ].join('\n'),
);
for (const name of chosen.filter((part) => part in ON_DEMAND)) console.log(`\n${await ON_DEMAND[name](settings)}`);
for (const [name, bench] of Object.entries(PARTS)) {
  if (chosen.length === 0 || chosen.includes(name)) console.log(`\n${await bench(settings)}`);
}
await generator.stop();
await redis.stop();
process.exit();
