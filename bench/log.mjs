// How long pages of a long log take, and how much memory a message takes.
import { createRequire } from 'node:module';
import { spread, table, whole } from './figures.mjs';
import { FIVE_OF_A_USER } from './limits.mjs';
import { startSendgate } from './processes.mjs';

const require = createRequire(import.meta.url);
const PAGES = 30;
const TOGETHER = 512;

/** Writes messages as an API and a worker do, without HTTP and the queue, which would take an hour. */
export async function writeMessages({ redis, workspace, count, progress }) {
  const { createDecideSend } = require('../dist/sends/decide.js');
  const { createSendStore } = require('../dist/sends/store.js');
  const { createConfigurationStore } = require('../dist/store/configuration.js');
  const { createCalendarCache } = require('../dist/limits/calendar.js');
  const { createAccountSettings } = require('../dist/membership/account-settings.js');
  const { createRedisClock } = require('../dist/store/clock.js');
  const { connectPatiently, parseRedisUrl } = require('../dist/store/connection.js');
  const { createKeys } = require('../dist/store/keys.js');
  const { createLink } = require('../dist/store/link.js');
  const { loadScripts } = require('../dist/store/scripts.js');

  const client = connectPatiently(parseRedisUrl(redis.url()), { name: 'bench', commandTimeoutMs: 0, reconnectMs: 100 });
  const scripts = loadScripts();
  const keys = createKeys(workspace);
  const calendars = createCalendarCache(100);
  const dayMs = 86_400_000;
  const store = createSendStore({
    ...{ redis: client, scripts, keys, idempotencyTtlMs: dayMs, logMaxAgeMs: 30 * dayMs, holdMaxMs: dayMs },
    monotonicMs: () => performance.now(),
  });
  const nothing = () => undefined;
  const decide = createDecideSend({
    store,
    configuration: createConfigurationStore({
      redis: client,
      scripts,
      keys,
      calendarFor: calendars.for.bind(calendars),
    }),
    accounts: createAccountSettings({ capacity: 1_000 }),
    clock: createRedisClock(() => performance.now(), Date.now),
    link: createLink(client),
    observer: {
      ...{ replanned: nothing, called: nothing, tooLate: nothing, sendDecided: nothing },
      fault(error) {
        throw error;
      },
    },
    timeoutMs: 60_000,
    usersKnown: 1_000,
  });

  for (let start = 0; start < count; start += TOGETHER) {
    await Promise.all(
      Array.from({ length: Math.min(TOGETHER, count - start) }, async (_, offset) => {
        const number = start + offset;
        const id = number.toString(36).padStart(25, 'm');
        const user = Math.floor(Math.random() * 100_000);
        const tags = number % 10 === 0 ? ['tg', `tag-${number % 50}`] : [];
        await decide({
          ...{
            kind: 'new',
            id,
            fresh: true,
            sole: false,
            cost: 1,
            attempt: 0,
            dueMs: null,
            provider: 'webhook',
            idempotency: null,
          },
          message: {
            user: `user-${user}`,
            account: `account-${user % 1_000}`,
            topic: `topic-${number % 20}`,
            channel: null,
          },
          request: { id, payload: '{"template":"order-shipped","content":null,"data":{"order":81},"metadata":null}' },
          recipient: `{"user_id":"user-${user}"}`,
          fields: ['tp', 'order-shipped', 'tc', `trace-${number}`, ...tags],
          ...{ actor: null, only: '' },
        });
        // One in a hundred stays on its way, and one in a hundred fails.
        if (number % 100 === 0) return;
        const begun = await store.begin(id, 1);
        if (begun === null) return;
        const detail = { provider: 'webhook', try: 1, took_ms: 12, response: { status: 200, body: 'ok' } };
        await store.finish(
          id,
          1,
          begun,
          number % 100 === 1
            ? { kind: 'failed', detail, error: 'no such user', reason: 'PROVIDER_ERROR', refund: true }
            : { kind: 'sent', detail, reference: null, keepPayload: false },
        );
      }),
    );
    if (start % (TOGETHER * 200) === 0) progress(`${whole(start)} messages written`);
  }
  client.disconnect();
}

/** The time of a call, in milliseconds: alone, so that it is what the API and Redis take for it. */
async function timed(server, path) {
  const startedMs = performance.now();
  const answer = await server.get(path);
  return { ms: performance.now() - startedMs, answer };
}

/** Measures, and returns the report in Markdown. */
export async function benchLog({ nodes, redis, progress }) {
  const count = Number(process.env.BENCH_MESSAGES ?? 1_000_000);
  const { version, path } = nodes.at(-1);
  const workspace = 'log';
  const limits = FIVE_OF_A_USER.map((limit) => (limit.period === 'day' ? { ...limit, max: 9 } : limit));
  const server = await startSendgate(path, {
    ...{ redisUrl: redis.url(), workspace, limits },
    env: { SENDGATE_LOG_MAX_ENTRIES: '10000000' },
  });
  const countersOnly = await redis.memoryBytes();
  await writeMessages({ redis, workspace, count, progress });
  progress('indexing what is left');
  const startedMs = performance.now();
  await server.get('/messages?limit=1&recipient=nobody');
  progress(`that took ${Math.round(performance.now() - startedMs)} ms`);
  const keyBytes = async (pattern) => {
    let bytes = 0;
    for await (const keys of redis.client.scanStream({ match: pattern, count: 10_000 })) {
      const sizes = await redis.client.pipeline(keys.map((key) => ['memory', 'usage', key, 'samples', '0'])).exec();
      for (const [, size] of sizes) bytes += size;
    }
    return bytes;
  };
  const prefix = `sg:{${workspace}}:`;
  const memory = [];
  for (const [name, pattern] of [
    ['states', 's:*'],
    ['payloads of those that failed or are on their way', 'p:*'],
    ['what happened (the stream)', 'log'],
    ['rows', 'l:rows'],
    ['index by status', 'l:s:*'],
    ['index by user', 'l:u:*'],
    ['index by account', 'l:a:*'],
    ['index by topic', 'l:t:*'],
    ['index by trace id', 'l:r:*'],
    ['index by tag', 'l:g:*'],
    ['limits, shared', 'l:x:*'],
    ['outbox', 'outbox:*'],
    ['counters', 'c:*'],
  ]) {
    progress(`measuring ${name}`);
    memory.push([name, whole((await keyBytes(prefix.replace(/[{}]/g, '\\$&') + pattern)) / count)]);
  }
  memory.push(['altogether, with the space between', whole(((await redis.memoryBytes()) - countersOnly) / count)]);

  const filters = [
    ['none', ''],
    ['status=SENT (most)', '&status=SENT'],
    ['status=THROTTLED', '&status=THROTTLED'],
    ['status=UNDELIVERABLE,ENQUEUED', '&status=UNDELIVERABLE,ENQUEUED'],
    ['recipient', '&recipient=user-77777'],
    ['account_id', '&account_id=account-777'],
    ['topic', '&topic=topic-7'],
    ['tags (two)', '&tags=tag-10,tag-20'],
    ['traceId', '&traceId=trace-500000'],
    ['enqueued_after (in the middle)', '&enqueued_after=MIDDLE'],
    ['account_id and status', '&account_id=account-777&status=THROTTLED'],
    ['topic and status (hardly any)', '&topic=topic-7&status=ENQUEUED'],
    ['topic and account_id', '&topic=topic-7&account_id=account-777'],
    ['event (no index, none match)', '&event=nothing'],
  ];
  const total = await server.get('/messages?limit=1');
  const middleMs = Math.round((total.results[0].enqueued + Date.now() - 60_000) / 2);
  const rows = [];
  for (const [name, query] of filters) {
    progress(`pages with ${name}`);
    const base = `/messages?limit=50${query.replace('MIDDLE', `${middleMs}`)}`;
    const first = [];
    for (let page = 0; page < PAGES; page += 1) first.push((await timed(server, base)).ms);
    // A page in the middle: the cursor of a row half-way.
    const cursor = Buffer.from(JSON.stringify(['messages', `${Math.floor(count / 2)}`])).toString('base64url');
    const middle = [];
    for (let page = 0; page < PAGES; page += 1) middle.push((await timed(server, `${base}&cursor=${cursor}`)).ms);
    rows.push([name, spread(first), spread(middle)]);
  }
  await server.stop();
  return [
    `### The log with ${whole(count)} messages, Node.js ${version}`,
    table(['bytes of Redis for each message', ''], memory),
    table(['page of 50, filtered by', 'the first, ms', 'one in the middle, ms'], rows),
  ].join('\n\n');
}
