import { randomBytes } from 'node:crypto';
import { Agent, createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Webhook } from 'standardwebhooks';
import { createMessageLog, type LoggedMessage } from '../../src/log/messages';
import { connectPatiently, parseRedisUrl, type RedisClient } from '../../src/store/connection';
import { createKeys } from '../../src/store/keys';
import { loadScripts } from '../../src/store/scripts';
import { dayThatLasts } from '../support/day';
import { freePort } from '../support/ports';
import { type RedisServer, startRedis, uniqueWorkspace } from '../support/redis';
import { endAllSendgates, type Sendgate, startSendgate } from '../support/sendgate';
import { until } from '../support/sends';

const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
const agent = new Agent({ keepAlive: true, maxSockets: 64 });

interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it and compare
  body: any;
}

/** One call. Rejects when the connection breaks. */
function call(url: string, method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const all = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers };
    const outgoing = request(url + path, { agent, method, headers: all }, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      incoming.on('end', () => resolve({ status: incoming.statusCode!, body: text === '' ? null : JSON.parse(text) }));
      incoming.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Numbers from 0 to 1 that follow from a seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What messages arrive at: it takes each that is signed, some after a moment, and says so. */
class Receiver {
  /** How often each message was taken, by its id. */
  readonly taken = new Map<string, number>();
  refused = 0;
  private server: Server | undefined;

  async start(random: () => number): Promise<string> {
    const webhook = new Webhook(SECRET);
    this.server = createServer((incoming, outgoing) => {
      let body = '';
      incoming.setEncoding('utf8').on('data', (chunk) => {
        body += chunk;
      });
      incoming.on('end', async () => {
        const id = incoming.headers['webhook-id'] as string;
        webhook.verify(body, incoming.headers as Record<string, string>);
        if (JSON.parse(body).data.message_id !== id) throw new Error(`${id} is called otherwise inside`);
        const chance = random();
        if (chance < 0.05) {
          this.refused += 1;
          outgoing.writeHead(503).end();
          return;
        }
        // Taken, whether or not the answer is ever read.
        this.taken.set(id, (this.taken.get(id) ?? 0) + 1);
        if (chance < 0.3) await delay(chance * 100);
        outgoing.writeHead(200).end('{}');
      });
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => this.server!.once('listening', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`;
  }

  async stop(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((resolve) => this.server?.close(resolve));
  }
}

describe('handed-over sends while everything dies', () => {
  let redisServer: RedisServer;
  let redis: RedisClient;
  let receiver: Receiver;
  let workspace: string;
  let environment: Record<string, string>;

  beforeEach(async () => {
    await dayThatLasts(180_000);
    redisServer = await startRedis({ appendonly: true });
    workspace = uniqueWorkspace();
    receiver = new Receiver();
  }, 300_000);
  afterEach(async () => {
    await endAllSendgates();
    redis?.disconnect();
    agent.destroy();
    await receiver.stop();
    await redisServer.stop();
  });

  /** A process under a name that is started again whenever it is killed. */
  class Mortal {
    readonly url: string;
    private process: Sendgate;
    deaths = 0;
    constructor(
      private readonly role: 'api' | 'worker',
      private readonly port: number,
    ) {
      this.url = `http://127.0.0.1:${port}`;
      this.process = this.start();
    }
    private start(): Sendgate {
      return startSendgate([this.role], { ...environment, PORT: `${this.port}` });
    }
    ready = () => this.process.logged(this.role === 'api' ? 'The API is ready.' : 'The worker is ready.');
    async kill(): Promise<void> {
      this.deaths += 1;
      this.process.signal('SIGKILL');
      await this.process.ended;
      this.process = this.start();
    }
    log = () => this.process.log();
  }

  const seeds = (process.env.SENDGATE_TEST_SEEDS ?? '1,2').split(',').map(Number);
  test.each(seeds)(
    'with seed %d: 5,000 sends, every accepted one arrives, none under two ids, and all counters are right',
    async (seed) => {
      const random = randomFrom(seed);
      const url = await receiver.start(randomFrom(seed + 1_000));
      environment = {
        REDIS_URL: redisServer.url,
        SENDGATE_WORKSPACE: workspace,
        SENDGATE_PROVIDER: 'webhook',
        SENDGATE_WEBHOOK_URL: url,
        SENDGATE_WEBHOOK_SECRET: SECRET,
        SENDGATE_ALLOW_PRIVATE_TARGETS: 'true',
        SENDGATE_RETRY_FIRST_MS: '20',
        SENDGATE_RETRY_MAX_MS: '200',
        // A message that is refused again and again by chance is not what is tested.
        SENDGATE_TRIES: '50',
        SENDGATE_QUEUE_KEEP_JOBS: seed % 2 === 0 ? '0' : '1000',
      };
      const apis = [new Mortal('api', await freePort()), new Mortal('api', await freePort())];
      const workers = [new Mortal('worker', await freePort()), new Mortal('worker', await freePort())];
      await Promise.all([...apis, ...workers].map((mortal) => mortal.ready()));
      for (const limit of [
        { id: 'all', per: [], period: 'month', max: 1_000_000 },
        { id: 'user', per: ['user'], period: 'day', max: 90 },
        { id: 'topic', per: ['topic'], period: 'week', max: 1_000_000 },
      ]) {
        expect((await call(apis[0]!.url, 'PUT', `/limits/${limit.id}`, limit)).status).toBe(200);
      }

      /** Hands a message over until it is taken, as a client does that has to. */
      const idsByKey = new Map<string, string>();
      async function handOver(index: number): Promise<void> {
        const key = `key-${index}`;
        const message = {
          to: { user_id: `user-${index % 50}` },
          content: { body: `message ${index}` },
          preferences: { subscription_topic_id: `topic-${index % 3}` },
        };
        for (let api = index; ; api += 1) {
          try {
            const { url: to } = apis[api % apis.length]!;
            const { status, body } = await call(to, 'POST', '/send', { message }, { 'idempotency-key': key });
            if (status === 202) {
              const known = idsByKey.get(key);
              if (known !== undefined && known !== body.requestId) throw new Error(`${key} has two ids`);
              idsByKey.set(key, body.requestId);
              // Every hundredth client has not heard the answer, and asks again.
              if (index % 100 !== 0 || known !== undefined) return;
            } else if (status !== 503) throw new Error(`${status} ${JSON.stringify(body)}`);
          } catch (error) {
            // Its connection broke, or there is nobody: it is tried again.
            if ((error as NodeJS.ErrnoException).code === undefined) throw error;
          }
          await delay(5);
        }
      }

      let sending = true;
      let redisDeaths = 0;
      async function killAtRandom(): Promise<void> {
        // One of each dies whatever the seed and however fast the machine; then it is chance.
        const chancesOfEach = [0, 0.5, 0.99];
        while (sending || chancesOfEach.length > 0) {
          await delay(150 + random() * 500);
          const chance = chancesOfEach.pop() ?? random();
          if (chance < 0.3) await apis[Math.floor(random() * 2)]!.kill();
          else if (chance < 0.75) await workers[Math.floor(random() * 2)]!.kill();
          else {
            await redisServer.kill();
            redisDeaths += 1;
            await delay(random() * 200);
            await redisServer.restart();
          }
        }
      }
      const killing = killAtRandom();
      const count = 5_000;
      let next = 0;
      await Promise.all(
        Array.from({ length: 24 }, async () => {
          while (next < count) {
            const index = next;
            next += 1;
            await handOver(index);
          }
        }),
      );
      sending = false;
      await killing;

      redis = connectPatiently(parseRedisUrl(redisServer.url), { name: 'test', commandTimeoutMs: 0, reconnectMs: 20 });
      const keys = createKeys(workspace);
      const messageLog = createMessageLog({ redis, scripts: loadScripts(), keys });
      await until(
        async () => (await messageLog.page({ statuses: ['ENQUEUED'] }, null, 1)).messages.length === 0,
        60_000,
      );

      // Each key is one message, and each message one key's.
      expect(idsByKey.size).toBe(count);
      const ids = [...idsByKey.values()];
      expect(new Set(ids).size).toBe(count);
      // And there is none besides: whatever was counted is what somebody heard of.
      const logged: string[] = [];
      for (let cursor: string | null = null, more = true; more; more = cursor !== null) {
        const page = await messageLog.page({}, cursor, 100);
        logged.push(...page.messages.map(({ id }) => id!));
        cursor = page.next;
      }
      expect(logged.filter((id) => !new Set(ids).has(id))).toEqual([]);
      const messages: LoggedMessage[] = [];
      for (let start = 0; start < ids.length; start += 500) {
        for (const message of await messageLog.read(ids.slice(start, start + 500))) messages.push(message!);
      }
      const tally = new Map<string, Record<string, number>>();
      for (const { status, user } of messages) {
        const own = tally.get(user!) ?? {};
        own[status] = (own[status] ?? 0) + 1;
        tally.set(user!, own);
      }
      for (const [user, own] of tally) expect({ user, ...own }).toEqual({ user, SENT: 90, THROTTLED: 10 });
      expect(tally.size).toBe(50);

      // What was sent arrived: once, or once more for each delivery that was begun again.
      const known = new Set(ids);
      expect([...receiver.taken.keys()].filter((id) => !known.has(id))).toEqual([]);
      let redelivered = 0;
      for (const { id, status, send } of messages) {
        const taken = receiver.taken.get(id) ?? 0;
        if (status === 'THROTTLED') expect(taken).toBe(0);
        else {
          expect(taken).toBeGreaterThanOrEqual(1);
          expect(taken).toBeLessThanOrEqual(1 + send!.redeliveries);
        }
        redelivered += send!.redeliveries;
      }
      const deaths = {
        api: apis.reduce((sum, { deaths }) => sum + deaths, 0),
        worker: workers.reduce((sum, { deaths }) => sum + deaths, 0),
        redis: redisDeaths,
      };
      // No more of them than were on their way at a death: of each worker, sixteen at most.
      expect(redelivered).toBeLessThanOrEqual(16 * (deaths.worker + 2 * deaths.redis));
      expect(Math.min(deaths.api, deaths.worker, deaths.redis)).toBeGreaterThan(0);

      // Counters are what was accepted.
      async function usage(query: string): Promise<Record<string, number>> {
        for (;;) {
          const { status, body } = await call(apis[0]!.url, 'GET', `/usage?${query}`);
          // Redis took longer than it may: that is not what is asked here.
          if (status === 503) continue;
          expect(status).toBe(200);
          const limits: { limit_id: string; used: number }[] = body.limits;
          return Object.fromEntries(limits.map(({ limit_id, used }) => [limit_id, used]));
        }
      }
      await until(async () => {
        try {
          return (await call(apis[0]!.url, 'GET', '/readyz')).status === 200;
        } catch {
          return false; // It has just been started again.
        }
      });
      for (let user = 0; user < 50; user += 1) {
        expect(await usage(`user_id=user-${user}`)).toEqual({ all: 4_500, user: 90 });
      }
      const topics = await Promise.all([0, 1, 2].map((topic) => usage(`topic_id=topic-${topic}`)));
      expect(topics.reduce((sum, { topic }) => sum + topic!, 0)).toBe(4_500);

      // Nothing stays on its way.
      await until(async () => (await redis.xlen(keys.outbox('webhook'))) === 0);
      const queue = new Queue('webhook', { connection: redis, prefix: keys.queuePrefix, skipVersionCheck: true });
      await until(async () => (await queue.getJobCountByTypes('waiting', 'active', 'delayed', 'failed')) === 0, 30_000);
      await queue.close();
      for (const mortal of [...apis, ...workers]) {
        expect(mortal.log().filter(({ level }) => level === 'error')).toEqual([]);
      }
      process.stderr.write(`seed ${seed}: ${JSON.stringify({ ...deaths, redelivered, refused: receiver.refused })}\n`);
    },
    300_000,
  );
});
