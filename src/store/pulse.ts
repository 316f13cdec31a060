import type { RedisClient } from './connection';
import { redisAdvice } from './failure';
import type { Link } from './link';

/** Whether Redis answers, looked at once a second: a connection that is open says nothing about that. */
export interface Pulse {
  /** Whether it answered when it was last asked. */
  beats(): boolean;
  stop(): void;
}

/** How often it is asked, and how long it may take to answer, in milliseconds. */
const EVERY_MS = 1_000;
const TIMEOUT_MS = 1_000;

/**
 * Begins to watch a connection.
 * @param deps.onChange told whenever it begins or ceases to answer, once when it does not from the start, and again when
 *   there turns out to be something that the operator has to mend; with the error that was seen last since it answered
 */
export function startPulse(deps: {
  redis: RedisClient;
  link: Link;
  onChange: (beats: boolean, lastError: unknown) => void;
}): Pulse {
  const { redis, link, onChange } = deps;
  let beats = false;
  let told: boolean | undefined;
  let toldAdvice: string | null = null;
  let stopped = false;
  let asking = false;
  let lastError: unknown;

  function learn(answered: boolean): void {
    if (stopped) return;
    beats = answered;
    if (beats) lastError = undefined;
    const advice = redisAdvice(lastError);
    if (told === beats && (advice === null || advice === toldAdvice)) return;
    told = beats;
    toldAdvice = advice;
    onChange(beats, lastError);
  }

  async function ask(): Promise<void> {
    if (!link.isReady()) {
      learn(false);
      return;
    }
    if (asking) return;
    asking = true;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    });
    try {
      await Promise.race([redis.ping(), timeout]);
      learn(true);
    } catch (error) {
      lastError = error;
      learn(false);
    } finally {
      clearTimeout(timer);
      asking = false;
    }
  }

  const onError = (error: unknown) => {
    lastError = error;
  };
  const onReady = () => void ask();
  const onClose = () => learn(false);
  redis.on('error', onError);
  redis.on('ready', onReady);
  redis.on('close', onClose);
  const timer = setInterval(() => void ask(), EVERY_MS);
  timer.unref();

  return {
    beats: () => beats,
    stop() {
      stopped = true;
      clearInterval(timer);
    },
  };
}
