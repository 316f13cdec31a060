import { createDegradedAnswers } from '../../src/gate/degraded';
import { createGate, type Gate, type GateObserver } from '../../src/gate/gate';
import { createLocalShare } from '../../src/gate/local-share';
import { createCalendarCache } from '../../src/limits/calendar';
import type { Limit, Message } from '../../src/limits/limit';
import type { Settings } from '../../src/limits/settings';
import { createAccountSettings } from '../../src/membership/account-settings';
import { createRedisClock, type RedisClock } from '../../src/store/clock';
import { type ConfigurationStore, createConfigurationStore, SETTINGS_ID } from '../../src/store/configuration';
import { connectFailingFast, parseRedisUrl, type RedisClient } from '../../src/store/connection';
import { resetCounter } from '../../src/store/counters';
import { createDecisionStore } from '../../src/store/decisions';
import { createKeys, type Keys } from '../../src/store/keys';
import { createLink } from '../../src/store/link';
import { loadScripts, type Scripts } from '../../src/store/scripts';

/** How long a decision may take where that is not what is tested, in milliseconds: a busy machine is no reason to fail. */
export const UNHURRIED_MS = 20_000;

/** A replica's gate on a real Redis, without HTTP. */
export interface TestGate {
  gate: Gate;
  configuration: ConfigurationStore;
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  clock: RedisClock;
  /** What the gate's observer was told, in order. */
  events: string[];
  /** Puts limits in force. */
  limit(...limits: (Partial<Limit> & Pick<Limit, 'id' | 'per' | 'period' | 'max'>)[]): Promise<void>;
  remove(id: string): Promise<void>;
  settings(patch: Partial<Settings>): Promise<void>;
  close(): void;
}

const ACTOR = { id: 'test', name: null };

/** A limit with every field. */
export function limitOf(limit: Partial<Limit> & Pick<Limit, 'id' | 'per' | 'period' | 'max'>): Limit {
  return {
    where: null,
    mode: 'enforce',
    on_exceeded: 'throttle',
    on_redis_down: 'deny',
    alert_thresholds: null,
    from: null,
    until: null,
    reason: null,
    source: 'api',
    created_at: '2026-01-01T00:00:00.000Z',
    updated_at: '2026-01-01T00:00:00.000Z',
    ...limit,
  };
}

/** A message to a user. */
export function messageTo(user: string | null, rest: Partial<Message> = {}): Message {
  return { user, account: null, topic: null, channel: null, ...rest };
}

/** Starts a replica. `skewMs` is how far its own clock is off. */
export async function startTestGate(options: {
  url: string;
  workspace: string;
  checkTimeoutMs?: number;
  replicas?: number;
  skewMs?: number;
}): Promise<TestGate> {
  const { url, workspace, checkTimeoutMs = UNHURRIED_MS, replicas = 1, skewMs = 0 } = options;
  const commandTimeoutMs = Math.max(checkTimeoutMs, 2_000);
  const redis = connectFailingFast(parseRedisUrl(url), { name: 'test', commandTimeoutMs, reconnectMs: 20 });
  // Without a listener every failed attempt would be printed.
  redis.on('error', () => undefined);
  const scripts = loadScripts();
  const keys = createKeys(workspace);
  const clock = createRedisClock(
    () => performance.now(),
    () => Date.now() + skewMs,
  );
  const calendars = createCalendarCache(1_000);
  const configuration = createConfigurationStore({
    redis,
    scripts,
    keys,
    calendarFor: (rules) => calendars.for(rules),
  });
  const events: string[] = [];
  const observer: GateObserver = {
    decided: (decision) => events.push(decision.decision),
    degraded: (policy, reason) => events.push(`degraded ${policy} ${reason}`),
    replanned: (reason) => events.push(`replanned ${reason}`),
    called: () => events.push('called'),
    tooLate: (counted) => events.push(`too late ${counted}`),
    fault: (error) => events.push(`fault ${error}`),
  };
  const link = createLink(redis);
  const gate = createGate({
    configuration,
    decisions: createDecisionStore({ redis, scripts, keys, idempotencyTtlMs: 86_400_000, logMaxAgeMs: 86_400_000 }),
    accounts: createAccountSettings({ capacity: 1_000 }),
    clock,
    link,
    answerDegraded: createDegradedAnswers({ keys, localShare: createLocalShare(), replicas }),
    resetCounter: (reset, actor, source) => resetCounter({ redis, scripts, keys }, reset, actor, source),
    observer,
    checkTimeoutMs,
  });
  if (!link.isReady()) await link.nextAttempt();
  const write = (id: string, value: Limit | Settings | null) =>
    configuration.change(ACTOR, 'api', () => ({ writes: [{ id, value }], events: [] }));
  return {
    gate,
    configuration,
    redis,
    scripts,
    keys,
    clock,
    events,
    async limit(...limits) {
      for (const limit of limits) await write(limit.id, limitOf(limit));
    },
    async remove(id) {
      await write(id, null);
    },
    async settings(patch) {
      await configuration.refresh();
      await write(SETTINGS_ID, { ...configuration.planner()!.configuration.settings, ...patch });
    },
    close: () => redis.disconnect(),
  };
}
