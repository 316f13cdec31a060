import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';

const DAY_MS = 86_400_000;
/** How long the message log is kept, unless configured otherwise, in milliseconds. */
export const LOG_MAX_AGE_MS = 30 * DAY_MS;
/** How long the audit trail is kept, unless configured otherwise, in milliseconds. */
export const AUDIT_MAX_AGE_MS = 365 * DAY_MS;

/** The most entries of the trail removed by one command: Redis is held for well under a millisecond. */
const ENTRIES_PER_COMMAND = 10_000;
/** The most rows of the log that one call removes, with all that belongs to them: Redis is held for a millisecond or two. */
const ROWS_PER_CALL = 100;

/** How many entries were removed. */
export interface Trimmed {
  log: number;
  audit: number;
}

/**
 * Removes what is older than it may be from the message log and the audit trail, and the oldest of the log beyond its
 * length. (The length of the trail is held by each entry that is added.) Any number of processes may do it at once.
 * @param nowMs Redis's time, in epoch milliseconds: entries carry that
 * @throws whatever Redis fails with; what was removed by then stays removed
 */
export async function trimLogs(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  nowMs: number;
  logMaxAgeMs?: number;
  /** How many messages the log keeps. */
  logMaxMessages: number;
  auditMaxAgeMs?: number;
}): Promise<Trimmed> {
  const { redis, keys, nowMs, logMaxAgeMs = LOG_MAX_AGE_MS, auditMaxAgeMs = AUDIT_MAX_AGE_MS } = deps;
  return {
    log: await trimLog({ ...deps, logMaxAgeMs }),
    audit: await trimBefore(redis, keys.audit, nowMs - auditMaxAgeMs),
  };
}

async function trimLog(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  nowMs: number;
  logMaxAgeMs: number;
  logMaxMessages: number;
}): Promise<number> {
  const { redis, scripts, keys, nowMs, logMaxAgeMs, logMaxMessages } = deps;
  let removed = 0;
  for (;;) {
    const [some, more] = (await runScript(
      redis,
      scripts.log_trim,
      [keys.log],
      [Math.max(0, Math.floor(nowMs - logMaxAgeMs)), logMaxMessages, ROWS_PER_CALL],
    )) as [number, number];
    removed += some;
    if (more === 0) return removed;
  }
}

async function trimBefore(redis: RedisClient, key: string, oldestMs: number): Promise<number> {
  const minId = Math.max(0, Math.floor(oldestMs));
  let removed = 0;
  let last: number;
  do {
    // "~" removes only whole nodes of the stream, about a hundred entries each, which costs next to nothing.
    last = await redis.xtrim(key, 'MINID', '~', minId, 'LIMIT', ENTRIES_PER_COMMAND);
    removed += last;
  } while (last > 0);
  // What is left is part of one node. Without this the few entries of a quiet workspace would never go.
  return removed + (await redis.xtrim(key, 'MINID', '=', minId));
}
