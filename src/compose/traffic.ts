import { randomUUID } from 'node:crypto';
import type { Logger } from '../logger';
import type { RedisClient } from '../store/connection';
import { redisFailureReason } from '../store/failure';
import type { Keys } from '../store/keys';
import type { Scripts } from '../store/scripts';
import { createTrafficStore, type TrafficStore } from '../traffic/store';
import { createTrafficTally, type TrafficTally } from '../traffic/tally';
import { monotonicMs, occasionally, pause, repeat } from './timing';

/** How often what was counted for the statistics is added to what Redis keeps, in milliseconds. */
const TRAFFIC_MS = 5_000;
/** The part of the time for what has begun to end that its last addition may take at a stop. */
const TRAFFIC_PART = 0.2;

/** What counts for the statistics what a process decides and delivers. */
interface TrafficCount {
  tally: TrafficTally;
  read: TrafficStore['read'];
  /** Adds what was counted last, if Redis answers by then. */
  stop(drainMs: number): Promise<void>;
}

/** Begins to count. */
export function composeTraffic(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  nowMs: () => number;
  /** Whether Redis answers: while it does not, what is counted is kept. */
  answers: () => boolean;
  logger: Logger;
}): TrafficCount {
  const { nowMs, answers, logger } = deps;
  const tally = createTrafficTally(nowMs);
  const store = createTrafficStore({ ...deps, tally, processId: randomUUID(), monotonicMs });
  const failed = occasionally(monotonicMs, (error, unwritten) => {
    if (redisFailureReason(error) === null) {
      logger.error('What was counted for the statistics could not be added.', { error, unwritten });
    }
  });
  const stopAdding = repeat(TRAFFIC_MS, answers, store.flush, failed);
  return {
    tally,
    read: store.read,
    async stop(drainMs) {
      stopAdding();
      if (answers()) await Promise.race([store.flush().catch(failed), pause(drainMs * TRAFFIC_PART)]);
    },
  };
}
