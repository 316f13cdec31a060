import { setTimeout as delay } from 'node:timers/promises';
import { Refusal } from '../lifecycle';
import type { Logger } from '../logger';
import type { RedisClient } from '../store/connection';
import { isRedisUnavailable, redisAdvice, redisWords } from '../store/failure';
import type { Link } from '../store/link';
import { type Pulse, startPulse } from '../store/pulse';
import { judgeServers, readServerFacts } from '../store/server-check';

/** How soon a start that failed for want of Redis goes on, in milliseconds. */
const START_RETRY_MS = 100;

/** Writes when Redis begins and ceases to answer, and why. @param onChange told so too, with why in words */
export function watchRedis(
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
export async function untilDone(
  link: Link,
  logger: Logger,
  stopped: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
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
export async function judgeRedis(redis: RedisClient, logger: Logger): Promise<void> {
  const { refusal, warning } = judgeServers(await readServerFacts(redis));
  if (refusal !== null) throw new Refusal(refusal, 1);
  if (warning !== null) logger.warn(warning);
}
