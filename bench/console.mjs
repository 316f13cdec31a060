// How soon somebody who opens the console for the first time can use it, beside the API reference page of the same
// server, which has about as much script in it.
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';
import { spread, summary, table } from './figures.mjs';
import { startSendgate } from './processes.mjs';

const KEY = 'a-key-for-measurements-only';

/** What is opened, and what is there once it can be used. */
const VISITS = [
  { name: 'the sign-in page', path: '/', shows: 'input[name=key]', signedIn: false },
  { name: 'the overview, signed in', path: '/#/overview', shows: 'canvas', signedIn: true },
  { name: 'the log, signed in', path: '/#/logs', shows: 'tr[data-index]', signedIn: true },
  { name: 'the API reference page', path: '/docs/', shows: '.opblock', signedIn: true },
];

function browserPath() {
  const { SENDGATE_TEST_BROWSER } = process.env;
  return SENDGATE_TEST_BROWSER ?? execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim();
}

/** Measures, and returns the report in Markdown. */
export async function benchConsole({ nodes, redis, rounds, progress }) {
  const { version, path } = nodes.at(-1);
  const limits = [{ id: 'user-daily', per: ['user'], period: 'day', max: 1 }];
  const server = await startSendgate(path, { redisUrl: redis.url(), workspace: 'console', limits });
  const messages = Array.from({ length: 1_000 }, (_, index) => ({ user_id: `user-${index % 100}` }));
  await server.post('/check/batch', { messages });
  const browser = await chromium.launch({ executablePath: browserPath(), args: ['--no-sandbox'] });
  const times = new Map(VISITS.map(({ name }) => [name, []]));
  // One round more: the first one starts the browser up.
  for (let round = 0; round <= rounds; round += 1) {
    for (const { name, path: where, shows, signedIn } of VISITS) {
      // Nothing is kept from one visit to the next.
      const context = await browser.newContext({ baseURL: server.url });
      if (signedIn) await context.request.post('/session', { headers: { authorization: `Bearer ${KEY}` } });
      const page = await context.newPage();
      const startedMs = performance.now();
      await page.goto(where, { waitUntil: 'commit' });
      await page.locator(shows).first().waitFor();
      if (round > 0) times.get(name).push(performance.now() - startedMs);
      await context.close();
    }
    progress(`console: round ${round} of ${rounds}`);
  }
  await browser.close();
  await server.stop();
  const reference = summary(times.get(VISITS.at(-1).name)).median;
  return [
    `### The first visit to the console, on Node.js ${version}, in ms`,
    '',
    table(
      ['opened', 'until it can be used', 'over the API reference page'],
      VISITS.map(({ name }) => [
        name,
        spread(times.get(name), 0),
        (summary(times.get(name)).median / reference).toFixed(2),
      ]),
    ),
  ].join('\n');
}
