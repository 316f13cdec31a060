import { randomBytes, randomUUID } from 'node:crypto';
import { Agent, request as httpRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Express } from 'express';
import { createKeyRing, type KeyRing } from '../../src/access/key-ring';
import { createAlerts } from '../../src/alerts/alerts';
import { createDeliverAlert } from '../../src/alerts/deliver';
import type { AdminMail } from '../../src/alerts/mail';
import { type AlertStore, createAlertStore } from '../../src/alerts/store';
import { createAlertWebhooks } from '../../src/alerts/webhooks';
import { createDegradedAnswers } from '../../src/gate/degraded';
import { createGate } from '../../src/gate/gate';
import { createLocalShare } from '../../src/gate/local-share';
import { allRoutes, type Services } from '../../src/http/all-routes';
import { createApp } from '../../src/http/app';
import { type Authenticate, createAuthenticate } from '../../src/http/auth';
import type { Route } from '../../src/http/contract';
import { listen } from '../../src/http/listener';
import type { Readiness } from '../../src/http/routes/health';
import type { VonageReceipts } from '../../src/http/routes/receipts';
import { createApplyEvents } from '../../src/inbound/apply';
import { createMappings } from '../../src/inbound/mappings';
import { createCalendarCache } from '../../src/limits/calendar';
import { createAuditTrail } from '../../src/log/audit';
import { readHistory } from '../../src/log/history';
import { createMessageLog } from '../../src/log/messages';
import { createWhatIfs } from '../../src/log/what-if';
import { createAccountSettings } from '../../src/membership/account-settings';
import { createAccounts } from '../../src/membership/accounts';
import { createMembers } from '../../src/membership/members';
import { createProfiles } from '../../src/membership/profiles';
import { createMetrics } from '../../src/metrics/metrics';
import { createAcceptSend } from '../../src/sends/accept';
import { createSendActions } from '../../src/sends/actions';
import { createDecideSend } from '../../src/sends/decide';
import { createRecordReceipt } from '../../src/sends/receipts';
import { createSendStore, type SendStore } from '../../src/sends/store';
import { createRedisClock } from '../../src/store/clock';
import { createConfigurationStore } from '../../src/store/configuration';
import { connectFailingFast, parseRedisUrl, type RedisClient } from '../../src/store/connection';
import { resetCounter } from '../../src/store/counters';
import { createDecisionStore } from '../../src/store/decisions';
import { createKeys, type Keys } from '../../src/store/keys';
import { createLink } from '../../src/store/link';
import { loadScripts, type Scripts } from '../../src/store/scripts';
import { createTrafficStore, type TrafficStore } from '../../src/traffic/store';
import { createTrafficTally, type TrafficTally } from '../../src/traffic/tally';
import { packageVersion } from '../../src/version';
import { UNHURRIED_MS } from './gate';
import { sharedRedisUrl, uniqueWorkspace } from './redis';

/** What came back. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  text: string;
  /** The text read as JSON, where its type says that it is; else undefined. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it and compare
  body: any;
}

/** What the app wrote into its log. */
export interface LogLine {
  level: 'debug' | 'warn' | 'error';
  message: string;
  fields: Readonly<Record<string, unknown>>;
}

/** An API in this process, on a port of its own and a real Redis. */
export interface TestApp {
  /**
   * Sends one request, with the path exactly as it is given. A body that is a text or bytes is sent as it is, any other
   * as JSON. The admin key is sent along unless `headers` says something else of `authorization`; null leaves a header
   * out.
   */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string | null>): Promise<Answer>;
  readonly workspace: string;
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly routes: readonly Route[];
  readonly services: Services;
  /** What a worker records: no worker runs beside it. */
  readonly store: SendStore;
  /** What keeps alerts, as a worker uses it. */
  readonly alertStore: AlertStore;
  /** What counts for the statistics; nothing adds it to what is kept before `flush`. */
  readonly traffic: TrafficStore & { tally: TrafficTally };
  readonly redis: RedisClient;
  readonly scripts: Scripts;
  readonly keys: Keys;
  readonly ring: KeyRing;
  readonly log: LogLine[];
  /** Puts limits in force through the API. */
  limit(...limits: ({ id: string } & Record<string, unknown>)[]): Promise<void>;
  stop(): Promise<void>;
}

/** The key that `call` sends: it may do everything. */
export const ADMIN_KEY = 'test-admin-key-0123456789';

export interface TestAppOptions {
  redisUrl?: string;
  workspace?: string;
  /** The key of SENDGATE_API_KEY; null starts without any key. */
  apiKey?: string | null;
  checkTimeoutMs?: number;
  replicas?: number;
  idempotencyTtlMs?: number;
  logRequests?: boolean;
  /** Takes receipts of Vonage, signed so, or not signed. */
  vonage?: Pick<VonageReceipts, 'signature'>;
  segmentSecret?: string;
  rudderstackHeader?: { name: string; value: string };
  /** What alerts are mailed by; null: mail is not configured. */
  alertMail?: AdminMail | null;
  /** Further routes, behind all others. */
  routes?: readonly Route[];
  /** Puts pages into the app. */
  mountPages?: (pages: Express, authenticate: Authenticate) => void;
  /** Does not wait for Redis. */
  withoutRedis?: boolean;
}

/** Starts an API, ready to be called. */
export async function startTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const { redisUrl = sharedRedisUrl(), workspace = uniqueWorkspace(), apiKey = ADMIN_KEY } = options;
  const {
    checkTimeoutMs = UNHURRIED_MS,
    replicas = 1,
    idempotencyTtlMs = 86_400_000,
    logRequests = false,
    alertMail = null,
  } = options;
  const commandTimeoutMs = Math.max(checkTimeoutMs, 2_000);
  const redis = connectFailingFast(parseRedisUrl(redisUrl), { name: 'test', commandTimeoutMs, reconnectMs: 20 });
  // Without a listener every failed attempt would be printed.
  redis.on('error', () => undefined);
  const scripts = loadScripts();
  const keys = createKeys(workspace);
  const log: LogLine[] = [];
  const writing = (level: LogLine['level']) => (message: string, fields: LogLine['fields']) => {
    log.push({ level, message, fields });
  };
  const monotonicMs = () => performance.now();
  const clock = createRedisClock(monotonicMs, Date.now);
  const calendars = createCalendarCache(1_000);
  const configuration = createConfigurationStore({
    redis,
    scripts,
    keys,
    calendarFor: (rules) => calendars.for(rules),
  });
  const accountSettings = createAccountSettings({ capacity: 1_000 });
  const metrics = createMetrics({ processMetrics: false });
  const link = createLink(redis);
  const tally = createTrafficTally(() => clock.nowMs());
  const trafficStore = createTrafficStore({ redis, scripts, keys, tally, processId: randomUUID(), monotonicMs });
  const gate = createGate({
    configuration,
    decisions: createDecisionStore({ redis, scripts, keys, idempotencyTtlMs, logMaxAgeMs: 86_400_000 }),
    accounts: accountSettings,
    clock,
    link,
    answerDegraded: createDegradedAnswers({ keys, localShare: createLocalShare(), replicas }),
    resetCounter: (reset, actor, source) => resetCounter({ redis, scripts, keys }, reset, actor, source),
    observer: {
      ...metrics,
      decided(decision, check) {
        metrics.decided(decision);
        tally.checkDecided(decision, check);
      },
      degraded(policy, reason, check) {
        metrics.degraded(policy, reason);
        tally.checkDegraded(check);
      },
      fault: (error) => log.push({ level: 'error', message: 'fault', fields: { error } }),
    },
    checkTimeoutMs,
  });
  const ring = createKeyRing({
    redis,
    keys,
    envKey: apiKey,
    schedule: (work, delayMs) => {
      const timer = setTimeout(work, delayMs);
      return () => clearTimeout(timer);
    },
    answers: () => link.isReady(),
    monotonicMs,
    onFailure: () => undefined,
  });
  metrics.watch({
    redisUp: () => link.isReady(),
    configuration: () => {
      const known = configuration.planner()?.configuration;
      return known === undefined ? null : { version: known.version, limits: known.limits.size };
    },
  });
  const readiness = (): Readiness => {
    const [isUp, limitsLoaded] = [link.isReady(), configuration.planner() !== null];
    return {
      ready: isUp && limitsLoaded,
      redis: isUp,
      limits_loaded: limitsLoaded,
      degraded: !isUp,
      queue_depth: null,
      stopping: false,
    };
  };
  const messageLog = createMessageLog({ redis, scripts, keys });
  const members = createMembers({ redis, scripts, keys });
  const store = createSendStore({
    ...{ redis, scripts, keys, idempotencyTtlMs, logMaxAgeMs: 86_400_000, holdMaxMs: 86_400_000, monotonicMs },
  });
  const decide = createDecideSend({
    ...{ store, configuration, accounts: accountSettings, clock, link, timeoutMs: checkTimeoutMs, usersKnown: 1_000 },
    observer: {
      ...metrics,
      sendDecided(kind, message, throttledBy) {
        metrics.sends.sendDecided(kind);
        tally.sendDecided(kind, message, throttledBy);
      },
      fault: (error) => log.push({ level: 'error', message: 'fault', fields: { error } }),
    },
  });
  const recordReceipt = createRecordReceipt({
    ...{ redis, scripts, keys, messageLog, refundFailed: true },
    observer: { received: metrics.sends.received, gaveUp: tally.sendFailed },
  });
  const acceptSend = createAcceptSend({ store, members, decide, randomBytes });
  const mappings = createMappings({ redis, scripts, keys });
  const alertStore = createAlertStore({ redis, scripts, keys, nowMs: () => clock.nowMs() });
  const alertWebhooks = createAlertWebhooks({ timeoutMs: 10_000, allowPrivateTargets: true, nowMs: Date.now });
  const services: Services = {
    version: packageVersion(),
    workspace,
    gate,
    configuration,
    members,
    accounts: createAccounts({ redis, scripts, keys }),
    whatIfs: createWhatIfs({
      ...{ redis, scripts, keys, nowMs: () => clock.nowMs(), monotonicMs, pause: nextTurn },
      ...{ holdMaxMs: 86_400_000, idempotencyTtlMs },
    }),
    accountSettings,
    messageLog,
    history: (message) => readHistory({ redis, keys }, message),
    checksLogged: () => configuration.planner()?.configuration.settings.log_checks === 'all',
    acceptSend,
    profiles: createProfiles({ redis, scripts, keys }),
    inbound: {
      apply: createApplyEvents({
        ...{ redis, scripts, keys, mappings, acceptSend, provider: 'log', idempotencyTtlMs, randomBytes, monotonicMs },
      }),
      mappings,
      segmentSecret: options.segmentSecret ?? null,
      rudderstackHeader: options.rudderstackHeader ?? null,
      refused: (source, count, first) =>
        void log.push({ level: 'warn', message: 'Events were refused', fields: { source, count, first } }),
    },
    sendActions: createSendActions({ store, messageLog, decide }),
    sends: { routing: { byChannel: {}, fallback: 'log' }, configured: ['log'] },
    vonageReceipts: options.vonage === undefined ? null : { ...options.vonage, record: recordReceipt },
    auditTrail: createAuditTrail({ redis, keys }),
    traffic: trafficStore,
    alerts: createAlerts({
      ...{ workspace, store: alertStore, mail: alertMail, nowMs: () => clock.nowMs(), monotonicMs },
      deliver: createDeliverAlert({
        ...{
          webhooks: alertWebhooks,
          mail: alertMail,
          triesMax: 1,
          nowMs: () => clock.nowMs(),
          observer: metrics.alerts,
        },
      }),
      newId: () => `al_${randomBytes(12).toString('hex')}`,
    }),
    metrics,
    readiness,
    depths: () => null,
    nowMs: () => clock.nowMs(),
    newLimitId: randomUUID,
  };
  const routes = [...allRoutes(services), ...(options.routes ?? [])];
  const host = '127.0.0.1';
  const authenticate = createAuthenticate({ ring, host });
  const app = createApp({
    routes,
    authenticate,
    mountPages: (pages) => options.mountPages?.(pages, authenticate),
    log: { debug: writing('debug'), warn: writing('warn'), error: writing('error') },
    logRequests,
    metrics,
    newRequestId: randomUUID,
    monotonicMs,
  });
  if (options.withoutRedis !== true) {
    if (!link.isReady()) await link.nextAttempt();
    await configuration.refresh();
    await ring.refresh();
  }
  const listener = await listen(app, host, 0);
  const agent = new Agent({ keepAlive: true });

  function call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string | null> = {},
  ): Promise<Answer> {
    const isContent = body === undefined || typeof body === 'string' || Buffer.isBuffer(body);
    const content = isContent ? body : JSON.stringify(body);
    const all: Record<string, string | null> = {
      authorization: apiKey === null ? null : `Bearer ${apiKey}`,
      'content-type': content === undefined ? null : 'application/json',
      'content-length': content === undefined ? null : `${Buffer.byteLength(content)}`,
      ...headers,
    };
    const given = Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [[name, value]]));
    return exchange({ agent, host, port: listener.port, method, path, headers: Object.fromEntries(given) }, content);
  }

  return {
    call,
    workspace,
    host,
    port: listener.port,
    url: `http://${host}:${listener.port}`,
    routes,
    services,
    store,
    alertStore,
    traffic: { ...trafficStore, tally },
    redis,
    scripts,
    keys,
    ring,
    log,
    async limit(...limits) {
      for (const limit of limits) {
        const { status, text } = await call('PUT', `/limits/${limit.id}`, limit);
        if (status !== 200 && status !== 201) throw new Error(`${status} ${text}`);
      }
    },
    async stop() {
      agent.destroy();
      ring.stop();
      await listener.drain();
      await alertWebhooks.close();
      redis.disconnect();
    },
  };
}

function exchange(options: RequestOptions, content: string | Buffer | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const headers = flat(response.headers);
        const isJson = /^application\/(?:[\w.]+\+)?json\b/.test(headers['content-type'] ?? '');
        resolve({
          status: response.statusCode!,
          headers,
          text,
          body: isJson && text !== '' ? JSON.parse(text) : undefined,
        });
      });
    });
    request.on('error', reject);
    request.end(content);
  });
}

function flat(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, `${value}`]));
}
