import { Webhook } from 'standardwebhooks';
import { freePort } from '../support/ports';
import { type MailServer, type Receiver, SECRET, startMailServer, startReceiver } from '../support/receivers';
import { type RedisServer, sharedRedisUrl, startRedis, uniqueWorkspace } from '../support/redis';
import { endAllSendgates, runSendgate, startSendgate } from '../support/sendgate';
import { until } from '../support/sends';

jest.setTimeout(120_000);

let receiver: Receiver;
let mails: MailServer;
let own: RedisServer | undefined;
beforeEach(async () => {
  [receiver, mails] = await Promise.all([startReceiver(), startMailServer()]);
});
afterEach(async () => {
  await endAllSendgates();
  await Promise.all([receiver.stop(), mails.stop(), own?.stop()]);
  own = undefined;
});

const environment = (workspace: string, more: Record<string, string> = {}) => ({
  REDIS_URL: own?.url ?? sharedRedisUrl(),
  PORT: '0',
  SENDGATE_WORKSPACE: workspace,
  SENDGATE_ALLOW_PRIVATE_TARGETS: 'true',
  SENDGATE_RETRY_FIRST_MS: '20',
  SENDGATE_SMTP_URL: mails.url,
  SENDGATE_ALERT_MAIL_FROM: 'sendgate@example.com',
  SENDGATE_ALERT_MAIL_TO: 'ops@example.com, oncall@example.com',
  ...more,
});

async function call(api: string, method: string, path: string, body?: unknown) {
  const response = await fetch(api + path, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it and compare
  return { status: response.status, body: (await response.json()) as any };
}

const told = () => receiver.requests.map(({ body }) => JSON.parse(body));
const kinds = () => told().map(({ type, data }) => `${data.limit_id} ${data.user_id} ${data.threshold ?? type}`);

test('two APIs under load and two workers tell each alert once, and each mail about a limit once', async () => {
  const workspace = uniqueWorkspace();
  // 400 checks come at once, and none of them may be answered without Redis.
  const patient = environment(workspace, { SENDGATE_CHECK_TIMEOUT_MS: '20000' });
  const apis = await Promise.all([1, 2].map(() => startSendgate(['api'], patient).ready()));
  for (let worker = 0; worker < 2; worker += 1) {
    await startSendgate(['worker'], environment(workspace)).logged('The worker is ready.');
  }
  const [first] = apis as [string];
  await call(first, 'PATCH', '/settings', { alert_webhooks: [{ url: receiver.url, secret: SECRET }] });
  await call(first, 'PUT', '/limits/daily', { per: ['user'], period: 'day', max: 40 });
  // The first attempt of each is refused.
  const seen = new Set<string>();
  receiver.answer = (response, { headers }) => {
    const id = headers['webhook-id'] as string;
    response.writeHead(seen.has(id) ? 204 : 500).end();
    seen.add(id);
  };
  const users = ['ann', 'bob', 'cid', 'dan'];
  const allowed = await Promise.all(
    Array.from({ length: 400 }, async (_, index) => {
      const api = apis[index % 2]!;
      const { body } = await call(api, 'POST', '/check', { user_id: users[Math.floor(index / 2) % 4] });
      return body.allowed as boolean;
    }),
  );
  expect(allowed.filter(Boolean)).toHaveLength(160);
  await until(() => receiver.requests.length >= 24);
  const expected = users.flatMap((user) => ['80', '100', 'limit.throttled'].map((what) => `daily ${user} ${what}`));
  // Each twice, as the first attempt was refused.
  expect(kinds().sort()).toEqual([...expected, ...expected].sort());
  expect(seen.size).toBe(12);
  for (const { body, headers } of receiver.requests)
    new Webhook(SECRET).verify(body, headers as Record<string, string>);
  await until(() => mails.mails.length >= 1);

  const shown = async () => (await call(first, 'GET', '/alerts?limit=100')).body;
  await until(async () => {
    const { items } = await shown();
    return items.every(
      ({ deliveries }: { deliveries: { state: string }[] }) =>
        deliveries.length === 2 && deliveries.every(({ state }) => state !== 'retrying'),
    );
  });
  const { items, webhooks, mail } = await shown();
  expect(items).toHaveLength(12);
  expect(webhooks[0].last_result).toMatchObject({ state: 'delivered', tries: 2, status: 204 });
  expect(mail).toMatchObject({ configured: true, last_result: { state: 'delivered' } });
  expect(mails.mails).toHaveLength(1);
  expect(mails.mails[0]!.to).toEqual(['ops@example.com', 'oncall@example.com']);
});

test('while a receiver hangs, checks and sends are decided as fast as ever, and the alert waits', async () => {
  receiver.answer = () => undefined;
  const workspace = uniqueWorkspace();
  // A check that waited for the receiver would wait for longer than it may.
  const timeouts = { SENDGATE_WEBHOOK_TIMEOUT_MS: '60000', SENDGATE_CHECK_TIMEOUT_MS: '2000' };
  const api = await startSendgate(['up'], environment(workspace, timeouts)).ready();
  await call(api, 'PATCH', '/settings', { alert_webhooks: [{ url: receiver.url, secret: SECRET }] });
  await call(api, 'PUT', '/limits/none', { per: ['user'], period: 'day', max: 0 });
  await call(api, 'POST', '/check', { user_id: 'ann' });
  await until(() => receiver.requests.length === 1);
  for (let time = 0; time < 50; time += 1) {
    const { status, body } = await call(api, 'POST', '/check', { user_id: `user-${time}` });
    expect([status, body.degraded]).toEqual([200, false]);
  }
  expect(
    (await call(api, 'POST', '/send', { message: { to: { user_id: 'bob' }, content: { body: 'x' } } })).status,
  ).toBe(202);
});

test('when Redis goes away its API tells that by itself, by webhook and mail, and shows it when Redis is back', async () => {
  own = await startRedis();
  const api = await startSendgate(['api'], environment(uniqueWorkspace())).ready();
  await call(api, 'PATCH', '/settings', { alert_webhooks: [{ url: receiver.url, secret: SECRET }] });
  await own.freeze();
  await until(() => receiver.requests.length === 1 && mails.mails.length === 1);
  expect(told()[0]).toMatchObject({ type: 'redis.degraded', data: { replica: expect.stringMatching(/:\d+$/) } });
  expect(mails.mails[0]!.text).toContain('Redis does not answer since');
  await own.thaw();
  await until(async () => {
    const { status, body } = await call(api, 'GET', '/alerts');
    return status === 200 && body.items.length === 1 && body.items[0].deliveries.length === 2;
  });
  const { body } = await call(api, 'GET', '/alerts');
  expect(body.items[0].alert.type).toBe('redis.degraded');
  const metrics = await (await fetch(`${api}/metrics`)).text();
  expect(metrics).toContain('sendgate_alerts_total{type="redis.degraded"} 1');
  expect(metrics).toContain(
    'sendgate_alert_deliveries_total{to="webhook",type="redis.degraded",outcome="delivered"} 1',
  );
});

test('an API that has decided nothing since tells by the settings as they are, not as they were at its start', async () => {
  own = await startRedis();
  const former = await startReceiver();
  try {
    const workspace = uniqueWorkspace();
    const starting = () => startSendgate(['api'], environment(workspace)).ready();
    const busy = await starting();
    const secret = `whsec_${Buffer.from('the secret that it had before').toString('base64')}`;
    await call(busy, 'PATCH', '/settings', { alert_webhooks: [{ url: former.url, secret }] });
    const idle = await starting();
    await call(busy, 'PATCH', '/settings', { alert_webhooks: [{ url: receiver.url, secret: SECRET }] });
    const version = async (api: string) =>
      /^sendgate_configuration_version (\d+)$/m.exec(await (await fetch(`${api}/metrics`)).text())![1];
    await until(async () => (await version(idle)) === (await version(busy)));
    await own.freeze();
    await until(() => receiver.requests.length === 2);
    expect(new Set(told().map(({ data }) => data.replica)).size).toBe(2);
    for (const { body, headers } of receiver.requests) {
      expect(new Webhook(SECRET).verify(body, headers as Record<string, string>)).toBeDefined();
    }
    expect(former.requests).toEqual([]);
    await own.thaw();
  } finally {
    await former.stop();
  }
});

test('a server for mail without whom to mail to is refused at the start, by name', async () => {
  const { code, stderr } = await runSendgate(['api'], {
    REDIS_URL: `redis://127.0.0.1:${await freePort()}`,
    SENDGATE_SMTP_URL: 'smtp://user:pass@127.0.0.1:25',
  });
  expect(code).toBe(2);
  expect(stderr).toContain('SENDGATE_ALERT_MAIL_FROM and SENDGATE_ALERT_MAIL_TO must be set');
  expect(stderr).not.toContain('pass@');
});
