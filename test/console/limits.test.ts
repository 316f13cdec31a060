import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { type ConsolePage, openConsole, startBrowser } from '../support/browser';
import { CONSOLE_KEY, type ConsoleServer, startConsoleServer } from '../support/console';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';
import { endAllSendgates, runSendgate } from '../support/sendgate';

jest.setTimeout(120_000);

let browser: Browser;
let server: ConsoleServer;
let workspace: string;
let folder: string;
beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser?.close());
beforeEach(async () => {
  workspace = uniqueWorkspace();
  folder = mkdtempSync(join(tmpdir(), 'sendgate-'));
  const file = join(folder, 'limits.yaml');
  writeFileSync(file, 'limits: [{ id: from-file, per: [account], period: month, max: 900, reason: Agreed }]');
  server = await startConsoleServer({ SENDGATE_WORKSPACE: workspace, SENDGATE_LIMITS_FILE: file });
  await server.call('PATCH', '/settings', { timezone: 'America/New_York' });
  await server.call('PUT', '/limits/user-daily', { per: ['user'], period: 'day', max: 50 });
});
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
  await endAllSendgates();
  rmSync(folder, { recursive: true, force: true });
});

const open = (path: string, key = CONSOLE_KEY): Promise<ConsolePage> => openConsole(browser, server.url, path, { key });
const limit = async (id: string) => (await server.call('GET', `/limits/${id}`)).body;
const ids = async () => (await server.call('GET', '/limits')).body.items.map(({ id }: { id: string }) => id);
const row = (page: Page, id: string) => page.locator(`tr[data-id="${id}"]`);
const form = (page: Page) => page.getByRole('dialog').first();
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const conflict = (page: Page) => page.getByTestId('conflict');

test('a limit is made in a form that says in words what it means, and when its window and the next begin and end', async () => {
  const { page, faults } = await open('/limits');
  await row(page, 'user-daily').waitFor();
  await button(page, 'New limit').click();
  await page.getByLabel('Id', { exact: true }).fill('user-weekly');
  await page.getByLabel('At most').fill('7');
  await page.getByLabel('Messages in').selectOption('week');
  await page.getByLabel('Topic', { exact: true }).fill('marketing');
  const meaning = page.getByTestId('meaning');
  await meaning
    .getByText(
      /^Each user for the topic marketing|^Each user, at most 7 messages a week, Sunday to Saturday in New York\./,
    )
    .waitFor();
  const windows = form(page).getByRole('region', { name: 'What it means' });
  await windows.getByText('By the clock in America/New_York.').waitFor();
  expect(await windows.locator('dt').allInnerTexts()).toEqual(['This window', 'The next']);
  // The times themselves: beside a window with a change of the clocks in it stands how long it is.
  const [, thisUntil, nextFrom] = await windows
    .locator('dd time')
    .evaluateAll((times) => times.map((time) => time.getAttribute('datetime')));
  expect(Date.parse(nextFrom!)).not.toBeNaN();
  expect(nextFrom).toBe(thisUntil);
  await button(page, 'Create').click();
  await row(page, 'user-weekly').waitFor();
  await form(page).waitFor({ state: 'hidden' });
  expect(await limit('user-weekly')).toMatchObject({
    ...{
      per: ['user'],
      period: 'week',
      max: 7,
      where: { topic: 'marketing' },
      mode: 'enforce',
      on_exceeded: 'throttle',
    },
  });
  expect(faults).toEqual([]);
});

test('what is wrong is said beside its field, before anything is sent and after, and what was typed stays', async () => {
  const { page } = await open('/limits?add=new');
  await page.getByLabel('Id', { exact: true }).fill('user-twin');
  await button(page, 'Create').click();
  await form(page).getByText('must be a number: 0 blocks').waitFor();
  await page.getByLabel('At most').fill('3');
  await button(page, 'Create').click();
  await form(page)
    .getByText(/is the same as that of "user-daily"/)
    .waitFor();
  await form(page).getByRole('link', { name: 'Look at user-daily' }).waitFor();
  expect(await page.getByLabel('Id', { exact: true }).inputValue()).toBe('user-twin');
  await page.getByLabel('User', { exact: true }).fill('ann');
  await button(page, 'Create').click();
  await row(page, 'user-twin').waitFor();
});

test.each(['1.5', '-3', '1e3', '1,5', '9999999999999'])(
  'a maximum of %s is kept as it is typed, refused beside its field, and made no other',
  async (typed) => {
    const { page, faults } = await open('/limits?add=new');
    await page.getByLabel('Id', { exact: true }).fill('user-odd');
    await page.getByLabel('At most').pressSequentially(typed);
    await button(page, 'Create').click();
    await form(page)
      .getByText(/^must be (?:a whole number in digits alone|at most 1,000,000,000,000)/)
      .waitFor();
    expect(await page.getByLabel('At most').inputValue()).toBe(typed);
    expect(await ids()).not.toContain('user-odd');
    expect(faults).toEqual([]);
  },
);

test('a limit is changed, to shadow mode, deferral and for a time; and leaving without saving is asked about', async () => {
  const { page, faults } = await open('/limits');
  await row(page, 'user-daily').getByRole('button', { name: 'user-daily' }).click();
  await page.getByLabel('At most').fill('20');
  await page.getByRole('radio', { name: 'Shadow' }).check();
  await page.getByRole('radio', { name: 'Defer' }).check();
  await page.getByRole('radio', { name: 'Local' }).check();
  await page.getByLabel('Reason').fill('Because of the complaints');
  await page
    .getByTestId('meaning')
    .getByText(/It only watches, and never stops a message\./)
    .waitFor();
  await page.keyboard.press('Escape');
  const leaving = page.getByRole('dialog', { name: 'Leave without saving?' });
  await leaving.getByRole('button', { name: 'Cancel' }).click();
  expect(await page.getByLabel('Reason').inputValue()).toBe('Because of the complaints');
  await button(page, 'Save').click();
  await form(page).waitFor({ state: 'hidden' });
  expect(await limit('user-daily')).toMatchObject({
    ...{ max: 20, mode: 'shadow', on_exceeded: 'defer', on_redis_down: 'local', reason: 'Because of the complaints' },
  });
  expect(faults).toEqual([]);
});

test('of two people who edit the same limit the second is told before anything is lost, and may keep both', async () => {
  const [first, second] = [await open('/limits?edit=user-daily'), await open('/limits?edit=user-daily')];
  await first.page.getByLabel('At most').fill('60');
  await second.page.getByLabel('Reason').fill('Legal asked for it');
  await button(first.page, 'Save').click();
  await form(first.page).waitFor({ state: 'hidden' });
  // The second presses Save before having seen it, or sees it before: either way nothing is written over it.
  await button(second.page, 'Save')
    .click({ timeout: 1_000 })
    .catch(() => undefined);
  await conflict(second.page).getByText('Somebody has changed this limit meanwhile').waitFor();
  expect(await limit('user-daily')).toMatchObject({ max: 60, reason: null });
  expect(await second.page.getByLabel('Reason').inputValue()).toBe('Legal asked for it');
  await button(second.page, 'Put both together').click();
  await conflict(second.page).waitFor({ state: 'hidden' });
  expect(await second.page.getByLabel('At most').inputValue()).toBe('60');
  await button(second.page, 'Save').click();
  await form(second.page).waitFor({ state: 'hidden' });
  expect(await limit('user-daily')).toMatchObject({ max: 60, reason: 'Legal asked for it' });
  expect([...first.faults, ...second.faults]).toEqual([]);
});

test('who wants what they wrote, though somebody else has changed it, says so; or drops it', async () => {
  const [first, second] = [await open('/limits?edit=user-daily'), await open('/limits?edit=user-daily')];
  for (const { page } of [first, second]) await page.getByLabel('At most').fill('70');
  await server.call('PUT', '/limits/user-daily', { per: ['user'], period: 'day', max: 80, reason: 'by another' });
  await button(first.page, 'Drop mine').click();
  await conflict(first.page).waitFor({ state: 'hidden' });
  expect(await first.page.getByLabel('At most').inputValue()).toBe('80');
  await button(second.page, 'Save mine over it').click();
  await form(second.page).waitFor({ state: 'hidden' });
  expect(await limit('user-daily')).toMatchObject({ max: 70, reason: null });
});

test('who edits a limit that somebody deletes is told, and can make it again', async () => {
  const { page } = await open('/limits?edit=user-daily');
  await page.getByLabel('At most').fill('70');
  await server.call('DELETE', '/limits/user-daily');
  await conflict(page).getByText('Somebody has deleted this limit meanwhile').waitFor();
  expect(await page.getByLabel('At most').inputValue()).toBe('70');
  await button(page, 'Create it again as written here').click();
  await form(page).waitFor({ state: 'hidden' });
  expect(await limit('user-daily')).toMatchObject({ max: 70 });
});

test('a limit is deleted after a confirmation that says what holds then', async () => {
  const { page, faults } = await open('/limits?edit=user-daily');
  await button(page, 'Delete').click();
  const dialog = page.getByRole('dialog', { name: 'Delete user-daily?' });
  await dialog.getByText('Each user, at most 50 messages a day, midnight to midnight in New York.').waitFor();
  await dialog.getByText('Nothing else then limits how many messages go out to each user a day.').waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await dialog.waitFor({ state: 'hidden' });
  expect(await ids()).toContain('user-daily');
  await button(page, 'Delete').click();
  await dialog.getByRole('button', { name: 'Delete it' }).click();
  await row(page, 'user-daily').waitFor({ state: 'hidden' });
  expect(await ids()).not.toContain('user-daily');
  expect(faults).toEqual([]);
});

test('a limit that somebody changes while it is asked whether to delete it is not deleted, and it is said', async () => {
  const { page } = await open('/limits?edit=user-daily');
  await button(page, 'Delete').waitFor();
  // It is asked for every five seconds, and that must not come between: what was asked about would be the new one.
  let look: () => void = () => undefined;
  const looked = new Promise<void>((resolve) => {
    look = resolve;
  });
  await page.route('**/limits/user-daily', async (route) => {
    if (route.request().method() === 'GET') await looked;
    await route.continue();
  });
  await button(page, 'Delete').click();
  const dialog = page.getByRole('dialog', { name: 'Delete user-daily?' });
  await dialog.getByText(/midnight to midnight/).waitFor();
  await server.call('PUT', '/limits/user-daily', { per: ['user'], period: 'day', max: 51 });
  await dialog.getByRole('button', { name: 'Delete it' }).click();
  await dialog.getByText('Somebody has changed this limit since.').waitFor();
  expect(await limit('user-daily')).toMatchObject({ max: 51 });
  look();
  await dialog.getByText(/at most 51 messages/).waitFor();
});

test('a limit from the file says so, is shown and not edited, and can be overridden', async () => {
  const { page, faults } = await open('/limits');
  await row(page, 'from-file').getByText('file').first().waitFor();
  await row(page, 'from-file').getByRole('button', { name: 'from-file' }).click();
  await form(page)
    .getByText(/^This limit comes from the limits file: it is changed and deleted there/)
    .waitFor();
  await form(page)
    .getByText(/each account, at most 900 messages|Each account, at most 900 messages/)
    .waitFor();
  expect(await form(page).getByRole('textbox').count()).toBe(0);
  for (const name of ['Save', 'Delete']) expect(await button(page, name).count()).toBe(0);
  await page.getByRole('link', { name: 'Override it for some messages' }).click();
  await page.getByLabel('Account', { exact: true }).fill('acme');
  await page.getByLabel('At most').fill('2000');
  await page.getByLabel('Id', { exact: true }).fill('acme-monthly');
  await form(page)
    .getByText(/It overrides from-file/)
    .waitFor();
  await button(page, 'Create').click();
  await row(page, 'acme-monthly').waitFor();
  expect(await limit('acme-monthly')).toMatchObject({ per: ['account'], period: 'month', where: { account: 'acme' } });
  expect(faults).toEqual([]);
});

test('with a key of the role read limits are looked at, and there is nothing to change them with', async () => {
  const env = { REDIS_URL: sharedRedisUrl(), SENDGATE_WORKSPACE: workspace };
  const { stdout } = await runSendgate(['keys', 'create', '--role', 'read'], env);
  // One that starts now knows the key at once.
  server = await startConsoleServer(env);
  const { page, faults } = await open('/limits', stdout.trim());
  await row(page, 'user-daily').getByRole('button', { name: 'user-daily' }).click();
  await form(page)
    .getByText(/^Each user, at most 50 messages a day/)
    .waitFor();
  await form(page)
    .getByText(/^With this key limits can be looked at/)
    .waitFor();
  for (const name of ['New limit', 'Save', 'Delete', 'Override it for some messages', 'Try it on the log']) {
    expect(await page.getByRole(/^Override/.test(name) ? 'link' : 'button', { name, exact: true }).count()).toBe(0);
  }
  expect(await form(page).getByRole('textbox').count()).toBe(0);
  await page.goto(`${server.url}/#/limits?add=new`);
  await page.getByText('To make a limit, sign in with a key that has the role admin.').waitFor();
  expect(faults).toEqual([]);
});
