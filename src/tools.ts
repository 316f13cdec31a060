import { randomBytes } from 'node:crypto';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { type ApiKeys, createApiKeys } from './access/api-keys';
import type { Config } from './config';
import { Refusal } from './lifecycle';
import { createCalendarCache } from './limits/calendar';
import { createMessageLog, type MessageLog } from './log/messages';
import { createWhatIfs, type WhatIfs } from './log/what-if';
import { findDataFolder } from './private-redis/folder';
import { privateRedisTarget } from './private-redis/server';
import { createRedisClock } from './store/clock';
import { type ConfigurationStore, createConfigurationStore } from './store/configuration';
import { connectFailingFast, type RedisClient, type RedisTarget } from './store/connection';
import { redisWords } from './store/failure';
import { createKeys, type Keys } from './store/keys';
import { createLink } from './store/link';
import { loadScripts } from './store/scripts';

// Composed apart from the services, which take a second to load.

/** How long a command of the command line may take, in milliseconds. */
const COMMAND_TIMEOUT_MS = 5_000;
/** How long it may take to connect, in milliseconds. */
const CONNECT_MS = 5_000;
/** How soon a connection that was lost in the middle is tried again, in milliseconds. */
const RECONNECT_MS = 100;
/** The command line works out no window: one calendar is one more than it needs. */
const CALENDARS_KNOWN = 1;

/** What the command line works on, for one command. */
export interface Tools {
  apiKeys: ApiKeys;
  configuration: ConfigurationStore;
  messageLog: MessageLog;
  /** Asks Redis for the time first. */
  whatIfs: () => Promise<WhatIfs>;
  redis: RedisClient;
  keys: Keys;
  close(): void;
}

/**
 * Connects for one command: to REDIS_URL, or to the private Redis of a `sendgate up` that runs.
 * @throws Refusal when Redis does not answer
 */
export async function composeTools(config: Config): Promise<Tools> {
  const { target, words } = toolTarget(config);
  const redis = connectFailingFast(target, {
    name: 'sendgate-cli',
    commandTimeoutMs: COMMAND_TIMEOUT_MS,
    reconnectMs: RECONNECT_MS,
  });
  let lastError: unknown;
  redis.on('error', (error) => {
    lastError = error;
  });
  const connected = await Promise.race([
    createLink(redis).nextAttempt(),
    // Sentinels that do not know the master are asked again and again.
    delay(CONNECT_MS, false, { ref: false }),
  ]);
  if (!connected) {
    redis.disconnect();
    throw new Refusal(words(redisWords(lastError) ?? `no answer within ${CONNECT_MS} ms`), 1);
  }
  const keys = createKeys(config.workspace);
  const scripts = loadScripts();
  const calendars = createCalendarCache(CALENDARS_KNOWN);
  return {
    apiKeys: createApiKeys({ redis, scripts, keys, nowMs: Date.now, randomBytes }),
    configuration: createConfigurationStore({ redis, scripts, keys, calendarFor: calendars.for.bind(calendars) }),
    messageLog: createMessageLog({ redis, scripts, keys }),
    async whatIfs() {
      const clock = createRedisClock(() => performance.now(), Date.now);
      const sentMs = clock.monotonicMs();
      const [seconds, microseconds] = await redis.time();
      clock.observe(Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000), sentMs);
      return createWhatIfs({
        ...{ redis, scripts, keys, nowMs: clock.nowMs, monotonicMs: clock.monotonicMs, pause: nextTurn },
        holdMaxMs: config.deferMaxAgeSeconds * 1_000,
        idempotencyTtlMs: config.idempotencyTtlSeconds * 1_000,
      });
    },
    redis,
    keys,
    close: () => redis.disconnect(),
  };
}

function toolTarget(config: Config): { target: RedisTarget; words: (reason: string) => string } {
  if (config.redis !== null) {
    return { target: config.redis.target, words: (reason) => `REDIS_URL: Redis does not answer (${reason}).` };
  }
  const folder = findDataFolder(config.dataDir);
  if (folder === null) {
    throw new Refusal(
      `REDIS_URL is not set, and there is no private Redis in ${config.dataDir}. Set REDIS_URL, or start \`sendgate up\` first.`,
      2,
    );
  }
  return {
    target: privateRedisTarget(folder),
    words: (reason) =>
      `REDIS_URL is not set, and the private Redis in ${folder.data} does not run (${reason}). Set REDIS_URL, or start \`sendgate up\` first.`,
  };
}
