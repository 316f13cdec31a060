import type { ServerResponse } from 'node:http';
import type { Delivery, DeliveryOutcome, Provider } from '../../src/sends/providers/provider';
import { createVonageProvider } from '../../src/sends/providers/vonage';
import { VONAGE_CODES } from '../../src/sends/providers/vonage-codes';
import { freePort } from '../support/ports';
import { until } from '../support/sends';
import { answerBody, type FakeVonage, startFakeVonage, taken, type VonagePart } from '../support/vonage';

let vonage: FakeVonage;
const made: Provider[] = [];
beforeAll(async () => {
  vonage = await startFakeVonage();
});
afterEach(async () => {
  await Promise.all(made.splice(0).map((provider) => provider.close()));
  vonage.requests.length = 0;
  vonage.answer(() => [taken()]);
});
afterAll(() => vonage.stop());

const DELIVERY: Delivery = {
  messageId: '5b7z6qh48ry0ov26ee0ecvooi',
  takenMs: 0,
  userId: 'ann',
  accountId: null,
  topicId: null,
  channel: 'sms',
  to: { user_id: 'ann', phone_number: '+44 7700 900000' },
  template: null,
  content: { body: 'Hello Ann' },
  data: null,
  metadata: null,
};
const SIGNAL = new AbortController().signal;

function provider(options: Partial<Parameters<typeof createVonageProvider>[0]> = {}): Provider {
  const one = createVonageProvider({
    ...{ url: vonage.url, apiKey: 'abcd1234', apiSecret: 'a secret & more=1', from: 'Acme', timeoutMs: 5_000 },
    ...{ phoneOf: async () => null, nowMs: Date.now },
    ...options,
  });
  made.push(one);
  return one;
}

const deliver = (delivery: Partial<Delivery> = {}, options = {}): Promise<DeliveryOutcome> =>
  provider(options).deliver({ ...DELIVERY, ...delivery }, SIGNAL);

/** What comes of a request that is answered so. */
async function outcomeOf(answer: VonagePart[]): Promise<DeliveryOutcome> {
  vonage.answer(() => answer);
  return deliver();
}

function answering(status: number, body: string, headers: Record<string, string> = {}): void {
  vonage.answer(() => (_request, response) => response.writeHead(status, headers).end(body));
}

describe('an SMS', () => {
  test('is asked for as a form, with the key, the sender, the number in digits and the message id', async () => {
    const part = taken();
    const outcome = await outcomeOf([part]);
    expect(vonage.requests).toEqual([
      {
        atMs: expect.any(Number),
        method: 'POST',
        path: '/sms/json',
        contentType: 'application/x-www-form-urlencoded',
        fields: {
          api_key: 'abcd1234',
          api_secret: 'a secret & more=1',
          from: 'Acme',
          to: '447700900000',
          text: 'Hello Ann',
          'client-ref': DELIVERY.messageId,
        },
      },
    ]);
    expect(outcome).toEqual({
      kind: 'sent',
      reference: part['message-id'],
      receipts: [part['message-id']],
      response: { status: 200, body: JSON.stringify(answerBody([part])) },
    });
  });

  test.each([
    ['Grüße € & ^=', undefined],
    ['Привет, 世界 🙂', 'unicode'],
  ])('that says %j arrives as it was written, of the type %s', async (body, type) => {
    await deliver({ content: { body } });
    expect(vonage.requests[0]!.fields).toMatchObject({ text: body });
    expect(vonage.requests[0]!.fields.type).toBe(type);
  });

  test.each([
    ['as a text', 'Hi', 'Hi'],
    ['in its body', { title: 'T', body: 'B' }, 'B'],
    ['in its title, without a body', { title: 'T' }, 'T'],
    ['in its title, where the body is blank', { title: 'T', body: ' ' }, 'T'],
  ])('says what its content says %s', async (_where, content, text) => {
    await deliver({ content });
    expect(vonage.requests[0]!.fields.text).toBe(text);
  });

  test.each([null, undefined, '', '  ', {}, { body: '' }, { body: 7 }, { version: '2022-01-01', elements: [] }])(
    'without a text, as with the content %j, is not asked for, and says what it lacks',
    async (content) => {
      expect(await deliver({ content })).toEqual({
        kind: 'failed',
        error: 'The message has no text. Give it one, in content.body.',
        response: null,
      });
      expect(vonage.requests).toEqual([]);
    },
  );

  test.each([
    ['+447700900000', '447700900000'],
    ['447700900000', '447700900000'],
    ['00447700900000', '447700900000'],
    ['+1 (415) 555-01.00', '14155550100'],
    ['+29012', '29012'],
    ['7', '7'],
    ['+0123456789', '0123456789'],
    ['00', '00'],
    ['123456789012345', '123456789012345'],
  ])('to the number %s goes to %s', async (number, to) => {
    await deliver({ to: { phone_number: number } });
    expect(vonage.requests[0]!.fields.to).toBe(to);
  });

  test.each(['call me', '+', '()', '1234567890123456', '٤٤٧٧٠٠٩٠٠٠٠٠', '+44 7700 900000 ext 5'])(
    'to %j is not asked for, and says why',
    async (number) => {
      expect(await deliver({ to: { phone_number: number } })).toMatchObject({
        kind: 'failed',
        error: expect.stringContaining('is not a phone number with its country code'),
      });
      expect(vonage.requests).toEqual([]);
    },
  );

  test("goes to the number in the user's profile when the recipient names none", async () => {
    const asked: [string, string | null][] = [];
    const phoneOf = async (userId: string, accountId: string | null) => {
      asked.push([userId, accountId]);
      return '+447700900001';
    };
    await deliver({ to: { user_id: 'ann', phone_number: null } }, { phoneOf });
    await deliver({}, { phoneOf });
    expect(vonage.requests.map(({ fields }) => fields.to)).toEqual(['447700900001', '447700900000']);
    await deliver({ to: { user_id: 'ann' }, accountId: 'acme' }, { phoneOf });
    expect(asked).toEqual([
      ['ann', null],
      ['ann', 'acme'],
    ]);
  });

  test('without a number anywhere says so', async () => {
    expect(await deliver({ to: { user_id: 'ann' } })).toEqual({
      kind: 'failed',
      error: 'There is no number to send to. Give the recipient a phone_number, or set it in the profile of ann.',
      response: null,
    });
  });

  test.each([
    ['/', '/sms/json'],
    ['/proxy/', '/proxy/sms/json'],
    ['/sms/json', '/sms/json'],
    ['/proxy?for=vonage', '/proxy/sms/json?for=vonage'],
  ])('by an address that ends in %s goes to %s', async (path, called) => {
    await deliver({}, { url: new URL(path, vonage.url), from: '+447700900009' });
    expect(vonage.requests[0]).toMatchObject({ path: called, fields: { from: '447700900009' } });
  });
});

describe('a refusal', () => {
  const KINDS = { retry: 'retry', account: 'stopped', request: 'failed', recipient: 'failed' } as const;

  test.each([...VONAGE_CODES.values()])('with $code, $name, is about the $kind', async (code) => {
    const outcome = await outcomeOf([{ status: code.code, 'error-text': 'In its own words.' }]);
    expect(outcome).toMatchObject({
      kind: KINDS[code.kind],
      error: `Vonage refused it with ${code.code}, ${code.name}: ${code.meaning} Vonage says: In its own words. ${code.whatToDo}`,
      code: { code: code.code, meaning: code.meaning, whatToDo: code.whatToDo },
      response: { status: 200 },
    });
  });

  test('by a code that is not known is tried again, and shown with what Vonage says', async () => {
    expect(await outcomeOf([{ status: '13', 'error-text': 'x'.repeat(1_000) }])).toMatchObject({
      kind: 'retry',
      error: `Vonage refused it with 13, unknown: This code is not known to Sendgate. Vonage says: ${'x'.repeat(200)}. Look it up in the documentation of Vonage.`,
      code: { code: '13' },
      retryAfterMs: null,
    });
  });

  test('is read as well when its status is a number', async () => {
    expect(await outcomeOf([{ status: 7 }])).toMatchObject({ kind: 'failed', code: { code: '7' } });
  });

  test('of all parts is what weighs most: the account, then this message, then what passes', async () => {
    const [throttled, invalid, poor] = [{ status: '1' }, { status: '3' }, { status: '9' }];
    expect(await outcomeOf([throttled, invalid, poor])).toMatchObject({ kind: 'stopped', code: { code: '9' } });
    expect(await outcomeOf([throttled, invalid])).toMatchObject({ kind: 'failed', code: { code: '3' } });
    expect(await outcomeOf([throttled, throttled])).toMatchObject({ kind: 'retry', code: { code: '1' } });
  });
});

describe('a long text of several parts', () => {
  test('is sent when all were taken, and receipts will come for each', async () => {
    const parts = [taken(), taken(), taken()];
    const ids = parts.map((part) => part['message-id']);
    expect(await outcomeOf(parts)).toMatchObject({ kind: 'sent', reference: ids.join(','), receipts: ids });
  });

  test.each(['1', '5', '9', '3', '77'])(
    'some of which were taken, and another refused with %s, is never sent again',
    async (status) => {
      const parts = [taken(), { status }, taken()];
      const ids = [parts[0]!['message-id'], parts[2]!['message-id']];
      expect(await outcomeOf(parts)).toMatchObject({
        kind: 'failed',
        error: expect.stringMatching(
          new RegExp(`^2 of 3 parts were accepted, so it is not sent again: Vonage refused it with ${status}, `),
        ),
        code: { code: status },
        partly: { reference: ids.join(','), receipts: ids },
      });
    },
  );

  test.each([...VONAGE_CODES.values()])(
    'refused in part with $code, $name, stops the provider if that is about the account, wherever it stands',
    async ({ code, kind, name, meaning, whatToDo }) => {
      const error = `Vonage refused it with ${code}, ${name}: ${meaning} ${whatToDo}`;
      const stopped = kind === 'account' ? { error, code: { code, meaning, whatToDo } } : undefined;
      const refused = { status: code };
      for (const parts of [
        [taken(), refused],
        [refused, taken()],
        [{ status: '1' }, taken(), refused],
      ]) {
        const outcome = await outcomeOf(parts);
        expect([outcome.kind, (outcome as { stopped?: object }).stopped]).toEqual(['failed', stopped]);
      }
    },
  );

  test.each(['1', '5', '10', '77'])('refused in part with %s is not said to be tried again', async (status) => {
    const outcome = await outcomeOf([taken(), { status }]);
    const { error, code } = outcome as Extract<DeliveryOutcome, { kind: 'failed' }>;
    for (const words of [error, code!.whatToDo]) {
      expect(words).not.toContain('tried again');
      expect(words).toContain('POST /messages/{id}/retry');
    }
    expect(await outcomeOf([{ status }])).toMatchObject({ kind: 'retry', code: { code: status } });
  });
});

describe('an answer that is not of the SMS API', () => {
  const json = JSON.stringify;

  test.each([
    ['a page of HTML', '<html><body>Welcome to the airport</body></html>'],
    ['nothing', ''],
    ['JSON that is cut off', json(answerBody([taken()])).slice(0, 40)],
    ['other JSON', '{"ok":true}'],
    ['a list', '[]'],
    ['null', 'null'],
    ['no parts', json({ 'message-count': '0', messages: [] })],
    ['parts without a status', json({ messages: [{ 'message-id': '0A' }] })],
    ['parts that are none', json({ messages: [null] })],
    ['a status that is none', json({ messages: [{ status: 'fine' }] })],
    ['a status in a list', json({ messages: [{ status: ['0'] }] })],
    ['more than is read', `{"messages":[${'{"status":"0"},'.repeat(10_000)}{"status":"0"}]}`],
  ])('but %s, with a 200, is tried again: nobody can know', async (_what, body) => {
    answering(200, body);
    const outcome = await deliver();
    expect(outcome).toEqual({
      kind: 'retry',
      error: `${vonage.url.host} answered 200 with something that is not an answer of Vonage's SMS API.`,
      response: { status: 200, body: body.slice(0, 1_000) },
      retryAfterMs: null,
    });
  });

  test.each([500, 502, 503, 504, 408, 425, 429])('but a %d is tried again', async (status) => {
    answering(status, '<html>', { 'retry-after': '7' });
    expect(await deliver()).toEqual({
      kind: 'retry',
      error: `${vonage.url.host} answered ${status}`,
      response: { status, body: '<html>' },
      retryAfterMs: 7_000,
    });
  });

  test.each([400, 413, 414, 422, 431])('but a %d fails this message', async (status) => {
    answering(status, 'no');
    expect(await deliver()).toMatchObject({ kind: 'failed', error: `${vonage.url.host} answered ${status}` });
  });

  test.each([
    [401, 'The API key or its secret is wrong.'],
    [402, 'The account may not send.'],
    [403, 'The account may not send.'],
    [404, "What answers there is not Vonage's SMS API."],
    [405, "What answers there is not Vonage's SMS API."],
    [301, "What answers there is not Vonage's SMS API."],
  ])('but a %d stops the provider: no message would go', async (status, meaning) => {
    answering(status, '', { location: 'https://elsewhere.example/' });
    expect(await deliver()).toMatchObject({
      kind: 'stopped',
      error: expect.stringContaining(`answered ${status}: ${meaning}`),
      code: { code: `HTTP ${status}`, meaning },
    });
    expect(vonage.requests).toHaveLength(1);
  });

  test.each([
    [401, { status: '4' }, 'stopped'],
    [500, { status: '7' }, 'failed'],
    [420, { status: '1' }, 'retry'],
    [500, taken(), 'sent'],
  ])('in its status of HTTP, %d, but in its parts, is what its parts say', async (status, part, kind) => {
    answering(status, json(answerBody([part])));
    expect(await deliver()).toMatchObject({ kind });
  });
});

describe('a server that does not answer', () => {
  // Where there is something to arrive first it is waited for longer than it takes on a busy machine.
  test.each<[string, (response: ServerResponse) => void, number, RegExp]>([
    ['hangs up at once', (response) => response.destroy(), 5_000, /other side closed/],
    [
      'hangs up in its answer',
      (response) => response.writeHead(200).write('{"mess', () => response.destroy()),
      5_000,
      /200/,
    ],
    ['takes too long', () => undefined, 200, /did not answer within 200 ms$/],
    [
      'takes too long in its answer',
      (response) => response.writeHead(200).write('{"mess'),
      1_000,
      /200 with something/,
    ],
  ])('as it %s, leaves it to another try', async (_how, act, timeoutMs, error) => {
    vonage.answer(() => (_request, response) => act(response));
    expect(await deliver({}, { timeoutMs })).toMatchObject({
      kind: 'retry',
      error: expect.stringMatching(error),
      retryAfterMs: null,
    });
  });

  test('as it is not there, leaves it to another try', async () => {
    const url = new URL(`http://127.0.0.1:${await freePort()}`);
    expect(await deliver({}, { url })).toMatchObject({
      kind: 'retry',
      error: expect.stringContaining(url.host),
      response: null,
    });
  });

  test('in time, but slowly, is waited for', async () => {
    vonage.answer(() => (request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const text = JSON.stringify(answerBody([taken()], request.fields.to));
      const write = (from: number) => {
        if (from >= text.length) response.end();
        else response.write(text.slice(from, from + 20), () => setImmediate(write, from + 20));
      };
      write(0);
    });
    expect(await deliver()).toMatchObject({ kind: 'sent' });
  });

  test('is left when the process stops', async () => {
    vonage.answer(() => () => undefined);
    const stopping = new AbortController();
    const outcome = provider().deliver(DELIVERY, stopping.signal);
    await until(() => vonage.requests.length === 1);
    stopping.abort();
    expect(await outcome).toMatchObject({ kind: 'retry', error: expect.stringContaining('this process stops') });
  });
});

test('no outcome repeats the key or the secret', async () => {
  const outcomes: DeliveryOutcome[] = [];
  for (const { code } of VONAGE_CODES.values()) outcomes.push(await outcomeOf([{ status: code }]));
  for (const status of [200, 401, 404, 500]) {
    answering(status, '');
    outcomes.push(await deliver());
  }
  vonage.answer(() => (_request, response) => response.destroy());
  outcomes.push(await deliver());
  expect(JSON.stringify(outcomes)).not.toMatch(/abcd1234|a secret/);
});
