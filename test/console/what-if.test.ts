import type { Browser, Page } from 'playwright-core';
import { openConsole, startBrowser } from '../support/browser';
import { CONSOLE_KEY, type ConsoleServer, startConsoleServer } from '../support/console';
import { freePort } from '../support/ports';
import { type RedisServer, startRedis } from '../support/redis';
import { endAllSendgates } from '../support/sendgate';

jest.setTimeout(120_000);

const HOSTILE = '<img src=x onerror=alert(1)>\u202e';

let browser: Browser;
let redis: RedisServer;
let server: ConsoleServer;
beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser?.close());
beforeEach(async () => {
  redis = await startRedis();
  server = await startConsoleServer({
    REDIS_URL: redis.url,
    PORT: `${await freePort()}`,
    SENDGATE_WORKSPACE: 'what-if',
  });
  await server.call('PATCH', '/settings', { log_checks: 'all' });
  await server.call('PUT', '/limits/user-daily', { per: ['user'], period: 'day', max: 4 });
  for (const [user, count] of [
    ['ann', 6],
    ['bob', 2],
    [HOSTILE, 3],
  ] as const) {
    const messages = Array(count).fill({ user_id: user });
    await server.call('POST', '/check/batch', { messages });
  }
});
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
  await endAllSendgates();
  await redis.stop();
});

const panel = (page: Page) => page.getByTestId('what-if');
const tryIt = (page: Page) => panel(page).getByRole('button', { name: 'Try it on the log' }).click();
const summary = (page: Page) => page.getByTestId('what-if-summary');

test('before a limit is saved it is said how many messages of whom it would have throttled, and nothing is changed', async () => {
  const { page, faults } = await openConsole(browser, server.url, '/limits?edit=user-daily', { key: CONSOLE_KEY });
  await page.getByLabel('At most').fill('1');
  await tryIt(page);
  await summary(page).waitFor();
  expect(await summary(page).textContent()).toBe(
    'Over the last 7 days this would have throttled 8 messages of 3 users, instead of 2 of 1.',
  );
  // Who listens is told, too.
  expect(await panel(page).getByRole('status').textContent()).toContain('8 messages of 3 users');
  const rows = panel(page).getByRole('table', { name: 'The users most affected' }).getByRole('row');
  expect((await rows.allInnerTexts()).slice(1).map((text) => text.replace(/\s+/g, ' '))).toEqual([
    expect.stringMatching(/^ann .*5 instead of 2$/),
    expect.stringMatching(/onerror=alert\(1\)>\[U\+202E\] .*2 instead of 0$/),
    expect.stringMatching(/^bob .*1 instead of 0$/),
  ]);
  const link = panel(page).getByRole('link', { name: /^ann/ });
  expect(await link.getAttribute('href')).toMatch(/#\/logs\?recipient=ann$/);
  expect(await link.getAttribute('target')).toBe('_blank');
  expect((await server.call('GET', '/limits/user-daily')).body.max).toBe(4);

  // It is of what was written: what has been changed since is not what it says.
  await page.getByLabel('At most').fill('3');
  await panel(page).getByText('You have changed it since').waitFor();
  await panel(page).getByLabel('Over how long').selectOption('1');
  await tryIt(page);
  await panel(page).getByText('Over the last day this would have throttled 3 messages of 1 user').waitFor();
  expect(await panel(page).getByText('You have changed it since').count()).toBe(0);
  await page.getByLabel('At most').fill('');
  await panel(page).getByText('Once every field is right it can be tried.').waitFor();
  expect(await panel(page).getByRole('button', { name: 'Try it on the log' }).isDisabled()).toBe(true);
  expect(faults).toEqual([]);
});

test('a new limit is tried before it has an id, and a shadow says what it would have seen', async () => {
  const { page, faults } = await openConsole(browser, server.url, '/limits?add=new', { key: CONSOLE_KEY });
  await page.getByLabel('At most').fill('5');
  await page.getByRole('checkbox', { name: 'All messages together' }).check();
  await page.getByRole('radio', { name: 'Shadow' }).check();
  await tryIt(page);
  await panel(page).getByText('new only watches: 4 messages would have been too much for it.').waitFor();
  expect(await summary(page).textContent()).toMatch(/: the same as what is in force\.$/);
  expect(faults).toEqual([]);
});

test('what is not certain is said', async () => {
  await server.call('PATCH', '/settings', { log_checks: 'throttled' });
  await server.call('POST', '/check', { user_id: 'cleo' });
  const { page } = await openConsole(browser, server.url, '/limits?edit=user-daily', { key: CONSOLE_KEY });
  await page.getByLabel('At most').fill('1');
  await tryIt(page);
  const notes = panel(page).getByRole('region', { name: 'What is not certain' });
  await notes.getByText(/^Checks that were accepted are not in the log up to .*log_checks/).waitFor();
  await notes.getByText(/^Of 11 messages \d+ are not certain\.$/).waitFor();
});

test('who deletes a limit is told what would have gone out without it', async () => {
  const { page } = await openConsole(browser, server.url, '/limits?edit=user-daily', { key: CONSOLE_KEY });
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: 'Delete user-daily?' });
  await dialog
    .getByText('Without it: over the last 7 days this would have throttled no message, instead of 2 of 1.')
    .waitFor();
  expect((await server.call('GET', '/limits/user-daily')).body.max).toBe(4);
});

test('while Redis does not answer it says so, keeps what was typed, and works it out once Redis is back', async () => {
  const { page, faults } = await openConsole(browser, server.url, '/limits?edit=user-daily', { key: CONSOLE_KEY });
  await page.getByLabel('At most').fill('1');
  await page.getByLabel('Reason').fill('typed by hand');
  await redis.freeze();
  await tryIt(page);
  await panel(page).getByRole('alert').waitFor();
  await redis.thaw();
  await summary(page).waitFor();
  expect(await page.getByLabel('Reason').inputValue()).toBe('typed by hand');
  expect(faults).toEqual([]);
});
