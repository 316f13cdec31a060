import type { Browser, Page } from 'playwright-core';
import { Webhook } from 'standardwebhooks';
import { type ConsolePage, openConsole, startBrowser } from '../support/browser';
import { CONSOLE_KEY, type ConsoleServer, startConsoleServer } from '../support/console';
import { type MailServer, type Receiver, startMailServer, startReceiver } from '../support/receivers';
import { sharedRedisUrl } from '../support/redis';
import { endAllSendgates, runSendgate } from '../support/sendgate';
import { until } from '../support/sends';

jest.setTimeout(90_000);

let browser: Browser;
let server: ConsoleServer;
let receiver: Receiver;
let mails: MailServer;
let workspace: string;
let opened: ConsolePage;
let page: Page;
beforeAll(async () => {
  [browser, mails] = await Promise.all([startBrowser(), startMailServer()]);
  server = await startConsoleServer({
    SENDGATE_ALLOW_PRIVATE_TARGETS: 'true',
    SENDGATE_SMTP_URL: mails.url,
    SENDGATE_ALERT_MAIL_FROM: 'sendgate@example.com',
    SENDGATE_ALERT_MAIL_TO: 'ops@example.com',
  });
  workspace = (await server.call('GET', '/session')).body.workspace;
});
afterAll(async () => {
  await browser?.close();
  await endAllSendgates();
  await mails?.stop();
});
beforeEach(async () => {
  receiver = await startReceiver();
  await server.call('PATCH', '/settings', { alert_webhooks: [], alert_thresholds: [80, 100] });
});
afterEach(async () => {
  expect(opened.faults).toEqual([]);
  await opened.close();
  await receiver.stop();
});

async function open(key = CONSOLE_KEY, width = 1_440): Promise<void> {
  opened = await openConsole(browser, server.url, '/alerts', { key, width });
  page = opened.page;
  await page.getByRole('heading', { name: 'Alerts', level: 1 }).waitFor();
}

test('a webhook is added with a secret that was made here, saved, and tested; its last result shows', async () => {
  await open();
  await page.getByText('No webhook is told.').waitFor();
  await page.getByRole('button', { name: 'Add a webhook' }).click();
  const fields = page.getByRole('group', { name: 'Webhook 1' });
  await page.getByRole('button', { name: 'Save' }).click();
  await fields.getByText('must be a URL').waitFor();
  await fields.getByLabel('URL').fill(receiver.url);
  await fields.getByRole('button', { name: 'Make one' }).click();
  const secret = await fields.getByLabel('Secret').inputValue();
  await fields.getByLabel('A provider stops').uncheck();
  await page.getByRole('button', { name: 'Save' }).click();
  await fields.getByText(/It has one, with the fingerprint [0-9a-f]{8}/).waitFor();
  await expect(fields.getByLabel('Secret').inputValue()).resolves.toBe('');
  const { alert_webhooks } = (await server.call('GET', '/settings')).body;
  expect(alert_webhooks).toMatchObject([
    { url: receiver.url, events: ['limit.threshold', 'limit.throttled', 'redis.degraded'] },
  ]);

  await fields.getByRole('button', { name: 'Send test' }).click();
  await page.getByText(/answered 204 after/).waitFor();
  await fields.getByText(/test\. Delivered/).waitFor();
  const [{ body, headers }] = receiver.requests as [Receiver['requests'][number]];
  new Webhook(secret).verify(body, headers as Record<string, string>);
});

test('alerts appear with whose they are and what became of them, by webhook and by mail', async () => {
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  receiver.answer = (response) => response.writeHead(410).end();
  await server.call('PATCH', '/settings', { alert_webhooks: [{ url: receiver.url, secret }] });
  await server.call('PUT', '/limits/daily', { per: ['user'], period: 'day', max: 5 });
  await open();
  for (let time = 0; time < 6; time += 1) await server.call('POST', '/check', { user_id: 'ann\u202e<b>' });
  const table = page.getByRole('table', { name: 'Alerts' });
  const row = table.getByRole('row').filter({ hasText: 'daily: messages are throttled, 5 of 5 in the day' });
  await row.getByText('user ann[U+202E]<b>').waitFor();
  await row
    .getByText(/Failed: answered 410/)
    .filter({ visible: true })
    .waitFor();
  await table.getByText('daily: 80 % passed, 4 of 5').waitFor();
  await table.getByText('Mail: Delivered').filter({ visible: true }).waitFor();
  await table.getByText('Mail: Counted by the next mail').filter({ visible: true }).first().waitFor();
  expect(mails.mails).toHaveLength(1);
});

test('thresholds are changed, and what cannot be is said beside them', async () => {
  await open();
  const thresholds = page.getByLabel('Alerts at');
  await thresholds.fill('80, 101');
  await page.getByText('must be whole numbers from 1 to 100').waitFor();
  await thresholds.fill('90 50');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved. It is in force for the next alert.').waitFor();
  await expect(thresholds.inputValue()).resolves.toBe('50, 90');
  expect((await server.call('GET', '/settings')).body.alert_thresholds).toEqual([50, 90]);
});

test('what the server refuses is said beside its field, and what was typed stays', async () => {
  await open();
  await page.getByRole('button', { name: 'Add a webhook' }).click();
  const fields = page.getByRole('group', { name: 'Webhook 1' });
  await fields.getByLabel('URL').fill('ftp://example.com/');
  await fields.getByLabel('Secret').fill('short');
  await page.getByRole('button', { name: 'Save' }).click();
  await fields.getByText('must be a URL that begins with https:// or http://').waitFor();
  await fields.getByText('must be whsec_ and 24 to 64 bytes in base64').waitFor();
  await expect(fields.getByLabel('URL').inputValue()).resolves.toBe('ftp://example.com/');
  await page.getByRole('button', { name: 'Discard' }).click();
  await page.getByText('No webhook is told.').waitFor();
});

test('a mail is tested together with all webhooks', async () => {
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  receiver.answer = (response) => response.writeHead(500).end();
  await server.call('PATCH', '/settings', { alert_webhooks: [{ url: receiver.url, secret }] });
  await open();
  await page.getByText('To ops@example.com: at most one mail').waitFor();
  await page.getByRole('button', { name: 'Send a test to all' }).click();
  await page.getByText(/✓ Mail: taken after/).waitFor();
  await page.getByText(/✗ http.* answered 500/).waitFor();
});

test('a key that may only read sees all of it and can change, or send, nothing', async () => {
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  await server.call('PATCH', '/settings', { alert_webhooks: [{ url: receiver.url, secret }] });
  const { stdout } = await runSendgate(['keys', 'create', '--role', 'read'], {
    REDIS_URL: sharedRedisUrl(),
    SENDGATE_WORKSPACE: workspace,
  });
  const key = /sg_\S+/.exec(stdout)![0];
  // A process learns of a key that was made from the command line within a moment.
  await until(async () => {
    const { ok } = await fetch(`${server.url}/settings`, { headers: { authorization: `Bearer ${key}` } });
    return ok;
  });
  await open(key);
  await page.getByText('You see who is told.').waitFor();
  await page.getByLabel('URL').waitFor();
  await expect(page.getByLabel('URL').isDisabled()).resolves.toBe(true);
  await expect(page.getByRole('button', { name: /test|Save|Add|Remove/i }).count()).resolves.toBe(0);
});

test('fits a narrow screen', async () => {
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  await server.call('PATCH', '/settings', {
    alert_webhooks: [{ url: `${receiver.url}${'x'.repeat(300)}`, secret }],
  });
  await open(CONSOLE_KEY, 375);
  await page.getByRole('group', { name: 'Webhook 1' }).waitFor();
  const [width, view] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  expect(width).toBeLessThanOrEqual(view!);
});

test('the thresholds of a limit are set in its form, and another change of it leaves them', async () => {
  await server.call('PUT', '/limits/own', { per: ['topic'], period: 'week', max: 10, alert_thresholds: [25] });
  opened = await openConsole(browser, server.url, '/limits?edit=own', { key: CONSOLE_KEY });
  page = opened.page;
  const thresholds = page.getByLabel('Alerts at');
  await expect(thresholds.inputValue()).resolves.toBe('25');
  await page.getByLabel('Reason').fill('because');
  await page.getByRole('button', { name: 'Save' }).click();
  const read = async () => (await server.call('GET', '/limits/own')).body;
  await until(async () => (await read()).reason === 'because');
  expect((await read()).alert_thresholds).toEqual([25]);
});
