import { JSON_OBJECT_MAX_BYTES, type JsonObject } from '../limits/json-object';
import { type Actor, AUDIT_MAX_EVENTS, type Source } from '../store/actor';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';

/** What is known of users, by user: any JSON object. Nothing in it decides anything. */
export interface Profiles {
  /** The user's profile; null when there is none. @throws whatever Redis fails with */
  read(userId: string): Promise<JsonObject | null>;
  /**
   * Puts fields into the profile, or makes it. A field that is there gets the new value as a whole; one whose value is
   * null goes.
   * @returns the profile as it is now; null when it would be larger than {@link PROFILE_MAX_BYTES}: nothing was changed
   * @throws whatever Redis fails with
   */
  merge(userId: string, fields: JsonObject, actor: Actor, source: Source): Promise<JsonObject | null>;
  /** Makes the profile what is given, and no more. Otherwise as `merge`, but for null, which is kept. */
  replace(userId: string, fields: JsonObject, actor: Actor, source: Source): Promise<JsonObject | null>;
  /** Forgets the profile. Nothing happens when there is none. @throws whatever Redis fails with */
  remove(userId: string, actor: Actor, source: Source): Promise<void>;
}

/** How large a profile may be, in bytes of JSON. */
export const PROFILE_MAX_BYTES = JSON_OBJECT_MAX_BYTES;

/** The field of the hash that is none of the profile: see lua/lib/profile.lua. */
const CHANGED_FIELD = 'ms';

/** Keeps the profiles of a workspace. */
export function createProfiles(deps: { redis: RedisClient; scripts: Scripts; keys: Keys }): Profiles {
  const { redis, scripts, keys } = deps;

  async function write(
    userId: string,
    how: 'merge' | 'replace' | 'remove',
    changes: readonly string[],
    actor: Actor,
    source: Source,
  ): Promise<JsonObject | null> {
    const [done, ...stored] = (await runScript(
      redis,
      scripts.profile_write,
      [keys.profile(userId), keys.audit],
      [userId, how, PROFILE_MAX_BYTES, JSON.stringify(actor), source, AUDIT_MAX_EVENTS, ...changes],
    )) as [number, ...string[]];
    return done === 1 ? decodeFields(stored) : null;
  }

  return {
    async read(userId) {
      const stored = Object.entries(await redis.hgetall(keys.profile(userId)));
      return stored.length === 0 ? null : decodeFields(stored.filter(([name]) => name !== CHANGED_FIELD).flat());
    },
    merge: (userId, fields, actor, source) => write(userId, 'merge', profileChanges(fields), actor, source),
    replace: (userId, fields, actor, source) => write(userId, 'replace', encodeFields(fields), actor, source),
    async remove(userId, actor, source) {
      await write(userId, 'remove', [], actor, source);
    },
  };
}

/** Fields to merge into a profile, as the scripts take them: names and values, '' for one that is to go. */
export function profileChanges(fields: JsonObject): string[] {
  return Object.entries(fields).flatMap(([name, value]) => [
    JSON.stringify(name),
    value === null ? '' : JSON.stringify(value),
  ]);
}

function encodeFields(fields: JsonObject): string[] {
  return Object.entries(fields).flatMap(([name, value]) => [JSON.stringify(name), JSON.stringify(value)]);
}

/** The profile of names and values. As one text, in which `__proto__` is a name like any other. */
function decodeFields(stored: readonly string[]): JsonObject {
  const members: string[] = [];
  for (let index = 0; index < stored.length; index += 2) members.push(`${stored[index]}:${stored[index + 1]}`);
  return JSON.parse(`{${members.join(',')}}`);
}
