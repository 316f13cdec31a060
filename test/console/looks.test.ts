import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { openConsole, seriousFaults, startBrowser } from '../support/browser';
import { CONSOLE_KEY, type ConsoleServer, startConsoleServer } from '../support/console';
import { type Receiver, SECRET, startReceiver } from '../support/receivers';
import { type RedisServer, startRedis } from '../support/redis';
import { endAllSendgates } from '../support/sendgate';
import { until } from '../support/sends';

jest.setTimeout(180_000);

/** Where pictures of every view go; without it they are looked at by axe alone. Those of the docs are in docs/images/. */
const IMAGES = process.env.SENDGATE_TEST_IMAGES;

let browser: Browser;
let redis: RedisServer;
let receiver: Receiver;
let server: ConsoleServer;
beforeAll(async () => {
  browser = await startBrowser();
  // One of its own: the name of the workspace is in the pictures.
  [redis, receiver] = await Promise.all([startRedis(), startReceiver()]);
  server = await startConsoleServer({
    ...{ REDIS_URL: redis.url, SENDGATE_WORKSPACE: 'production', SENDGATE_ALLOW_PRIVATE_TARGETS: 'true' },
  });
  await seed();
});
afterAll(async () => {
  await browser?.close();
  await endAllSendgates();
  await Promise.all([redis?.stop(), receiver?.stop()]);
});

/** A workspace as somebody has it who has used it for a while. */
async function seed(): Promise<void> {
  await server.call('PATCH', '/settings', { timezone: 'America/New_York', log_checks: 'all' });
  await server.call('PATCH', '/settings', { alert_webhooks: [{ url: `${receiver.url}oncall`, secret: SECRET }] });
  const limits = {
    'everything-hourly': { per: [], period: 'hour', max: 10_000 },
    'account-monthly': { per: ['account'], period: 'billing_period', max: 2_000 },
    'acme-monthly': { per: ['account'], period: 'billing_period', max: 50_000, where: { account: 'acme' } },
    'user-daily': { per: ['user'], period: 'day', max: 5, on_exceeded: 'throttle' },
    'user-daily-vip': { per: ['user'], period: 'day', max: null, where: { user: 'grace' } },
    'user-topic-hourly': { per: ['user', 'topic'], period: 'hour', max: 3, on_exceeded: 'defer' },
    'marketing-weekly': {
      ...{ per: ['user'], period: 'week', max: 4, where: { topic: 'marketing' }, mode: 'shadow' },
      reason: 'Watched until the spring campaign',
    },
  };
  for (const [id, limit] of Object.entries(limits)) await server.call('PUT', `/limits/${id}`, limit);
  const users = ['ada', 'grace', 'edsger', 'barbara', 'donald', 'frances', 'john', 'margaret'];
  const accounts = ['acme', 'globex', 'initech'];
  for (const account of accounts) await server.call('PUT', `/accounts/${account}`, { name: account.toUpperCase() });
  for (const [index, user] of users.entries()) {
    await server.call('PUT', `/users/${user}/accounts`, {
      accounts: accounts
        .slice(0, 1 + (index % 3))
        .map((account_id) => ({ account_id, profile: { email: `${user}@example.com`, title: 'Engineer' } })),
    });
  }
  const topics = ['billing', 'marketing', 'security', 'product-news'];
  for (let index = 0; index < 60; index += 1) {
    const user = users[(index * 7) % users.length]!;
    const account = accounts[index % 3]!;
    await server.call('POST', '/send', {
      message: {
        to: { user_id: user, account_id: account },
        content: { title: 'Your invoice', body: 'It is ready.' },
        preferences: { subscription_topic_id: topics[index % 4] },
        metadata: { event: 'invoice-ready', tags: ['spring'] },
      },
    });
    await server.call('POST', '/check', { user_id: user, account_id: account, topic_id: topics[(index >> 1) % 4] });
  }
  await server.call('PUT', '/limits/user-daily', { per: ['user'], period: 'day', max: 6 });
}

/** The views: where they are, what is there once they are shown, and what is done before they are looked at. */
interface View {
  path: string;
  heading?: string;
  shows: string;
  act?: (page: Page) => Promise<void>;
}

const VIEWS: Record<string, View> = {
  'sign-in': { path: '', shows: 'input[type=password]' },
  overview: { path: '/overview', heading: 'Overview', shows: 'canvas' },
  logs: {
    path: '/logs?status=THROTTLED',
    heading: 'Logs',
    shows: 'tr[data-index]',
    act: async (page) => {
      await page.locator('tr[data-index]').first().getByRole('button').click();
      await page.getByTestId('why').waitFor();
    },
  },
  limits: { path: '/limits', heading: 'Limits', shows: 'text=marketing-weekly' },
  'limit-form': { path: '/limits?edit=user-daily', heading: 'Limits', shows: 'text=midnight to midnight in New York' },
  usage: { path: '/usage?user=ada&account=acme&topic=billing', heading: 'Usage', shows: '.limit-bar' },
  members: { path: '/members?account=acme', heading: 'Members', shows: 'text=barbara' },
  audit: {
    path: '/audit',
    heading: 'Audit trail',
    shows: 'tr[data-index]',
    act: async (page) => {
      await page.locator('tr[data-index]').first().getByRole('button').click();
      await page.getByText('Before', { exact: true }).first().waitFor();
    },
  },
  alerts: { path: '/alerts', heading: 'Alerts', shows: 'table[aria-label=Alerts] tbody tr' },
  settings: { path: '/settings', heading: 'Settings', shows: 'text=Exempt topics' },
  // The last one: what is written in a form keeps from leaving it.
  'what-if': {
    path: '/limits?edit=user-daily',
    heading: 'Limits',
    shows: 'text=midnight to midnight in New York',
    act: async (page) => {
      await page.getByLabel('At most').fill('3');
      await page.getByRole('button', { name: 'Try it on the log' }).click();
      await page.getByTestId('what-if-summary').waitFor();
      await page.getByTestId('meaning').getByText('at most 3 messages').waitFor();
      await page.getByTestId('what-if').scrollIntoViewIfNeeded();
    },
  },
};

describe.each([
  ['wide', 1_440, 900],
  ['narrow', 390, 844],
] as const)('%s', (width, widthPixels, height) => {
  test.each(['light', 'dark'] as const)(
    'in %s every view fits its page, and axe finds nothing serious',
    async (scheme) => {
      const found: string[] = [];
      const options = { width: widthPixels, height, scheme };
      const signedIn = await openConsole(browser, server.url, '/overview', { ...options, key: CONSOLE_KEY });
      for (const [name, { path, heading, shows, act }] of Object.entries(VIEWS)) {
        const opened = name === 'sign-in' ? await openConsole(browser, server.url, path, options) : signedIn;
        const { page } = opened;
        if (opened === signedIn) await page.goto(`/#${path}`);
        // The view before may have what is waited for, too.
        if (heading !== undefined) await page.locator('h1', { hasText: heading }).waitFor();
        await page.locator(shows).first().waitFor();
        await act?.(page);
        // A transition that has not ended has colours of its own.
        await page.waitForFunction(() => document.getAnimations().every(({ playState }) => playState === 'finished'));
        const isWider = await page.evaluate(
          () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
        );
        if (isWider) found.push(`${name} is wider than its page`);
        found.push(...(await seriousFaults(page)).map((fault) => `${name}: ${fault}`));
        if (IMAGES !== undefined) {
          mkdirSync(IMAGES, { recursive: true });
          await page.screenshot({ path: join(IMAGES, `${name}-${width}-${scheme}.png`), animations: 'disabled' });
        }
        if (opened !== signedIn) await opened.close();
      }
      expect([...found, ...signedIn.faults]).toEqual([]);
      await signedIn.close();
    },
  );
});

test('a list shows as many columns as there is room for beside an open message, and none too narrow to be read', async () => {
  const opened = await openConsole(browser, server.url, '/logs', { key: CONSOLE_KEY, width: 1_280 });
  const { page } = opened;
  const row = page.locator('tr[data-index]').first();
  await row.waitFor();
  const columns = () =>
    page
      .locator('.feed thead th')
      .evaluateAll((heads) => heads.map((head) => ({ name: head.textContent, px: head.clientWidth })));
  const names = async () => (await columns()).map(({ name }) => name);
  const all = ['Time', 'Status', 'Recipient', 'Account', 'Topic', 'Provider'];
  await until(async () => (await names()).length === all.length);
  expect(await names()).toEqual(all);
  for (const [width, shown] of [
    [1_280, 4],
    [1_200, 3],
    [1_440, 5],
    [1_600, 6],
  ] as const) {
    await page.setViewportSize({ width, height: 900 });
    if (width === 1_280) await row.getByRole('button').click();
    await page.getByTestId('why').waitFor();
    await until(async () => (await names()).length === shown);
    expect(await names()).toEqual(all.slice(0, shown));
    for (const { px } of await columns()) expect(px).toBeGreaterThanOrEqual(120);
  }
  await page.getByRole('button', { name: 'Close the message' }).click();
  await until(async () => (await names()).length === all.length);
  expect(opened.faults).toEqual([]);
  await opened.close();
});

test('below 900 px the sidebar is a drawer behind a button, and everything is reached by the keyboard', async () => {
  const opened = await openConsole(browser, server.url, '/logs', { key: CONSOLE_KEY, width: 899 });
  const { page } = opened;
  await page.locator('tr[data-index]').first().waitFor();
  expect(await page.getByRole('link', { name: 'Usage' }).isVisible()).toBe(false);
  const button = page.getByRole('button', { name: 'Show the views' });
  await button.focus();
  await page.keyboard.press('Enter');
  const usage = page.getByRole('dialog').getByRole('link', { name: 'Usage' });
  await usage.waitFor();
  while (!(await usage.evaluate((link) => link === document.activeElement))) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Usage', level: 1 }).waitFor();
  await usage.waitFor({ state: 'hidden' });
  await page.setViewportSize({ width: 900, height: 800 });
  await page.getByRole('link', { name: 'Logs' }).waitFor();
  expect(await button.isVisible()).toBe(false);

  // The focus stays on a row while what is in view is asked for again: what the second answer says is shown by the third.
  await page.getByRole('link', { name: 'Logs' }).press('Enter');
  await page.getByRole('heading', { name: 'Logs', level: 1 }).waitFor();
  const row = page.locator('tr[data-index]').first().getByRole('button');
  await row.focus();
  for (let answers = 0; answers < 3; answers += 1) {
    await page.waitForResponse((response) => new URL(response.url()).searchParams.has('messageId'));
  }
  expect(await row.evaluate((element) => element === document.activeElement)).toBe(true);

  // A row is opened, and closed again, without a mouse.
  await row.press('Enter');
  await page.getByTestId('why').waitFor();
  await page.keyboard.press('Escape');
  await page.getByTestId('why').waitFor({ state: 'hidden' });
  expect(opened.faults).toEqual([]);
  await opened.close();
});
