import { randomBytes, randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createKeyRing } from '../access/key-ring';
import { type AccessMode, accessMode, accessModeWords } from '../access/mode';
import { createAlerts } from '../alerts/alerts';
import { createAlertStore } from '../alerts/store';
import { configuredProviders, routingOf } from '../config';
import { allRoutes } from '../http/all-routes';
import { createApp } from '../http/app';
import { createAuthenticate } from '../http/auth';
import { mountBoard } from '../http/board';
import { mountConsole } from '../http/console';
import type { Listener } from '../http/listener';
import { mountReference } from '../http/reference';
import type { Readiness } from '../http/routes/health';
import { Refusal } from '../lifecycle';
import { parseApart } from '../limits-file/parse-apart';
import { type LimitsFileWatch, watchLimitsFile } from '../limits-file/watch';
import { createAuditTrail } from '../log/audit';
import { readHistory } from '../log/history';
import { createMessageLog } from '../log/messages';
import { createWhatIfs } from '../log/what-if';
import { createAccounts } from '../membership/accounts';
import { createMembers } from '../membership/members';
import { createProfiles } from '../membership/profiles';
import { createMetrics, type Metrics } from '../metrics/metrics';
import { createAcceptSend } from '../sends/accept';
import { createSendActions } from '../sends/actions';
import { watchDepths } from '../sends/depths';
import { pooledRandomBytes } from '../sends/ids';
import { createRedisClock } from '../store/clock';
import type { ConfigurationStore } from '../store/configuration';
import { connectFailingFast, type RedisTarget } from '../store/connection';
import { redisFailureReason, redisWords } from '../store/failure';
import { createKeys } from '../store/keys';
import { createLink } from '../store/link';
import { loadScripts } from '../store/scripts';
import { packageVersion } from '../version';
import { composeAlertDelivering, composeDegradedAlerts, newAlertId } from './alerts';
import { composeConfiguration, keepRefreshed } from './configuration';
import { composeGate } from './gate';
import { composeInbound } from './inbound';
import { composeTrim, keepIndexed, keepTrimmed } from './log';
import { judgeRedis, untilDone, watchRedis } from './redis';
import { composeQueues, composeSends, composeVonageReceipts, queueDepth } from './sends';
import { drainWithin, listenOrRefuse, type ServiceDeps, type TwoStepService, urlOf } from './service';
import { monotonicMs, occasionally, pause, schedule } from './timing';
import { composeTraffic } from './traffic';

/** How long a command of the API may take, in milliseconds; a check gives up sooner, by itself. */
const COMMAND_TIMEOUT_MS = 1_000;
/** How soon a lost connection is tried again, in milliseconds: an API's callers wait for it. */
const API_RECONNECT_MS = 100;

/** What is told of an API that is ready. */
export interface ApiReady {
  /** As a process on this machine reaches it: `http://127.0.0.1:8080`. */
  url: string;
  access: Exclude<AccessMode, 'waiting' | 'refused'>;
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

  const { configuration, accounts: accountSettings } = composeConfiguration({ redis, scripts, keys });
  const ring = createKeyRing({
    redis,
    keys,
    envKey: config.apiKey,
    ...{ schedule, monotonicMs },
    answers: () => link.isReady() && pulse.beats(),
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
  const deciding = {
    ...{ config, redis, scripts, keys, configuration: gateConfiguration, accounts: accountSettings, clock, link },
    ...{ metrics, tally: traffic.tally, fault: decisionFault },
  };
  const gate = composeGate(deciding);
  const sends = composeSends(deciding);

  const members = createMembers({ redis, scripts, keys });
  const messageLog = createMessageLog({ redis, scripts, keys });
  const queues = composeQueues(config, redis, keys, () => undefined);
  const depths = watchDepths({ isReady: () => link.isReady(), depths: queues.depths });

  const alertStore = createAlertStore({ redis, scripts, keys, nowMs });
  const alerting = composeAlertDelivering(config, nowMs, metrics.alerts);
  const degradedAlerts = composeDegradedAlerts({
    ...{ config, alerting, store: alertStore, configuration, nowMs, metrics, logger },
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
  const inbound = composeInbound({ config, redis, scripts, keys, acceptSend, logger });

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
      vonageReceipts: composeVonageReceipts({
        ...{ config, redis, scripts, keys, messageLog, metrics, tally: traffic.tally },
      }),
      profiles: createProfiles({ redis, scripts, keys }),
      inbound,
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

  /** What keeps the log in order, also where no worker runs, and what is known of the configuration up to date. */
  const upkeep: (() => void)[] = [];
  function startUpkeep(): void {
    const trim = composeTrim({ config, redis, scripts, keys, nowMs });
    upkeep.push(keepIndexed('api', { messageLog, link, logger }), keepTrimmed(trim, { link, logger }));
    upkeep.push(keepRefreshed(configuration, () => pulse.beats(), logger));
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
