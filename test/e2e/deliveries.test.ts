import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dayThatLasts } from '../support/day';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';
import { endAllSendgates, type Sendgate, startSendgate } from '../support/sendgate';
import { until } from '../support/sends';

/** What one message came to at the receiver. */
interface Arrival {
  id: string;
  atMs: number;
}

let server: Server;
let url: string;
let arrivals: Arrival[];
/** What the receiver does with the nth request for a user. */
let behaviour: Record<string, (response: ServerResponse, time: number) => void>;
/** What must never be called. */
let forbidden: Server;
let forbiddenCalls = 0;

beforeAll(async () => {
  forbidden = createServer((_request, response) => {
    forbiddenCalls += 1;
    response.end();
  }).listen(0, '127.0.0.1');
  const times = new Map<string, number>();
  server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      const { message_id: id, user_id: user } = JSON.parse(text).data;
      arrivals.push({ id, atMs: performance.now() });
      const time = (times.get(id) ?? 0) + 1;
      times.set(id, time);
      const act = behaviour[user];
      if (act === undefined) response.writeHead(200).end('ok');
      else act(response, time);
    });
  }).listen(0, '127.0.0.1');
  await Promise.all([server, forbidden].map((one) => new Promise((resolve) => one.once('listening', resolve))));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
});
afterAll(async () => {
  for (const one of [server, forbidden]) {
    one.closeAllConnections();
    await new Promise((resolve) => one.close(resolve));
  }
});
beforeEach(() => {
  arrivals = [];
  behaviour = {};
});
afterEach(endAllSendgates);

const environment = (workspace: string, more: Record<string, string> = {}) => ({
  REDIS_URL: sharedRedisUrl(),
  PORT: '0',
  SENDGATE_WORKSPACE: workspace,
  SENDGATE_PROVIDER: 'webhook',
  SENDGATE_WEBHOOK_URL: url,
  SENDGATE_ALLOW_PRIVATE_TARGETS: 'true',
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

const send = async (api: string, user: string): Promise<string> =>
  (await call(api, 'POST', '/send', { message: { to: { user_id: user }, content: { body: 'hi' } } })).body.requestId;
const messageOf = async (api: string, id: string) => (await call(api, 'GET', `/messages/${id}`)).body;
const arrivalsOf = (id: string) => arrivals.filter((arrival) => arrival.id === id);

describe('a receiver', () => {
  let api: string;
  beforeEach(async () => {
    await dayThatLasts(60_000);
    api = await startSendgate(
      ['up'],
      environment(uniqueWorkspace(), {
        SENDGATE_TRIES: '3',
        SENDGATE_RETRY_FIRST_MS: '10',
        SENDGATE_RETRY_MAX_MS: '20',
        // Only one of them never answers: the others have time enough on a busy machine too.
        SENDGATE_WEBHOOK_TIMEOUT_MS: '2000',
      }),
    ).ready();
    await call(api, 'PUT', '/limits/user', { per: ['user'], period: 'day', max: 5 });
  }, 120_000);
  const ended = async (id: string) => {
    await until(async () => !['ENQUEUED', 'DELAYED'].includes((await messageOf(api, id)).status));
    return messageOf(api, id);
  };
  const used = async (user: string) => (await call(api, 'GET', `/usage?user_id=${user}`)).body.limits[0].used;

  test.each<[string, (response: ServerResponse, time: number) => void, number, object, number]>([
    [
      'answers 500 each time',
      (response) => response.writeHead(500).end('broken'),
      3,
      { status: 'UNDELIVERABLE', reason: 'FAILED' },
      0,
    ],
    [
      'answers 500 once',
      (response, time) => response.writeHead(time === 1 ? 500 : 200).end(),
      2,
      { status: 'SENT', tries: 2 },
      1,
    ],
    [
      'never answers',
      () => undefined,
      3,
      { status: 'UNDELIVERABLE', error: expect.stringContaining('did not answer within 2000 ms') },
      0,
    ],
    ['closes the connection', (response) => response.destroy(), 3, { status: 'UNDELIVERABLE', reason: 'FAILED' }, 0],
    ['answers 10 MB', (response) => response.writeHead(200).end('x'.repeat(10_485_760)), 1, { status: 'SENT' }, 1],
    [
      'redirects to another address',
      (response) =>
        response.writeHead(302, { location: `http://127.0.0.1:${(forbidden.address() as AddressInfo).port}/` }).end(),
      1,
      { status: 'UNDELIVERABLE', reason: 'PROVIDER_ERROR', error: expect.stringMatching(/redirect/) },
      0,
    ],
    [
      'refuses',
      (response) => response.writeHead(422).end('no such user'),
      1,
      { status: 'UNDELIVERABLE', reason: 'PROVIDER_ERROR' },
      0,
    ],
    ['takes it', (response) => response.writeHead(204).end(), 1, { status: 'SENT', error: null }, 1],
  ])('that %s', async (_name, act, times, outcome, count) => {
    behaviour.ann = act;
    const id = await send(api, 'ann');
    expect(await ended(id)).toMatchObject(outcome);
    expect(arrivalsOf(id)).toHaveLength(times);
    // What failed for good is given back.
    expect(await used('ann')).toBe(count);
    expect(forbiddenCalls).toBe(0);
  });

  test('that says what is wrong is quoted in the history, and explained', async () => {
    behaviour.ann = (response) => response.writeHead(422).end('no such user');
    const id = await send(api, 'ann');
    await ended(id);
    const { body: history } = await call(api, 'GET', `/messages/${id}/history`);
    expect(history.results.at(-1)).toMatchObject({
      ...{ type: 'UNDELIVERABLE', provider: 'webhook', try: 1, took_ms: expect.any(Number) },
      response: { status: 422, body: 'no such user' },
    });
    expect((await call(api, 'GET', `/messages/${id}/explain`)).body.summary).toMatch(
      /^Undeliverable after one try: .*422/,
    );
    // Sent again by hand, to a receiver that knows better now.
    behaviour = {};
    expect((await call(api, 'POST', `/messages/${id}/retry`)).status).toBe(202);
    expect(await ended(id)).toMatchObject({ status: 'SENT', tries: 1 });
    expect(await used('ann')).toBe(1);
  });

  test('that is busy and says for how long is asked again after that', async () => {
    behaviour.ann = (response, time) => {
      if (time === 1) response.writeHead(429, { 'retry-after': '1' }).end();
      else response.writeHead(200).end();
    };
    const id = await send(api, 'ann');
    expect(await ended(id)).toMatchObject({ status: 'SENT', tries: 2 });
    const [first, second] = arrivalsOf(id);
    expect(second!.atMs - first!.atMs).toBeGreaterThan(990);
  });
});

test('an address that is private is not called, unless it may be', async () => {
  const workspace = uniqueWorkspace();
  const api = await startSendgate(['up'], environment(workspace, { SENDGATE_ALLOW_PRIVATE_TARGETS: 'false' })).ready();
  const id = await send(api, 'ann');
  await until(async () => (await messageOf(api, id)).status === 'UNDELIVERABLE');
  expect((await messageOf(api, id)).error).toContain('SENDGATE_ALLOW_PRIVATE_TARGETS');
  expect(arrivals).toEqual([]);
});

test('a worker that dies in the middle of a delivery has it made again within 15 seconds, as often as they die', async () => {
  const workspace = uniqueWorkspace();
  const api = await startSendgate(['api'], environment(workspace)).ready();
  // It answers nobody until two workers have died over it.
  behaviour.ann = (response, time) => void (time > 2 && response.writeHead(200).end());
  const start = () => startSendgate(['worker'], environment(workspace));
  const workers: Sendgate[] = [start(), start(), start()];
  await Promise.all(workers.map((worker) => worker.logged('The worker is ready.')));
  const id = await send(api, 'ann');
  for (let deaths = 1; deaths <= 2; deaths += 1) {
    await until(() => arrivalsOf(id).length === deaths);
    const diedMs = performance.now();
    // Nobody knows which of them has it: all but those that start now die.
    const victims = workers.splice(0);
    workers.push(start(), start());
    for (const victim of victims) victim.signal('SIGKILL');
    await Promise.all(victims.map((victim) => victim.ended));
    await until(() => arrivalsOf(id).length === deaths + 1, 25_000);
    expect(performance.now() - diedMs).toBeLessThan(15_000);
  }
  await until(async () => (await messageOf(api, id)).status === 'SENT');
  const { body } = await call(api, 'GET', `/messages/${id}/history`);
  expect(body.results.map(({ type }: { type: string }) => type)).toEqual([
    'ENQUEUED',
    'REDELIVERED',
    'REDELIVERED',
    'SENT',
  ]);
}, 180_000);

test('a worker that is told to stop lets a delivery end, records it, and takes no other', async () => {
  const workspace = uniqueWorkspace();
  const api = await startSendgate(['api'], environment(workspace)).ready();
  const worker = startSendgate(['worker'], environment(workspace, { SENDGATE_CONCURRENCY: '1' }));
  await worker.logged('The worker is ready.');
  let finish: () => void = () => undefined;
  behaviour.ann = (response) => {
    finish = () => response.writeHead(200).end();
  };
  const [first, second] = [await send(api, 'ann'), await send(api, 'bob')];
  await until(() => arrivalsOf(first).length === 1);
  worker.signal('SIGTERM');
  await worker.logged('SIGTERM: stopping.');
  finish();
  expect(await worker.ended).toBe(0);
  expect((await messageOf(api, first)).status).toBe('SENT');
  expect((await messageOf(api, second)).status).toBe('ENQUEUED');
  expect(worker.log().filter(({ level }) => level === 'error')).toEqual([]);
});
