import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { AxeResults } from 'axe-core';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
const MAC_PATHS = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

/** How long a browser on a busy machine may take until what a test waits for is there, in milliseconds. */
const PATIENCE_MS = 15_000;

/** Where there is a Chromium. @throws when there is none */
function browserPath(): string {
  const given = process.env.SENDGATE_TEST_BROWSER;
  if (given) return given;
  const folders = (process.env.PATH ?? '').split(delimiter);
  const candidates = [...NAMES.flatMap((name) => folders.map((folder) => join(folder, name))), ...MAC_PATHS];
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // The next one, then.
    }
  }
  throw new Error('no Chromium: scripts/require-browser.sh brings one, or name it in SENDGATE_TEST_BROWSER');
}

/** Starts a browser without a window. */
export function startBrowser(): Promise<Browser> {
  // Root, whom the sandbox refuses, runs the tests in containers; what they look at is their own.
  return chromium.launch({ executablePath: browserPath(), args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/** A page of the console, and what went wrong in it. */
export interface ConsolePage {
  readonly page: Page;
  readonly context: BrowserContext;
  /**
   * Faults that no fault of the network explains: exceptions, and what the browser refused or warned of. A test that brings
   * about none expects none.
   */
  readonly faults: string[];
  close(): Promise<void>;
}

/** What a page looks like to its server and its reader. */
export interface PageOptions {
  width?: number;
  height?: number;
  scheme?: 'light' | 'dark';
  /** Without: the page of who is not signed in. */
  key?: string | null;
}

/** Opens the console, signed in with a key. @param path after the `#` */
export async function openConsole(
  browser: Browser,
  url: string,
  path: string,
  { width = 1_440, height = 900, scheme = 'light', key = null }: PageOptions = {},
): Promise<ConsolePage> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    reducedMotion: 'reduce',
    locale: 'en-US',
    timezoneId: 'Europe/Berlin',
    baseURL: url,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(`exception: ${error.message}`));
  page.on('console', (message) => {
    const isFault = message.type() === 'error' || message.type() === 'warning';
    // A request that failed is written there too; what is to be made of it is in the view.
    if (isFault && !message.text().startsWith('Failed to load resource')) faults.push(message.text());
  });
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  if (key !== null) {
    const signedIn = await context.request.post('/session', {
      headers: { authorization: `Bearer ${key}`, 'x-sendgate-console': '1' },
    });
    if (!signedIn.ok()) throw new Error(`sign in: ${signedIn.status()}`);
  }
  await page.goto(`/#${path}`);
  return { page, context, faults, close: () => context.close() };
}

/** What is wrong with a page by the rules of accessibility, where that is serious. */
export async function seriousFaults(page: Page): Promise<string[]> {
  if (!(await page.evaluate('"axe" in window'))) {
    await page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
  }
  const { violations } = (await page.evaluate('axe.run()')) as AxeResults;
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}
