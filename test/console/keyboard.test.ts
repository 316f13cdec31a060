import type { Browser, Locator, Page } from 'playwright-core';
import { openConsole, startBrowser } from '../support/browser';
import { CONSOLE_KEY, type ConsoleServer, startConsoleServer } from '../support/console';
import { endAllSendgates } from '../support/sendgate';

jest.setTimeout(120_000);

const MESSAGES = 250;

let browser: Browser;
let server: ConsoleServer;
beforeAll(async () => {
  browser = await startBrowser();
  server = await startConsoleServer();
  await server.call('PUT', '/limits/none', { per: [], period: 'day', max: 0 });
  const messages = Array.from({ length: MESSAGES }, (_, index) => ({ user_id: `user-${index}`, account_id: 'acme' }));
  await server.call('POST', '/check/batch', { messages });
  for (const period of ['hour', 'week', 'month']) {
    await server.call('PUT', `/limits/user-${period}`, { per: ['user'], period, max: 9 });
  }
  await server.call('POST', '/send', {
    message: { to: { user_id: 'dan' }, content: { body: 'hello' }, delay: { duration: 9_000_000 } },
  });
  await server.call('PUT', '/users/ann/accounts/acme', {});
});
afterAll(async () => {
  await browser?.close();
  await endAllSendgates();
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));

const open = (path: string, width = 1_280) => openConsole(browser, server.url, path, { key: CONSOLE_KEY, width });
const rows = (page: Page) => page.locator('tr[data-index]');
const side = (page: Page) => page.getByRole('complementary', { name: 'Message' });
const isFocused = (locator: Locator) => locator.evaluate((element) => element === document.activeElement);

/** The row that has the focus, once it is that one; and whether all of it can be seen. */
async function expectFocusAt(page: Page, index: number): Promise<void> {
  await page.waitForFunction(
    (at) => document.activeElement?.closest<HTMLElement>('tr[data-index]')?.dataset.index === at,
    `${index}`,
  );
  const seen = await page.evaluate(() => {
    const row = document.activeElement!.closest('tr')!.getBoundingClientRect();
    const list = document.querySelector('.feed-scroll')!.getBoundingClientRect();
    const heading = document.querySelector('.feed-scroll thead')!.getBoundingClientRect();
    return [row.top >= heading.bottom - 1, row.bottom <= list.bottom + 1];
  });
  expect({ index, seen }).toEqual({ index, seen: [true, true] });
}

test('Home and End go to the outermost rows, and the focus stays on a row that can be seen', async () => {
  const { page, faults } = await open('/logs');
  await rows(page).first().getByRole('button').focus();
  // All of them are read before the last of them is gone to.
  await page.locator('.feed-scroll').evaluate(async (scroll) => {
    while (!scroll.textContent!.includes('These are all')) {
      scroll.scrollTop = scroll.scrollHeight;
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
    scroll.scrollTop = 0;
  });
  await rows(page).and(page.locator('[data-index="0"]')).getByRole('button').focus();
  await page.keyboard.press('End');
  await expectFocusAt(page, MESSAGES);
  await page.keyboard.press('ArrowUp');
  await expectFocusAt(page, MESSAGES - 1);
  await page.keyboard.press('Home');
  await expectFocusAt(page, 0);
  for (let times = 0; times < 40; times += 1) await page.keyboard.press('ArrowDown');
  await expectFocusAt(page, 40);

  // A heading in a list is no row to be at.
  await page.goto('/#/limits');
  await page.locator('tr[data-id="none"]').getByRole('button').first().focus();
  await page.keyboard.press('End');
  await page.waitForFunction(() => document.activeElement?.closest('tr')?.matches('tr:last-child'));
  await page.keyboard.press('Home');
  await page.waitForFunction(() => document.activeElement?.closest('tr')?.matches('[data-id="none"]'));
  expect(faults).toEqual([]);
});

test('Escape closes the message beside the list from within it and from the list, and the focus goes to its row', async () => {
  const { page, faults } = await open('/logs');
  const row = rows(page).nth(2);
  const button = row.getByRole('button');
  await button.press('Enter');
  await page.getByTestId('why').waitFor();
  await page.keyboard.press('Escape');
  await side(page).waitFor({ state: 'hidden' });
  expect(await isFocused(button)).toBe(true);

  await button.press('Enter');
  await page.getByTestId('why').click();
  await page.keyboard.press('Escape');
  await side(page).waitFor({ state: 'hidden' });
  expect(await isFocused(button)).toBe(true);

  await row.click();
  await page.getByTestId('why').waitFor();
  await page.keyboard.press('Escape');
  await side(page).waitFor({ state: 'hidden' });
  expect(faults).toEqual([]);
});

test.each([1_280, 1_000])('at %i px Escape closes the dialog over a message, and not the message', async (width) => {
  const { page, faults } = await open('/logs?status=DELAYED', width);
  await rows(page).first().getByRole('button').click();
  const cancel = page.getByRole('button', { name: 'Cancel', exact: true });
  await cancel.click();
  const question = page.getByRole('dialog', { name: 'Cancel this message?' });
  await question.getByRole('button', { name: 'Cancel message' }).waitFor();
  await page.keyboard.press('Escape');
  await question.waitFor({ state: 'hidden' });
  expect(await page.getByTestId('why').isVisible()).toBe(true);
  await cancel.click();
  await question.getByRole('button', { name: 'Back' }).click();
  await question.waitFor({ state: 'hidden' });
  // Also where nothing has the focus, as when the button that had it is gone.
  await page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await page.keyboard.press('Escape');
  await page.getByTestId('why').waitFor({ state: 'hidden' });
  expect(faults).toEqual([]);
});

test('Escape closes a change, and a membership; one that is being edited only after the usual question', async () => {
  const { page, faults } = await open('/audit');
  const change = page.getByRole('dialog', { name: 'Change' });
  await rows(page).first().getByRole('button').press('Enter');
  await change.waitFor();
  await page.keyboard.press('Escape');
  await change.waitFor({ state: 'hidden' });

  await page.goto('/#/members?account=acme');
  const membership = page.getByRole('dialog', { name: 'Membership' });
  await page.getByRole('heading', { name: 'Members', level: 1 }).waitFor();
  await rows(page).filter({ hasText: 'ann' }).getByRole('button').press('Enter');
  await membership.getByRole('button', { name: 'Remove from the account' }).click();
  const removal = page.getByRole('dialog', { name: 'Remove from the account?' });
  await removal.waitFor();
  await page.keyboard.press('Escape');
  await removal.waitFor({ state: 'hidden' });
  await membership.getByRole('button', { name: 'Edit the profile' }).click();
  await membership.getByRole('textbox').fill('{"title": "typed"}');
  await page.keyboard.press('Escape');
  const question = page.getByRole('dialog', { name: 'Leave without saving?' });
  await question.getByRole('button', { name: 'Stay' }).click();
  expect(await membership.getByRole('textbox').inputValue()).toBe('{"title": "typed"}');
  await page.keyboard.press('Escape');
  await question.getByRole('button', { name: 'Leave' }).click();
  await membership.waitFor({ state: 'hidden' });
  expect(faults).toEqual([]);
});

test('Escape in the form of a limit closes a list that is open in it, and then asks about what is not saved', async () => {
  const { page, faults } = await open('/limits?edit=user-hour');
  await page.getByLabel('At most').fill('8');
  await page.getByLabel('From').first().click();
  await page.getByRole('button', { name: 'The next month' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'The next month' }).waitFor({ state: 'hidden' });
  const question = page.getByRole('dialog', { name: 'Leave without saving?' });
  expect(await question.isVisible()).toBe(false);
  await page.getByLabel('At most').press('Escape');
  await question.getByRole('button', { name: 'Cancel' }).click();
  expect(await page.getByLabel('At most').inputValue()).toBe('8');
  expect(faults).toEqual([]);
});

test('who stays on a form that is not saved has its address again, however it was left', async () => {
  const { page, faults } = await open('/overview');
  await page.getByRole('link', { name: 'Limits' }).click();
  await page.locator('tr[data-id="user-hour"]').getByRole('button', { name: 'user-hour' }).click();
  await page.getByLabel('At most').fill('8');
  const address = page.url();
  const question = page.getByRole('dialog', { name: 'Leave without saving?' });
  for (const leave of [
    // As one who writes into the address does.
    () => page.evaluate(() => window.location.assign('#/audit')),
    () => page.evaluate(() => window.history.back()),
    () => page.evaluate(() => window.location.assign('#/members')),
  ]) {
    await leave();
    await question.getByRole('button', { name: 'Cancel' }).click();
    await page.waitForURL(address);
    expect(await page.getByLabel('At most').inputValue()).toBe('8');
  }
  await page.evaluate(() => window.location.assign('#/audit'));
  await question.getByRole('button', { name: 'Leave it' }).click();
  await page.getByRole('heading', { name: 'Audit trail', level: 1 }).waitFor();
  expect(new URL(page.url()).hash).toBe('#/audit');
  await page.goBack();
  await page.getByRole('heading', { name: 'Limits', level: 1 }).waitFor();
  expect(faults).toEqual([]);
});
