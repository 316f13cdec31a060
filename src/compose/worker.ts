import { randomUUID } from 'node:crypto';
import { type AlertWorker, openAlertQueue, startAlertWorker } from '../alerts/queue';
import { startAlertRelay } from '../alerts/relay';
import { createAlertStore } from '../alerts/store';
import { createApp } from '../http/app';
import type { Listener } from '../http/listener';
import { healthRoutes, type Readiness } from '../http/routes/health';
import { type Housekeeping, startHousekeeping } from '../log/housekeeping';
import { createMessageLog } from '../log/messages';
import { createMembers } from '../membership/members';
import { createProfiles } from '../membership/profiles';
import { createMetrics, type Metrics } from '../metrics/metrics';
import { watchDepths } from '../sends/depths';
import { type Hold, startHold } from '../sends/hold';
import { createProcessAttempt, type StoppedProvider } from '../sends/process';
import { PROVIDER_NAMES } from '../sends/providers/names';
import { startRelay } from '../sends/relay';
import { isJobTakenOver, startWorkers, type Workers } from '../sends/workers';
import { createRedisClock } from '../store/clock';
import { connectPatiently, type RedisTarget } from '../store/connection';
import { redisFailureReason, redisWords } from '../store/failure';
import { createKeys } from '../store/keys';
import { createLink } from '../store/link';
import { loadScripts } from '../store/scripts';
import type { StreamConsumer } from '../store/stream-consumer';
import { composeAlertDelivering } from './alerts';
import { composeConfiguration } from './configuration';
import { composeTrim, keepIndexed, TRIM_EVERY_MS } from './log';
import { judgeRedis, untilDone, watchRedis } from './redis';
import { composePhoneOf, composeProviders, composeQueues, composeSends, providerRates, queueDepth } from './sends';
import { drainWithin, listenOrRefuse, type ServiceDeps, type TwoStepService } from './service';
import { monotonicMs, occasionally, pause } from './timing';
import { composeTraffic } from './traffic';

const WORKER_RECONNECT_MS = 500;
/** The part of the time for what has begun to end after which deliveries that go on are told to. */
const ABORT_PART = 0.8;

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
  const { configuration, accounts } = composeConfiguration({ redis, scripts, keys });
  const traffic = composeTraffic({ redis, scripts, keys, nowMs, answers: () => pulse.beats(), logger });
  const sends = composeSends({
    ...{ config, redis, scripts, keys, configuration, accounts, clock, link, metrics, tally: traffic.tally },
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
  const phoneOf = composePhoneOf(createProfiles({ redis, scripts, keys }), createMembers({ redis, scripts, keys }));
  const providers = composeProviders(config, logger, phoneOf);
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

  const trimNow = composeTrim({ config, redis, scripts, keys, nowMs });
  async function trim() {
    await learnTime();
    return trimNow();
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
      everyMs: TRIM_EVERY_MS,
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
    stopIndexing = keepIndexed('worker', { messageLog: createMessageLog({ redis, scripts, keys }), link, logger });
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
