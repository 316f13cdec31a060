import { randomBytes } from 'node:crypto';
import { type Config, routingOf } from '../config';
import type { InboundServices } from '../http/routes/inbound';
import { createApplyEvents } from '../inbound/apply';
import { createMappings } from '../inbound/mappings';
import type { Logger } from '../logger';
import type { AcceptSend } from '../sends/accept';
import { pooledRandomBytes } from '../sends/ids';
import { providerFor } from '../sends/providers/names';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import type { Scripts } from '../store/scripts';
import { monotonicMs, occasionally } from './timing';

/** What takes events. */
export function composeInbound(deps: {
  config: Config;
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  acceptSend: AcceptSend;
  logger: Logger;
}): InboundServices['inbound'] {
  const { config, redis, scripts, keys, acceptSend, logger } = deps;
  const mappings = createMappings({ redis, scripts, keys });
  const applyEvents = createApplyEvents({
    ...{ redis, scripts, keys, mappings, acceptSend, monotonicMs },
    // An event says no channel.
    provider: providerFor(null, routingOf(config)),
    idempotencyTtlMs: config.idempotencyTtlSeconds * 1_000,
    randomBytes: pooledRandomBytes(randomBytes),
  });
  const eventsRefused = occasionally(monotonicMs, (refused, unwritten) =>
    logger.warn('Events were refused: nobody else is told why.', {
      ...(refused as object),
      calls_left_out_before: unwritten,
    }),
  );
  return {
    apply: applyEvents,
    mappings,
    segmentSecret: config.segmentSecret,
    rudderstackHeader: config.rudderstackHeader,
    refused: (source, count, firstWords) => eventsRefused({ source, refused: count, first: firstWords }),
  };
}
