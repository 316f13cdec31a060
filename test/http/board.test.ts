import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApiKeys } from '../../src/access/api-keys';
import { mountBoard } from '../../src/http/board';
import { openQueues, type Queues } from '../../src/sends/queue';
import { ADMIN_KEY, startTestApp, type TestApp } from '../support/app';

let app: TestApp;
let queues: Queues;
let views: string;
beforeAll(async () => {
  views = mkdtempSync(join(tmpdir(), 'sendgate-board-'));
  writeFileSync(join(views, 'index.ejs'), '<title><%= title %></title><script src="static/js/main.js"></script>');
  app = await startTestApp({
    mountPages: (pages, authenticate) =>
      mountBoard(pages, { queues: () => queues.byProvider.values(), authenticate, views }),
  });
  const { redis, keys } = app;
  queues = openQueues({ redis, keys, providers: ['log', 'webhook'], keepJobs: 10, onTrouble: () => undefined });
});
afterAll(async () => {
  await queues.close();
  await app.stop();
  rmSync(views, { recursive: true, force: true });
});

const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

test('asks a browser for a key, and lets nobody but admins in', async () => {
  const without = await app.call('GET', '/queues', undefined, { authorization: null });
  expect(without.status).toBe(401);
  expect(without.headers['www-authenticate']).toMatch(/^Basic realm=".*", charset="UTF-8"$/);
  expect((await app.call('GET', '/queues', undefined, basic('admin', 'wrong'))).status).toBe(401);
  const { key } = await createApiKeys({
    ...{ redis: app.redis, keys: app.keys, scripts: app.scripts, nowMs: Date.now },
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  }).create({ id: 'test', name: null }, 'system', null, ['read', 'check']);
  await app.ring.refresh();
  expect((await app.call('GET', '/queues', undefined, basic('admin', key))).status).toBe(403);
});

test.each([
  ['the password', basic('admin', ADMIN_KEY)],
  ['the user name', basic(ADMIN_KEY, '')],
  ['a bearer token', { authorization: `Bearer ${ADMIN_KEY}` }],
])('shows the queues to an admin whose key is %s', async (_where, headers) => {
  const page = await app.call('GET', '/queues', undefined, headers);
  expect(page.status).toBe(200);
  expect(page.text).toContain('<title>Sendgate queues</title>');
  expect(page.headers['content-security-policy']).toContain("default-src 'none'");
  await queues.add('log', [{ id: 'm', attempt: 1, dueMs: null }], Date.now());
  const { body } = await app.call('GET', '/queues/api/queues', undefined, headers);
  expect(body.queues.map(({ name }: { name: string }) => name)).toEqual(['log', 'webhook']);
  expect(body.queues[0]).toMatchObject({ counts: { waiting: 1 }, readOnlyMode: true });
});

test('changes nothing: what is taken out of a queue by hand would stay queued for ever', async () => {
  for (const path of ['log/pause', 'log/empty', 'log/obliterate', 'log/m-1/remove']) {
    const { status } = await app.call('PUT', `/queues/api/queues/${path}`, {}, basic('admin', ADMIN_KEY));
    expect(status).toBeGreaterThanOrEqual(400);
  }
  expect(await queues.waiting('log')).toBe(1);
});

test('is nothing to a key in Basic on the API itself', async () => {
  expect((await app.call('GET', '/limits', undefined, basic('admin', ADMIN_KEY))).status).toBe(401);
});
