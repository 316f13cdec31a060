// What it costs Redis to look for alerts, beside another build: BENCH_BEFORE names the dist/ of that one.
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spread, table } from './figures.mjs';
import { FIVE_OF_A_USER } from './limits.mjs';

const USERS = 10_000;
/** Each round decides so many messages by each build. */
const MESSAGES_PER_TURN = 6_400;

const limitOf = (limit) => ({
  ...{ where: null, mode: 'enforce', on_exceeded: 'throttle', on_redis_down: 'deny', from: null, until: null },
  ...{ reason: null, source: 'api', created_at: '', updated_at: '', alert_thresholds: null },
  ...limit,
});

const SCENARIOS = {
  'below every threshold': FIVE_OF_A_USER,
  // Above the first threshold after a while, and never at the next.
  'above one threshold': FIVE_OF_A_USER.map((limit) => ({ ...limit, mode: 'shadow', max: 1e6, alert_thresholds: [1] })),
  'stopped by one of them, and logged': FIVE_OF_A_USER.map((limit, index) =>
    index > 0 ? limit : { ...limit, max: 0 },
  ),
  'stopped by all of them, and logged': FIVE_OF_A_USER.map((limit) => ({ ...limit, max: 0 })),
};

/** What decides messages by one build, in a workspace of its own. */
async function decider(dist, redis, workspace, limits) {
  const require = createRequire(join(dist, 'cli.js'));
  const { createKeys } = require('./store/keys.js');
  const { loadScripts } = require('./store/scripts.js');
  const { createDecisionStore } = require('./store/decisions.js');
  const { createConfigurationStore } = require('./store/configuration.js');
  const { createCalendarCache } = require('./limits/calendar.js');
  const [keys, scripts, calendars] = [createKeys(workspace), loadScripts(), createCalendarCache(100)];
  const calendarFor = (rules) => calendars.for(rules);
  const configuration = createConfigurationStore({ redis, scripts, keys, calendarFor });
  const writes = limits.map((limit) => ({ id: limit.id, value: limitOf(limit) }));
  await configuration.change({ id: 'bench', name: null }, 'api', () => ({ writes, events: [] }));
  const store = createDecisionStore({ redis, scripts, keys, idempotencyTtlMs: 60_000, logMaxAgeMs: 60_000 });
  const planner = configuration.planner();
  const common = { messageId: null, dry: false, anyTime: false, logAccepted: false };
  return async (messagesPerCall, cost) => {
    const calls = [];
    for (let sent = 0; sent < MESSAGES_PER_TURN; sent += messagesPerCall) {
      const takes = Array.from({ length: messagesPerCall }, (_, index) => {
        const message = { user: `user-${(sent + index) % USERS}`, account: null, topic: null, channel: null };
        const plan = planner.plan(message, Date.now(), undefined);
        return { ...common, plan, cost, deadlineMs: Date.now() + 60_000 };
      });
      calls.push(store.take(planner.configuration.version, takes));
    }
    for (const { replies } of await Promise.all(calls)) {
      const wrong = replies.find(({ kind }) => kind !== 'accepted' && kind !== 'throttled');
      if (wrong !== undefined) throw new Error(`Redis answered what is not to be measured: ${wrong.kind}`);
    }
  };
}

/** Measures, and returns the report in Markdown. */
export async function benchAlerts({ redis, rounds, progress }) {
  const before = process.env.BENCH_BEFORE;
  if (before === undefined) throw new Error('BENCH_BEFORE must name the dist/ of the build to compare with.');
  const now = fileURLToPath(new URL('../dist', import.meta.url));
  const rows = [];
  for (const [name, limits] of Object.entries(SCENARIOS)) {
    progress(`alerts: 5 limits, ${name}`);
    const workspace = name.replace(/\W+/g, '-');
    const deciders = [
      await decider(now, redis.client, `${workspace}-now`, limits),
      await decider(resolve(before), redis.client, `${workspace}-then`, limits),
    ];
    const turn = async (which, messagesPerCall, cost) => {
      const startMicros = await redis.cpuMicros();
      await deciders[which](messagesPerCall, cost);
      return ((await redis.cpuMicros()) - startMicros) / MESSAGES_PER_TURN;
    };
    // Every counter is there, and every alert that there will be.
    for (const which of [0, 1]) await turn(which, 32, 20_000);
    for (const messagesPerCall of [1, 32]) {
      const figures = [[], []];
      for (let round = 0; round < rounds; round += 1) {
        const order = round % 2 === 0 ? [0, 1] : [1, 0];
        for (const which of order) figures[which].push(await turn(which, messagesPerCall, 1));
      }
      const ratios = figures[0].map((micros, round) => micros / figures[1][round]);
      rows.push([`${name}, ${messagesPerCall} a call`, spread(figures[1]), spread(figures[0]), spread(ratios, 2)]);
    }
  }
  return [
    '### What looking for alerts costs Redis, for a message under 5 limits',
    table(['', 'before, µs', 'now, µs', 'ratio'], rows),
  ].join('\n\n');
}
