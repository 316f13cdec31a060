import type { Browser, Page } from 'playwright-core';
import { openConsole, startBrowser } from '../support/browser';
import { CONSOLE_KEY, type ConsoleServer, startConsoleServer } from '../support/console';
import { endAllSendgates } from '../support/sendgate';

jest.setTimeout(180_000);

let browser: Browser;
let server: ConsoleServer;
beforeAll(async () => {
  browser = await startBrowser();
  server = await startConsoleServer();
});
afterAll(async () => {
  await browser?.close();
  await endAllSendgates();
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));

const profileOf = async (user: string, account: string) =>
  (await server.call('GET', `/users/${user}/accounts/${account}`)).body.profile;
const accountsOf = async (user: string) =>
  (await server.call('GET', `/users/${user}/accounts`)).body.items.map(
    ({ account_id }: { account_id: string }) => account_id,
  );
const row = (page: Page, text: string) => page.locator('tr[data-index]').filter({ hasText: text });

test('a member is added, found from both sides, given another profile, and removed', async () => {
  const { page, faults } = await openConsole(browser, server.url, '/members', { key: CONSOLE_KEY });
  await page.getByRole('button', { name: 'Add a member' }).click();
  const form = page.getByRole('dialog', { name: 'Add a user to an account' });
  await form.getByLabel('User').fill('ann');
  await form.getByLabel('Account').fill('acme');
  await form.getByLabel('Profile').fill('{"email": ');
  await form.getByRole('button', { name: 'Add' }).click();
  // What is no JSON is not sent, and stays.
  expect(await form.getByLabel('Profile').inputValue()).toBe('{"email": ');
  await expect(accountsOf('ann')).resolves.toEqual([]);
  await form.getByLabel('Profile').fill('{"email": "ann@example.com"}');
  await form.getByRole('button', { name: 'Add' }).click();
  await form.waitFor({ state: 'hidden' });
  expect(await profileOf('ann', 'acme')).toEqual({ email: 'ann@example.com' });
  // The new member is shown, wherever one was.
  await row(page, 'acme').waitFor();
  expect(new URL(page.url()).hash).toBe('#/members?user=ann');

  for (const [path, other] of [
    ['/members?user=ann', 'acme'],
    ['/members?account=acme', 'ann'],
  ] as const) {
    await page.goto(`/#${path}`);
    await row(page, other).waitFor();
  }
  await row(page, 'ann').getByRole('button').click();
  const side = page.getByRole('dialog', { name: 'Membership' });
  await side.getByRole('button', { name: 'Edit the profile' }).click();
  await side.getByRole('textbox').fill('{"email": "ann@example.org", "title": null}');
  // Somebody else saves first: who comes second is told, and nothing is lost.
  await server.call('PUT', '/users/ann/accounts/acme', { profile: { email: 'ann@example.net' } });
  await side.getByText('Somebody else has changed this profile meanwhile').waitFor({ timeout: 30_000 });
  await side.getByText('ann@example.net').waitFor();
  await side.getByRole('button', { name: 'Save' }).click();
  await side.getByText('ann@example.org').waitFor();
  expect(await profileOf('ann', 'acme')).toEqual({ email: 'ann@example.org', title: null });

  await side.getByRole('button', { name: 'Remove from the account' }).click();
  const question = page.getByRole('dialog', { name: 'Remove from the account?' });
  await question.getByRole('button', { name: 'Cancel' }).click();
  await expect(accountsOf('ann')).resolves.toEqual(['acme']);
  await side.getByRole('button', { name: 'Remove from the account' }).click();
  await question.getByRole('button', { name: 'Remove' }).click();
  await page.getByText('Nobody is in this account.').waitFor();
  await expect(accountsOf('ann')).resolves.toEqual([]);
  expect(faults).toEqual([]);
});

test('who removes a user from all accounts is told how many that are', async () => {
  const accounts = Array.from({ length: 250 }, (_, index) => ({
    account_id: `account-${`${index}`.padStart(3, '0')}`,
  }));
  for (let start = 0; start < accounts.length; start += 50) {
    await server.call('PUT', '/users/bob/accounts', { accounts: accounts.slice(start, start + 50) });
  }
  const { page, faults } = await openConsole(browser, server.url, '/members?user=bob', { key: CONSOLE_KEY });
  await page.getByText('in 250 accounts').waitFor();
  await page.getByRole('button', { name: 'Remove from all accounts' }).click();
  const question = page.getByRole('dialog', { name: 'Remove from all accounts?' });
  await question.getByRole('button', { name: 'Remove from 250 accounts' }).click();
  await page.getByText('This user is in no account.').waitFor();
  await expect(accountsOf('bob')).resolves.toEqual([]);
  expect(faults).toEqual([]);
});

test('a counter is looked at and set to zero, and the audit trail says who did it', async () => {
  await server.call('PUT', '/limits/cat-daily', { per: ['user'], period: 'day', max: 2, where: { user: 'cat' } });
  for (let times = 0; times < 3; times += 1) await server.call('POST', '/check', { user_id: 'cat' });
  const { page, faults } = await openConsole(browser, server.url, '/usage', { key: CONSOLE_KEY });
  await page.getByLabel('User', { exact: true }).fill('cat');
  await page.waitForURL(/user=cat/);
  await page.getByText('2 of 2').waitFor();
  await page.getByTestId('verdict').filter({ hasText: 'would be throttled now' }).waitFor();
  await page.getByRole('button', { name: 'Reset' }).click();
  const question = page.getByRole('dialog', { name: 'Set this counter to zero?' });
  await question.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('2 of 2').waitFor();
  await page.getByRole('button', { name: 'Reset' }).click();
  await question.getByRole('button', { name: 'Set to zero' }).click();
  await page.getByText('0 of 2').waitFor();
  const { results } = (await server.call('GET', '/audit-events?limit=1')).body;
  expect(results[0]).toMatchObject({ type: 'counter.reset', before: { used: 2 } });
  expect(faults).toEqual([]);
});

test('settings are changed and kept, and what is wrong with one is said beside it', async () => {
  const { page, faults } = await openConsole(browser, server.url, '/settings', { key: CONSOLE_KEY });
  await page.getByRole('combobox', { name: 'A week begins on' }).click();
  await page.getByRole('option', { name: 'Monday' }).click();
  await page.getByLabel('Require membership').check();
  // What is no number of months stays as it is typed, and keeps the rest from being saved.
  const months = page.getByLabel('Months in a billing period');
  await months.clear();
  await months.pressSequentially('1.5');
  await page.getByText('must be a whole number from 1 to 120').waitFor();
  expect(await months.inputValue()).toBe('1.5');
  expect(await page.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true);
  await months.fill('3');
  await page.getByRole('button', { name: 'Save' }).click();
  // Weeks begin at another moment: what was counted in this one counts no more.
  const question = page.getByRole('dialog', { name: 'Let counters begin empty?' });
  await question.getByRole('button', { name: 'Save' }).click();
  await question.waitFor({ state: 'hidden' });
  expect((await server.call('GET', '/settings')).body).toMatchObject({
    week_start: 'monday',
    billing_months: 3,
    require_membership: true,
  });
  await server.call('PATCH', '/settings', { require_membership: false });
  expect(faults).toEqual([]);
});

test.each(['read', 'check'])(
  'a key with the role %s is shown what it may see, and no button that it may not press',
  async (role) => {
    await server.call('PUT', '/users/dan/accounts/acme', {});
    await server.call('PUT', '/limits/dan-daily', { per: ['user'], period: 'day', max: 1, where: { user: 'dan' } });
    const message = { to: { user_id: 'dan' }, content: { body: 'hello' } };
    for (let times = 0; times < 2; times += 1) await server.call('POST', '/send', { message });
    const key = await server.createKey(role);
    const { page, faults } = await openConsole(browser, server.url, '/overview', { key });
    if (role === 'check') {
      await page
        .getByText(/This key/)
        .first()
        .waitFor();
      await expect(page.getByRole('link', { name: 'Limits' }).count()).resolves.toBe(0);
      expect(faults).toEqual([]);
      return;
    }
    for (const [path, shows, not] of [
      ['/logs?recipient=dan&status=THROTTLED', 'tr[data-index]', ['Retry', 'Cancel']],
      ['/limits', 'text=dan-daily', ['New limit']],
      ['/limits?edit=dan-daily', 'text=at most 1 message a day', ['Save', 'Delete']],
      ['/usage?user=dan', '.limit-bar', ['Reset']],
      ['/members?user=dan', 'text=acme', ['Add a member', 'Remove from all accounts']],
      ['/settings', 'text=Exempt topics', ['Save']],
    ] as const) {
      await page.goto(`/#${path}`);
      await page.locator(shows).first().waitFor();
      if (path.startsWith('/logs')) {
        await page.locator('tr[data-index]').first().getByRole('button').click();
        await page.getByTestId('why').waitFor();
      }
      for (const name of not) {
        expect({ path, name, count: await page.getByRole('button', { name, exact: true }).count() }).toMatchObject({
          count: 0,
        });
      }
    }
    expect(faults).toEqual([]);
  },
);
