import type { Config } from '../config';
import { createDegradedAnswers } from '../gate/degraded';
import { createGate, type Gate } from '../gate/gate';
import { createLocalShare } from '../gate/local-share';
import type { AccountSettings } from '../membership/account-settings';
import type { Metrics } from '../metrics/metrics';
import type { RedisClock } from '../store/clock';
import type { ConfigurationStore } from '../store/configuration';
import type { RedisClient } from '../store/connection';
import { resetCounter } from '../store/counters';
import { createDecisionStore } from '../store/decisions';
import type { Keys } from '../store/keys';
import type { Link } from '../store/link';
import type { Scripts } from '../store/scripts';
import type { TrafficTally } from '../traffic/tally';

/** What it takes to decide, whether it is asked about or handed over. */
export interface DecidingDeps {
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
}

/** What decides checks, with Redis and without. */
export function composeGate(deps: DecidingDeps): Gate {
  const { config, redis, scripts, keys, configuration, accounts, clock, link, metrics, tally, fault } = deps;
  return createGate({
    configuration,
    decisions: createDecisionStore({
      redis,
      scripts,
      keys,
      idempotencyTtlMs: config.idempotencyTtlSeconds * 1_000,
      logMaxAgeMs: config.logMaxAgeSeconds * 1_000,
    }),
    accounts,
    clock,
    link,
    answerDegraded: createDegradedAnswers({ keys, localShare: createLocalShare(), replicas: config.replicas }),
    resetCounter: (reset, actor, source) => resetCounter({ redis, scripts, keys }, reset, actor, source),
    observer: {
      decided(decision, check) {
        metrics.decided(decision);
        tally.checkDecided(decision, check);
      },
      degraded(policy, reason, check) {
        metrics.degraded(policy, reason);
        tally.checkDegraded(check);
      },
      replanned: metrics.replanned,
      called: metrics.called,
      tooLate: metrics.tooLate,
      fault,
    },
    checkTimeoutMs: config.checkTimeoutMs,
  });
}
