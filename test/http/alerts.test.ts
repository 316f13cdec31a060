import { Webhook } from 'standardwebhooks';
import { createAdminMail } from '../../src/alerts/mail';
import { parseLimitsFile } from '../../src/limits-file/parse';
import { type Answer, startTestApp, type TestApp } from '../support/app';
import { freePort } from '../support/ports';
import { type Receiver, SECRET, startMailServer, startReceiver } from '../support/receivers';
import { uniqueWorkspace } from '../support/redis';

const OTHER_SECRET = `whsec_${Buffer.from('another one, 32 bytes long, yes!').toString('base64')}`;
const URL_1 = 'https://alerts.example.com/hook';
const URL_2 = 'https://other.example.com/?key=1';

let app: TestApp;
let receiver: Receiver;
const stops: (() => unknown)[] = [];
beforeEach(async () => {
  app = await startTestApp({ workspace: uniqueWorkspace() });
  receiver = await startReceiver();
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
  await app.stop();
  await receiver.stop();
});

const patch = (body: unknown) => app.call('PATCH', '/settings', body);
const stored = () => app.services.configuration.planner()!.configuration.settings.alert_webhooks;
const test1 = (body?: unknown) => app.call('POST', '/alerts/test', body);

function expectProblem(answer: Answer, path: string) {
  expect(answer.status).toBe(400);
  expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual([path]);
}

describe('the webhooks of the settings', () => {
  test('are shown without their secrets, and can be sent back as they were read', async () => {
    const changed = await patch({
      alert_webhooks: [
        { url: URL_1, secret: SECRET },
        { url: URL_2, secret: OTHER_SECRET, events: ['limit.throttled', 'redis.degraded', 'limit.throttled'] },
      ],
    });
    expect(changed.status).toBe(200);
    const shown = (await app.call('GET', '/settings')).body;
    expect(shown).toEqual(changed.body);
    expect(shown.alert_webhooks).toEqual([
      { url: URL_1, secret_fingerprint: expect.stringMatching(/^[0-9a-f]{8}$/), events: null },
      {
        url: URL_2,
        secret_fingerprint: expect.stringMatching(/^[0-9a-f]{8}$/),
        events: ['limit.throttled', 'redis.degraded'],
      },
    ]);
    const before = stored();
    expect((await patch(shown)).body).toEqual(shown);
    expect(stored()).toEqual(before);
    const reordered = [{ ...shown.alert_webhooks[1], events: null }, shown.alert_webhooks[0]];
    expect((await patch({ alert_webhooks: reordered })).status).toBe(200);
    expect(stored()).toEqual([
      { url: URL_2, secret: OTHER_SECRET, events: null },
      { url: URL_1, secret: SECRET, events: null },
    ]);
    await patch({ alert_webhooks: [] });
    expect(stored()).toEqual([]);
  });

  test('are in the audit trail without their secrets, which a changed one shows all the same', async () => {
    await patch({ alert_webhooks: [{ url: URL_1, secret: SECRET }] });
    await patch({ alert_webhooks: [{ url: URL_1, secret: OTHER_SECRET }] });
    const { body, text } = await app.call('GET', '/audit-events');
    expect(text).not.toContain('whsec_');
    expect(text).not.toContain(SECRET.slice(6));
    expect(body.results).toHaveLength(2);
    const [{ before, after }] = body.results;
    expect(before.alert_webhooks[0].secret_fingerprint).not.toBe(after.alert_webhooks[0].secret_fingerprint);
  });

  test('take a secret without its whsec_, and what is sent to them verifies with it', async () => {
    const secret = SECRET.replace('whsec_', '');
    expect((await patch({ alert_webhooks: [{ url: receiver.url, secret }] })).status).toBe(200);
    expect((await test1()).body.results).toMatchObject([{ delivered: true }]);
    const [{ body, headers }] = receiver.requests as [Receiver['requests'][number]];
    const signed = headers as Record<string, string>;
    for (const one of [secret, SECRET]) expect(new Webhook(one).verify(body, signed)).toEqual(JSON.parse(body));
  });

  test('keep a secret for the same URL only, in whatever spelling', async () => {
    await patch({ alert_webhooks: [{ url: URL_1, secret: SECRET }] });
    expectProblem(await patch({ alert_webhooks: [{ url: `${URL_1}/2` }] }), 'alert_webhooks.0.secret');
    expect((await patch({ alert_webhooks: [{ url: URL_1.replace('alerts', 'ALERTS') }] })).status).toBe(200);
    expect(stored()).toEqual([{ url: URL_1, secret: SECRET, events: null }]);
  });

  test.each<[string, unknown, string]>([
    ['no list', 'x', 'alert_webhooks'],
    ['a URL for an entry', [URL_1], 'alert_webhooks.0'],
    ['an entry without a URL', [{ secret: SECRET }], 'alert_webhooks.0.url'],
    ['a URL that is none', [{ url: 'alerts', secret: SECRET }], 'alert_webhooks.0.url'],
    ['a URL of a file', [{ url: 'file:///etc/passwd', secret: SECRET }], 'alert_webhooks.0.url'],
    ['a URL with a password', [{ url: 'https://a:b@example.com/', secret: SECRET }], 'alert_webhooks.0.url'],
    ['a URL with a fragment', [{ url: `${URL_1}#a`, secret: SECRET }], 'alert_webhooks.0.url'],
    ['a URL of 3,000 characters', [{ url: `${URL_1}${'x'.repeat(3_000)}`, secret: SECRET }], 'alert_webhooks.0.url'],
    ['no secret', [{ url: URL_1 }], 'alert_webhooks.0.secret'],
    ['an empty secret', [{ url: URL_1, secret: '' }], 'alert_webhooks.0.secret'],
    ['a secret that is too short', [{ url: URL_1, secret: 'whsec_c2hvcnQ=' }], 'alert_webhooks.0.secret'],
    ['a secret that is a number', [{ url: URL_1, secret: 7 }], 'alert_webhooks.0.secret'],
    ['no events', [{ url: URL_1, secret: SECRET, events: [] }], 'alert_webhooks.0.events'],
    ['an event that there is not', [{ url: URL_1, secret: SECRET, events: ['limit'] }], 'alert_webhooks.0.events.0'],
    ['an unknown field', [{ url: URL_1, secret: SECRET, colour: 'red' }], 'alert_webhooks.0.colour'],
    [
      'a URL twice',
      [
        { url: URL_1, secret: SECRET },
        { url: URL_1, secret: SECRET },
      ],
      'alert_webhooks.1.url',
    ],
    [
      'twenty-one',
      Array.from({ length: 21 }, (_, index) => ({ url: `${URL_1}/${index}`, secret: SECRET })),
      'alert_webhooks',
    ],
  ])('%s is a 400 that names it and repeats no secret, and nothing changes', async (_what, alert_webhooks, path) => {
    const answer = await patch({ alert_webhooks, week_start: 'monday' });
    expectProblem(answer, path);
    expect(answer.text).not.toContain(SECRET.slice(6));
    expect((await app.call('GET', '/settings')).body).toMatchObject({ alert_webhooks: [], week_start: 'sunday' });
  });

  test.each<[string, unknown, string]>([
    ['0', [0], 'alert_thresholds.0'],
    ['101', [80, 101], 'alert_thresholds.1'],
    ['80 twice', [80, 80], 'alert_thresholds'],
    ['a text', ['80'], 'alert_thresholds.0'],
    ['null', null, 'alert_thresholds'],
  ])('%s is no threshold', async (_what, alert_thresholds, path) => {
    expectProblem(await patch({ alert_thresholds }), path);
  });

  test('thresholds are kept in order, and are in force for the next check', async () => {
    expect((await patch({ alert_thresholds: [100, 50] })).body.alert_thresholds).toEqual([50, 100]);
    await app.limit({ id: 'daily', per: ['user'], period: 'day', max: 2 });
    await app.call('POST', '/check', { user_id: 'ann' });
    const { items } = (await app.call('GET', '/alerts')).body;
    expect(items.map(({ alert }: { alert: { data: object } }) => alert.data)).toEqual([
      expect.objectContaining({ threshold: 50, used: 1, max: 2, user_id: 'ann' }),
    ]);
  });
});

describe('GET /alerts', () => {
  test('gives the newest first, a page at a time, each once', async () => {
    await app.limit({ id: 'none', per: ['user'], period: 'day', max: 0 });
    for (let user = 0; user < 5; user += 1) await app.call('POST', '/check', { user_id: `user-${user}` });
    const users: string[] = [];
    let cursor: string | null = '';
    do {
      const { status, body }: Answer = await app.call('GET', `/alerts?limit=2&cursor=${cursor}`);
      expect(status).toBe(200);
      for (const { alert, deliveries } of body.items) {
        users.push(alert.data.user_id);
        expect(deliveries).toEqual([]);
      }
      cursor = body.paging.cursor;
    } while (cursor !== null);
    expect(users).toEqual(['user-4', 'user-3', 'user-2', 'user-1', 'user-0']);
  });

  test('leaves out what only a later version knows', async () => {
    await app.limit({ id: 'none', per: ['user'], period: 'day', max: 0 });
    await app.call('POST', '/check', { user_id: 'ann' });
    await app.redis.xadd(app.keys.alerts, '*', 'type', 'limit.removed', 'data', '{}');
    const { status, body } = await app.call('GET', '/alerts?limit=1');
    expect([status, body.items, body.paging.more]).toEqual([200, [], true]);
    expect((await app.call('GET', `/alerts?cursor=${body.paging.cursor}`)).body.items).toHaveLength(1);
  });

  test('says to whom alerts go, and nothing of a secret', async () => {
    expect((await app.call('GET', '/alerts')).body).toEqual({
      paging: { cursor: null, more: false },
      items: [],
      webhooks: [],
      mail: { configured: false, to: [], last_result: null },
    });
    await patch({ alert_webhooks: [{ url: URL_1, secret: SECRET, events: ['limit.throttled'] }] });
    const { text, body } = await app.call('GET', '/alerts');
    expect(text).not.toContain('whsec_');
    expect(body.webhooks).toEqual([
      { url: URL_1, secret_fingerprint: expect.any(String), events: ['limit.throttled'], last_result: null },
    ]);
  });

  test.each([
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['cursor=x', 'cursor'],
    [`cursor=${Buffer.from('["alerts","x"]').toString('base64url')}`, 'cursor'],
    [`cursor=${Buffer.from('["audit-events","1-1"]').toString('base64url')}`, 'cursor'],
    ['type=limit.throttled', 'type'],
  ])('?%s is a 400 that names it', async (query, path) => {
    expectProblem(await app.call('GET', `/alerts?${query}`), path);
  });
});

describe('POST /alerts/test', () => {
  test('sends one signed test to every webhook, whatever it asked for, and answers what each said', async () => {
    const closed = `http://127.0.0.1:${await freePort()}/`;
    await patch({
      alert_webhooks: [
        { url: receiver.url, secret: SECRET, events: ['provider.stopped'] },
        { url: closed, secret: SECRET },
      ],
    });
    const { status, body } = await test1();
    expect(status).toBe(200);
    expect(body.results).toEqual([
      { to: 'webhook', url: receiver.url, delivered: true, status: 204, error: null, took_ms: expect.any(Number) },
      {
        ...{ to: 'webhook', url: closed, delivered: false, status: null },
        ...{ error: expect.stringContaining('ECONNREFUSED'), took_ms: expect.any(Number) },
      },
    ]);
    const [{ body: sent, headers }] = receiver.requests as [Receiver['requests'][number]];
    expect(new Webhook(SECRET).verify(sent, headers as Record<string, string>)).toMatchObject({
      type: 'alert.test',
      data: { workspace: app.workspace },
    });
    const { webhooks, items } = (await app.call('GET', '/alerts')).body;
    expect(items).toEqual([]);
    expect(webhooks[0].last_result).toMatchObject({ type: 'alert.test', state: 'delivered', tries: 1, status: 204 });
    expect(webhooks[1].last_result).toMatchObject({ type: 'alert.test', state: 'failed', status: null });
  });

  test('sends it to one webhook alone, and nothing of its answer comes back', async () => {
    const other = await startReceiver();
    stops.push(() => other.stop());
    receiver.answer = (response) => response.writeHead(500).end('secret inside');
    const alert_webhooks = [receiver, other].map(({ url }) => ({ url, secret: SECRET }));
    await patch({ alert_webhooks });
    const answer = await test1({ webhook: receiver.url });
    expect(answer.body.results).toMatchObject([{ url: receiver.url, delivered: false, status: 500 }]);
    expect(answer.text).not.toContain('inside');
    // Tried once: whoever asks is told at once.
    expect(receiver.requests).toHaveLength(1);
    expect(other.requests).toHaveLength(0);
  });

  test('follows no redirect', async () => {
    const other = await startReceiver();
    stops.push(() => other.stop());
    receiver.answer = (response) => response.writeHead(302, { location: other.url }).end();
    await patch({ alert_webhooks: [{ url: receiver.url, secret: SECRET }] });
    const [result] = (await test1()).body.results;
    expect(result).toMatchObject({ delivered: false, status: 302, error: expect.stringContaining('not followed') });
    expect(other.requests).toHaveLength(0);
  });

  test('sends a mail too where that is configured, and says what the server said', async () => {
    const server = await startMailServer();
    const mail = createAdminMail({ url: server.url, from: 'sendgate@example.com', to: ['ops@example.com'] });
    const own = await startTestApp({ workspace: app.workspace, alertMail: mail });
    stops.push(
      () => server.stop(),
      () => mail.close(),
      () => own.stop(),
    );
    expect((await own.call('POST', '/alerts/test', {})).body.results).toMatchObject([
      { to: 'mail', url: null, delivered: true, status: null, error: null },
    ]);
    expect(server.mails[0]!.headers).toContain(`Subject: [Sendgate ${app.workspace}] Test`);
    server.refuse(1, 554);
    expect((await own.call('POST', '/alerts/test', { mail: true })).body.results).toMatchObject([
      { to: 'mail', delivered: false, error: expect.stringContaining('554') },
    ]);
    expect((await own.call('GET', '/alerts')).body.mail).toMatchObject({
      ...{ configured: true, to: ['ops@example.com'] },
      last_result: { type: 'alert.test', state: 'failed' },
    });
    // Without a mail there is nobody.
    expect((await own.call('POST', '/alerts/test', { mail: false })).status).toBe(409);
  });

  test('is a 409 when there is nobody to tell', async () => {
    const answer = await test1();
    expect(answer.status).toBe(409);
    expect(answer.body.detail).toContain('alert_webhooks');
  });

  test.each<[string, unknown, string]>([
    ['a webhook that is not in the settings', { webhook: 'http://169.254.169.254/' }, 'webhook'],
    ['a webhook that is no text', { webhook: 7 }, 'webhook'],
    ['a mail that cannot be', { mail: true }, 'mail'],
    ['yes for true', { mail: 'yes' }, 'mail'],
    ['an unknown field', { url: URL_1 }, 'url'],
    ['a list', [], ''],
  ])('400 for %s, naming it, and nobody is told', async (_what, body, path) => {
    await patch({ alert_webhooks: [{ url: receiver.url, secret: SECRET }] });
    expectProblem(await test1(body), path);
    expect(receiver.requests).toEqual([]);
  });

  test('answers in time when a receiver does not', async () => {
    receiver.answer = () => undefined;
    await patch({ alert_webhooks: [{ url: receiver.url, secret: SECRET }] });
    const [result] = (await test1()).body.results;
    expect(result).toMatchObject({ delivered: false, error: 'There was no answer within 8000 ms.' });
  });
});

test('a limits file, which others may read, takes no webhooks with their secrets', () => {
  const text = `limits: []\nsettings:\n  alert_thresholds: [50]\n  alert_webhooks: [{url: '${URL_1}', secret: '${SECRET}'}]\n`;
  expect(parseLimitsFile(Buffer.from(text))).toEqual({
    problems: [expect.objectContaining({ line: 4, path: 'settings.alert_webhooks', message: 'is not known here' })],
  });
});
