import { randomBytes, randomUUID } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { hostname } from 'node:os';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { createKeyRing, type Schedule } from './access/key-ring';
import { type AccessMode, accessMode, accessModeWords } from './access/mode';
import { createAlerts } from './alerts/alerts';
import { createDegradedAlerts } from './alerts/degraded';
import { type AlertObserver, createDeliverAlert, type DeliverAlert } from './alerts/deliver';
import { type AdminMail, createAdminMail } from './alerts/mail';
import { type AlertWorker, openAlertQueue, startAlertWorker } from './alerts/queue';
import { startAlertRelay } from './alerts/relay';
import { createAlertStore } from './alerts/store';
import { createAlertWebhooks } from './alerts/webhooks';
import { type Config, configuredProviders, routingOf } from './config';
import { createDegradedAnswers } from './gate/degraded';
import { createGate } from './gate/gate';
import { createLocalShare } from './gate/local-share';
import { reachableHost, urlHost } from './healthcheck';
import { allRoutes } from './http/all-routes';
import { createApp } from './http/app';
import { createAuthenticate } from './http/auth';
import { mountBoard } from './http/board';
import { mountConsole } from './http/console';
import { ListenError, type Listener, listen } from './http/listener';
import { mountReference } from './http/reference';
import { healthRoutes, type Readiness } from './http/routes/health';
import type { VonageReceipts } from './http/routes/receipts';
import { createApplyEvents } from './inbound/apply';
import { createMappings } from './inbound/mappings';
import { Refusal, type Service } from './lifecycle';
import { createCalendarCache } from './limits/calendar';
import { parseApart } from './limits-file/parse-apart';
import { type LimitsFileWatch, watchLimitsFile } from './limits-file/watch';
import { createAuditTrail } from './log/audit';
import { readHistory } from './log/history';
import { type Housekeeping, startHousekeeping } from './log/housekeeping';
import { createMessageLog } from './log/messages';
import { trimLogs } from './log/trim';
import { createWhatIfs } from './log/what-if';
import type { Logger } from './logger';
import { type AccountSettings, createAccountSettings } from './membership/account-settings';
import { createAccounts } from './membership/accounts';
import { createMembers } from './membership/members';
import { createProfiles, type Profiles } from './membership/profiles';
import { createMetrics, type Metrics } from './metrics/metrics';
import { DataFolderError, type HeldFolder, holdDataFolder, openDataFolder } from './private-redis/folder';
import { findRedisProgram, NoRedisProgramError } from './private-redis/program';
import { type PrivateRedis, PrivateRedisError, privateRedisTarget, startPrivateRedis } from './private-redis/server';
import { createAcceptSend } from './sends/accept';
import { createSendActions } from './sends/actions';
import { createDecideSend, type DecideSend } from './sends/decide';
import { type DepthWatch, watchDepths } from './sends/depths';
import { type Hold, startHold } from './sends/hold';
import { pooledRandomBytes } from './sends/ids';
import { createProcessAttempt, type StoppedProvider } from './sends/process';
import { createLogProvider } from './sends/providers/log';
import { PROVIDER_NAMES, providerFor } from './sends/providers/names';
import type { Provider } from './sends/providers/provider';
import { createVonageProvider } from './sends/providers/vonage';
import { createWebhookProvider } from './sends/providers/webhook';
import { openQueues, type Queues } from './sends/queue';
import { createRecordReceipt } from './sends/receipts';
import { startRelay } from './sends/relay';
import { createSendStore, type SendStore } from './sends/store';
import { isJobTakenOver, startWorkers, type Workers } from './sends/workers';
import { createRedisClock, type RedisClock } from './store/clock';
import { type ConfigurationStore, createConfigurationStore } from './store/configuration';
import { connectFailingFast, connectPatiently, type RedisClient, type RedisTarget } from './store/connection';
import { resetCounter } from './store/counters';
import { createDecisionStore } from './store/decisions';
import { isRedisUnavailable, redisAdvice, redisFailureReason, redisWords } from './store/failure';
import { createKeys, type Keys } from './store/keys';
import { createLink, type Link } from './store/link';
import { type Pulse, startPulse } from './store/pulse';
import { loadScripts, type Scripts } from './store/scripts';
import { judgeServers, readServerFacts } from './store/server-check';
import type { StreamConsumer } from './store/stream-consumer';
import { createTrafficStore, type TrafficStore } from './traffic/store';
import { createTrafficTally, type TrafficTally } from './traffic/tally';
import { packageVersion } from './version';

/** How long a command of the API may take, in milliseconds; a check gives up sooner, by itself. */
const COMMAND_TIMEOUT_MS = 1_000;
/** How soon a lost connection is tried again, in milliseconds: an API's callers wait for it. */
const API_RECONNECT_MS = 100;
const WORKER_RECONNECT_MS = 500;
/** How soon a start that failed for want of Redis goes on, in milliseconds. */
const START_RETRY_MS = 100;
const HOUSEKEEPING_MS = 60_000;
/** How often what was written into the log is put into its indexes, in milliseconds. */
const INDEXING_MS = 1_000;
/**
 * How many messages an API does that for at a time: what its callers wait for comes first. A worker does it for all, and who
 * looks for messages does it for what is left.
 */
const INDEXED_BY_API = 500;
/** How often what was counted for the statistics is added to what Redis keeps, in milliseconds. */
const TRAFFIC_MS = 5_000;
/** The part of the time for what has begun to end that its last addition may take at a stop. */
const TRAFFIC_PART = 0.2;
/** The most accounts whose settings, and the most calendars, that are kept in memory. */
const ACCOUNTS_KNOWN = 100_000;
const CALENDARS_KNOWN = 10_000;
/** Of how many users it is remembered which their only account is. */
const USERS_KNOWN = 100_000;
/** Faults of the same kind are written once in this time, in milliseconds. */
const FAULT_PAUSE_MS = 1_000;

/** How long a decision about a handed-over send may take at least, in milliseconds: nobody waits in a hot path for it. */
const SEND_TIMEOUT_MS = 1_000;
/** The part of the time for what has begun to end after which deliveries that go on are told to. */
const ABORT_PART = 0.8;

/** What is told of an API that is ready. */
export interface ApiReady {
  /** As a process on this machine reaches it: `http://127.0.0.1:8080`. */
  url: string;
  access: Exclude<AccessMode, 'waiting' | 'refused'>;
}

export interface ServiceDeps {
  config: Config;
  logger: Logger;
}

/** Listens, or says to the operator why not. @param portVariable the variable that chooses the port */
async function listenOrRefuse(
  app: RequestListener,
  host: string,
  port: number,
  portVariable: string,
): Promise<Listener> {
  try {
    return await listen(app, host, port, portVariable);
  } catch (error) {
    if (error instanceof ListenError) throw new Refusal(error.message, 1);
    throw error;
  }
}

function urlOf({ host, port }: Listener): string {
  return `http://${urlHost(reachableHost(host))}:${port}`;
}

/** Lets what has begun end, and cuts off what has not by then. */
async function drainWithin(listener: Listener, drainMs: number, logger: Logger): Promise<void> {
  const timer = setTimeout(() => {
    logger.warn('Requests that had not ended are cut off.');
    listener.cut();
  }, drainMs);
  await listener.drain();
  clearTimeout(timer);
}

/** Writes when Redis begins and ceases to answer, and why. @param onChange told so too, with why in words */
function watchRedis(
  redis: RedisClient,
  link: Link,
  logger: Logger,
  awayWords: string,
  onChange: (beats: boolean, reason: string) => void = () => undefined,
): Pulse {
  let seen = false;
  return startPulse({
    redis,
    link,
    onChange(beats, error) {
      onChange(beats, redisWords(error) ?? 'it does not answer');
      if (beats) logger.info(seen ? 'Redis answers again.' : 'Redis answers.');
      else if (redisAdvice(error) !== null) {
        logger.error(`Redis cannot be used: ${redisAdvice(error)}`, { reason: redisWords(error) });
      } else if (seen) logger.warn(`Redis does not answer: ${awayWords}`, { reason: redisWords(error) });
      else logger.info('Waiting for Redis.', { reason: redisWords(error) });
      seen ||= beats;
    },
  });
}

/** Does something that needs Redis, as often as it takes. Resolves without having done it when `stopped` comes first. */
async function untilDone(link: Link, logger: Logger, stopped: AbortSignal, work: () => Promise<void>): Promise<void> {
  let told = false;
  while (!stopped.aborted) {
    try {
      if (await link.nextAttempt()) {
        await work();
        return;
      }
    } catch (error) {
      if (error instanceof Refusal) throw error;
      if (!isRedisUnavailable(error) && !told) {
        told = true;
        logger.error('The start failed, and is tried again.', { error });
      }
    }
    await delay(START_RETRY_MS);
  }
}

/** Looks at what Redis this is. @throws Refusal */
async function judgeRedis(redis: RedisClient, logger: Logger): Promise<void> {
  const { refusal, warning } = judgeServers(await readServerFacts(redis));
  if (refusal !== null) throw new Refusal(refusal, 1);
  if (warning !== null) logger.warn(warning);
}

/** Writes a fault, unless one was written a moment ago. */
function occasionally(nowMs: () => number, write: (error: unknown, unwritten: number) => void) {
  let nextMs = Number.NEGATIVE_INFINITY;
  let unwritten = 0;
  return (error: unknown) => {
    if (nowMs() < nextMs) {
      unwritten += 1;
      return;
    }
    nextMs = nowMs() + FAULT_PAUSE_MS;
    write(error, unwritten);
    unwritten = 0;
  };
}

const monotonicMs = () => performance.now();

const schedule: Schedule = (work, delayMs) => {
  const timer = setTimeout(work, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
};

/** Does something again and again while Redis can be asked, one time after the other. Returns what stops it. */
function repeat(
  everyMs: number,
  isReady: () => boolean,
  work: () => Promise<unknown>,
  onFailure: (error: unknown) => void,
): () => void {
  let working = false;
  const timer = setInterval(async () => {
    if (working || !isReady()) return;
    working = true;
    try {
      await work();
    } catch (error) {
      onFailure(error);
    } finally {
      working = false;
    }
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}

const pause = (ms: number) => delay(ms, undefined, { ref: false });

/** How much the logs keep. */
function logBounds({ logMaxAgeSeconds, logMaxMessages, auditMaxAgeSeconds }: Config) {
  return { logMaxAgeMs: logMaxAgeSeconds * 1_000, logMaxMessages, auditMaxAgeMs: auditMaxAgeSeconds * 1_000 };
}

/** How many messages wait to be delivered; null when that is not known. */
function queueDepth(depths: DepthWatch): number | null {
  return depths.last()?.reduce((sum, { outbox, waiting, delayed }) => sum + outbox + waiting + delayed, 0) ?? null;
}

/** What counts for the statistics what a process decides and delivers. */
interface TrafficCount {
  tally: TrafficTally;
  read: TrafficStore['read'];
  /** Adds what was counted last, if Redis answers by then. */
  stop(drainMs: number): Promise<void>;
}

/** Begins to count. */
function composeTraffic(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  nowMs: () => number;
  /** Whether Redis answers: while it does not, what is counted is kept. */
  answers: () => boolean;
  logger: Logger;
}): TrafficCount {
  const { nowMs, answers, logger } = deps;
  const tally = createTrafficTally(nowMs);
  const store = createTrafficStore({ ...deps, tally, processId: randomUUID(), monotonicMs });
  const failed = occasionally(monotonicMs, (error, unwritten) => {
    if (redisFailureReason(error) === null) {
      logger.error('What was counted for the statistics could not be added.', { error, unwritten });
    }
  });
  const stopAdding = repeat(TRAFFIC_MS, answers, store.flush, failed);
  return {
    tally,
    read: store.read,
    async stop(drainMs) {
      stopAdding();
      if (answers()) await Promise.race([store.flush().catch(failed), pause(drainMs * TRAFFIC_PART)]);
    },
  };
}

/** What decides messages that are handed over, and keeps their state. */
function composeSends(deps: {
  config: Config;
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  configuration: ConfigurationStore;
  accounts: AccountSettings;
  clock: RedisClock;
  link: Link;
  metrics: Metrics;
  tally: TrafficTally;
  fault: (error: unknown) => void;
}): { store: SendStore; decide: DecideSend } {
  const { config, metrics, tally, fault } = deps;
  const store = createSendStore({
    ...deps,
    idempotencyTtlMs: config.idempotencyTtlSeconds * 1_000,
    logMaxAgeMs: config.logMaxAgeSeconds * 1_000,
    holdMaxMs: config.deferMaxAgeSeconds * 1_000,
    monotonicMs,
  });
  const { replanned, called, tooLate } = metrics;
  const decide = createDecideSend({
    ...deps,
    store,
    observer: {
      ...{ replanned, called, tooLate, fault },
      sendDecided(kind, message, throttledBy) {
        metrics.sends.sendDecided(kind);
        tally.sendDecided(kind, message, throttledBy);
      },
    },
    timeoutMs: Math.max(config.checkTimeoutMs, SEND_TIMEOUT_MS),
    usersKnown: USERS_KNOWN,
  });
  return { store, decide };
}

/** The queues of the providers. */
function composeQueues(config: Config, redis: RedisClient, keys: Keys, onTrouble: (error: unknown) => void): Queues {
  return openQueues({ redis, keys, providers: PROVIDER_NAMES, keepJobs: config.queueKeepJobs, onTrouble });
}

/** The phone number in a user's profile, or null. */
type PhoneOf = (userId: string) => Promise<string | null>;

/** The fields of a profile that it may be in: by Courier's name, or by that of Segment's traits. */
const PHONE_FIELDS = ['phone_number', 'phone'];

function composePhoneOf(profiles: Pick<Profiles, 'read'>): PhoneOf {
  return async (userId) => {
    const profile = (await profiles.read(userId)) ?? {};
    const number = PHONE_FIELDS.map((field) => profile[field]).find(
      (value) => typeof value === 'string' && value !== '',
    );
    return (number as string | undefined) ?? null;
  };
}

/** The rates of providers that have one: so many attempts a second are begun by all workers together. */
function providerRates({ providerRates: rates, vonageRate }: Config): Record<string, number> {
  return { ...rates, vonage: vonageRate };
}

/** What delivers, for each provider that is configured. */
function composeProviders(config: Config, logger: Logger, phoneOf: PhoneOf): Map<string, Provider> {
  const { webhookUrl: url, webhookSecret: secret, webhookTimeoutMs: timeoutMs, allowPrivateTargets } = config;
  const providers = [createLogProvider((message) => logger.info('A message would be sent.', { sent: message }))];
  if (url !== null) {
    providers.push(createWebhookProvider({ url, secret, timeoutMs, allowPrivateTargets, nowMs: Date.now }));
  }
  const { vonageUrl, vonageApiKey: apiKey, vonageApiSecret: apiSecret, vonageFrom: from, vonageTimeoutMs } = config;
  if (apiKey !== null && apiSecret !== null && from !== null) {
    const account = { url: vonageUrl, apiKey, apiSecret, from, timeoutMs: vonageTimeoutMs };
    providers.push(createVonageProvider({ ...account, phoneOf, nowMs: Date.now }));
  }
  return new Map(providers.map((provider) => [provider.name, provider]));
}

/** What alerts are delivered with. */
interface AlertDelivering {
  mail: AdminMail | null;
  /** Makes what makes attempts. @param triesMax after how many it is given up */
  deliver(triesMax: number): DeliverAlert;
  close(): Promise<void>;
}

function composeAlertDelivering(config: Config, nowMs: () => number, observer: AlertObserver): AlertDelivering {
  const { smtpUrl, alertMailFrom, alertMailTo, webhookTimeoutMs: timeoutMs, allowPrivateTargets } = config;
  // With one of the three there are all: see contradictionsIn.
  const mail = smtpUrl === null ? null : createAdminMail({ url: smtpUrl, from: alertMailFrom!, to: alertMailTo! });
  const webhooks = createAlertWebhooks({ timeoutMs, allowPrivateTargets, nowMs: Date.now });
  return {
    mail,
    deliver: (triesMax) => createDeliverAlert({ webhooks, mail, triesMax, nowMs, observer }),
    async close() {
      mail?.close();
      await webhooks.close();
    },
  };
}

/** The id of an alert that no script has made. */
const newAlertId = () => `al_${randomBytes(12).toString('hex')}`;

/** A service in two steps: what must be there before Redis is, and what needs Redis. */
interface TwoStepService extends Service {
  /** @throws Refusal */
  listen(): Promise<void>;
  /** Resolves once it does its work, or has been stopped. @throws Refusal */
  run(): Promise<void>;
}

/**
 * The API. It listens at once, so that it is seen to live; it is ready when Redis answers, the limits are loaded, the
 * limits file is in force and it is known who may call. Until then checks are answered 503.
 * @param onReady told once, when it is
 */
export function composeApi(
  { config, logger: common }: ServiceDeps,
  target: RedisTarget,
  onReady: (ready: ApiReady) => void,
  metrics: Metrics = createMetrics({ processMetrics: true }),
): TwoStepService {
  const logger = common.with({ role: 'api' });
  const keys = createKeys(config.workspace);
  const scripts = loadScripts();
  const redis = connectFailingFast(target, {
    name: 'sendgate-api',
    commandTimeoutMs: Math.max(COMMAND_TIMEOUT_MS, config.checkTimeoutMs),
    reconnectMs: API_RECONNECT_MS,
  });
  const link = createLink(redis);
  const clock = createRedisClock(monotonicMs, Date.now);
  const nowMs = () => clock.nowMs();

  const calendars = createCalendarCache(CALENDARS_KNOWN);
  const calendarFor = calendars.for.bind(calendars);
  const configuration = createConfigurationStore({ redis, scripts, keys, calendarFor });
  const accountSettings = createAccountSettings({ capacity: ACCOUNTS_KNOWN });
  const ring = createKeyRing({
    redis,
    keys,
    envKey: config.apiKey,
    schedule,
    onFailure(error) {
      if (redisFailureReason(error) === null) logger.error('The API keys could not be read.', { error });
    },
  });

  const stopping = new AbortController();
  /** Whether the limits are in force, those of the file included: before that nothing is decided. */
  let open = false;
  let openNow: () => void;
  const opened = new Promise<void>((resolve) => {
    openNow = resolve;
  });
  const gateConfiguration: ConfigurationStore = {
    ...configuration,
    planner: () => (open ? configuration.planner() : null),
    async refresh() {
      await opened;
      await configuration.refresh();
    },
  };
  const decisionFault = occasionally(monotonicMs, (error, unwritten) => {
    const reason = redisFailureReason(error);
    if (reason === null) logger.error('A decision failed.', { error, unwritten });
    // That Redis is away is said once, where it is noticed. One that answers, but is full or a replica, is not.
    if (reason === 'refused') {
      logger.warn('Redis answers, and refuses to decide.', { reason: redisWords(error), unwritten });
    }
  });
  const traffic = composeTraffic({ redis, scripts, keys, nowMs, answers: () => pulse.beats(), logger });
  const gate = createGate({
    configuration: gateConfiguration,
    decisions: createDecisionStore({
      redis,
      scripts,
      keys,
      idempotencyTtlMs: config.idempotencyTtlSeconds * 1_000,
      logMaxAgeMs: config.logMaxAgeSeconds * 1_000,
    }),
    accounts: accountSettings,
    clock,
    link,
    answerDegraded: createDegradedAnswers({ keys, localShare: createLocalShare(), replicas: config.replicas }),
    resetCounter: (reset, actor, source) => resetCounter({ redis, scripts, keys }, reset, actor, source),
    observer: {
      decided(decision, check) {
        metrics.decided(decision);
        traffic.tally.checkDecided(decision, check);
      },
      degraded(policy, reason, check) {
        metrics.degraded(policy, reason);
        traffic.tally.checkDegraded(check);
      },
      replanned: metrics.replanned,
      called: metrics.called,
      tooLate: metrics.tooLate,
      fault: decisionFault,
    },
    checkTimeoutMs: config.checkTimeoutMs,
  });

  const members = createMembers({ redis, scripts, keys });
  const messageLog = createMessageLog({ redis, scripts, keys });
  const sends = composeSends({
    ...{
      config,
      redis,
      scripts,
      keys,
      configuration: gateConfiguration,
      accounts: accountSettings,
      clock,
      link,
      metrics,
      tally: traffic.tally,
    },
    fault: decisionFault,
  });
  const queues = composeQueues(config, redis, keys, () => undefined);

  function composeVonageReceipts(): VonageReceipts | null {
    if (!configuredProviders(config).includes('vonage')) return null;
    const {
      vonageSignatureSecret: secret,
      vonageSignatureMethod: method,
      vonageSignatureAgeSeconds,
      refundFailed,
    } = config;
    return {
      record: createRecordReceipt({
        ...{ redis, scripts, keys, messageLog, refundFailed },
        observer: { received: metrics.sends.received, gaveUp: traffic.tally.sendFailed },
      }),
      signature: secret === null ? null : { secret, method, maxAgeMs: vonageSignatureAgeSeconds * 1_000 },
    };
  }
  const depths = watchDepths({ isReady: () => link.isReady(), depths: queues.depths });

  const alertStore = createAlertStore({ redis, scripts, keys, nowMs });
  const alerting = composeAlertDelivering(config, nowMs, metrics.alerts);
  const degradedAlerts = createDegradedAlerts({
    workspace: config.workspace,
    replica: `${hostname()}:${process.pid}`,
    webhooks: () => configuration.planner()?.configuration.settings.alert_webhooks ?? null,
    mails: alerting.mail !== null,
    deliver: alerting.deliver(config.tries),
    store: alertStore,
    backoff: { firstMs: config.retryFirstMs, mostMs: config.retryMaxMs },
    newId: newAlertId,
    nowMs,
    random: Math.random,
    pause: (ms, signal) => delay(ms, undefined, { ref: false, signal }).catch(() => undefined),
    observer: {
      raised: metrics.alerts.raised,
      failed(error) {
        if (redisFailureReason(error) === null) logger.error('An alert could not be sent.', { error });
      },
    },
  });
  const pulse = watchRedis(
    redis,
    link,
    logger,
    'checks are answered by the on_redis_down of their limits.',
    degradedAlerts.changed,
  );
  let listener: Listener | undefined;
  let limitsFile: LimitsFileWatch | undefined;

  function readiness(): Readiness {
    const answers = pulse.beats();
    return {
      ready: answers && open && !stopping.signal.aborted,
      redis: answers,
      limits_loaded: open,
      degraded: !answers,
      queue_depth: queueDepth(depths),
      stopping: stopping.signal.aborted,
    };
  }
  metrics.sends.watchDepths(depths.last, nowMs);
  metrics.watch({
    redisUp: () => pulse.beats(),
    configuration() {
      const known = configuration.planner()?.configuration;
      return known === undefined ? null : { version: known.version, limits: known.limits.size };
    },
  });

  const acceptSend = createAcceptSend({ ...sends, members, randomBytes: pooledRandomBytes(randomBytes) });
  const routing = routingOf(config);
  const mappings = createMappings({ redis, scripts, keys });
  const applyEvents = createApplyEvents({
    ...{ redis, scripts, keys, mappings, acceptSend, monotonicMs },
    // An event says no channel.
    provider: providerFor(null, routing),
    idempotencyTtlMs: config.idempotencyTtlSeconds * 1_000,
    randomBytes: pooledRandomBytes(randomBytes),
  });
  const eventsRefused = occasionally(monotonicMs, (refused, unwritten) =>
    logger.warn('Events were refused: nobody else is told why.', {
      ...(refused as object),
      calls_left_out_before: unwritten,
    }),
  );

  const authenticate = createAuthenticate({ ring, host: config.host });
  const app = createApp({
    routes: allRoutes({
      version: packageVersion(),
      workspace: config.workspace,
      gate,
      configuration,
      members,
      accounts: createAccounts({ redis, scripts, keys }),
      whatIfs: createWhatIfs({
        ...{ redis, scripts, keys, nowMs, monotonicMs, pause: nextTurn },
        holdMaxMs: config.deferMaxAgeSeconds * 1_000,
        idempotencyTtlMs: config.idempotencyTtlSeconds * 1_000,
      }),
      accountSettings,
      messageLog,
      history: (message) => readHistory({ redis, keys }, message),
      checksLogged: () => configuration.planner()?.configuration.settings.log_checks === 'all',
      acceptSend,
      sendActions: createSendActions({ ...sends, messageLog }),
      sends: {
        routing,
        configured: configuredProviders(config),
      },
      vonageReceipts: composeVonageReceipts(),
      profiles: createProfiles({ redis, scripts, keys }),
      inbound: {
        apply: applyEvents,
        mappings,
        segmentSecret: config.segmentSecret,
        rudderstackHeader: config.rudderstackHeader,
        refused: (source, count, firstWords) => eventsRefused({ source, refused: count, first: firstWords }),
      },
      auditTrail: createAuditTrail({ redis, keys }),
      traffic,
      alerts: createAlerts({
        ...{ workspace: config.workspace, store: alertStore, mail: alerting.mail, deliver: alerting.deliver(1) },
        ...{ newId: newAlertId, nowMs, monotonicMs },
      }),
      metrics,
      readiness,
      depths: depths.last,
      nowMs,
      newLimitId: () => `limit-${randomBytes(8).toString('hex')}`,
    }),
    authenticate,
    log: logger,
    logRequests: config.logLevel === 'debug',
    metrics,
    newRequestId: randomUUID,
    monotonicMs,
    mountPages(pages) {
      mountConsole(pages);
      mountReference(pages);
      mountBoard(pages, { queues: () => queues.byProvider.values(), authenticate });
    },
  });

  /** Brings the limits file into force; what else it says, and later changes, are its own business. */
  async function applyLimitsFile(path: string): Promise<void> {
    limitsFile = watchLimitsFile({ path, configuration, parse: parseApart, nowMs, log: logger });
    const outcome = await limitsFile.first;
    if (outcome === 'applied' || outcome === 'stopped') return;
    if (configuration.planner()!.configuration.limits.size > 0) return;
    // With the limits of an earlier start it would go on. With none, every message would pass.
    throw new Refusal(
      `SENDGATE_LIMITS_FILE is ${path}, which could not be brought into force (the log says why), and there are no other limits: every message would pass.`,
      2,
    );
  }

  /** What keeps the log in order, also where no worker runs. */
  const upkeep: (() => void)[] = [];
  function startUpkeep(): void {
    const failed = (error: unknown) => {
      if (redisFailureReason(error) === null) logger.error('The log could not be kept in order.', { error });
    };
    const isReady = () => link.isReady();
    upkeep.push(
      repeat(INDEXING_MS, isReady, () => messageLog.index(INDEXED_BY_API), failed),
      repeat(
        HOUSEKEEPING_MS,
        isReady,
        () => trimLogs({ redis, scripts, keys, nowMs: nowMs(), ...logBounds(config) }),
        failed,
      ),
    );
  }

  async function run(): Promise<void> {
    await untilDone(link, logger, stopping.signal, async () => {
      await judgeRedis(redis, logger);
      await configuration.refresh();
      await ring.refresh();
    });
    if (stopping.signal.aborted) return;
    ring.start();
    const access = accessMode({ host: config.host, ...ring.access() });
    if (access === 'waiting' || access === 'refused') throw new Refusal(accessModeWords(access, config.host), 2);
    if (config.limitsFile !== null) await applyLimitsFile(config.limitsFile);
    if (stopping.signal.aborted) return;
    open = true;
    openNow();
    startUpkeep();
    const url = urlOf(listener!);
    if (access === 'open') logger.warn(accessModeWords(access, config.host));
    logger.info('The API is ready.', {
      url,
      workspace: config.workspace,
      limits: configuration.planner()!.configuration.limits.size,
    });
    onReady({ url, access });
  }

  async function listenNow(): Promise<void> {
    listener = await listenOrRefuse(app, config.host, config.port, 'PORT');
    logger.info('The API listens.', { host: listener.host, port: listener.port });
  }

  return {
    listen: listenNow,
    run,
    async start() {
      await listenNow();
      await run();
    },
    async stop(drainMs) {
      stopping.abort();
      if (listener !== undefined) await drainWithin(listener, drainMs, logger);
      await limitsFile?.stop();
      ring.stop();
      depths.stop();
      for (const stop of upkeep) stop();
      await traffic.stop(drainMs);
      pulse.stop();
      await Promise.race([degradedAlerts.stop(), pause(drainMs)]);
      await alerting.close();
      await queues.close();
      redis.disconnect();
    },
  };
}

/**
 * The worker: what has to be done without anybody asking.
 * @param apiMetrics of an API in the same process, which answers for its health, and has looked at what Redis this is;
 *   null when it is alone
 */
export function composeWorker(
  { config, logger: common }: ServiceDeps,
  target: RedisTarget,
  apiMetrics: Metrics | null,
): TwoStepService {
  const logger = common.with({ role: 'worker' });
  const keys = createKeys(config.workspace);
  const scripts = loadScripts();
  const redis = connectPatiently(target, {
    name: 'sendgate-worker',
    commandTimeoutMs: 0,
    reconnectMs: WORKER_RECONNECT_MS,
  });
  const link = createLink(redis);
  const metrics = apiMetrics ?? createMetrics({ processMetrics: true });
  const clock = createRedisClock(monotonicMs, Date.now);
  const nowMs = () => clock.nowMs();
  const calendars = createCalendarCache(CALENDARS_KNOWN);
  const configuration = createConfigurationStore({ redis, scripts, keys, calendarFor: calendars.for.bind(calendars) });
  const traffic = composeTraffic({ redis, scripts, keys, nowMs, answers: () => pulse.beats(), logger });
  const sends = composeSends({
    ...{ config, redis, scripts, keys, configuration, clock, link, metrics, tally: traffic.tally },
    accounts: createAccountSettings({ capacity: ACCOUNTS_KNOWN }),
    fault: occasionally(monotonicMs, (error, unwritten) => {
      if (redisFailureReason(error) === null) logger.error('A decision failed.', { error, unwritten });
    }),
  });
  const trouble = occasionally(monotonicMs, (error, unwritten) => {
    // That Redis is away, and why, is said once, where it is noticed.
    if (!link.isReady() || redisFailureReason(error) !== null) return;
    if (isJobTakenOver(error)) {
      logger.warn('A job had ended, or was taken over, before its end was recorded.', {
        reason: redisWords(error),
        unwritten,
      });
    } else logger.error('The queue failed.', { error, unwritten });
  });
  const queues = composeQueues(config, redis, keys, trouble);
  const depths = watchDepths({ isReady: () => link.isReady(), depths: queues.depths });
  const alertStore = createAlertStore({ redis, scripts, keys, nowMs });
  const providers = composeProviders(config, logger, composePhoneOf(createProfiles({ redis, scripts, keys })));
  const alertQueue = openAlertQueue({ redis, keys, onTrouble: trouble });
  const alerting = composeAlertDelivering(config, nowMs, metrics.alerts);
  const stopping = new AbortController();
  const pulse = watchRedis(redis, link, logger, 'the worker waits for it.');
  let listener: Listener | undefined;
  let housekeeping: Housekeeping | undefined;
  let relay: StreamConsumer | undefined;
  let hold: Hold | undefined;
  let workers: Workers | undefined;
  let alertRelay: StreamConsumer | undefined;
  let alertWorker: AlertWorker | undefined;
  let stopIndexing: (() => void) | undefined;

  function readiness(): Readiness {
    const answers = pulse.beats();
    return {
      ready: answers && housekeeping !== undefined && !stopping.signal.aborted,
      redis: answers,
      // It decides nothing.
      limits_loaded: true,
      degraded: !answers,
      queue_depth: queueDepth(depths),
      stopping: stopping.signal.aborted,
    };
  }
  if (apiMetrics === null) {
    metrics.watch({ redisUp: () => pulse.beats(), configuration: () => null });
    metrics.sends.watchDepths(depths.last, nowMs);
  }

  async function learnTime(): Promise<void> {
    const sentMs = monotonicMs();
    const [seconds, microseconds] = await redis.time();
    clock.observe(Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000), sentMs);
  }

  async function trim() {
    await learnTime();
    return trimLogs({ redis, scripts, keys, nowMs: nowMs(), ...logBounds(config) });
  }

  const turnFailed = (what: string) =>
    occasionally(monotonicMs, (error, unwritten) => {
      if (redisFailureReason(error) === null) logger.error(`${what} failed, and goes on.`, { error, unwritten });
    });

  const alertNotWritten = turnFailed('Writing an alert down');
  /** Told by one worker, once in each pause. */
  function providerStopped(stop: StoppedProvider): void {
    metrics.sends.stopped(stop);
    const { provider, code, error, sinceMs, untilMs } = stop;
    logger.error('A provider takes no messages. They wait, and it is tried again.', {
      ...{ provider, code, reason: error },
      ...{ since: new Date(sinceMs).toISOString(), until: new Date(untilMs).toISOString() },
    });
    // The messages do not wait for it.
    alertStore.providerStopped({ provider, code, words: error, untilMs }).catch(alertNotWritten);
  }

  /** Begins to tell of alerts. */
  function startAlerts(): void {
    const common = {
      ...{ redis, keys, workspace: config.workspace, queue: alertQueue, store: alertStore, nowMs },
      mails: alerting.mail !== null,
      async webhooks() {
        await configuration.refresh();
        return configuration.planner()!.configuration.settings.alert_webhooks;
      },
    };
    alertRelay = startAlertRelay({
      ...common,
      consumer: randomUUID(),
      pause,
      observer: { raised: metrics.alerts.raised, failed: turnFailed('The relay of alerts') },
    });
    alertWorker = startAlertWorker({
      ...common,
      deliver: alerting.deliver(config.tries),
      backoff: { firstMs: config.retryFirstMs, mostMs: config.retryMaxMs },
      random: Math.random,
      observer: {
        collected: (type) => metrics.alerts.attempted('mail', type, 'collected'),
        failed: turnFailed('An alert'),
        trouble,
      },
    });
  }

  /** Begins to deliver, and to decide what has waited. */
  function startSends(): void {
    const token = randomUUID();
    relay = startRelay({
      ...{
        redis,
        keys,
        queues,
        providers: PROVIDER_NAMES,
        consumer: token,
        maxDepth: config.queueMaxDepth,
        nowMs,
        pause,
      },
      observer: {
        relayed: metrics.sends.relayed,
        failed: turnFailed('The relay'),
        held(provider, isHeld) {
          metrics.sends.held(provider, isHeld);
          if (isHeld) logger.warn('A queue is full: what is accepted waits in the outbox.', { provider });
        },
      },
    });
    hold = startHold({
      ...{ redis, scripts, keys, decide: sends.decide, nowMs, token, pause },
      holdMaxMs: config.deferMaxAgeSeconds * 1_000,
      observer: { failed: turnFailed('Deciding what has waited') },
    });
    workers = startWorkers({
      ...{ redis, keys, providers: [...providers.keys()], concurrency: config.concurrency },
      ratesPerSecond: providerRates(config),
      keepJobs: config.queueKeepJobs,
      processAttempt: createProcessAttempt({
        ...{ store: sends.store, providers, nowMs, monotonicMs, random: Math.random },
        observer: { ...metrics.sends, gaveUp: traffic.tally.sendFailed, stopped: providerStopped },
        stopMs: config.vonagePauseSeconds * 1_000,
        holdQueue: queues.hold,
        backoff: { firstMs: config.retryFirstMs, mostMs: config.retryMaxMs },
        triesMax: config.tries,
        refundFailed: config.refundFailed,
      }),
      observer: { failed: turnFailed('An attempt to deliver'), trouble },
    });
  }

  async function listenNow(): Promise<void> {
    if (config.workerPort === null) return;
    const app = createApp({
      routes: healthRoutes({ readiness, metrics }),
      authenticate: () => {
        throw new Error('No route of the worker asks who calls.');
      },
      log: logger,
      logRequests: config.logLevel === 'debug',
      metrics,
      newRequestId: randomUUID,
      monotonicMs,
    });
    listener = await listenOrRefuse(app, config.host, config.workerPort, 'SENDGATE_WORKER_PORT');
    logger.info('The worker listens.', { host: listener.host, port: listener.port });
  }

  async function run(): Promise<void> {
    await untilDone(link, logger, stopping.signal, async () => {
      if (apiMetrics === null) await judgeRedis(redis, logger);
      await learnTime();
    });
    if (stopping.signal.aborted) return;
    housekeeping = startHousekeeping({
      redis,
      keys,
      everyMs: HOUSEKEEPING_MS,
      trim,
      observer: {
        trimmed({ log, audit }) {
          if (log + audit > 0) logger.info('Old entries were removed.', { log, audit });
        },
        failed: (error) => logger.error('The housekeeping failed; the next turn makes up for it.', { error }),
        trouble,
      },
    });
    startSends();
    startAlerts();
    const { index } = createMessageLog({ redis, scripts, keys });
    stopIndexing = repeat(
      INDEXING_MS,
      () => link.isReady(),
      () => index(),
      occasionally(monotonicMs, (error, unwritten) => {
        if (redisFailureReason(error) === null)
          logger.error('The log could not be kept in order.', { error, unwritten });
      }),
    );
    await housekeeping.planned;
    if (!stopping.signal.aborted) logger.info('The worker is ready.', { workspace: config.workspace });
  }

  return {
    listen: listenNow,
    run,
    async start() {
      await listenNow();
      await run();
    },
    async stop(drainMs) {
      stopping.abort();
      const abort = setTimeout(() => {
        workers?.abort();
        alertWorker?.abort();
      }, drainMs * ABORT_PART);
      const closed = (async () => {
        // Without Redis there is nothing that could end.
        stopIndexing?.();
        const now = !link.isReady();
        const ends = [housekeeping?.stop(now), relay?.stop(now), hold?.stop(now), workers?.stop(now)];
        await Promise.race([Promise.all([...ends, alertRelay?.stop(now), alertWorker?.stop(now)]), pause(drainMs)]);
        clearTimeout(abort);
        depths.stop();
        const closing = [...providers.values()].map((provider) => provider.close());
        await Promise.race([Promise.all([...closing, alerting.close()]), pause(drainMs)]);
        await Promise.all([queues.close(), alertQueue.close()]);
      })();
      await Promise.all([closed, listener === undefined ? undefined : drainWithin(listener, drainMs, logger)]);
      await traffic.stop(drainMs);
      pulse.stop();
      redis.disconnect();
    },
  };
}

/** What `sendgate up` says when it is ready. */
export interface UpReady extends ApiReady {
  /** The folder of its private Redis, or null when it uses another. */
  privateRedisFolder: string | null;
}

/**
 * API and worker in one process, on a private Redis when REDIS_URL names none.
 * @param system.path the PATH that a Redis is looked for on
 */
export function composeUp(
  { config, logger }: ServiceDeps,
  system: { path: string | undefined; platform: NodeJS.Platform; pid: number },
  onReady: (ready: UpReady) => void,
): Service {
  let held: HeldFolder | undefined;
  let privateRedis: PrivateRedis | undefined;
  let api: TwoStepService | undefined;
  let worker: TwoStepService | undefined;
  let stopped = false;

  async function start(): Promise<void> {
    let target = config.redis?.target;
    let begin: (() => PrivateRedis) | undefined;
    let folderPath: string | null = null;
    if (target === undefined) {
      const program = findRedisProgram(system.path, system.platform);
      const folder = openDataFolder(config.dataDir);
      held = await holdDataFolder(folder, `process ${system.pid}`);
      target = privateRedisTarget(folder);
      folderPath = folder.data;
      begin = () =>
        startPrivateRedis({
          program,
          path: system.path ?? '',
          folder,
          nowMs: monotonicMs,
          observer: {
            died: (status, output, pauseMs) =>
              logger.error('The private Redis ended by itself, and is started again.', {
                status,
                output,
                pause_ms: pauseMs,
              }),
            restarted: () => logger.info('The private Redis runs again.'),
            tornTailStays: (reason) =>
              logger.warn('The private Redis was cut off as it wrote, and its file could not be written anew.', {
                reason,
              }),
          },
        });
    }
    if (stopped) return;
    const privateRedisFolder = folderPath;
    const metrics = createMetrics({ processMetrics: true });
    api = composeApi({ config, logger }, target, (ready) => onReady({ ...ready, privateRedisFolder }), metrics);
    await api.listen();
    privateRedis = begin?.();
    await privateRedis?.ready;
    if (stopped) return;
    worker = composeWorker({ config, logger }, target, metrics);
    // The API looks at what Redis this is.
    await api.run();
    if (!stopped) await worker.run();
  }

  return {
    async start() {
      try {
        await start();
      } catch (error) {
        if (stopped) return;
        if (error instanceof NoRedisProgramError || error instanceof PrivateRedisError) {
          throw new Refusal(error.message, 1);
        }
        if (error instanceof DataFolderError) throw new Refusal(error.message, 1);
        throw error;
      }
    },
    async stop(drainMs) {
      stopped = true;
      await Promise.all([api?.stop(drainMs), worker?.stop(drainMs)]);
      await privateRedis?.stop();
      held?.release();
    },
  };
}
