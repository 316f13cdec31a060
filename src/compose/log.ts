import type { Config } from '../config';
import type { MessageLog } from '../log/messages';
import { type Trimmed, trimLogs } from '../log/trim';
import type { Logger } from '../logger';
import type { RedisClient } from '../store/connection';
import { redisFailureReason } from '../store/failure';
import type { Keys } from '../store/keys';
import type { Link } from '../store/link';
import type { Scripts } from '../store/scripts';
import { monotonicMs, occasionally, repeat } from './timing';

/** How often what is too old, or too much, is removed from the logs, in milliseconds. */
export const TRIM_EVERY_MS = 60_000;
/** How often what was written into the log is put into its indexes, in milliseconds. */
const INDEX_EVERY_MS = 1_000;
/**
 * How many messages an API does that for at a time: what its callers wait for comes first. A worker does it for all, and who
 * looks for messages does it for what is left.
 */
const INDEXED_BY_API = 500;

/** Removes from the logs what is too old, or too much. */
export function composeTrim(deps: {
  config: Config;
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  nowMs: () => number;
}): () => Promise<Trimmed> {
  const { config, redis, scripts, keys, nowMs } = deps;
  const { logMaxAgeSeconds, logMaxMessages, auditMaxAgeSeconds } = config;
  const bounds = { logMaxAgeMs: logMaxAgeSeconds * 1_000, logMaxMessages, auditMaxAgeMs: auditMaxAgeSeconds * 1_000 };
  return () => trimLogs({ redis, scripts, keys, nowMs: nowMs(), ...bounds });
}

/** Begins to put what is written into the log into its indexes: an API a little at a time. Returns what stops it. */
export function keepIndexed(by: 'api' | 'worker', deps: LogKept): () => void {
  const { messageLog, link, logger } = deps;
  const index = () => messageLog.index(by === 'api' ? INDEXED_BY_API : undefined);
  return repeat(INDEX_EVERY_MS, () => link.isReady(), index, notKept(logger));
}

/** Begins to trim, where there may be no worker that does. Returns what stops it. */
export function keepTrimmed(trim: () => Promise<Trimmed>, { link, logger }: Omit<LogKept, 'messageLog'>): () => void {
  return repeat(TRIM_EVERY_MS, () => link.isReady(), trim, notKept(logger));
}

interface LogKept {
  messageLog: Pick<MessageLog, 'index'>;
  link: Link;
  logger: Logger;
}

function notKept(logger: Logger): (error: unknown) => void {
  return occasionally(monotonicMs, (error, unwritten) => {
    if (redisFailureReason(error) === null) logger.error('The log could not be kept in order.', { error, unwritten });
  });
}
