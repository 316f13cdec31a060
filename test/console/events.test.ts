import type { Browser } from 'playwright-core';
import { openConsole, startBrowser } from '../support/browser';
import { CONSOLE_KEY, type ConsoleServer, startConsoleServer } from '../support/console';
import { endAllSendgates } from '../support/sendgate';

jest.setTimeout(120_000);

let browser: Browser;
let server: ConsoleServer;
beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser?.close());
beforeEach(async () => {
  server = await startConsoleServer();
});
afterEach(endAllSendgates);

const mappings = async () => (await server.call('GET', '/inbound/mappings')).body.mappings;

test('mappings are added, refused beside their field, put right, saved and removed', async () => {
  const opened = await openConsole(browser, server.url, '/settings', { key: CONSOLE_KEY });
  const { page } = opened;
  await page.getByRole('button', { name: 'Add an event' }).click();
  await page.getByLabel('Event, row 1').fill('Order *');
  await page.getByLabel('Recipient at, row 1').fill('properties..id');
  await page.getByRole('button', { name: 'Save the events' }).click();
  await page.getByText('must be names with dots between them').waitFor();
  expect(await mappings()).toEqual([]);

  await page.getByLabel('Recipient at, row 1').fill('properties.id');
  await page.getByRole('button', { name: 'Add an event' }).click();
  await page.getByLabel('Event, row 2').fill('Signed Up');
  await page.getByLabel('Topic, row 2').fill('welcome');
  await page.getByRole('button', { name: 'Save the events' }).click();
  await page.getByText('in force for the next event').waitFor();
  expect(await mappings()).toEqual([
    { event: 'Order *', recipient: 'properties.id' },
    { event: 'Signed Up', topic: 'welcome' },
  ]);

  await page.getByRole('button', { name: 'Remove row 1' }).click();
  await page.getByLabel('Topic, row 1').fill('');
  await page.getByRole('button', { name: 'Save the events' }).click();
  await page.getByRole('button', { name: 'Save the events' }).waitFor({ state: 'detached' });
  expect(await mappings()).toEqual([{ event: 'Signed Up' }]);
  expect(opened.faults).toEqual([]);
  await opened.close();
});

test('an event that no mapping makes a message of is in the log as unmapped, with why', async () => {
  const event = { type: 'track', userId: 'ann', event: 'Looked Around', messageId: 'e-1' };
  await server.call('POST', '/inbound/segment', event);
  const opened = await openConsole(browser, server.url, '/logs?status=UNMAPPED', { key: CONSOLE_KEY });
  const row = opened.page.locator('tr[data-index]').first();
  await row.getByText('Unmapped', { exact: true }).waitFor();
  await row.getByRole('button').click();
  await opened.page.getByTestId('why').getByText('no mapping makes a message of the event Looked Around').waitFor();
  expect(opened.faults).toEqual([]);
  await opened.close();
});
