import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { type AlertMetrics, createAlertMetrics } from './alerts';
import { createSendMetrics, type SendMetrics, seriesOf } from './sends';
import { createDurationTally, createReading, createTally, type Series } from './tally';

/** What is counted of a decision. */
export interface CountedDecision {
  decision: string;
  limits: readonly { per: readonly string[]; period: string; mode: string; exceeded: boolean }[];
}

/** Counts the answers of one method of one route. */
export interface RouteMeter {
  finished(status: number, seconds: number): void;
}

/** What this process tells Prometheus. Nothing in it is named after a user, an account or a limit. */
export interface Metrics {
  /** The meter of a route, by its path in OpenAPI's form: never the path that was called. */
  route(method: string, path: string): RouteMeter;

  /** One decision, whoever made it. */
  decided(decision: CountedDecision): void;
  /** One answer that was given without Redis. */
  degraded(policy: string, reason: string): void;
  /** One plan that the script refused and that was made again. */
  replanned(reason: string): void;
  /** One call to Redis for a decision, in seconds. */
  called(seconds: number): void;
  /** One verdict that came after its answer had been given without it; `counted` says whether it raised counters. */
  tooLate(counted: boolean): void;

  /** What is told of handed-over sends. */
  readonly sends: SendMetrics;
  /** One event of a customer data platform: `done` (now or before) or `refused`. */
  inboundEvent(source: string, type: string, outcome: 'done' | 'refused'): void;
  /** What is told of alerts. */
  readonly alerts: AlertMetrics;

  /** Says what to read when somebody looks. */
  watch(readings: {
    redisUp: () => boolean;
    /** What is in force; null until it has been read. */
    configuration: () => { version: number; limits: number } | null;
  }): void;

  contentType: string;
  /** Everything, in Prometheus' text format. */
  text(): Promise<string>;
}

/** A check is answered in a few milliseconds, or after the check timeout: 0.25 s unless configured otherwise. */
const HTTP_BUCKETS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const REDIS_BUCKETS_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

/**
 * Makes the metrics of a process, in a registry of their own.
 * @param options.processMetrics also tells of memory, CPU, event loop and garbage collection
 */
export function createMetrics(options: { processMetrics: boolean }): Metrics {
  const registry = new Registry();
  if (options.processMetrics) {
    collectDefaultMetrics({ register: registry });
    // By Prometheus' naming rules only counters end so. Each of these repeats what a gauge without it says by type.
    for (const metric of registry.getMetricsAsArray()) {
      if (metric instanceof Gauge && metric.name.endsWith('_total')) registry.removeSingleMetric(metric.name);
    }
  }

  const requests = createTally(registry, {
    name: 'sendgate_http_requests_total',
    help: 'Requests answered, by route (not by path), method and status.',
    labelNames: ['route', 'method', 'status'],
  });
  const requestSeconds = createDurationTally(registry, {
    name: 'sendgate_http_request_duration_seconds',
    help: 'From the head of a request to its answer.',
    labelNames: ['route'],
    buckets: HTTP_BUCKETS_SECONDS,
  });
  const decisions = createTally(registry, {
    name: 'sendgate_decisions_total',
    help: 'Decisions, dry runs and replayed ones included.',
    labelNames: ['decision'],
  });
  const exceeded = createTally(registry, {
    name: 'sendgate_limits_exceeded_total',
    help: 'How often a limit had no room for a message, by what it counts and by its mode. One message may exceed several.',
    labelNames: ['per', 'period', 'mode'],
  });
  const degradedAnswers = createTally(registry, {
    name: 'sendgate_degraded_answers_total',
    help: 'Checks answered without Redis, by the policy that answered and by why.',
    labelNames: ['policy', 'reason'],
  });
  const replans = createTally(registry, {
    name: 'sendgate_replans_total',
    help: 'Plans that the decision script refused, so that they were made again: a limit or account had changed, or a window ended.',
    labelNames: ['reason'],
  });
  const redisSeconds = createDurationTally(registry, {
    name: 'sendgate_redis_call_duration_seconds',
    help: 'From sending a decision to Redis to its reply.',
    labelNames: [],
    buckets: REDIS_BUCKETS_SECONDS,
  }).series();
  const late = createTally(registry, {
    name: 'sendgate_late_verdicts_total',
    help: 'Verdicts that came after their check had been answered without Redis. Counted ones raised counters.',
    labelNames: ['counted'],
  });

  const inboundEvents = createTally(registry, {
    name: 'sendgate_inbound_events_total',
    help: 'Events of customer data platforms, by where they come from, by type (unknown for any that there is not), and by outcome: done, now or before, or refused.',
    labelNames: ['source', 'type', 'outcome'],
  });

  // Those that an alert or a ratio is made of are there from the start, at 0.
  const decisionSeries = seriesOf(['accepted', 'throttled', 'filtered'], (name) => decisions.series(name));
  const replanSeries = seriesOf(
    ['stale', 'account-stale', 'window', 'late', 'membership', 'limits-forgotten'],
    (name) => replans.series(name),
  );
  const lateSeries = { true: late.series('true'), false: late.series('false') };

  return {
    sends: createSendMetrics(registry),
    alerts: createAlertMetrics(registry),
    route(method, path) {
      const duration = requestSeconds.series(path);
      const byStatus = new Map<number, Series>();
      return {
        finished(status, seconds) {
          let series = byStatus.get(status);
          if (series === undefined) {
            series = requests.series(path, method.toUpperCase(), status);
            byStatus.set(status, series);
          }
          series.value += 1;
          duration.observe(seconds);
        },
      };
    },

    decided({ decision, limits }) {
      decisionSeries(decision).value += 1;
      for (let index = 0; index < limits.length; index += 1) {
        const limit = limits[index]!;
        if (limit.exceeded) exceeded.series(limit.per.join(','), limit.period, limit.mode).value += 1;
      }
    },
    degraded(policy, reason) {
      degradedAnswers.series(policy, reason).value += 1;
    },
    replanned(reason) {
      replanSeries(reason).value += 1;
    },
    called(seconds) {
      redisSeconds.observe(seconds);
    },
    inboundEvent(source, type, outcome) {
      inboundEvents.series(source, type, outcome).value += 1;
    },
    tooLate(counted) {
      lateSeries[`${counted}`].value += 1;
    },

    watch({ redisUp, configuration }) {
      createReading(registry, {
        name: 'sendgate_redis_up',
        help: '1 while the connection that decides is ready, else 0.',
        read: () => (redisUp() ? 1 : 0),
      });
      createReading(registry, {
        name: 'sendgate_configuration_limits',
        help: 'The limits that are known to this process.',
        read: () => configuration()?.limits ?? 0,
      });
      createReading(registry, {
        name: 'sendgate_configuration_version',
        help: 'The version of the limits and settings that this process last decided by.',
        read: () => configuration()?.version ?? 0,
      });
    },

    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}
