import type { Browser, Page } from 'playwright-core';
import { openConsole, seriousFaults, startBrowser } from '../support/browser';
import { CONSOLE_KEY, type ConsoleServer, startConsoleServer } from '../support/console';
import { endAllSendgates } from '../support/sendgate';

jest.setTimeout(120_000);

/** What somebody might call a user, an account, a topic. */
const HOSTILE = {
  'an image that runs script': '<img src=x onerror=alert(1)>',
  'a script': '"><script>alert(1)</script>',
  'a template': '{{constructor.constructor("alert(1)")()}}',
  'a mark that turns text around': 'ann\u202egnp.exe',
  'an invisible mark': 'ann\u200b',
  'as long as it may be': 'w'.repeat(256),
  'as long as it may be, in wide letters': '漢'.repeat(256),
  'an address': 'javascript:alert(1)',
  'steps in a path': '../../settings?x=1#/audit',
  'nothing but blanks': '   ',
};

let browser: Browser;
let server: ConsoleServer;
beforeAll(async () => {
  browser = await startBrowser();
  server = await startConsoleServer();
  await server.call('PATCH', '/settings', { exempt_topics: Object.values(HOSTILE) });
  await server.call('PATCH', '/settings', { exempt_topics: [] });
  for (const [index, text] of Object.values(HOSTILE).entries()) {
    const part = encodeURIComponent(text);
    await server.call('PUT', `/limits/blocked-${index}`, {
      ...{ per: ['user'], period: 'day', max: 0, where: { user: text, account: text, topic: text } },
      reason: text,
    });
    await server.call('PUT', `/accounts/${part}`, { name: text });
    await server.call('PUT', `/users/${part}/accounts/${part}`, { profile: null });
    await server.call('PUT', `/users/${part}/accounts/other`, { profile: { [text]: { deep: [text, null] } } });
    await server.call('POST', '/send', {
      message: {
        to: { user_id: text, account_id: text },
        content: { title: text, body: text },
        preferences: { subscription_topic_id: text },
        metadata: { event: text, trace_id: text, tags: [text.replaceAll(',', '')] },
      },
    });
    await server.call('POST', '/check', { user_id: text, account_id: text, topic_id: text, message_id: text });
  }
});
afterAll(async () => {
  await browser?.close();
  await endAllSendgates();
});

/** Nothing that was written by somebody has become a part of the page. */
async function expectOnlyText(page: Page): Promise<void> {
  const found = await page.evaluate(() => ({
    images: document.querySelectorAll('img').length,
    scripts: [...document.scripts].filter((script) => !script.src).length,
    handlers: [...document.querySelectorAll('*')].filter((one) => one.hasAttribute('onerror')).length,
    foreignLinks: [...document.querySelectorAll('a')].filter((one) => one.protocol === 'javascript:').length,
    // Nothing is wider than the page.
    wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
  }));
  expect(found).toEqual({ images: 0, scripts: 0, handlers: 0, foreignLinks: 0, wide: false });
}

/** A text as it is shown: what shows nothing is shown as what it is. */
const shown = (text: string) =>
  text.replace(
    text.trim() === '' ? / /g : /[\u200b\u202e]/g,
    (mark) => `[U+${mark.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}]`,
  );

test.each(Object.entries(HOSTILE))('%s is shown as text in every view', async (_what, text) => {
  const part = encodeURIComponent(text);
  // What is long may be too wide for a telephone.
  for (const width of text.length < 200 ? [1_440] : [1_440, 390]) {
    const opened = await openConsole(browser, server.url, `/logs?recipient=${part}`, { key: CONSOLE_KEY, width });
    const { page } = opened;
    const row = page.locator('tr[data-index]').first();
    await row.waitFor();
    expect(await row.getByText(shown(text), { exact: true }).count()).toBeGreaterThan(0);
    await row.getByRole('button').click();
    await page.getByTestId('why').waitFor();
    await page.getByRole('button', { name: 'Show the raw record' }).click();
    // What can be done with a long id is beside it, and not beyond the side.
    const side = (await page.locator('[aria-label="Message"]').last().boundingBox())!;
    for (const button of await page.getByRole('button', { name: /^Only messages / }).all()) {
      const { x, width: px } = (await button.boundingBox())!;
      expect([x >= side.x, x + px <= side.x + side.width]).toEqual([true, true]);
    }
    await expectOnlyText(page);

    for (const [path, waits] of [
      [`/usage?user=${part}&account=${part}&topic=${part}`, '.limit-bar'],
      [`/members?user=${part}`, `text=other`],
      [`/members?account=${part}`, `bdi`],
      ['/limits?find=blocked', 'text=blocked-0'],
      [`/limits?edit=blocked-${Object.values(HOSTILE).indexOf(text)}`, 'text=What it means'],
      ['/audit', 'tr[data-index]'],
      ['/overview', 'bdi'],
      ['/settings', 'h1'],
    ] as const) {
      await page.goto(`/#${path}`);
      await page.locator(waits).first().waitFor();
      await expectOnlyText(page);
    }
    expect(opened.faults).toEqual([]);
    await opened.close();
  }
});

test('what has an id of blanks can be told by its name, also by who does not see it', async () => {
  const text = HOSTILE['nothing but blanks'];
  const part = encodeURIComponent(text);
  const opened = await openConsole(browser, server.url, '/overview', { key: CONSOLE_KEY });
  const { page } = opened;
  for (const [path, kind] of [
    ['/overview', 'link'],
    ['/members', 'button'],
    [`/members?user=${part}`, 'button'],
    [`/members?account=${part}`, 'button'],
    ['/usage', 'link'],
  ] as const) {
    await page.goto(`/#${path}`);
    await page
      .getByRole(kind, { name: shown(text) })
      .first()
      .waitFor();
    expect({ path, faults: await seriousFaults(page) }).toEqual({ path, faults: [] });
  }
  expect(opened.faults).toEqual([]);
  await opened.close();
});
