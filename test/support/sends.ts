import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createCalendarCache } from '../../src/limits/calendar';
import type { Limit } from '../../src/limits/limit';
import { type MessageEvent, readHistory } from '../../src/log/history';
import { createMessageLog, type LoggedMessage, type MessageLog } from '../../src/log/messages';
import { createAccountSettings } from '../../src/membership/account-settings';
import { createMembers, type Members } from '../../src/membership/members';
import { type AcceptSend, createAcceptSend, type SendOutcome } from '../../src/sends/accept';
import { createSendActions, type SendActions } from '../../src/sends/actions';
import { createDecideSend, type DecideSend } from '../../src/sends/decide';
import { type Hold, startHold } from '../../src/sends/hold';
import { createProcessAttempt } from '../../src/sends/process';
import type { Delivery, DeliveryOutcome, Provider } from '../../src/sends/providers/provider';
import { openQueues, type Queues } from '../../src/sends/queue';
import { type RelayObserver, startRelay } from '../../src/sends/relay';
import type { Payload, Recipient, SendRequest } from '../../src/sends/request';
import { createSendStore, type SendStore } from '../../src/sends/store';
import { startWorkers, type Workers } from '../../src/sends/workers';
import { createRedisClock } from '../../src/store/clock';
import { createConfigurationStore } from '../../src/store/configuration';
import { connectPatiently, parseRedisUrl, type RedisClient } from '../../src/store/connection';
import { createKeys } from '../../src/store/keys';
import { createLink } from '../../src/store/link';
import { loadScripts } from '../../src/store/scripts';
import type { StreamConsumer } from '../../src/store/stream-consumer';
import { startTestGate, type TestGate, UNHURRIED_MS } from './gate';

/** What a request is to differ in from an ordinary one. */
export type RequestParts = Omit<Partial<SendRequest>, 'payload'> & { payload?: Payload };

/** What hands over sends, decides them, and looks at them: without HTTP, relay or worker. */
export interface TestSends extends TestGate {
  store: SendStore;
  decide: DecideSend;
  members: Members;
  messageLog: MessageLog;
  actions: SendActions;
  accept: AcceptSend;
  /** Hands over a message to one user, and gives its id. */
  send(to: Partial<Recipient> & { user: string }, request?: RequestParts): Promise<string>;
  request(recipients: readonly Partial<Recipient>[], request?: RequestParts): SendRequest;
  /** The message; fails when there is none. */
  message(id: string): Promise<LoggedMessage>;
  status(id: string): Promise<string>;
  history(id: string): Promise<MessageEvent[]>;
  /** The attempts in a provider's outbox, the oldest first. */
  outbox(provider?: string): Promise<{ id: string; attempt: number; dueMs: number | null }[]>;
  /** The use of the counters that a message to that user would be held against, by limit. */
  used(user: string, rest?: Partial<{ account: string; topic: string }>): Promise<Record<string, number>>;
}

export interface TestSendsOptions {
  url: string;
  workspace: string;
  holdMaxMs?: number;
  idempotencyTtlMs?: number;
  timeoutMs?: number;
}

const DAY_MS = 86_400_000;
const monotonicMs = () => performance.now();

/** Starts a replica. */
export async function startTestSends(options: TestSendsOptions): Promise<TestSends> {
  const { holdMaxMs = 7 * DAY_MS, idempotencyTtlMs = DAY_MS, timeoutMs = UNHURRIED_MS } = options;
  const t = await startTestGate(options);
  const { redis, scripts, keys, configuration, clock, events } = t;
  const link = createLink(redis);
  const store = createSendStore({
    redis,
    scripts,
    keys,
    idempotencyTtlMs,
    logMaxAgeMs: 30 * DAY_MS,
    holdMaxMs,
    monotonicMs,
  });
  const decide = createDecideSend({
    ...{ store, configuration, clock, link, timeoutMs, usersKnown: 100 },
    accounts: createAccountSettings({ capacity: 100 }),
    observer: {
      replanned: (reason) => events.push(`replanned ${reason}`),
      called: () => events.push('called'),
      tooLate: (counted) => events.push(`too late ${counted}`),
      fault: (error) => events.push(`fault ${error}`),
      sendDecided: (kind) => events.push(kind),
    },
  });
  const members = createMembers({ redis, scripts, keys });
  const messageLog = createMessageLog({ redis, scripts, keys });
  const accept = createAcceptSend({ store, members, decide, randomBytes });

  function request(recipients: readonly Partial<Recipient>[], parts: RequestParts = {}): SendRequest {
    const { payload = { template: null, content: { body: 'hello' }, data: null, metadata: null }, ...rest } = parts;
    return {
      recipients: recipients.map(({ user = null, account = null, to }) => ({
        user,
        account,
        to: to ?? { ...(user === null ? {} : { user_id: user }), ...(account === null ? {} : { account_id: account }) },
      })),
      payload: JSON.stringify(payload),
      ...{
        template: payload.template,
        topic: null,
        channel: null,
        provider: 'log',
        event: null,
        traceId: null,
        tags: [],
        due: null,
        isPast: false,
      },
      ...{ idempotencyKey: null, body: { recipients, parts } },
      ...rest,
    };
  }

  async function message(id: string): Promise<LoggedMessage> {
    const found = await messageLog.get(id);
    if (found === null) throw new Error(`there is no message ${id}`);
    return found;
  }

  return {
    ...t,
    store,
    decide,
    members,
    messageLog,
    actions: createSendActions({ store, messageLog, decide }),
    accept,
    request,
    async send(to, rest) {
      return requestIdOf(await accept(request([to], rest)));
    },
    message,
    status: async (id) => (await message(id)).status,
    history: async (id) => readHistory({ redis, keys }, await message(id)),
    async outbox(provider = 'log') {
      const entries = await redis.xrange(keys.outbox(provider), '-', '+');
      return entries.flatMap(([, [, due = '', ...pairs]]) =>
        pairs.flatMap((id, index) =>
          index % 2 === 0 ? [{ id, attempt: Number(pairs[index + 1]), dueMs: due === '' ? null : Number(due) }] : [],
        ),
      );
    },
    async used(user, { account = null, topic = null }: { account?: string | null; topic?: string | null } = {}) {
      const limits = (await t.gate.usage({ user, account, topic, channel: null })) ?? [];
      return Object.fromEntries(limits.map(({ limit_id, used }) => [limit_id, used]));
    },
  };
}

/** The id of a request that was taken. */
export function requestIdOf(outcome: SendOutcome): string {
  if (outcome.kind !== 'taken') throw new Error(`not taken: ${outcome.kind}`);
  return outcome.requestId;
}

/** What delivers: relays, workers and holders, each with connections of its own, as processes have them. */
export interface TestDelivery {
  redis: RedisClient;
  queues: Queues;
  relay(options?: { maxDepth?: number; observer?: Partial<RelayObserver> }): StreamConsumer;
  workers(options: {
    deliver: (delivery: Delivery, signal: AbortSignal) => Promise<DeliveryOutcome>;
    provider?: string;
    concurrency?: number;
    ratePerSecond?: number;
    triesMax?: number;
    firstMs?: number;
    refundFailed?: boolean;
    stopMs?: number;
  }): Workers;
  hold(options?: { holdMaxMs?: number }): Hold;
  /** What was told, in order. */
  events: string[];
  stop(): Promise<void>;
}

/** Opens a process's part of the delivery; nothing runs before it is started. */
export async function openTestDelivery(options: {
  url: string;
  workspace: string;
  keepJobs?: number;
  providers?: readonly string[];
}): Promise<TestDelivery> {
  const { url, workspace, keepJobs = 0, providers = ['log', 'webhook'] } = options;
  const redis = connectPatiently(parseRedisUrl(url), { name: 'test-worker', commandTimeoutMs: 0, reconnectMs: 20 });
  redis.on('error', () => undefined);
  const keys = createKeys(workspace);
  const scripts = loadScripts();
  const events: string[] = [];
  const queues = openQueues({ redis, keys, providers, keepJobs, onTrouble: () => undefined });
  const clock = createRedisClock(() => performance.now(), Date.now);
  const link = createLink(redis);
  if (!link.isReady()) await link.nextAttempt();
  const stops: (() => Promise<void>)[] = [];
  const pause = (ms: number) => delay(ms);
  const failed = (error: unknown) => events.push(`failed ${error}`);
  const storeOf = (holdMaxMs: number) =>
    createSendStore({
      redis,
      scripts,
      keys,
      idempotencyTtlMs: DAY_MS,
      logMaxAgeMs: 30 * DAY_MS,
      holdMaxMs,
      monotonicMs,
    });

  return {
    redis,
    queues,
    events,
    relay({ maxDepth = 10_000, observer = {} } = {}) {
      const relay = startRelay({
        ...{ redis, keys, queues, providers, consumer: randomUUID(), maxDepth, nowMs: () => clock.nowMs(), pause },
        observer: { relayed: () => undefined, held: () => undefined, failed, ...observer },
      });
      stops.push(() => relay.stop(false));
      return relay;
    },
    workers({
      deliver,
      provider = 'log',
      concurrency = 4,
      ratePerSecond,
      triesMax = 8,
      firstMs = 1,
      refundFailed = true,
      stopMs = 1_000,
    }) {
      const made: Provider = { name: provider, deliver, close: async () => undefined };
      const workers = startWorkers({
        ...{ redis, keys, providers: [provider], concurrency, keepJobs },
        ratesPerSecond: ratePerSecond === undefined ? {} : { [provider]: ratePerSecond },
        processAttempt: createProcessAttempt({
          store: storeOf(DAY_MS),
          providers: new Map([[provider, made]]),
          backoff: { firstMs, mostMs: Math.max(firstMs, 20) },
          ...{
            triesMax,
            refundFailed,
            stopMs,
            holdQueue: queues.hold,
            nowMs: () => clock.nowMs(),
            monotonicMs: () => performance.now(),
            random: () => 0,
          },
          observer: {
            delivered: (_provider, end) => events.push(end),
            redelivered: () => events.push('redelivered'),
            sentAfter: () => undefined,
            gaveUp: () => events.push('gave up'),
            stopped: ({ code }) => events.push(`stopped by ${code}`),
          },
        }),
        observer: { failed, trouble: () => undefined },
      });
      stops.push(() => workers.stop(false));
      return workers;
    },
    hold({ holdMaxMs = 7 * DAY_MS } = {}) {
      const calendars = createCalendarCache(100);
      const decide = createDecideSend({
        store: storeOf(holdMaxMs),
        configuration: createConfigurationStore({ redis, scripts, keys, calendarFor: (rules) => calendars.for(rules) }),
        accounts: createAccountSettings({ capacity: 100 }),
        ...{ clock, link, timeoutMs: UNHURRIED_MS, usersKnown: 100 },
        observer: {
          ...{ replanned: () => undefined, called: () => undefined, tooLate: () => undefined, fault: failed },
          sendDecided: (kind) => events.push(kind),
        },
      });
      const hold = startHold({
        ...{ redis, scripts, keys, decide, nowMs: () => clock.nowMs(), token: randomUUID(), holdMaxMs, pause },
        observer: { failed },
      });
      stops.push(() => hold.stop(false));
      return hold;
    },
    async stop() {
      await Promise.all(stops.splice(0).map((stop) => stop()));
      await queues.close();
      redis.disconnect();
    },
  };
}

/** Waits for what is only seen by asking. */
export async function until(holds: () => Promise<boolean> | boolean, patienceMs = 20_000): Promise<void> {
  const giveUpMs = performance.now() + patienceMs;
  while (!(await holds())) {
    if (performance.now() > giveUpMs) throw new Error(`waited too long for ${holds}`);
    await delay(5);
  }
}

/** A limit whose `on_exceeded` is `defer`. */
export const deferring = (limit: Partial<Limit> & Pick<Limit, 'id' | 'per' | 'period' | 'max'>) => ({
  ...limit,
  on_exceeded: 'defer' as const,
});
