import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser } from 'playwright-core';
import { openConsole, startBrowser } from '../support/browser';
import { CONSOLE_KEY, type ConsoleServer, startConsoleServer } from '../support/console';
import { endAllSendgates } from '../support/sendgate';

jest.setTimeout(60_000);

/** The most script that a first visit loads, gzipped, in bytes. */
const SCRIPT_MAX_BYTES = 250_000;

let browser: Browser;
let server: ConsoleServer;
beforeAll(async () => {
  browser = await startBrowser();
  server = await startConsoleServer();
  await server.call('PUT', '/limits/user-daily', { per: ['user'], period: 'day', max: 1 });
  for (let times = 0; times < 3; times += 1) await server.call('POST', '/check', { user_id: 'ann' });
});
afterAll(async () => {
  await browser?.close();
  await endAllSendgates();
});

test.each([
  ['the start', '', (): string => 'canvas'],
  ['a link to the log', '/logs', (): string => 'tr[data-index]'],
])(
  'a first visit at %s loads less than 250 kB of script, gzipped, and nothing from elsewhere',
  async (_what, path, shown) => {
    const opened = await openConsole(browser, server.url, path);
    const { page } = opened;
    await page.getByLabel('API key').fill(CONSOLE_KEY);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.locator(shown()).first().waitFor();
    const loaded = await page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => name));
    const others = loaded.filter((url) => !url.startsWith(`${server.url}/`));
    let bytes = 0;
    for (const url of new Set(loaded.filter((url) => url.endsWith('.js')))) {
      bytes += gzipSync(Buffer.from(await (await fetch(url)).arrayBuffer())).length;
    }
    expect(bytes).toBeGreaterThan(50_000);
    expect(bytes).toBeLessThan(SCRIPT_MAX_BYTES);
    expect(others).toEqual([]);
    expect(opened.faults).toEqual([]);
    await opened.close();
  },
);

test('who comes for the first time and looks at every view finds nothing written down as an error by the browser', async () => {
  const empty = await startConsoleServer();
  const opened = await openConsole(browser, empty.url, '');
  const { page } = opened;
  const errors: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(`${message.text()} ${message.location().url}`);
  });
  const refused: string[] = [];
  page.on('response', (response) => {
    if (response.status() >= 400) refused.push(`${response.status()} ${response.url()}`);
  });
  // Now that it is listened to.
  await page.reload();
  await page.getByLabel('API key').fill(CONSOLE_KEY);
  await page.getByRole('button', { name: 'Sign in' }).click();
  for (const view of ['Overview', 'Logs', 'Limits', 'Usage', 'Members', 'Alerts', 'Audit trail', 'Settings']) {
    await page.getByRole('navigation').getByRole('link', { name: view }).click();
    await page.getByRole('heading', { name: view, level: 1 }).waitFor();
    await page.waitForLoadState('networkidle');
  }
  // An account that has no settings, and a user who is in none yet.
  await page.goto('/#/members?account=acme');
  await page.getByText('Nobody is in this account.').waitFor();
  await page.getByRole('button', { name: 'Give it settings' }).waitFor();
  await page.getByRole('button', { name: 'Add a member' }).click();
  const form = page.getByRole('dialog', { name: 'Add a user to an account' });
  await form.getByLabel('User').fill('ann');
  await page.waitForResponse((response) => response.url().includes('/users/ann/accounts'));
  await form.getByRole('button', { name: 'Add' }).click();
  await page.locator('tr[data-index]').getByText('ann').waitFor();
  expect({ errors, refused, faults: opened.faults }).toEqual({ errors: [], refused: [], faults: [] });
  await opened.close();
});

test('the page comes under a policy that lets nothing in from elsewhere and runs nothing that is written in it', async () => {
  const nonces = new Set<string>();
  for (let time = 0; time < 2; time += 1) {
    const response = await fetch(`${server.url}/`);
    expect(response.headers.get('content-type')).toMatch(/^text\/html/);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const policy = response.headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    const [, nonce] = /style-src 'self' 'nonce-([^']+)'/.exec(policy)!;
    const text = await response.text();
    expect(text).toContain(`data-nonce="${nonce}"`);
    expect(text).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\son\w+=|javascript:|https?:/);
    nonces.add(nonce!);
  }
  expect(nonces.size).toBe(2);
});

test('its files are kept by browsers for good, compressed on the way, and their licenses come along', async () => {
  const page = readFileSync(join(__dirname, '../../dist/console/index.html'), 'utf8');
  const [, script] = /href="\.\/(console\/frame-[^"]+\.js)"/.exec(page)!;
  const response = await fetch(`${server.url}/${script}`, { headers: { 'accept-encoding': 'gzip' } });
  expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  expect(response.headers.get('content-encoding')).toBe('gzip');
  expect(response.headers.get('content-type')).toMatch(/javascript/);
  await response.arrayBuffer();
  for (const path of ['/console/', '/console/nothing.js', '/console/../cli.js', '/console/%2e%2e/index.html']) {
    expect((await fetch(`${server.url}${path}`)).status).toBe(404);
  }
  const licenses = await (await fetch(`${server.url}/console/licenses.md`)).text();
  for (const name of ['react', '@mantine/core', '@tanstack/react-query', 'chart.js']) expect(licenses).toContain(name);
});
