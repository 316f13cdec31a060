import { vonageSignature } from '../../src/sends/providers/vonage-signature';
import { type Receiver, startReceiver, SECRET as WEBHOOK_SECRET } from '../support/receivers';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';
import { endAllSendgates, runSendgate, startSendgate } from '../support/sendgate';
import { until } from '../support/sends';
import { type FakeVonage, startFakeVonage, taken } from '../support/vonage';

jest.setTimeout(120_000);

const SECRET = 'a-signature-secret';
const NUMBER = '+44 7700 900000';

let vonage: FakeVonage;
let receiver: Receiver;
let environment: Record<string, string>;
beforeEach(async () => {
  [vonage, receiver] = await Promise.all([startFakeVonage(), startReceiver()]);
  environment = {
    REDIS_URL: sharedRedisUrl(),
    PORT: '0',
    SENDGATE_WORKSPACE: uniqueWorkspace(),
    SENDGATE_VONAGE_API_KEY: 'abcd1234',
    SENDGATE_VONAGE_API_SECRET: 'the-api-secret',
    SENDGATE_VONAGE_FROM: 'Acme',
    SENDGATE_VONAGE_URL: vonage.url.href,
    SENDGATE_VONAGE_PAUSE: '1s',
    SENDGATE_ALLOW_PRIVATE_TARGETS: 'true',
    SENDGATE_VONAGE_SIGNATURE_SECRET: SECRET,
    SENDGATE_VONAGE_SIGNATURE_METHOD: 'sha256',
  };
});
afterEach(async () => {
  await endAllSendgates();
  await Promise.all([vonage.stop(), receiver.stop()]);
});

async function call(api: string, method: string, path: string, body?: unknown) {
  const response = await fetch(api + path, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json');
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it and compare
  return { status: response.status, text, body: (isJson ? JSON.parse(text) : undefined) as any };
}

async function send(api: string, user: string, routing: object = { channels: ['sms'] }): Promise<string> {
  const message = { to: { user_id: user, phone_number: NUMBER }, content: { body: 'Grüße 👋' }, routing };
  return (await call(api, 'POST', '/send', { message })).body.requestId;
}
const statusOf = async (api: string, id: string) => (await call(api, 'GET', `/messages/${id}`)).body.status;
const becomes = (api: string, id: string, status: string) => until(async () => (await statusOf(api, id)) === status);

/** Says what became of a part, as Vonage does. */
function receipt(api: string, messageId: string, status: string, errorCode: string) {
  const params = {
    messageId,
    status,
    'err-code': errorCode,
    timestamp: `${Math.floor(Date.now() / 1_000)}`,
    nonce: 'n',
  };
  const sig = vonageSignature(params, SECRET, 'sha256').toUpperCase();
  return fetch(`${api}/providers/vonage/receipts`, { method: 'POST', body: new URLSearchParams({ ...params, sig }) });
}

test('an SMS goes from /send to Vonage, and is delivered when a receipt says so; another is not, and gives its count back', async () => {
  const api = await startSendgate(['api'], environment).ready();
  const worker = startSendgate(['worker'], environment);
  await worker.logged('The worker is ready.');
  await call(api, 'PUT', '/limits/user', { per: ['user'], period: 'day', max: 5 });

  const id = await send(api, 'ann');
  await becomes(api, id, 'SENT');
  expect(vonage.requests[0]!.fields).toMatchObject({
    ...{ api_key: 'abcd1234', to: '447700900000', text: 'Grüße 👋', type: 'unicode', 'client-ref': id },
  });
  const [{ reference }] = (await call(api, 'GET', `/messages/${id}`)).body.providers;
  expect((await receipt(api, reference, 'accepted', '0')).status).toBe(200);
  expect((await receipt(api, reference, 'delivered', '0')).status).toBe(200);
  expect(await call(api, 'GET', `/messages/${id}`)).toMatchObject({
    body: { status: 'DELIVERED', channel: 'sms', provider: 'vonage', delivered: expect.any(Number) },
  });

  const other = await send(api, 'ann');
  await becomes(api, other, 'SENT');
  const lost = (await call(api, 'GET', `/messages/${other}`)).body.providers[0].reference;
  expect((await receipt(api, lost, 'failed', '3')).status).toBe(200);
  expect((await call(api, 'GET', `/messages/${other}`)).body).toMatchObject({
    status: 'UNDELIVERABLE',
    reason: 'BOUNCED',
  });
  expect((await call(api, 'GET', '/usage?user_id=ann')).body.limits[0].used).toBe(1);
  // What is not signed is not believed.
  const unsigned = await fetch(`${api}/providers/vonage/receipts?messageId=${reference}&status=failed`);
  expect(unsigned.status).toBe(401);

  // Without a number it goes to the one that the user is known by.
  const traits = { phone: '+44 7700 900001' };
  const identify = { type: 'identify', messageId: 'e-1', userId: 'cat', traits };
  expect((await call(api, 'POST', '/inbound/segment', identify)).status).toBe(202);
  const toProfile = { to: { user_id: 'cat' }, content: { body: 'hello' }, routing: { channels: ['sms'] } };
  const { requestId } = (await call(api, 'POST', '/send', { message: toProfile })).body;
  await becomes(api, requestId, 'SENT');
  expect(vonage.requests.at(-1)!.fields).toMatchObject({ to: '447700900001', 'client-ref': requestId });

  // For an account first to the one that the user is known by there, also where the account follows from the user.
  const membership = { profile: { phone_number: '+44 7700 900002' } };
  await call(api, 'PUT', '/users/cat/accounts/acme', membership);
  const inAccount = (await call(api, 'POST', '/send', { message: toProfile })).body.requestId;
  await becomes(api, inAccount, 'SENT');
  expect(vonage.requests.at(-1)!.fields).toMatchObject({ to: '447700900002', 'client-ref': inAccount });

  // Every other channel goes where it went.
  const elsewhere = await send(api, 'bob', { channels: ['email'] });
  await becomes(api, elsewhere, 'SENT');
  expect((await call(api, 'GET', `/messages/${elsewhere}`)).body.provider).toBe('log');
  expect(vonage.requests).toHaveLength(4);
});

test('while the account is in trouble nothing is lost and all workers wait; it is told in the log, the metrics and by an alert', async () => {
  let isWell = false;
  // Long enough for all that is looked at while nothing is sent.
  environment.SENDGATE_VONAGE_PAUSE = '3s';
  vonage.answer(() => (isWell ? [taken()] : [{ status: '9', 'error-text': 'Quota Exceeded - rejected' }]));
  const api = await startSendgate(['api'], environment).ready();
  await call(api, 'PATCH', '/settings', {
    alert_webhooks: [{ url: receiver.url, secret: WEBHOOK_SECRET, events: ['provider.stopped'] }],
  });
  const workers = ['0', '0'].map((port) => startSendgate(['worker'], { ...environment, SENDGATE_WORKER_PORT: port }));
  const ports = await Promise.all(workers.map((worker) => worker.logged('The worker listens.')));
  await Promise.all(workers.map((worker) => worker.logged('The worker is ready.')));
  const ids = await Promise.all(Array.from({ length: 20 }, (_, index) => send(api, `user-${index}`)));
  const line = await Promise.race(workers.map((worker) => worker.logged(/^A provider takes no messages/)));
  expect(line).toMatchObject({
    ...{ level: 'error', provider: 'vonage', code: '9', until: expect.any(String) },
    reason: expect.stringContaining('Top it up'),
  });
  const metrics = await Promise.all(ports.map(({ port }) => call(`http://127.0.0.1:${port}`, 'GET', '/metrics')));
  expect(metrics.map(({ text }) => text).join('')).toMatch(
    /^sendgate_provider_stops_total\{provider="vonage",code="9"\} [1-9]/m,
  );
  await until(() => receiver.requests.length > 0);
  expect(JSON.parse(receiver.requests[0]!.body)).toMatchObject({
    type: 'provider.stopped',
    data: { provider: 'vonage', code: '9', reason: expect.stringContaining('Top it up'), until: expect.any(String) },
  });
  const explained = (await call(api, 'GET', `/messages/${ids[0]}/explain`)).body;
  expect(explained.status).toBe('ENQUEUED');

  // A worker that dies meanwhile takes nothing along, and leaves nothing stopped.
  workers[0]!.signal('SIGKILL');
  await workers[0]!.ended;
  isWell = true;
  for (const id of ids) await becomes(api, id, 'SENT');
  const took = vonage.requests.slice(-20).map(({ fields }) => fields['client-ref']);
  expect(new Set(took)).toEqual(new Set(ids));
  // However often it was stopped again meanwhile, for the same reason, and by whichever worker.
  expect(receiver.requests).toHaveLength(1);
});

test('trouble of the account in one part of a message is told and stops the provider as that of a whole one', async () => {
  let isWell = false;
  vonage.answer(() => (isWell ? [taken()] : [taken(), { status: '9', 'error-text': 'Quota Exceeded - rejected' }]));
  const api = await startSendgate(['api'], environment).ready();
  await call(api, 'PATCH', '/settings', {
    alert_webhooks: [{ url: receiver.url, secret: WEBHOOK_SECRET, events: ['provider.stopped'] }],
  });
  const worker = startSendgate(['worker'], { ...environment, SENDGATE_WORKER_PORT: '0' });
  await worker.logged('The worker is ready.');
  const first = await send(api, 'ann');
  await worker.logged(/^A provider takes no messages/);
  isWell = true;
  const next = await send(api, 'bob');
  await until(() => receiver.requests.length === 1);
  expect(JSON.parse(receiver.requests[0]!.body)).toMatchObject({
    type: 'provider.stopped',
    data: { provider: 'vonage', code: '9', reason: expect.stringMatching(/^Vonage refused it with 9, .*Top it up/) },
  });
  await becomes(api, next, 'SENT');
  expect((await call(api, 'GET', `/messages/${first}`)).body).toMatchObject({
    status: 'UNDELIVERABLE',
    error: expect.stringMatching(/^1 of 2 parts were accepted, so it is not sent again: /),
  });
  expect(vonage.requests.filter(({ fields }) => fields['client-ref'] === first)).toHaveLength(1);
});

test('a configuration that is not whole, or wrong, is refused at the start, all of it at once, without any secret', async () => {
  const { code, stderr } = await runSendgate(['api'], {
    ...environment,
    SENDGATE_VONAGE_API_SECRET: 'hunter2 with spaces',
    SENDGATE_VONAGE_URL: 'rest.nexmo.com',
    SENDGATE_VONAGE_RATE: '0',
    SENDGATE_VONAGE_PAUSE: 'soon',
    SENDGATE_VONAGE_FROM: 'A name that is too long',
    SENDGATE_VONAGE_SIGNATURE_METHOD: 'rot13',
  });
  expect(code).toBe(2);
  for (const name of ['API_SECRET', 'URL', 'RATE', 'PAUSE', 'FROM', 'SIGNATURE_METHOD']) {
    expect(stderr).toContain(`SENDGATE_VONAGE_${name} `);
  }
  expect(stderr).not.toContain('hunter2');
});
