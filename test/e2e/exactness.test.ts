import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { dayThatLasts } from '../support/day';
import { startRedis, uniqueWorkspace } from '../support/redis';
import { startCluster } from '../support/redis-cluster';
import { endAllSendgates, type Sendgate, startSendgate } from '../support/sendgate';

const HOUR_MS = 3_600_000;
const agent = new Agent({ keepAlive: true, maxSockets: 64 });

interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it and compare
  body: any;
}

/** One call. Rejects when the connection breaks. */
function call(url: string, method: string, path: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const outgoing = request(url + path, { agent, method, headers }, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      incoming.on('end', () => resolve({ status: incoming.statusCode!, body: JSON.parse(text) }));
      incoming.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Does work for each item, at most `width` at once. */
async function eachOf<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < items.length) {
        const index = next;
        next += 1;
        results[index] = await work(items[index]!, index);
      }
    }),
  );
  return results;
}

describe.each(['a Redis', 'a Redis Cluster'])('API processes on %s', (kind) => {
  let server: { url: string; stop(): Promise<void> };
  let workspace: string;
  beforeAll(async () => {
    server = kind === 'a Redis' ? await startRedis() : await startCluster();
  }, 60_000);
  afterAll(async () => {
    agent.destroy();
    await server.stop();
  });
  beforeEach(async () => {
    await dayThatLasts(120_000);
    workspace = uniqueWorkspace();
  }, 180_000);
  afterEach(endAllSendgates);

  function startApi(skewMs = 0): Sendgate {
    const environment: Record<string, string> = {
      PORT: '0',
      REDIS_URL: server.url,
      SENDGATE_WORKSPACE: workspace,
      // A machine that runs four of them on two cores may be slow: what is tested here is not how fast they are.
      SENDGATE_CHECK_TIMEOUT_MS: '20000',
    };
    if (skewMs !== 0) {
      environment.NODE_OPTIONS = `--require ${join(__dirname, '../support/skewed-clock.js')}`;
      environment.SKEW_MS = String(skewMs);
    }
    return startSendgate(['api'], environment);
  }
  const put = async (url: string, id: string, limit: unknown) =>
    expect((await call(url, 'PUT', `/limits/${id}`, limit)).status).toBe(200);

  test('2,000 concurrent checks of four processes, two with clocks that are off, accept exactly 100', async () => {
    const skews = [0, HOUR_MS, -HOUR_MS, 0];
    const urls = await Promise.all(skews.map((skewMs) => startApi(skewMs).ready()));
    await put(urls[0]!, 'all', { per: [], period: 'month', max: 100 });
    await put(urls[1]!, 'user-day', { per: ['user'], period: 'day', max: 100_000 });
    await put(urls[2]!, 'topic-hour', { per: ['user', 'topic'], period: 'billing_period', max: 100 });
    const message = { user_id: 'ann', topic_id: 'news' };
    const answers = await eachOf(Array.from({ length: 2_000 }), 64, (_, index) =>
      call(urls[index % urls.length]!, 'POST', '/check', message),
    );
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(answers.filter(({ body }) => body.degraded)).toEqual([]);
    expect(answers.filter(({ body }) => body.allowed)).toHaveLength(100);
    for (const url of urls) {
      const { limits } = (await call(url, 'GET', '/usage?user_id=ann&topic_id=news')).body;
      expect(limits.map((limit: { used: number }) => limit.used)).toEqual([100, 100, 100]);
    }
  }, 180_000);

  test('killed in the middle of 10,000 checks, and asked again with the same ids, it has counted each message once', async () => {
    const api = startApi();
    const url = await api.ready();
    await put(url, 'all', { per: [], period: 'month', max: 1_000_000 });
    await put(url, 'user', { per: ['user'], period: 'week', max: 1_000_000 });
    const messages = Array.from({ length: 10_000 }, (_, index) => ({
      user_id: `u-${index % 7}`,
      message_id: `m-${index}`,
    }));
    let answered = 0;
    const ask = (to: string) =>
      eachOf(messages, 64, async (message) => {
        try {
          const answer = await call(to, 'POST', '/check', message);
          answered += 1;
          if (answered === 4_000 && to === url) api.signal('SIGKILL');
          return answer;
        } catch {
          return null; // Its connection broke: whether it was counted nobody knows, which is what is tested.
        }
      });
    const first = await ask(url);
    expect(await api.ended).toBe('SIGKILL');
    const unanswered = first.filter((answer) => answer === null).length;
    expect(unanswered).toBeGreaterThan(0);
    const again = await ask(await startApi().ready());
    expect(again.filter((answer) => answer?.body.allowed !== true)).toEqual([]);
    // Each that was answered before is remembered, and so may be some whose answer got lost.
    const replayed = again.filter((answer) => answer?.body.replayed).length;
    expect(replayed).toBeGreaterThanOrEqual(messages.length - unanswered);
    const other = await startApi().ready();
    expect((await call(other, 'GET', '/usage?user_id=u-0')).body.limits).toMatchObject([
      { limit_id: 'all', used: 10_000 },
      { limit_id: 'user', used: 1_429 },
    ]);
  }, 180_000);
});
