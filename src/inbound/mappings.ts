import { type Actor, AUDIT_MAX_EVENTS } from '../store/actor';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';
import type { Mapping } from './mapping';

/** The mappings of a workspace, in order. */
export interface Mappings {
  /** @throws whatever Redis fails with */
  read(): Promise<Mapping[]>;
  /** Puts them in the place of all that were. @throws whatever Redis fails with */
  write(mappings: readonly Mapping[], actor: Actor): Promise<void>;
}

const FIELD = 'mappings';

/** Keeps them. They are read anew for each call that brings events: there is nothing that could be out of date. */
export function createMappings(deps: { redis: RedisClient; scripts: Scripts; keys: Keys }): Mappings {
  const { redis, scripts, keys } = deps;
  return {
    async read() {
      const stored = await redis.hget(keys.inbound, FIELD);
      return stored === null ? [] : (JSON.parse(stored) as { mappings: Mapping[] }).mappings;
    },
    async write(mappings, actor) {
      await runScript(
        redis,
        scripts.mappings_write,
        [keys.inbound, keys.audit],
        [JSON.stringify({ mappings }), JSON.stringify(actor), 'api', AUDIT_MAX_EVENTS],
      );
    },
  };
}
