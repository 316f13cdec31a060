import { dirname, join } from 'node:path';
import { createApp } from '../../src/http/app';
import { listen } from '../../src/http/listener';
import { mountReference, REFERENCE_FILES } from '../../src/http/reference';
import { createMetrics } from '../../src/metrics/metrics';

const swaggerUi = dirname(require.resolve('swagger-ui-dist/package.json'));

let url: string;
let stop: () => Promise<void>;
beforeAll(async () => {
  const app = createApp({
    routes: [],
    authenticate: () => {
      throw new Error('nobody is asked for a key here');
    },
    log: { debug: fail, warn: fail, error: fail },
    logRequests: false,
    metrics: createMetrics({ processMetrics: false }),
    newRequestId: () => 'request-1',
    monotonicMs: () => performance.now(),
    mountPages: (app) => mountReference(app, { own: join(__dirname, '../../src/http/reference'), swaggerUi }),
  });
  const listener = await listen(app, '127.0.0.1', 0, 'PORT');
  url = `http://127.0.0.1:${listener.port}`;
  stop = () => listener.drain();
});
afterAll(() => stop());

function fail(message: string, fields: unknown): never {
  throw new Error(`${message}: ${JSON.stringify(fields)}`);
}

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${url}${path}`, { redirect: 'manual', headers: { connection: 'close', ...headers } });

test('the path without its slash leads to the page, also behind a prefix', async () => {
  const answer = await get('/docs');
  expect([answer.status, answer.headers.get('location')]).toEqual([302, 'docs/']);
  expect(new URL('docs/', `${url}/docs`).pathname).toBe('/docs/');
  expect(new URL('docs/', `${url}/prefix/docs`).pathname).toBe('/prefix/docs/');
});

test('the page and everything that it names come from here, under a policy that lets nothing else in', async () => {
  const page = await get('/docs/');
  expect(page.status).toBe(200);
  expect(page.headers.get('content-type')).toMatch(/^text\/html/);
  const text = await page.text();
  const named = [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1]!);
  expect(named.sort()).toEqual(
    ['../openapi.json', ...REFERENCE_FILES.own, ...REFERENCE_FILES.swaggerUi]
      .filter((name) => name !== 'index.html')
      .sort(),
  );
  // Relative names only, and no script or style inside the page, which the policy would not run.
  expect(text).not.toMatch(/:\/\/|<script>|<style|\son[a-z]+=|javascript:/);

  const policy = page.headers.get('content-security-policy')!.split('; ');
  expect(policy).toEqual(
    expect.arrayContaining(["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]),
  );
  expect(policy.join()).not.toMatch(/unsafe|\*|https?:/);
});

test.each([...REFERENCE_FILES.own, ...REFERENCE_FILES.swaggerUi])('%s is served, and can be kept', async (file) => {
  const answer = await get(`/docs/${file}`);
  const content = await answer.arrayBuffer();
  expect(answer.status).toBe(200);
  expect(content.byteLength).toBeGreaterThan(10);
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
  // fetch() itself says no-cache to whatever it is given a condition for, unless told otherwise.
  const again = await get(`/docs/${file}`, {
    'if-none-match': answer.headers.get('etag')!,
    'cache-control': 'max-age=0',
  });
  expect(again.status).toBe(304);
});

test('assets need not be asked for each time, the page itself is', async () => {
  expect((await get('/docs/swagger-ui.css')).headers.get('cache-control')).toBe('public, max-age=3600');
  expect((await get('/docs/')).headers.get('cache-control')).toBe('no-cache');
});

test.each([
  'package.json',
  'swagger-ui.js',
  'swagger-initializer.js',
  '..%2fopenapi.ts',
  '..%2f..%2f..%2fpackage.json',
  'page.js%00.css',
  '%2e%2e%2findex.html',
  'INDEX.HTML.bak',
])('no other file is: %s', async (file) => {
  expect((await get(`/docs/${file}`)).status).toBe(404);
});

test('Swagger UI is told to look at our document, and to ask nobody what they think of it', async () => {
  const script = await (await get('/docs/page.js')).text();
  expect(script).toContain("url: '../openapi.json'");
  expect(script).toContain('validatorUrl: null');
});
