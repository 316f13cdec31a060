import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';

const DAY_MS = 86_400_000;
/** How long the message log is kept, unless configured otherwise, in milliseconds. */
export const LOG_MAX_AGE_MS = 30 * DAY_MS;
/** How long the audit trail is kept, unless configured otherwise, in milliseconds. */
export const AUDIT_MAX_AGE_MS = 365 * DAY_MS;

/** The most entries removed by one command: Redis is held for well under a millisecond. */
const ENTRIES_PER_COMMAND = 10_000;

/** How many entries were removed. */
export interface Trimmed {
  log: number;
  audit: number;
}

/**
 * Removes what is older than it may be from the message log and the audit trail. (Their length is held by each XADD.)
 * @param nowMs Redis's time, in epoch milliseconds: entries carry that
 * @throws whatever Redis fails with; what was removed by then stays removed
 */
export async function trimByAge(deps: {
  redis: RedisClient;
  keys: Keys;
  nowMs: number;
  logMaxAgeMs?: number;
  auditMaxAgeMs?: number;
}): Promise<Trimmed> {
  const { redis, keys, nowMs, logMaxAgeMs = LOG_MAX_AGE_MS, auditMaxAgeMs = AUDIT_MAX_AGE_MS } = deps;
  return {
    log: await trimBefore(redis, keys.log, nowMs - logMaxAgeMs),
    audit: await trimBefore(redis, keys.audit, nowMs - auditMaxAgeMs),
  };
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
