import type { RedisClient } from './connection';

/** Whether Redis can be reached, and the moment when it can be again. */
export interface Link {
  isReady(): boolean;
  /**
   * Waits for the outcome of the connection attempt that is under way, or the next: true when it succeeds. While Redis
   * is away that takes no longer than the pause between two attempts, and a call that comes when Redis is back never
   * misses it.
   */
  nextAttempt(): Promise<boolean>;
}

/** Watches a connection. */
export function createLink(redis: RedisClient): Link {
  let waiting: ((ready: boolean) => void)[] = [];
  const settle = (ready: boolean) => {
    const settled = waiting;
    waiting = [];
    for (const resolve of settled) resolve(ready);
  };
  redis.on('ready', () => settle(true));
  redis.on('close', () => settle(false));
  redis.on('end', () => settle(false));
  const isReady = () => redis.status === 'ready';
  return {
    isReady,
    nextAttempt: () => {
      if (isReady()) return Promise.resolve(true);
      if (redis.status === 'end') return Promise.resolve(false);
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
}
