import type { Browser, Page } from 'playwright-core';
import { type ConsolePage, openConsole, startBrowser } from '../support/browser';
import { CONSOLE_KEY, type ConsoleServer, startConsoleServer } from '../support/console';
import { freePort } from '../support/ports';
import { type RedisServer, startRedis } from '../support/redis';
import { endAllSendgates } from '../support/sendgate';

jest.setTimeout(120_000);

let browser: Browser;
let redis: RedisServer;
let server: ConsoleServer;
let port: number;
beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser?.close());
beforeEach(async () => {
  redis = await startRedis({ appendonly: true });
  port = await freePort();
  await start();
  await server.call('PUT', '/limits/user-daily', { per: ['user'], period: 'day', max: 1 });
  await server.call('PUT', '/users/ann/accounts/acme', { profile: { email: 'ann@example.com' } });
  for (let times = 0; times < 3; times += 1)
    await server.call('POST', '/check', { user_id: 'ann', account_id: 'acme' });
});
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
  await endAllSendgates();
  await redis.stop();
});

async function start(): Promise<void> {
  server = await startConsoleServer({ REDIS_URL: redis.url, PORT: `${port}`, SENDGATE_WORKSPACE: 'faults' });
}

/** A view, something that it shows only when it has been answered, and a field that somebody types into. */
interface View {
  path: string;
  shows: (page: Page) => ReturnType<Page['locator']>;
  field: string | null;
}

const VIEWS: Record<string, View> = {
  overview: { path: '/overview', shows: (page) => page.getByText('ann', { exact: true }).first(), field: null },
  logs: { path: '/logs', shows: (page) => page.locator('tr[data-index]').first(), field: 'Topic' },
  'a message': { path: '/logs?message=ID', shows: (page) => page.getByTestId('why'), field: 'Topic' },
  limits: { path: '/limits', shows: (page) => page.getByText('user-daily').first(), field: null },
  'the form of a limit': {
    path: '/limits?edit=user-daily',
    shows: (page) => page.getByText(/at most 1 message a day/).first(),
    field: 'Reason',
  },
  usage: { path: '/usage?user=ann', shows: (page) => page.locator('.limit-bar').first(), field: 'Topic' },
  members: { path: '/members?user=ann', shows: (page) => page.getByText('acme').first(), field: null },
  'the audit trail': { path: '/audit', shows: (page) => page.locator('tr[data-index]').first(), field: null },
  settings: { path: '/settings', shows: (page) => page.getByLabel('Time zone').first(), field: 'Exempt topics' },
};

const TYPED = 'typed-by-hand';

async function open(view: View, key: string | null = CONSOLE_KEY): Promise<ConsolePage> {
  const { body } = await server.call('GET', '/messages?limit=1');
  return openConsole(browser, server.url, view.path.replace('ID', body.results[0].log_id), { key });
}

/** A list of suggestions has the name of its field, too. */
const fieldOf = (page: Page, name: string) => page.getByLabel(name).and(page.locator('input, textarea')).last();

/** Opens every view, and types where something can be typed. */
async function openAll(): Promise<[view: View, opened: ConsolePage][]> {
  return Promise.all(
    Object.values(VIEWS).map(async (view): Promise<[View, ConsolePage]> => {
      const opened = await open(view);
      await view.shows(opened.page).waitFor();
      if (view.field !== null) await fieldOf(opened.page, view.field).fill(TYPED);
      return [view, opened];
    }),
  );
}

async function expectKept({ field }: View, page: Page): Promise<void> {
  if (field === null) return;
  // What is typed into a field for several becomes one of them once the field is left.
  if ((await page.getByText(TYPED, { exact: true }).count()) > 0) return;
  expect({ field, value: await fieldOf(page, field).inputValue() }).toEqual({ field, value: TYPED });
}

test('a session that ends asks for the key over the view, keeps what was typed, and goes on', async () => {
  async function signInAgain([view, { page, context, faults }]: [View, ConsolePage]): Promise<void> {
    await context.clearCookies();
    const dialog = page.getByRole('dialog', { name: 'Your session has ended' });
    // All views ask at once, some of them not before ten seconds have passed.
    await dialog.waitFor({ timeout: 30_000 });
    await expectKept(view, page);
    await dialog.getByLabel('API key').fill('not-the-key');
    await dialog.getByRole('button', { name: 'Sign in' }).click();
    await dialog.getByText('This key is not known here').waitFor();
    await dialog.getByLabel('API key').fill(CONSOLE_KEY);
    await dialog.getByRole('button', { name: 'Sign in' }).click();
    await dialog.waitFor({ state: 'hidden' });
    await expectKept(view, page);
    expect(faults).toEqual([]);
  }
  await Promise.all((await openAll()).map(signInAgain));
});

test('while Redis does not answer every view says so, keeps what was typed, and goes on by itself', async () => {
  const all = await openAll();
  await redis.freeze();
  await Promise.all(all.map(([, { page }]) => page.getByText('Redis does not answer.').waitFor()));
  for (const [view, { page }] of all) await expectKept(view, page);
  // One that is opened only now has nothing to show, and says why.
  const late = await openConsole(browser, server.url, '/audit', { key: CONSOLE_KEY });
  await late.page.getByRole('alert').first().waitFor();
  await redis.thaw();
  await late.page.locator('tr[data-index]').first().waitFor();
  for (const [view, { page, faults }] of all) {
    await page.getByText('Redis does not answer.').waitFor({ state: 'hidden' });
    await page.getByText('It is tried again by itself.').first().waitFor({ state: 'hidden' });
    await expectKept(view, page);
    expect(faults).toEqual([]);
  }
});

test('while Sendgate is gone every view says so, keeps what was typed, and goes on by itself once it is back', async () => {
  const all = await openAll();
  server.sendgate.signal('SIGKILL');
  await server.sendgate.ended;
  await Promise.all(all.map(([, { page }]) => page.getByText('Sendgate does not answer').first().waitFor()));
  // A view whose files have not been loaded before cannot be, either.
  const [, { page: logs }] = all[1]!;
  await logs.getByRole('link', { name: 'Audit trail' }).click();
  await logs.getByRole('heading', { name: 'Sendgate does not answer' }).waitFor();
  await start();
  for (const [view, { page, faults }] of all) {
    if (page === logs) {
      await page.getByRole('heading', { name: 'Audit trail' }).waitFor();
      continue;
    }
    await page.getByText('Sendgate does not answer').first().waitFor({ state: 'hidden' });
    await view.shows(page).waitFor();
    await expectKept(view, page);
    expect(faults).toEqual([]);
  }
});

test('who waits long for an answer is told so, and then gets it', async () => {
  async function wait(view: View): Promise<void> {
    const opened = await open(view, null);
    const { page, context } = opened;
    await page.getByLabel('API key').waitFor();
    let answerNow: () => void = () => undefined;
    const slow = new Promise<void>((resolve) => {
      answerNow = resolve;
    });
    // Everything but who is signed in.
    await context.route(
      /\/(overview|messages|limits|usage|users|accounts|audit-events|settings)\b(?!.*\.js)/,
      async (route) => {
        await slow;
        await route.continue();
      },
    );
    await page.getByLabel('API key').fill(CONSOLE_KEY);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('Still waiting for Sendgate').first().waitFor();
    answerNow();
    await view.shows(page).waitFor();
    expect(opened.faults).toEqual([]);
    await opened.close();
  }
  await Promise.all(Object.values(VIEWS).map(wait));
});
