import { request as httpRequest } from 'node:http';
import { vonageSignature } from '../../src/sends/providers/vonage-signature';
import type { AttemptOutcome } from '../../src/sends/store';
import { type Answer, startTestApp, type TestApp } from '../support/app';
import { startRedis } from '../support/redis';
import { newPartId } from '../support/vonage';

const PATH = '/providers/vonage/receipts';
const SECRET = 'my_secret_key_for_testing';
const signature = { secret: SECRET, method: 'sha256', maxAgeMs: 300_000 } as const;
const FORM = { 'content-type': 'application/x-www-form-urlencoded', authorization: null };

let app: TestApp;
let strict: TestApp;
beforeAll(async () => {
  app = await startTestApp({ vonage: { signature: null } });
  strict = await startTestApp({ vonage: { signature } });
});
afterAll(() => Promise.all([app.stop(), strict.stop()]));

/** Hands a message over and has it sent, as a worker does. @returns its id, and Vonage's of its part */
async function sent(on: TestApp = app): Promise<{ id: string; part: string }> {
  const { body } = await on.call('POST', '/send', { message: { to: { user_id: 'ann' }, content: 'hi' } });
  const id = body.requestId as string;
  const part = newPartId();
  const outcome: AttemptOutcome = {
    ...{ kind: 'sent', detail: {}, reference: part, keepPayload: true, receipts: [part], refund: true },
  };
  await on.store.finish(id, 1, (await on.store.begin(id, 1))!, outcome);
  // As the state names the provider that it was given to, which is the log here.
  await on.redis.rename(on.keys.providerPart('log', part), on.keys.providerPart('vonage', part));
  return { id, part };
}

const receiptOf = (messageId: string, more: Record<string, string> = {}): Record<string, string> => ({
  ...{ messageId, status: 'delivered', 'err-code': '0', msisdn: '447700900000', to: 'AcmeInc', scts: '2001011400' },
  ...{ 'network-code': '23410', price: '0.03330000', 'message-timestamp': '2020-01-01 14:00:00' },
  ...more,
});
const query = (params: Record<string, string>) => `${new URLSearchParams(params)}`;
const statusOf = async (id: string, on: TestApp = app) => (await on.call('GET', `/messages/${id}`)).body.status;

function signed(params: Record<string, string>, signedMs = Date.now()): Record<string, string> {
  const all = {
    ...params,
    timestamp: `${Math.floor(signedMs / 1_000)}`,
    nonce: 'aaaaaaaa-bbbb-cccc-dddd-0123456789ab',
  };
  return { ...all, sig: vonageSignature(all, SECRET, 'sha256').toUpperCase() };
}

describe('a receipt', () => {
  test.each<[string, (params: Record<string, string>) => Promise<Answer>]>([
    ['as a form', (params) => app.call('POST', PATH, query(params), FORM)],
    [
      'as a form in another spelling',
      (params) =>
        app.call('POST', PATH, query(params), {
          ...FORM,
          'content-type': 'Application/X-WWW-Form-Urlencoded; charset=UTF-8',
        }),
    ],
    ['as JSON', (params) => app.call('POST', PATH, params, { authorization: null })],
    ['as a query, by GET', (params) => app.call('GET', `${PATH}?${query(params)}`, undefined, { authorization: null })],
    [
      'as a query, by POST',
      (params) => app.call('POST', `${PATH}?${query(params)}`, undefined, { authorization: null }),
    ],
  ])('%s makes the message delivered, without any API key', async (_how, call) => {
    const { id, part } = await sent();
    const answer = await call(receiptOf(part));
    expect([answer.status, answer.body]).toEqual([200, { received: true }]);
    const message = (await app.call('GET', `/messages/${id}`)).body;
    expect(message).toMatchObject({ status: 'DELIVERED', delivered: expect.any(Number), sent: expect.any(Number) });
    expect(message.providers[0]).toMatchObject({ status: 'DELIVERED', delivered: message.delivered, reference: part });
    expect((await app.call('GET', '/messages?status=DELIVERED&limit=1')).body.results[0].id).toBe(id);
    expect((await app.call('GET', `/messages/${id}/explain`)).body.summary).toMatch(/^Delivered: /);
  });

  test('that says it failed is shown with the code, its meaning and what to do', async () => {
    const { id, part } = await sent();
    await app.call('POST', PATH, receiptOf(part, { status: 'undelivered', 'err-code': '4' }), { authorization: null });
    const { body } = await app.call('GET', `/messages/${id}`);
    expect(body).toMatchObject({ status: 'UNDELIVERABLE', reason: 'BOUNCED' });
    expect(body.providers[0]).toMatchObject({
      code: '4',
      meaning: 'The recipient has barred such messages.',
      what_to_do: 'Stop sending to this number.',
    });
    expect((await app.call('GET', `/messages/${id}/explain`)).body).toMatchObject({
      summary: expect.stringContaining('Call Barred by User'),
      what_to_do: 'Stop sending to this number.',
    });
    expect((await app.call('GET', `/messages/${id}/history?type=undeliverable`)).body.results[0]).toMatchObject({
      receipt: 'undelivered',
      error_code: '4',
    });
  });

  test('repeated, late, out of order, or about nothing that is known is taken, and counted', async () => {
    const { id, part } = await sent();
    for (const status of ['accepted', 'delivered', 'delivered', 'failed', 'buffered']) {
      expect((await app.call('POST', PATH, receiptOf(part, { status }))).status).toBe(200);
    }
    expect((await app.call('POST', PATH, receiptOf(newPartId()))).body).toEqual({ received: true });
    expect(await statusOf(id)).toBe('DELIVERED');
    const { text } = await app.call('GET', '/metrics');
    expect(text).toMatch(/^sendgate_receipts_total\{provider="vonage",result="unknown"\} 1$/m);
    expect(text).toMatch(/^sendgate_receipts_total\{provider="vonage",result="late"\} [1-9]/m);
  });

  test('without anything, by GET, is how Vonage looks whether the address is one', async () => {
    for (const on of [app, strict]) expect((await on.call('GET', PATH)).body).toEqual({ received: false });
  });

  test.each([
    ['no messageId', { status: 'delivered' }, 'messageId', 'is missing: must be a string'],
    ['nothing', {}, 'messageId', 'is missing: must be a string'],
    ['no status', { messageId: '0A' }, 'status', 'is missing: must be a string'],
    ['an empty messageId', { messageId: '', status: 'delivered' }, 'messageId', /visible characters/],
    [
      'a messageId of 10,000 characters',
      { messageId: 'x'.repeat(10_000), status: 'delivered' },
      'messageId',
      /1 to 100/,
    ],
    ['a messageId with a newline', { messageId: '0A\n', status: 'delivered' }, 'messageId', /visible/],
    ['a status that is no word', { messageId: '0A', status: '1;DROP' }, 'status', /must be a word/],
    ['a list', { messageId: ['0A'], status: 'delivered' }, 'messageId', 'must be a string'],
    ['an object', { messageId: '0A', status: { a: 1 } }, 'status', 'must be a string'],
  ])('with %s is a 400 that names the field', async (_what, body, path, message) => {
    const answer = await app.call('POST', PATH, body);
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toEqual([
      { path, message: typeof message === 'string' ? message : expect.stringMatching(message) },
    ]);
  });

  test.each<[string, string | Buffer, string, number]>([
    ['that is not JSON', '{', 'application/json', 400],
    ['that is a list', '[]', 'application/json', 400],
    ['that is a text', '"x"', 'application/json', 400],
    ['of another type', '<receipt/>', 'text/xml', 415],
    ['that is percent-encoded wrongly', 'messageId=%zz', 'application/x-www-form-urlencoded', 400],
    ['that says a thing twice', 'messageId=a&messageId=b&status=delivered', 'application/x-www-form-urlencoded', 400],
    ['of 6 MB', Buffer.alloc(6_000_000, 'a'), 'application/x-www-form-urlencoded', 413],
    ['of 6 MB of JSON', Buffer.alloc(6_000_000, ' '), 'application/json', 413],
  ])('with a body %s is refused', async (_what, body, type, status) => {
    expect((await app.call('POST', PATH, body, { 'content-type': type })).status).toBe(status);
  });

  test('that says a thing twice in its query is a 400', async () => {
    expect((await app.call('GET', `${PATH}?messageId=a&messageId=b&status=delivered`)).status).toBe(400);
  });

  test('by another method is a 405 that says which there are', async () => {
    const answer = await app.call('DELETE', PATH);
    expect([answer.status, answer.headers.allow]).toEqual([405, expect.stringContaining('POST')]);
  });

  test('where Vonage is not configured is a 404', async () => {
    const other = await startTestApp();
    expect((await other.call('POST', PATH, receiptOf(newPartId()))).status).toBe(404);
    expect((await other.call('GET', PATH)).status).toBe(404);
    await other.stop();
  });
});

describe('with a secret, a receipt', () => {
  test('that is signed is taken, as a form, as JSON and by GET', async () => {
    for (const call of [
      (params: Record<string, string>) => strict.call('POST', PATH, query(params), FORM),
      (params: Record<string, string>) => strict.call('POST', PATH, params, { authorization: null }),
      (params: Record<string, string>) => strict.call('GET', `${PATH}?${query(params)}`),
    ]) {
      const { id, part } = await sent(strict);
      expect((await call(signed(receiptOf(part, { to: 'A & B = C' })))).status).toBe(200);
      expect(await statusOf(id, strict)).toBe('DELIVERED');
    }
  });

  test.each<[string, (part: string) => Record<string, unknown>]>([
    ['is not signed', (part) => receiptOf(part)],
    ['has an empty signature', (part) => ({ ...signed(receiptOf(part)), sig: '' })],
    ['has a wrong signature', (part) => ({ ...signed(receiptOf(part)), sig: 'ab'.repeat(32) })],
    ['was changed', (part) => ({ ...signed(receiptOf(part, { status: 'failed' })), status: 'delivered' })],
    ['has something more', (part) => ({ ...signed(receiptOf(part)), extra: '1' })],
    ['has something that is no text', (part) => ({ ...signed(receiptOf(part)), extra: { nested: 1 } })],
    [
      'has no timestamp',
      (part) => {
        const { timestamp: _timestamp, ...rest } = signed(receiptOf(part));
        return rest;
      },
    ],
    ['is a replay of yesterday', (part) => signed(receiptOf(part), Date.now() - 86_400_000)],
    ['was signed six minutes ago', (part) => signed(receiptOf(part), Date.now() - 360_000)],
    ['is signed for tomorrow', (part) => signed(receiptOf(part), Date.now() + 86_400_000)],
    ['is nothing', () => ({})],
  ])('that %s is a 401, and does nothing', async (_what, make) => {
    const { id, part } = await sent(strict);
    const answer = await strict.call('POST', PATH, make(part), { authorization: null });
    expect(answer.status).toBe(401);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.headers['www-authenticate']).toBe('Signature realm="vonage"');
    expect(await statusOf(id, strict)).toBe('SENT');
  });

  test('that an API key comes with, but no signature, is a 401 too', async () => {
    expect((await strict.call('POST', PATH, receiptOf(newPartId()))).status).toBe(401);
  });

  test('that is replayed within the time does no harm', async () => {
    const { id, part } = await sent(strict);
    const params = signed(receiptOf(part, { status: 'accepted' }));
    expect((await strict.call('POST', PATH, params)).status).toBe(200);
    await strict.call('POST', PATH, signed(receiptOf(part)));
    for (let time = 0; time < 3; time += 1) expect((await strict.call('POST', PATH, params)).status).toBe(200);
    expect(await statusOf(id, strict)).toBe('DELIVERED');
  });

  test('that is signed, but says nothing, is a 400', async () => {
    expect((await strict.call('POST', PATH, signed({ status: 'delivered' }))).body.errors[0].path).toBe('messageId');
  });
});

test('a receipt while Redis is away is a 503, so that Vonage says it again', async () => {
  const redis = await startRedis();
  const alone = await startTestApp({ redisUrl: redis.url, vonage: { signature: null } });
  await redis.kill();
  const answer = await alone.call('POST', PATH, receiptOf(newPartId()));
  expect([answer.status, answer.headers['retry-after']]).toEqual([503, '1']);
  await alone.stop();
  await redis.stop();
});

test('a caller that goes away in the middle of a form leaves nothing behind', async () => {
  await new Promise<void>((resolve) => {
    const outgoing = httpRequest({
      ...{ host: app.host, port: app.port, method: 'POST', path: PATH },
      headers: { 'content-type': FORM['content-type'], 'content-length': '100' },
    });
    outgoing.on('error', () => resolve());
    outgoing.write('messageId=0A', () => outgoing.destroy(new Error('gone')));
  });
  expect((await app.call('GET', PATH)).status).toBe(200);
  expect(app.log.filter(({ level }) => level === 'error')).toEqual([]);
});
