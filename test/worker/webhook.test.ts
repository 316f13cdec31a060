import { execFileSync } from 'node:child_process';
import type { LookupAddress } from 'node:dns';
import { once, setMaxListeners } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import net, { type AddressInfo, BlockList, isIPv4, type LookupFunction, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import type { Delivery, DeliveryOutcome, Provider } from '../../src/sends/providers/provider';
import {
  createTargetLookup,
  isPublicAddress,
  refusePrivateHost,
  TargetRefusedError,
} from '../../src/sends/providers/targets';
import { createWebhookProvider } from '../../src/sends/providers/webhook';
import { freePort } from '../support/ports';

type Deps = Parameters<typeof createWebhookProvider>[0];

const SECRET = `whsec_${Buffer.from('a secret, 24 bytes long!').toString('base64')}`;
/** An address of the public Internet, which nothing here may connect to. */
const PUBLIC = '8.8.8.8';
/** A timeout that no test waits for. */
const AMPLE_MS = 25_000;

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** A request as it arrived. */
interface Arrived {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}

interface Target {
  port: number;
  url: URL;
  /** The connections made to it, those that are closed included. */
  sockets: Socket[];
}

/** Listens on loopback until the end of the test. */
async function listen(server: Server, protocol = 'http'): Promise<Target> {
  const sockets: Socket[] = [];
  server.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined); // The other side may end it as it likes.
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  opened.push(async () => {
    const over = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await over;
  });
  const { port } = server.address() as AddressInfo;
  return { port, url: new URL(`${protocol}://127.0.0.1:${port}/`), sockets };
}

/** An HTTP server that keeps what it is sent, and then answers. */
async function receiver(answer: (response: ServerResponse, request: IncomingMessage) => void) {
  const requests: Arrived[] = [];
  const server = createHttpServer(async (request, response) => {
    const { method, url, headers } = request;
    const body = await text(request);
    requests.push({ method: method!, path: url!, headers: headers as Record<string, string>, body });
    answer(response, request);
  });
  return { ...(await listen(server)), requests };
}

/** A server that does as it likes once it has been sent something. */
function rude(behave: (socket: Socket) => void): Promise<Target> {
  return listen(net.createServer((socket) => socket.once('data', () => behave(socket))));
}

/** Waits until a connection is closed, in whichever way: `once` would reject when it is reset. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}

/** Writes something, and then something else again and again until the connection is closed. */
function trickle(socket: Socket, first: string, again: string): void {
  socket.write(first);
  const timer = setInterval(() => socket.write(again), 10);
  socket.once('close', () => clearInterval(timer));
}

const ok = (response: ServerResponse) => response.end('ok');
const never = new AbortController().signal;
setMaxListeners(0, never); // As many as there are attempts at once.

/** A provider until the end of the test. What it calls is on loopback, so it may. */
function providerFor(url: URL, deps: Partial<Deps> = {}): Provider {
  const provider = createWebhookProvider({
    url,
    secret: null,
    timeoutMs: AMPLE_MS,
    allowPrivateTargets: true,
    nowMs: Date.now,
    ...deps,
  });
  opened.push(() => provider.close());
  return provider;
}

const delivery = (fields: Partial<Delivery> = {}): Delivery => ({
  messageId: 'm1',
  takenMs: Date.UTC(2026, 1, 3, 4, 5, 6, 789),
  userId: 'u1',
  accountId: null,
  topicId: null,
  channel: null,
  to: { email: 'a@example.com' },
  template: null,
  content: null,
  data: null,
  metadata: null,
  ...fields,
});

/** One attempt, with a provider of its own. */
function deliver(url: URL, deps: Partial<Deps> = {}, signal = never): Promise<DeliveryOutcome> {
  return providerFor(url, deps).deliver(delivery(), signal);
}

/** A server that answers everything with that. */
async function deliverTo(status: number, headers: Record<string, string> = {}, deps: Partial<Deps> = {}) {
  const { url } = await receiver((response) => response.writeHead(status, headers).end(`it is ${status}`));
  return deliver(url, deps);
}

/** A DNS that leads every name there. */
const leadingTo =
  (...addresses: string[]) =>
  async (): Promise<LookupAddress[]> =>
    addresses.map((address) => ({ address, family: isIPv4(address) ? 4 : 6 }));

describe('what is sent', () => {
  test('a message is a POST of exactly these fields, with the headers of Standard Webhooks', async () => {
    const { url, requests } = await receiver(ok);
    const nowMs = Date.UTC(2026, 1, 3, 4, 5, 6, 789);
    const provider = providerFor(new URL('/hooks/in?tenant=7', url), { nowMs: () => nowMs });
    const sent = delivery({
      accountId: 'a1',
      topicId: 't1',
      channel: 'email',
      template: 'welcome',
      content: { title: 'Grüße', parts: [1, null] },
      data: { name: 'Zoë' },
      metadata: { trace: 'x' },
    });
    await provider.deliver(sent, never);
    expect(requests).toEqual([
      {
        method: 'POST',
        path: '/hooks/in?tenant=7',
        headers: {
          host: url.host,
          connection: 'keep-alive',
          'content-type': 'application/json',
          'content-length': expect.any(String),
          'user-agent': 'sendgate',
          'webhook-id': 'm1',
          'webhook-timestamp': '1770091506',
        },
        body: expect.any(String),
      },
    ]);
    expect(JSON.parse(requests[0]!.body)).toEqual({
      type: 'message.send',
      timestamp: '2026-02-03T04:05:06.789Z',
      data: {
        message_id: 'm1',
        user_id: 'u1',
        account_id: 'a1',
        topic_id: 't1',
        to: { email: 'a@example.com' },
        template: 'welcome',
        content: { title: 'Grüße', parts: [1, null] },
        data: { name: 'Zoë' },
        metadata: { trace: 'x' },
      },
    });
  });

  test('a field that the sender left out is null', async () => {
    const { url, requests } = await receiver(ok);
    await providerFor(url).deliver(delivery({ content: undefined }), never);
    expect(JSON.parse(requests[0]!.body).data).toEqual({
      message_id: 'm1',
      user_id: 'u1',
      account_id: null,
      topic_id: null,
      to: { email: 'a@example.com' },
      template: null,
      content: null,
      data: null,
      metadata: null,
    });
  });

  test('a secret without its whsec_ signs as the same one with it', async () => {
    const { url, requests } = await receiver(ok);
    await providerFor(url, { secret: SECRET.replace('whsec_', '') }).deliver(delivery(), never);
    const [{ body, headers }] = requests as [Arrived];
    expect(new Webhook(SECRET).verify(body, headers)).toEqual(JSON.parse(body));
  });

  test('with a secret, the library of Standard Webhooks verifies the body as it came, and only with that secret', async () => {
    const { url, requests } = await receiver(ok);
    await providerFor(url, { secret: SECRET }).deliver(delivery({ content: 'Grüße 👋 \ud800' }), never);
    const [{ body, headers }] = requests as [Arrived];
    expect(new Webhook(SECRET).verify(body, headers)).toEqual(JSON.parse(body));
    expect(() => new Webhook(SECRET).verify(`${body} `, headers)).toThrow('No matching signature');
    const other = new Webhook(`whsec_${Buffer.from('another').toString('base64')}`);
    expect(() => other.verify(body, headers)).toThrow('No matching signature');
  });

  test.each([
    ['order-17_a:b/c', 'order-17_a:b/c'],
    ['Grüße', 'Gr%C3%BC%C3%9Fe'],
    ['Gr%C3%BC%C3%9Fe', 'Gr%25C3%25BC%25C3%259Fe'],
    ['👋', '%F0%9F%91%8B'],
    [' a b ', '%20a%20b%20'],
    ['m.1.{}', 'm%2E1%2E{}'],
    ['a\r\nx-evil: 1', 'a%0D%0Ax-evil:%201'],
    ['👋'.repeat(256), '%F0%9F%91%8B'.repeat(256)],
  ])('the id %j is sent as %s, is verified as such, and is in the body as it is', async (messageId, header) => {
    const { url, requests } = await receiver(ok);
    expect(await providerFor(url, { secret: SECRET }).deliver(delivery({ messageId }), never)).toMatchObject({
      kind: 'sent',
    });
    const [{ body, headers }] = requests as [Arrived];
    expect(headers['webhook-id']).toBe(header);
    expect(decodeURIComponent(header)).toBe(messageId);
    expect(new Webhook(SECRET).verify(body, headers)).toMatchObject({ data: { message_id: messageId } });
  });

  test('whatever a message id is made of, it arrives', async () => {
    const { url, requests } = await receiver(ok);
    const provider = providerFor(url, { secret: SECRET });
    const someId = fc.string({ unit: 'binary', minLength: 1, maxLength: 256 });
    await fc.assert(
      fc.asyncProperty(someId, async (messageId) => {
        expect((await provider.deliver(delivery({ messageId }), never)).kind).toBe('sent');
        const { body, headers } = requests.at(-1)!;
        expect(decodeURIComponent(headers['webhook-id']!)).toBe(messageId);
        expect(new Webhook(SECRET).verify(body, headers)).toMatchObject({ data: { message_id: messageId } });
      }),
    );
  });

  test('another attempt of a message has the same webhook-id, and the same body, and a time and a signature of its own', async () => {
    const { url, requests } = await receiver((response) => response.writeHead(503).end());
    let nowMs = Date.now();
    const provider = providerFor(url, { secret: SECRET, nowMs: () => nowMs });
    await provider.deliver(delivery(), never);
    nowMs += 90_000;
    await provider.deliver(delivery(), never);
    const [first, second] = requests.map(({ headers }) => headers) as [Record<string, string>, Record<string, string>];
    expect(second['webhook-id']).toBe(first['webhook-id']);
    expect(Number(second['webhook-timestamp']) - Number(first['webhook-timestamp'])).toBe(90);
    expect(second['webhook-signature']).not.toBe(first['webhook-signature']);
    expect(requests[1]!.body).toBe(requests[0]!.body);
    for (const { body, headers } of requests) new Webhook(SECRET).verify(body, headers);
  });

  test.each([
    ['us%3Aer', 'p%40ss', 'us:er:p@ss'],
    ['user', '100%', 'user:100%'],
    ['user', '', 'user:'],
  ])(
    'a URL with the user %s and the password "%s" is called with basic authentication',
    async (user, password, plain) => {
      const { url, requests } = await receiver(ok);
      await deliver(new URL(`http://${user}:${password}@${url.host}/`));
      expect(requests[0]!.headers.authorization).toBe(`Basic ${Buffer.from(plain).toString('base64')}`);
    },
  );

  test('a secret or a URL that cannot be used is said at once, and not repeated', () => {
    const create = (deps: Partial<Deps>) => () => providerFor(new URL('http://example.com'), deps);
    expect(create({ secret: 'whsec_!hidden!' })).toThrow(/^(?!.*hidden)/);
    expect(create({ secret: 'whsec_' })).toThrow();
    expect(create({ url: new URL('ftp://user:hidden@example.com') })).toThrow(/^(?!.*hidden)/);
  });
});

describe('what becomes of it', () => {
  test.each([200, 201, 202, 299])('%i: it is sent', async (status) => {
    expect(await deliverTo(status)).toEqual({
      kind: 'sent',
      reference: null,
      response: { status, body: `it is ${status}` },
    });
  });

  test('204: it is sent, without any words', async () => {
    expect(await deliverTo(204)).toEqual({ kind: 'sent', reference: null, response: { status: 204, body: '' } });
  });

  test.each([408, 425, 429, 500, 501, 502, 503, 504, 599, 600, 999])('%i: it may go better later', async (status) => {
    expect(await deliverTo(status)).toEqual({
      kind: 'retry',
      error: expect.stringMatching(new RegExp(`^127\\.0\\.0\\.1:\\d+ answered ${status}: it is ${status}$`)),
      response: { status, body: `it is ${status}` },
      retryAfterMs: null,
    });
  });

  test.each([400, 401, 402, 403, 404, 405, 409, 410, 411, 413, 415, 418, 422, 451, 499])(
    '%i: it never will',
    async (status) => {
      expect(await deliverTo(status)).toEqual({
        kind: 'failed',
        error: expect.stringMatching(new RegExp(`^127\\.0\\.0\\.1:\\d+ answered ${status}: it is ${status}$`)),
        response: { status, body: `it is ${status}` },
      });
    },
  );

  test.each<[words: string, said: string, told: string]>([
    ['in one line', ' no such\n\tuser\u0000\u001b[31m here ', ': no such user [31m here'],
    ['cut short', 'x'.repeat(300), `: ${'x'.repeat(199)}…`],
    ['without half a character', `${'x'.repeat(198)}😀😀`, `: ${'x'.repeat(198)}\ufffd…`],
    ['not at all when it is a page', '\n<!doctype html><html><head><title>502</title>', ''],
    ['not at all when it is nothing', ' \n', ''],
  ])('what an answer says is told %s', async (_words, said, told) => {
    const { url } = await receiver((response) => response.writeHead(400).end(said));
    expect(await deliver(url)).toMatchObject({ kind: 'failed', error: `${url.host} answered 400${told}` });
  });

  test.each([300, 301, 302, 303, 307, 308])('%i: where it leads is told, and is not called', async (status) => {
    const other = await receiver(ok);
    expect(await deliverTo(status, { location: `${other.url}hooks` })).toEqual({
      kind: 'failed',
      error: expect.stringMatching(
        new RegExp(` answered ${status}: redirects are not followed \\(to ${other.url}hooks\\)$`),
      ),
      response: { status, body: `it is ${status}` },
    });
    expect(other.sockets).toEqual([]);
  });

  test.each([
    ['one that is relative', '../v2/', / \(to http:\/\/127\.0\.0\.1:\d+\/v2\/\)$/],
    [
      'one with secrets in it',
      'https://user:hidden@example.com/in?token=hidden#hidden',
      / \(to https:\/\/example\.com\/in\)$/,
    ],
    ['one that is no URL', 'http://[', /redirects are not followed$/],
    ['one that is endless', `/${'x'.repeat(5_000)}`, /^.{500,600}$/],
    ['none', undefined, /redirects are not followed$/],
  ])('of where a redirect leads, %s, only what is no secret is told', async (_, location, words) => {
    const outcome = await deliverTo(302, location === undefined ? {} : { location });
    expect(outcome).toMatchObject({ kind: 'failed', error: expect.stringMatching(words) });
    expect(JSON.stringify(outcome)).not.toContain('hidden');
  });

  const NOW_MS = Date.UTC(2026, 0, 1);
  const DAY_MS = 86_400_000;
  test.each([
    [429, '120', 120_000],
    [503, '0', 0],
    [503, 'Thu, 01 Jan 2026 00:10:00 GMT', 600_000],
    [429, 'Wed, 31 Dec 2025 23:59:59 GMT', 0],
    [429, '86401', DAY_MS],
    [429, '9'.repeat(400), DAY_MS],
    [503, 'Fri, 01 Jan 2027 00:00:00 GMT', DAY_MS],
    [429, '', null],
    [429, '-5', null],
    [429, '1.5', null],
    [429, '1e3', null],
    [429, 'soon', null],
    [429, 'in 5 minutes', null],
    [429, '2026-01-01T00:10:00Z', null],
    [503, 'Thu, 99 Jan 2026 00:10:00 GMT', null],
    [503, 'Thu, 01 Foo 2026 00:10:00 GMT', null],
    [500, '120', null],
    [408, '120', null],
  ])('%i with the Retry-After "%s" asks for a pause of %p ms', async (status, value, pauseMs) => {
    expect(await deliverTo(status, { 'retry-after': value }, { nowMs: () => NOW_MS })).toMatchObject({
      kind: 'retry',
      retryAfterMs: pauseMs,
    });
  });

  test('of several Retry-After none is obeyed', async () => {
    const { url } = await receiver((response) => {
      response.statusCode = 429;
      response.setHeader('retry-after', ['1', '2']).end();
    });
    expect(await deliver(url)).toMatchObject({ kind: 'retry', retryAfterMs: null });
  });

  test('a port that nobody listens on: it may go better later', async () => {
    const port = await freePort();
    expect(await deliver(new URL(`http://127.0.0.1:${port}`))).toEqual({
      kind: 'retry',
      error: `127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`,
      response: null,
      retryAfterMs: null,
    });
  });

  test('several addresses, none of which answers: each is told of', async () => {
    const port = await freePort();
    const lookup = leadingTo('127.0.0.1', '127.0.0.2');
    expect(await deliver(new URL(`http://hooks.test:${port}`), { lookup })).toMatchObject({
      kind: 'retry',
      error: `hooks.test:${port}: connect ECONNREFUSED 127.0.0.1:${port}; connect ECONNREFUSED 127.0.0.2:${port}`,
    });
  });

  test.each([
    ['closes', (socket: Socket) => socket.end()],
    ['resets', (socket: Socket) => socket.resetAndDestroy()],
    ['closes in its headers', (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-')],
    [
      'resets in its headers',
      (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-', () => socket.resetAndDestroy()),
    ],
    ['speaks something else', (socket: Socket) => socket.end('220 mail.example.com ESMTP\r\n')],
    ['has a status that is none', (socket: Socket) => socket.end('HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n')],
    [
      'changes the protocol',
      (socket: Socket) => socket.write('HTTP/1.1 101 Go\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    ],
    ['has no end of headers', (socket: Socket) => socket.write(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(10_000)}`)],
  ])('a server that %s: it may go better later', async (_, behave) => {
    const { url } = await rude(behave);
    expect(await deliver(url)).toEqual({
      kind: 'retry',
      error: expect.stringMatching(new RegExp(`^${url.host}: .`)),
      response: null,
      retryAfterMs: null,
    });
  });

  test('what comes before the answer proper (103) decides nothing', async () => {
    const { url } = await rude((socket) =>
      socket.write('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n'),
    );
    expect(await deliver(url)).toMatchObject({ kind: 'failed', response: { status: 404 } });
  });

  test('a connection that the server has closed meanwhile is made again', async () => {
    const { url, sockets, requests } = await receiver(ok);
    const provider = providerFor(url);
    for (const count of [1, 2]) {
      expect(await provider.deliver(delivery(), never)).toMatchObject({ kind: 'sent' });
      expect(sockets).toHaveLength(count);
      sockets.at(-1)!.end();
      await closed(sockets.at(-1)!);
    }
    expect(requests).toHaveLength(2);
  });
});

describe('time and size', () => {
  const TIMEOUT_MS = 200;
  /** One within which something else is to happen first, on a busy machine too. */
  const LONGER_TIMEOUT_MS = 1_500;

  test.each([
    ['that says nothing', () => rude(() => undefined)],
    ['that stops in its headers', () => rude((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-'))],
    ['whose headers never end', () => rude((socket) => trickle(socket, 'HTTP/1.1 200 OK\r\n', 'x: y\r\n'))],
    ['that only ever promises', () => rude((socket) => trickle(socket, '', 'HTTP/1.1 102 Processing\r\n\r\n'))],
    [
      'that never begins TLS',
      () =>
        listen(
          net.createServer((socket) => socket.resume()),
          'https',
        ),
    ],
  ])('a server %s: the attempt ends in time, and may go better later', async (_, start) => {
    const { url } = await start();
    expect(await deliver(url, { timeoutMs: TIMEOUT_MS })).toEqual({
      kind: 'retry',
      error: `${url.host} did not answer within ${TIMEOUT_MS} ms`,
      response: null,
      retryAfterMs: null,
    });
  });

  test('a DNS that never answers: the attempt ends in time, and may go better later', async () => {
    const lookup = () => new Promise<never>(() => undefined);
    expect(await deliver(new URL('http://hooks.test'), { lookup, timeoutMs: TIMEOUT_MS })).toMatchObject({
      kind: 'retry',
      error: `hooks.test did not answer within ${TIMEOUT_MS} ms`,
    });
  });

  test('an attempt that ended before its connection was made is never sent', async () => {
    const { url, requests, sockets } = await receiver(ok);
    let answer!: (found: LookupAddress[]) => void;
    const found = new Promise<LookupAddress[]>((resolve) => {
      answer = resolve;
    });
    const provider = providerFor(new URL(`http://hooks.test:${url.port}`), {
      lookup: () => found,
      timeoutMs: LONGER_TIMEOUT_MS,
    });
    expect(await provider.deliver(delivery({ messageId: 'late' }), never)).toMatchObject({ kind: 'retry' });
    answer(await leadingTo('127.0.0.1')());
    expect(await provider.deliver(delivery({ messageId: 'next' }), never)).toMatchObject({ kind: 'sent' });
    await provider.close();
    expect(requests.map(({ headers }) => headers['webhook-id'])).toEqual(['next']);
    await Promise.all(sockets.map(closed));
    expect(requests).toHaveLength(1);
  });

  test.each([
    [200, 'sent'],
    [404, 'failed'],
    [500, 'retry'],
  ])('%i, and a body that stops or trickles for ever: the status decides, in time', async (status, kind) => {
    const head = `HTTP/1.1 ${status} Whatever\r\ncontent-length: 1000000\r\n\r\n`;
    const stopping = await rude((socket) => socket.write(`${head}so far`));
    const trickling = await rude((socket) => trickle(socket, head, 'o'));
    expect(await deliver(stopping.url, { timeoutMs: LONGER_TIMEOUT_MS })).toMatchObject({
      kind,
      response: { status, body: 'so far' },
    });
    expect(await deliver(trickling.url, { timeoutMs: LONGER_TIMEOUT_MS })).toMatchObject({
      kind,
      response: { status, body: expect.stringMatching(/^o+$/) },
    });
  });

  test.each([
    ['is closed', (socket: Socket) => socket.end()],
    ['is reset', (socket: Socket) => socket.resetAndDestroy()],
    ['becomes nonsense', (socket: Socket) => socket.write('no length of a chunk')],
  ])('200, and a connection that %s in the body: it is sent', async (_, end) => {
    const { url } = await rude((socket) =>
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nso far\r\n', () => end(socket)),
    );
    expect(await deliver(url)).toMatchObject({ kind: 'sent', response: { status: 200 } });
  });

  test.each([
    ['of 10 MB', (response: ServerResponse) => response.end('x'.repeat(10_000_000))],
    [
      'without an end',
      (response: ServerResponse) => {
        const write = () => {
          while (!response.destroyed && response.write('x'.repeat(10_000)));
        };
        response.on('drain', write);
        write();
      },
    ],
  ])('a body %s is cut off: it is sent, and the connection closed', async (_, answer) => {
    const { url, sockets } = await receiver(answer);
    const provider = providerFor(url);
    const outcome = await provider.deliver(delivery(), never);
    expect(outcome).toEqual({ kind: 'sent', reference: null, response: { status: 200, body: 'x'.repeat(1_000) } });
    await closed(sockets[0]!);
    expect(await provider.deliver(delivery(), never)).toEqual(outcome);
    expect(sockets).toHaveLength(2);
  });

  test('of a body its first 1,000 characters are kept, whole ones, and a body of some length does not cost the connection', async () => {
    const { url, sockets } = await receiver((response) => response.end(`a${'👋'.repeat(10_000)}`));
    const provider = providerFor(url);
    for (let attempt = 0; attempt < 10; attempt += 1) {
      expect(await provider.deliver(delivery(), never)).toMatchObject({ response: { body: `a${'👋'.repeat(999)}` } });
    }
    // Not one alone: the next attempt may come before undici has taken the connection back.
    expect(sockets.length).toBeLessThanOrEqual(2);
  });

  test('a body that breaks off in a character is kept without it', async () => {
    const { url } = await rude((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n');
      socket.end(Buffer.from('é👋').subarray(0, 5));
    });
    expect(await deliver(url)).toMatchObject({ kind: 'sent', response: { body: 'é' } });
  });

  test('as many attempts go on at once as are asked for, none waiting for another', async () => {
    const waiting: ServerResponse[] = [];
    const { url } = await receiver((response) => {
      if (waiting.push(response) === 100) for (const each of waiting) each.end();
    });
    const provider = providerFor(url);
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => provider.deliver(delivery(), never)));
    expect(outcomes.every(({ kind }) => kind === 'sent')).toBe(true);
  });
});

describe('the end', () => {
  const broken = {
    kind: 'retry',
    error: 'The attempt was broken off because this process stops.',
    response: null,
    retryAfterMs: null,
  };

  test('an attempt whose signal is aborted ends at once, closes its connection, and may be made again', async () => {
    const stopping = new AbortController();
    const { url, sockets } = await receiver(() => stopping.abort());
    expect(await deliver(url, {}, stopping.signal)).toEqual(broken);
    await closed(sockets[0]!);
  });

  test('an attempt whose signal is aborted while it connects ends at once', async () => {
    const stopping = new AbortController();
    const lookup = () => {
      stopping.abort();
      return new Promise<never>(() => undefined);
    };
    expect(await deliver(new URL('http://hooks.test'), { lookup }, stopping.signal)).toEqual(broken);
  });

  test('an attempt whose signal was aborted before calls nobody', async () => {
    const { url, sockets } = await receiver(ok);
    expect(await deliver(url, {}, AbortSignal.abort())).toEqual(broken);
    expect(sockets).toEqual([]);
  });

  test('an attempt whose signal is aborted when the status is there is what the status says', async () => {
    const { url, sockets } = await receiver((response) => response.writeHead(200).write('so far'));
    const stopping = new AbortController();
    let asked = 0;
    const nowMs = () => {
      asked += 1;
      // The time is asked for the request, and again when the answer is there.
      if (asked === 2) stopping.abort();
      return Date.now();
    };
    expect(await deliver(url, { nowMs }, stopping.signal)).toMatchObject({ kind: 'sent', response: { status: 200 } });
    expect(asked).toBe(2);
    await closed(sockets[0]!);
  });

  test('no attempt leaves anything at the signal of the process', async () => {
    const { url } = await receiver(ok);
    const { signal } = new AbortController();
    const add = jest.spyOn(signal, 'addEventListener');
    const remove = jest.spyOn(signal, 'removeEventListener');
    await deliver(url, {}, signal);
    expect(add).toHaveBeenCalledTimes(1);
    expect(remove.mock.calls).toEqual(add.mock.calls);
  });

  test('a close waits for what is under way, and afterwards nothing is sent', async () => {
    let closing!: Promise<void>;
    const { url, sockets } = await receiver((response) => {
      closing = provider.close();
      ok(response);
    });
    const provider = providerFor(url);
    expect(await provider.deliver(delivery(), never)).toMatchObject({ kind: 'sent' });
    await closing;
    expect(await provider.deliver(delivery(), never)).toEqual(broken);
    await provider.close();
    expect(sockets).toHaveLength(1);
  });

  test.each([
    ['an answer', () => rude(() => undefined)],
    [
      'a handshake',
      () =>
        listen(
          net.createServer((socket) => socket.resume()),
          'https',
        ),
    ],
  ])('a close does not wait for ever for %s: what is under way is broken off', async (_, start) => {
    const { url, sockets } = await start();
    const provider = providerFor(url, { timeoutMs: 60_000 });
    const outcome = provider.deliver(delivery(), never);
    await provider.close();
    expect(await outcome).toEqual(broken);
    await Promise.all(sockets.map(closed));
  });
});

describe('TLS', () => {
  let folder: string;
  let key: string;
  let cert: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sendgate-webhook-'));
    const path = (name: string) => join(folder, name);
    try {
      execFileSync(
        'openssl',
        [
          ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=hooks.test'],
          ...['-addext', 'subjectAltName=DNS:hooks.test,IP:127.0.0.1', '-keyout', path('key'), '-out', path('crt')],
        ],
        { stdio: 'pipe' },
      );
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new Error('openssl is not on the PATH: it makes the certificate of this test');
    }
    key = readFileSync(path('key'), 'utf8');
    cert = readFileSync(path('crt'), 'utf8');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const secure = () =>
    listen(
      createHttpsServer({ key, cert }, (_, response) => response.end('ok')),
      'https',
    );

  test.each(['hooks.test', '127.0.0.1'])(
    'an https URL of %s with a certificate of that name is called',
    async (host) => {
      const { port } = await secure();
      const url = new URL(`https://${host}:${port}`);
      expect(await deliver(url, { ca: cert, lookup: leadingTo('127.0.0.1') })).toMatchObject({ kind: 'sent' });
    },
  );

  test.each([
    ['of another name', 'other.test', true, "does not match certificate's altnames"],
    ['that nobody vouches for', 'hooks.test', false, 'self-signed certificate'],
  ])('a certificate %s: nothing is sent, and it may go better later', async (_, host, known, words) => {
    const { port } = await secure();
    const deps = { lookup: leadingTo('127.0.0.1'), ...(known ? { ca: cert } : {}) };
    expect(await deliver(new URL(`https://${host}:${port}`), deps)).toMatchObject({
      kind: 'retry',
      error: expect.stringContaining(words),
      response: null,
    });
  });

  test('a server that does not speak TLS: it may go better later', async () => {
    const { port } = await receiver(ok);
    expect(await deliver(new URL(`https://127.0.0.1:${port}`))).toMatchObject({ kind: 'retry', response: null });
  });

  test('a name that leads to a private address is refused over TLS too, before any connection', async () => {
    const { port, sockets } = await secure();
    const deps = { ca: cert, lookup: leadingTo('127.0.0.1'), allowPrivateTargets: false };
    expect(await deliver(new URL(`https://hooks.test:${port}`), deps)).toMatchObject({ kind: 'failed' });
    expect(sockets).toEqual([]);
  });
});

describe('targets', () => {
  const LITERALS = [
    ...['127.0.0.1', '127.1', '127.0.1', '0x7f.1', '0x7f000001', '0177.0.0.1', '2130706433', '017700000001'],
    ...['127.0.0.1.', '127.1.', '%31%32%37.0.0.1', '１２７.0.0.1', '127。0。0。1', '127.255.255.254', '0', '0.0.0.0'],
    ...['0.1.2.3', '10.0.0.1', '10.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254'],
    ...['0xa9fea9fe', '100.64.0.1', '100.100.100.200', '192.0.0.192', '192.0.2.1', '192.88.99.1', '198.18.0.1'],
    ...['198.51.100.1', '203.0.113.1', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255'],
    ...['[::]', '[::1]', '[0:0:0:0:0:0:0:1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::ffff:10.0.0.1]'],
    ...['[::ffff:169.254.169.254]', '[::127.0.0.1]', '[::ffff:0:127.0.0.1]', '[fe80::1]', '[febf::1]', '[fec0::1]'],
    ...['[fc00::1]', '[fd00:ec2::254]', '[ff02::1]', '[64:ff9b::7f00:1]', '[64:ff9b::10.0.0.1]', '[64:ff9b:1::1]'],
    ...['[2002:7f00:1::]', '[2002:a00:1::]', '[2001::1]', '[2001:db8::1]', '[2001:10::1]', '[100::1]', '[3fff::1]'],
    ...['[4000::1]', '[5f00::1]'],
  ];
  const NAMES = ['localhost', 'LOCALHOST', 'localhost.', 'a.localhost', 'a.localhost.', 'ⓛocalhost', 'local%68ost'];

  test.each([...LITERALS, ...NAMES])('http://%s/ is refused', async (host) => {
    const url = new URL(`http://${host}/`);
    expect(() => refusePrivateHost(url.hostname)).toThrow(TargetRefusedError);
  });

  test.each([
    ...['8.8.8.8', '134744072', '1.1.1.1', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0'],
    ...['172.15.255.255', '172.32.0.0', '192.167.255.255', '192.169.0.0', '169.253.255.255', '223.255.255.255'],
    ...['[2606:4700:4700::1111]', '[2a00:1450:4001::200e]', '[::ffff:8.8.8.8]', '[2003::1]'],
    ...['example.com', 'example.com.', 'localhost.example.com', 'notlocalhost', 'münchen.example'],
  ])('http://%s/ is not refused as it stands', (host) => {
    expect(() => refusePrivateHost(new URL(`http://${host}/`).hostname)).not.toThrow();
  });

  test.each(['127.0.0.1', '2130706433', '[::1]', '[::ffff:127.0.0.1]', 'localhost', 'localhost.'])(
    'http://%s is not called, and what would allow it is said',
    async (host) => {
      const { port, sockets } = await receiver(ok);
      const outcome = await deliver(new URL(`http://${host}:${port}`), { allowPrivateTargets: false });
      expect(outcome).toMatchObject({ kind: 'failed', response: null });
      expect(outcome).toMatchObject({
        error: expect.stringMatching(/^(\[?[\w.:]+\]?) (is not a public address|means this machine)\. To allow/),
      });
      expect(outcome).toMatchObject({ error: expect.stringContaining('set SENDGATE_ALLOW_PRIVATE_TARGETS') });
      expect(sockets).toEqual([]);
    },
  );

  test('localhost is called when private targets are allowed', async () => {
    const { port } = await receiver(ok);
    expect(await deliver(new URL(`http://localhost:${port}`))).toMatchObject({ kind: 'sent' });
  });

  test.each([
    ['127.0.0.1'],
    ['10.0.0.1', '192.168.1.1'],
    ['::1'],
    ['::ffff:127.0.0.1'],
    ['fe80::1%lo'],
    ['64:ff9b::7f00:1'],
  ])('a name that the DNS leads to %s is refused, without a connection', async (...addresses) => {
    const { port, sockets } = await receiver(ok);
    const url = new URL(`http://hooks.test:${port}`);
    expect(await deliver(url, { allowPrivateTargets: false, lookup: leadingTo(...addresses) })).toEqual({
      kind: 'failed',
      error: `hooks.test leads only to addresses that are not public (${addresses.join(', ')}). To allow such targets, set SENDGATE_ALLOW_PRIVATE_TARGETS.`,
      response: null,
    });
    expect(sockets).toEqual([]);
  });

  test.each([
    ['is not found', Object.assign(new Error('getaddrinfo ENOTFOUND hooks.test'), { code: 'ENOTFOUND' })],
    [
      'is asked of a DNS that is away',
      Object.assign(new Error('getaddrinfo EAI_AGAIN hooks.test'), { code: 'EAI_AGAIN' }),
    ],
  ])('a name that %s: it may go better later', async (_, error) => {
    const lookup = () => Promise.reject(error);
    expect(await deliver(new URL('http://hooks.test'), { lookup, allowPrivateTargets: false })).toEqual({
      kind: 'retry',
      error: `hooks.test: ${error.message}`,
      response: null,
      retryAfterMs: null,
    });
  });

  test('a name without an address: it may go better later', async () => {
    const outcome = await deliver(new URL('http://hooks.test'), { lookup: leadingTo(), allowPrivateTargets: false });
    expect(outcome).toMatchObject({ kind: 'retry', error: 'hooks.test: hooks.test has no address' });
  });

  /**
   * An Internet in which every address is a server on loopback, for connections without TLS until the end of the test.
   * @returns the addresses that were to be connected to
   */
  function pretendInternet(): string[] {
    const dialled: string[] = [];
    const connect = net.connect as (options: net.TcpNetConnectOpts) => Socket;
    const spy = jest.spyOn(net, 'connect').mockImplementation(((options: net.TcpNetConnectOpts) => {
      const lookup: LookupFunction = (hostname, how, callback) =>
        options.lookup!(hostname, how, (error, found) => {
          if (error !== null) return callback(error, []);
          dialled.push(...(found as LookupAddress[]).map(({ address }) => address));
          callback(null, [{ address: '127.0.0.1', family: 4 }]);
        });
      return connect({ ...options, lookup });
    }) as typeof net.connect);
    opened.push(() => spy.mockRestore());
    return dialled;
  }

  test('a name that leads to a public address is called there', async () => {
    const { port, requests } = await receiver(ok);
    const dialled = pretendInternet();
    const deps = { allowPrivateTargets: false, lookup: leadingTo(PUBLIC) };
    expect(await deliver(new URL(`http://hooks.test:${port}`), deps)).toMatchObject({ kind: 'sent' });
    expect(dialled).toEqual([PUBLIC]);
    expect(requests[0]!.headers.host).toBe(`hooks.test:${port}`);
  });

  test('of a name that leads to public and private addresses only the public ones are connected to', async () => {
    const { port } = await receiver(ok);
    const dialled = pretendInternet();
    const lookup = leadingTo('10.0.0.1', PUBLIC, '::1', '2606:4700::1', '::ffff:127.0.0.1');
    const deps = { allowPrivateTargets: false, lookup };
    expect(await deliver(new URL(`http://hooks.test:${port}`), deps)).toMatchObject({ kind: 'sent' });
    expect(dialled).toEqual([PUBLIC, '2606:4700::1']);
  });

  test('a name that leads elsewhere once it was looked at (DNS rebinding) never leads to this machine', async () => {
    const { port, sockets } = await receiver((response) => response.writeHead(200, { connection: 'close' }).end());
    const dialled = pretendInternet();
    let asked = 0;
    const lookup = async () => {
      asked += 1;
      return leadingTo(asked === 1 ? PUBLIC : '127.0.0.1')();
    };
    const provider = providerFor(new URL(`http://hooks.test:${port}`), { allowPrivateTargets: false, lookup });

    // Looked at and connected to are one: the DNS is not asked again in between.
    expect(await provider.deliver(delivery(), never)).toMatchObject({ kind: 'sent' });
    expect([asked, dialled]).toEqual([1, [PUBLIC]]);

    expect(await provider.deliver(delivery(), never)).toMatchObject({ kind: 'failed' });
    expect([asked, dialled]).toEqual([2, [PUBLIC]]);
    expect(sockets).toHaveLength(1);
  });

  test('a redirect to this machine is not followed', async () => {
    const inner = await receiver(ok);
    const { port } = await receiver((response) => response.writeHead(307, { location: inner.url.href }).end());
    pretendInternet();
    const deps = { allowPrivateTargets: false, lookup: leadingTo(PUBLIC) };
    expect(await deliver(new URL(`http://hooks.test:${port}`), deps)).toMatchObject({
      kind: 'failed',
      error: `hooks.test:${port} answered 307: redirects are not followed (to ${inner.url})`,
    });
    expect(inner.sockets).toEqual([]);
  });

  test('who asks for one address is given a public one', async () => {
    const lookup = createTargetLookup(false, leadingTo('10.0.0.1', PUBLIC, '1.1.1.1'));
    const given = await new Promise((resolve) => lookup('hooks.test', {}, (...reply) => resolve(reply)));
    expect(given).toEqual([null, PUBLIC, 4]);
  });

  /** What is special by https://www.iana.org/assignments/iana-ipv4-special-registry, and what is multicast. */
  const SPECIAL_4 = [
    ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
    ...['192.0.2.0/24', '192.31.196.0/24', '192.52.193.0/24', '192.88.99.0/24', '192.168.0.0/16', '192.175.48.0/24'],
    ...['198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
  ];
  /** The same of IPv6, where all that is not below 2000::/3 is either special or not in use. */
  const SPECIAL_6 = [
    ...['::/3', '4000::/2', '8000::/1', '2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20'],
  ];
  const bytesOf = (address: string): number[] => {
    const hosts = new URL(isIPv4(address) ? `http://${address}` : `http://[${address}]`).hostname;
    if (isIPv4(hosts)) return hosts.split('.').map(Number);
    const [head, tail] = hosts.slice(1, -1).split('::') as [string, string | undefined];
    const groups = (part: string | undefined) =>
      part ? part.split(':').map((group) => Number.parseInt(group, 16)) : [];
    const [front, back] = [groups(head), groups(tail)];
    const all = [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
    return all.flatMap((group) => [group >> 8, group & 255]);
  };
  /** Any address of a range, as bytes. */
  const within = (range: string): fc.Arbitrary<number[]> => {
    const [address, prefix] = range.split('/') as [string, string];
    const base = bytesOf(address);
    return fc.uint8Array({ minLength: base.length, maxLength: base.length }).map((random) =>
      base.map((byte, index) => {
        const fixedBits = Math.min(Math.max(Number(prefix) - index * 8, 0), 8);
        return byte | (random[index]! & (255 >> fixedBits));
      }),
    );
  };
  const text4 = (bytes: readonly number[]) => bytes.join('.');
  const text6 = (bytes: readonly number[]) =>
    Array.from({ length: 8 }, (_, group) => ((bytes[group * 2]! << 8) | bytes[group * 2 + 1]!).toString(16)).join(':');
  const numberOf = (bytes: readonly number[]) => bytes.reduce((sum, byte) => sum * 256 + byte, 0);

  test('no special address of IPv4 passes, in whatever spelling or wrapping', () => {
    const spellings: ((bytes: number[]) => string)[] = [
      text4,
      (bytes) => `${text4(bytes)}.`,
      (bytes) => `${numberOf(bytes)}`,
      (bytes) => `0x${numberOf(bytes).toString(16)}`,
      (bytes) => `0${numberOf(bytes).toString(8)}`,
      (bytes) => bytes.map((byte) => `0${byte.toString(8)}`).join('.'),
      (bytes) => bytes.map((byte) => `0x${byte.toString(16)}`).join('.'),
      (bytes) => `${bytes[0]}.${numberOf(bytes.slice(1))}`,
      (bytes) => `${bytes[0]}.${bytes[1]}.${numberOf(bytes.slice(2))}`,
      (bytes) => `[::ffff:${text4(bytes)}]`,
      (bytes) => `[::${text4(bytes)}]`,
      (bytes) => `[::ffff:0:${text4(bytes)}]`,
      (bytes) => `[64:ff9b::${text4(bytes)}]`,
      (bytes) => `[64:ff9b:1::${text4(bytes)}]`,
      (bytes) => `[${text6([0x20, 0x02, ...bytes, ...Array<number>(10).fill(0)])}]`,
    ];
    const someBytes = fc.oneof(...SPECIAL_4.map(within));
    fc.assert(
      fc.property(someBytes, fc.constantFrom(...spellings), (bytes, spell) => {
        expect(() => refusePrivateHost(new URL(`http://${spell(bytes)}/`).hostname)).toThrow(TargetRefusedError);
      }),
      { numRuns: 5_000 },
    );
  });

  test('no special address of IPv6 passes', () => {
    // What is mapped is judged as the IPv4 that it is: see above.
    const mapped = /^0:0:0:0:0:ffff:/;
    const someText = fc.oneof(...SPECIAL_6.map(within)).map(text6);
    fc.assert(
      fc.property(
        someText.filter((address) => !mapped.test(address)),
        (address) => {
          expect(isPublicAddress(address)).toBe(false);
          expect(() => refusePrivateHost(new URL(`http://[${address}]/`).hostname)).toThrow(TargetRefusedError);
        },
      ),
      { numRuns: 5_000 },
    );
  });

  test('every other address passes', () => {
    // One of each kind: as an address of IPv6, every one of IPv4 is in ::/3.
    const special = { ipv4: new BlockList(), ipv6: new BlockList() };
    const kindOf = (address: string) => (isIPv4(address) ? 'ipv4' : 'ipv6');
    for (const range of [...SPECIAL_4, ...SPECIAL_6]) {
      const [address, prefix] = range.split('/') as [string, string];
      special[kindOf(address)].addSubnet(address, Number(prefix), kindOf(address));
    }
    const some = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    const some4 = some(4).map((bytes) => text4([...bytes]));
    const some6 = some(16).map((bytes) => text6([0x20 | (bytes[0]! & 0x1f), ...bytes.slice(1)]));
    fc.assert(
      fc.property(fc.oneof(some4, some6), (address) => {
        const kind = kindOf(address);
        expect(isPublicAddress(address)).toBe(!special[kind].check(address, kind));
      }),
      { numRuns: 5_000 },
    );
  });

  test.each(['', 'example.com', '127.0.0', '1.2.3.4.5', ':::', '[::1]', '8.8.8.8/8'])(
    '"%s", which is no address, is no public one',
    (address) => {
      expect(isPublicAddress(address)).toBe(false);
    },
  );
});

describe('what nobody may read', () => {
  const hidden = (url: URL) => new URL(`http://hidden:hidden@${url.host}/in?token=hidden`);

  test.each([
    ['is away', async () => new URL(`http://127.0.0.1:${await freePort()}`), {}],
    ['is silent', async () => (await rude(() => undefined)).url, { timeoutMs: 100 }],
    ['speaks something else', async () => (await rude((socket) => socket.end('no\r\n'))).url, {}],
    ['is refused', async () => new URL('http://127.0.0.1:1'), { allowPrivateTargets: false }],
    ['fails', async () => (await receiver((response) => response.writeHead(500).end())).url, {}],
    [
      'redirects to the same',
      async () => {
        const { url } = await receiver((response, { url }) =>
          response.writeHead(308, { location: `http://hidden:hidden@example.com${url}` }).end(),
        );
        return url;
      },
      {},
    ],
  ])('a receiver that %s: neither secret, nor password, nor query is told', async (_, start, deps) => {
    const secret = `whsec_${Buffer.from('hidden').toString('base64')}`;
    const outcome = await deliver(hidden(await start()), { secret, ...deps });
    expect(outcome.kind).not.toBe('sent');
    expect(JSON.stringify(outcome)).not.toMatch(/hidden|whsec|aGlkZGVu/);
  });
});
