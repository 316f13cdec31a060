import type { Browser, Page } from 'playwright-core';
import { openConsole, startBrowser } from '../support/browser';
import { CONSOLE_KEY, type ConsoleServer, startConsoleServer } from '../support/console';
import { endAllSendgates } from '../support/sendgate';
import { until } from '../support/sends';

jest.setTimeout(180_000);

/** What there is before anybody looks. */
const ENTRIES = 5_000;
/** How often a writer adds another, in milliseconds: 50 a second. */
const WRITE_EVERY_MS = 20;
const NODES_MAX = 2_000;

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

/** A list without end, and how entries get into it. */
interface Kind {
  path: string;
  label: string;
  /** Puts so many entries into it, quickly. */
  fill(count: number): Promise<void>;
  /** Adds one. */
  add(index: number): Promise<unknown>;
  /** The ids of all that it has, the newest first, as the API tells. */
  ids(): Promise<string[]>;
  endWords: string;
}

async function idsOf(path: string, idOf: (entry: Record<string, string>) => string): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const next: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const { body } = await server.call('GET', `${path}?limit=100${next}`);
    ids.push(...body.results.map(idOf));
    cursor = body.paging.more ? body.paging.cursor : null;
  } while (cursor !== null);
  return ids;
}

const KINDS: Record<string, Kind> = {
  log: {
    path: '/logs',
    label: 'Messages',
    endWords: 'These are all',
    async fill(count) {
      await server.call('PUT', '/limits/none', { per: [], period: 'day', max: 0 });
      for (let done = 0; done < count; done += 1_000) {
        const messages = Array.from({ length: 1_000 }, (_, index) => ({ user_id: `user-${done + index}` }));
        await server.call('POST', '/check/batch', { messages });
      }
    },
    add: (index) => server.call('POST', '/check', { user_id: `later-${index}` }),
    ids: () => idsOf('/messages', (entry) => entry.log_id!),
  },
  'audit trail': {
    path: '/audit',
    label: 'Changes',
    endWords: 'This is the oldest change',
    async fill(count) {
      for (let done = 0; done < count; done += 50) {
        const some = Array.from({ length: 50 }, (_, index) => `/users/user-${done + index}/accounts/acme`);
        await Promise.all(some.map((path) => server.call('PUT', path, {})));
      }
    },
    add: (index) => server.call('PUT', `/users/later-${index}/accounts/acme`, {}),
    ids: () => idsOf('/audit-events', (entry) => entry.auditEventId!),
  },
};

/** Adds entries, 50 a second, until it is stopped. @returns how many */
function startWriter(kind: Kind): { stop: () => Promise<number> } {
  const writes: Promise<unknown>[] = [];
  const timer = setInterval(() => writes.push(kind.add(writes.length)), WRITE_EVERY_MS);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(writes);
      return writes.length;
    },
  };
}

/** What was seen of a list while it was scrolled through. */
interface Seen {
  /** The id in each row, by its number. */
  rows: string[];
  nodesMost: number;
}

/**
 * Scrolls from the top to the end, a little less than what is in view at a time, and writes down what each row shows.
 * A row that shows another entry than before, or an entry in two rows, is an error.
 */
function scrollThrough(page: Page, endWords: string): Promise<Seen> {
  return page.evaluate(async (end) => {
    const scroll = document.querySelector<HTMLElement>('.feed-scroll')!;
    const rows: string[] = [];
    let nodesMost = 0;
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const look = () => {
      for (const row of scroll.querySelectorAll<HTMLElement>('tr[data-index]')) {
        const [index, id] = [Number(row.dataset.index), row.dataset.id!];
        if (rows[index] !== undefined && rows[index] !== id) throw new Error(`row ${index} changed`);
        rows[index] = id;
      }
      nodesMost = Math.max(nodesMost, scroll.querySelectorAll('table, table *').length);
    };
    scroll.scrollTop = 0;
    await frame();
    await frame();
    const startedMs = performance.now();
    for (;;) {
      await frame();
      look();
      const atBottom = scroll.scrollTop + scroll.clientHeight >= scroll.scrollHeight - 1;
      if (atBottom && scroll.textContent!.includes(end)) return { rows, nodesMost };
      if (performance.now() - startedMs > 90_000) throw new Error(`no end after ${rows.length} rows`);
      scroll.scrollTop += scroll.clientHeight * 0.8;
    }
  }, endWords);
}

describe.each(Object.entries(KINDS))('the %s', (_name, kind) => {
  test('shows each of 5,000 entries once and in order, while 50 more come in every second; and each of those, once asked for', async () => {
    await kind.fill(ENTRIES);
    const before = await kind.ids();
    expect(before.length).toBeGreaterThanOrEqual(ENTRIES);
    const writer = startWriter(kind);
    const opened = await openConsole(browser, server.url, kind.path, { key: CONSOLE_KEY });
    const { page } = opened;
    await page.locator('tr[data-index]').first().waitFor();

    // What is new does not move what is read.
    const seen = await scrollThrough(page, kind.endWords);
    const since = seen.rows.indexOf(before[0]!);
    expect(seen.rows.slice(since)).toEqual(before);
    expect(new Set(seen.rows).size).toBe(seen.rows.length);
    expect(seen.nodesMost).toBeLessThan(NODES_MAX);

    // At its end, it asks for nothing older; not when somebody scrolls about, either.
    const older: string[] = [];
    page.on('request', (request) => {
      if (new URL(request.url()).searchParams.has('cursor')) older.push(request.url());
    });
    const jumps = await page.evaluate(async () => {
      const scroll = document.querySelector<HTMLElement>('.feed-scroll')!;
      const tops = [0, 1, 0.3, 0.9, 0.5, 1, 0.1, 0].map((part) => part * scroll.scrollHeight);
      for (const top of tops) {
        scroll.scrollTop = top;
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      }
      return tops.length;
    });
    expect(jumps).toBe(8);

    // New ones are put on top when they are asked for, as often as it takes.
    const news = page.getByRole('button', { name: /^[\d,]+\+? new$/ });
    await news.click();
    const written = await writer.stop();
    const all = await kind.ids();
    expect(all.length).toBe(before.length + written);
    await until(async () => {
      // It may be gone by the time that it is clicked.
      if (await news.isVisible()) await news.click({ timeout: 1_000 }).catch(() => undefined);
      return (await page.locator('tr[data-index="0"]').getAttribute('data-id')) === all[0];
    });
    const again = await scrollThrough(page, kind.endWords);
    expect(again.rows).toEqual(all);
    expect(again.nodesMost).toBeLessThan(NODES_MAX);
    // More than 500 new ones begin the list anew, which then reads on; a list that did not asks for nothing twice.
    expect(older.length).toBeLessThanOrEqual(Math.ceil(all.length / 100) + 20);
    expect(opened.faults).toEqual([]);
    await opened.close();
  });

  test('shows each entry once also when it is scrolled as fast as it goes', async () => {
    await kind.fill(1_000);
    const opened = await openConsole(browser, server.url, kind.path, { key: CONSOLE_KEY });
    const { page } = opened;
    await page.locator('tr[data-index]').first().waitFor();
    // To the very end of what there is, again and again, before that has been shown.
    await page.evaluate(async (end) => {
      const scroll = document.querySelector<HTMLElement>('.feed-scroll')!;
      while (!scroll.textContent!.includes(end)) {
        scroll.scrollTop = scroll.scrollHeight;
        await new Promise((resolve) => setTimeout(resolve));
      }
    }, kind.endWords);
    const { rows } = await scrollThrough(page, kind.endWords);
    expect(rows).toEqual(await kind.ids());
    expect(opened.faults).toEqual([]);
    await opened.close();
  });
});

test('the audit trail asks for nothing once its end has been reached, until its top is in view again', async () => {
  const { fill, add, endWords } = KINDS['audit trail']!;
  await fill(250);
  const opened = await openConsole(browser, server.url, '/audit', { key: CONSOLE_KEY });
  const { page } = opened;
  await page.locator('tr[data-index]').first().waitFor();
  const { rows } = await scrollThrough(page, endWords);
  expect(rows.length).toBe(250);

  const asked: string[] = [];
  page.on('request', (request) => {
    if (new URL(request.url()).pathname === '/audit-events') asked.push(request.url());
  });
  await add(0);
  // Meanwhile others are asked for again and again: at least 5 seconds go by.
  for (let times = 0; times < 2; times += 1) {
    await page.waitForResponse((response) => new URL(response.url()).pathname === '/readyz');
  }
  expect(asked).toEqual([]);

  await page.locator('.feed-scroll').evaluate((scroll) => scroll.scrollTo({ top: 0 }));
  const news = page.getByText(/^1 new$/);
  await news.waitFor();
  // It is said once, and in other words to those who do not see it.
  expect(await page.getByText('1 new').count()).toBe(1);
  await page.getByText('New entries above: 1').waitFor({ state: 'attached' });
  await news.click();
  await page.locator('tr[data-index="0"]').getByText('later-0').first().waitFor();
  expect(opened.faults).toEqual([]);
  await opened.close();
});
