import type { Browser } from 'playwright-core';
import { openConsole, startBrowser } from '../support/browser';
import { CONSOLE_KEY, type ConsoleServer, startConsoleServer } from '../support/console';
import { dayThatLasts } from '../support/day';
import { endAllSendgates } from '../support/sendgate';

jest.setTimeout(120_000);

let browser: Browser;
let server: ConsoleServer;
beforeAll(async () => {
  await dayThatLasts(120_000);
  browser = await startBrowser();
  server = await startConsoleServer();
}, 180_000);
afterAll(async () => {
  await browser?.close();
  await endAllSendgates();
});

test('from a fresh start: sign in, make a limit, find what it throttled, read why, raise it, send again, see it sent', async () => {
  const opened = await openConsole(browser, server.url, '');
  const { page } = opened;
  await page.getByLabel('API key').fill('wrong-key');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('This key is not known here').waitFor();
  await page.getByLabel('API key').fill(CONSOLE_KEY);
  await page.getByLabel('API key').press('Enter');
  await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();

  // What begins is offered: the first limit.
  await page.getByRole('link', { name: 'Make your first limit' }).click();
  const form = page.getByRole('dialog');
  await form.getByLabel('Id').fill('user-daily');
  await form.getByLabel('Each user').check();
  await form.getByLabel('At most').fill('2');
  await form.getByLabel('Messages in').selectOption('a day');
  await form
    .getByTestId('meaning')
    .filter({ hasText: 'Each user, at most 2 messages a day, midnight to midnight in UTC.' })
    .waitFor();
  await form.getByRole('button', { name: 'Create' }).click();
  await form.waitFor({ state: 'hidden' });
  await page.getByText('2 a day').waitFor();
  expect((await server.call('GET', '/limits/user-daily')).body).toMatchObject({ per: ['user'], period: 'day', max: 2 });

  // A service hands messages over until one is throttled.
  for (const user of ['ann', 'bob', 'ann', 'ann']) {
    await server.call('POST', '/send', {
      message: { to: { user_id: user }, content: { body: 'hello' }, metadata: { event: 'greeting' } },
    });
  }

  await page.getByRole('link', { name: 'Logs' }).click();
  await page.locator('tr[data-index]').first().waitFor();
  await page.getByRole('combobox', { name: 'Status' }).click();
  await page.getByRole('option', { name: 'Throttled' }).click();
  await page.keyboard.press('Escape');
  await page.getByRole('textbox', { name: 'Recipient' }).fill('ann');
  await page.waitForURL(/status=THROTTLED.*recipient=ann/);
  await page.getByText('These are all').waitFor();
  await expect(page.locator('tr[data-index]').count()).resolves.toBe(1);

  // The address says all of it: a colleague sees the same.
  const shared = page.url().split('#')[1]!;
  await page.locator('tr[data-index]').first().getByRole('button').click();
  const side = page.getByRole('complementary', { name: 'Message' });
  expect(await side.getByTestId('why').textContent()).toMatch(
    /^Throttled: user-daily allows 2 in a day, and 2 were used\. There is room at .* \(in \d+ (hour|minute)s?\)/,
  );
  await side.getByText('2 of 2').waitFor();
  await side.getByText('stopped it').waitFor();
  const colleague = await openConsole(browser, server.url, shared, { key: CONSOLE_KEY });
  await colleague.page.getByText('These are all').waitFor();
  await expect(colleague.page.locator('tr[data-index]').count()).resolves.toBe(1);
  await colleague.close();

  await side.getByRole('link', { name: 'Look at the limit' }).click();
  await form.getByLabel('At most').fill('3');
  await form.getByRole('button', { name: 'Save' }).click();
  await form.waitFor({ state: 'hidden' });
  await page.getByText('3 a day').waitFor();

  // Back is where one was, with the message open.
  await page.goBack();
  for (let back = 0; back < 3 && !(await side.isVisible()); back += 1) await page.goBack();
  await side.getByRole('button', { name: 'Retry' }).click();
  const question = page.getByRole('dialog', { name: 'Send it again?' });
  await question.getByRole('button', { name: 'Retry' }).click();
  await question.waitFor({ state: 'hidden' });
  await side.getByText('Sent', { exact: true }).first().waitFor();
  await side.getByText('3 of 3').waitFor();
  // The list does not move under one's eyes: the message stays where it was, as what it is now.
  await page.locator('tr[data-index]').getByText('Sent', { exact: true }).waitFor();

  const { body } = await server.call('GET', '/messages?recipient=ann');
  expect(body.results.map(({ status }: { status: string }) => status)).toEqual(['SENT', 'SENT', 'SENT']);
  await page.getByRole('link', { name: 'Audit trail' }).click();
  for (const what of ['limit.created', 'limit.updated', 'message.retried']) {
    await page.getByText(what).first().waitFor();
  }
  expect(opened.faults).toEqual([]);
  await opened.close();
});

test('from what a service was answered: the messages of a request, and a message, are found by its id', async () => {
  const to = ['cat', 'dan'].map((user) => ({ user_id: user }));
  const { requestId } = (await server.call('POST', '/send', { message: { to, content: { body: 'hello' } } })).body;
  const opened = await openConsole(browser, server.url, '/logs', { key: CONSOLE_KEY });
  const { page } = opened;
  const rows = page.locator('tr[data-index]');
  await page.getByRole('textbox', { name: 'Message or request id' }).fill(requestId);
  await page.waitForURL(/id=/);
  await page.getByText('These are all').waitFor();
  await rows.getByText('cat', { exact: true }).waitFor();
  expect(await rows.count()).toBe(2);

  await rows.first().getByRole('button').click();
  const side = page.getByRole('complementary', { name: 'Message' });
  const id = (await rows.first().getAttribute('data-id'))!;
  await page.getByRole('textbox', { name: 'Message or request id' }).fill(id);
  await page.waitForURL(new RegExp(`id=${id}`));
  await page.getByText('These are all').waitFor();
  expect(await rows.count()).toBe(1);
  await side.getByRole('button', { name: 'All messages of this request' }).click();
  await page.waitForURL(new RegExp(`id=${requestId}`));
  await rows.nth(1).waitFor();
  expect(await rows.count()).toBe(2);
  expect(opened.faults).toEqual([]);
  await opened.close();
});
