import { hash } from 'node:crypto';
import { type Actor, AUDIT_MAX_EVENTS, type Source } from '../store/actor';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';

/**
 * What a key may do: `check` asks, hands over and releases, `read` looks, `inbound` brings events, `admin` may do everything.
 */
export const ROLES = ['check', 'read', 'inbound', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** What is kept about an API key, besides the SHA-256 that it is found by. Nothing in it opens anything. */
export interface ApiKey {
  /** Names the key to people, to the audit trail and to a revocation. It is a part of the key, but not of its secret. */
  id: string;
  /** What a person called it, or null. */
  name: string | null;
  roles: Role[];
  /** RFC 3339 in UTC. */
  created_at: string;
}

/** The API keys of a workspace in Redis. */
export interface ApiKeys {
  /**
   * Creates a key.
   * @returns the key, `sg_<id>_<secret>`, which cannot be had again: only its SHA-256 is stored
   * @throws whatever Redis fails with; a key that nobody has seen may then exist
   */
  create(actor: Actor, source: Source, name: string | null, roles: readonly Role[]): Promise<CreatedKey>;
  /** Every key, the oldest first. */
  list(): Promise<ApiKey[]>;
  /** Revokes the key with that id. @returns false when there is none */
  revoke(actor: Actor, source: Source, id: string): Promise<boolean>;
}

/** A new key, in the only moment in which it can be read. */
export interface CreatedKey {
  key: string;
  apiKey: ApiKey;
}

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Enough to tell a workspace's keys apart; a new id that is taken is drawn again. */
const ID_CHARACTERS = 8;
/** 238 bits: the key needs no slow hash and no salt, for there is nothing to guess. */
const SECRET_CHARACTERS = 40;

/** Text that stands for random bytes, each character of base62 as likely as any other. */
function randomBase62(characters: number, randomBytes: (bytes: number) => Uint8Array): string {
  let text = '';
  while (text.length < characters) {
    for (const byte of randomBytes(characters)) {
      // 248 is the largest multiple of 62 in a byte: what lies above would favour the first characters.
      if (byte < 248 && text.length < characters) text += BASE62[byte % 62];
    }
  }
  return text;
}

/** What a key is stored and found by: its SHA-256 in hex. */
export function hashOfKey(key: string): string {
  return hash('sha256', key, 'hex');
}

/** The id in a text of a key's form, or null when it has another. */
export function idInKey(key: string): string | null {
  return /^sg_([0-9A-Za-z]+)_[0-9A-Za-z]+$/.exec(key)?.[1] ?? null;
}

/** The number that changes whenever a key is created or revoked; null when none ever was. */
export function readKeysRevision(redis: RedisClient, keys: Keys): Promise<string | null> {
  return redis.hget(keys.apiKeysRevision, 'last');
}

/** Every key by its hash. */
export async function readKeys(redis: RedisClient, keys: Keys): Promise<Map<string, ApiKey>> {
  const stored = await redis.hgetall(keys.apiKeys);
  return new Map(Object.entries(stored).map(([keyHash, json]) => [keyHash, JSON.parse(json) as ApiKey]));
}

/**
 * Keeps the API keys of a workspace.
 * @param deps.nowMs epoch milliseconds
 * @param deps.randomBytes as node:crypto's: unguessable
 */
export function createApiKeys(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  nowMs: () => number;
  randomBytes: (bytes: number) => Uint8Array;
}): ApiKeys {
  const { redis, scripts, keys, nowMs, randomBytes } = deps;

  /** Whether it was done: see lua/key_write.lua. */
  async function write(actor: Actor, source: Source, id: string, keyHash: string, json: string): Promise<boolean> {
    const done = await runScript(
      redis,
      scripts.key_write,
      [keys.apiKeys, keys.apiKeysRevision, keys.audit],
      [id, keyHash, json, JSON.stringify(actor), source, AUDIT_MAX_EVENTS],
    );
    return done === 1;
  }

  return {
    async create(actor, source, name, roles) {
      for (;;) {
        const id = randomBase62(ID_CHARACTERS, randomBytes);
        const key = `sg_${id}_${randomBase62(SECRET_CHARACTERS, randomBytes)}`;
        const apiKey: ApiKey = { id, name, roles: [...roles], created_at: new Date(nowMs()).toISOString() };
        if (await write(actor, source, id, hashOfKey(key), JSON.stringify(apiKey))) return { key, apiKey };
      }
    },
    async list() {
      const found = [...(await readKeys(redis, keys)).values()];
      return found.sort((a, b) => compare(a.created_at, b.created_at) || compare(a.id, b.id));
    },
    revoke: (actor, source, id) => write(actor, source, id, '', ''),
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
