import type { Actor } from '../store/actor';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { hashOfKey, idInKey, type Role, readKeys, readKeysRevision } from './api-keys';

/** Who calls, and what they may do. */
export interface Caller {
  actor: Actor;
  roles: readonly Role[];
}

/** The API keys that are valid, in memory: knowing a caller never asks Redis. */
export interface KeyRing {
  /** Whose key it is, or null when it is nobody's. */
  lookup(token: string): Caller | null;
  /**
   * Whether a token that `lookup` does not know may all the same be a key: one that was created since the keys were last
   * read, while they cannot be read now. Not one that has no key's form, nor one that is known to have been revoked.
   */
  mayBeUnread(token: string): boolean;
  /** What {@link accessMode} decides by, besides the address. */
  access(): { envKey: boolean; keysKnown: boolean; keyCount: number };
  /** Resolves once the keys have been read for the first time. */
  whenKnown(): Promise<void>;
  /**
   * Reads the keys again if any was created or revoked. A process that has just done so itself calls this, and need
   * not wait for the next turn.
   * @throws whatever Redis fails with; what was known stays
   */
  refresh(): Promise<void>;
  /** Begins to refresh every {@link REFRESH_MS}, the first time at once. */
  start(): void;
  /** Ends that. */
  stop(): void;
}

/** Calls `work` once, after a delay in milliseconds, without keeping the process alive. Returns how to cancel it. */
export type Schedule = (work: () => void, delayMs: number) => () => void;

/** Every process knows of a change within this, a round trip and a reading: well under the 5 s that are promised. */
export const REFRESH_MS = 2_000;
/** After a failure it tries again sooner, so that a moment's trouble does not use up the promise. */
const RETRY_MS = 500;

/** When no reading was done for so long, the keys are not known as they are now, whatever holds it up. */
const OVERDUE_MS = 5_000;
/** As many keys that were revoked are remembered: the newest. */
const REVOKED_MAX = 10_000;

/** Longer than any key of ours, and as long as a SENDGATE_API_KEY may be: what is longer is not worth a hash. */
export const KEY_MAX_CHARACTERS = 256;

/**
 * Makes the ring. It reads nothing before `start` or `refresh`.
 *
 * A token is found by its SHA-256, never compared with a secret: how long the look-up takes can tell a caller at most
 * about hashes, which they can neither choose nor turn back into a key. Tokens that were right are remembered as they
 * are, so that a hash is not worked out for every check. That too gives nothing away: a Map compares a token only with
 * one whose hash, by this process's own random seed, is the same.
 *
 * While Redis is away the keys last read stay valid.
 *
 * @param deps.envKey the key of SENDGATE_API_KEY, of role admin; null for none
 * @param deps.answers whether Redis answers, so far as is known
 * @param deps.onFailure called with the first failure of each row of failed refreshes
 */
export function createKeyRing(deps: {
  redis: RedisClient;
  keys: Keys;
  envKey: string | null;
  schedule: Schedule;
  answers: () => boolean;
  monotonicMs: () => number;
  onFailure: (error: unknown) => void;
}): KeyRing {
  const { redis, keys, schedule, answers, monotonicMs, onFailure } = deps;
  const envHash = deps.envKey === null ? null : hashOfKey(deps.envKey);
  const envCaller: Caller = { actor: { id: 'env', name: 'SENDGATE_API_KEY' }, roles: ['admin'] };

  let callers = new Map<string, Caller>();
  if (envHash !== null) callers.set(envHash, envCaller);
  /** Only keys that are valid, so never more than there are keys. */
  const remembered = new Map<string, Caller>();
  /** The hashes of keys that were there once, and are not any more. */
  const revoked = new Set<string>();
  let mostKeys = 0;
  /** undefined until the first reading. */
  let revision: string | null | undefined;

  let markKnown: () => void;
  const known = new Promise<void>((resolve) => {
    markKnown = resolve;
  });

  async function read(): Promise<void> {
    // The revision first: of a change between the two, this reading has the new keys and the next one reads again.
    const newRevision = await readKeysRevision(redis, keys);
    if (newRevision === revision) return;
    const stored = await readKeys(redis, keys);
    noteRevoked(stored);
    callers = new Map(
      [...stored].map(([keyHash, { id, name, roles }]): [string, Caller] => [keyHash, { actor: { id, name }, roles }]),
    );
    if (envHash !== null) callers.set(envHash, envCaller);
    remembered.clear();
    mostKeys = Math.max(mostKeys, stored.size);
    revision = newRevision;
    markKnown();
  }

  function noteRevoked(stored: ReadonlyMap<string, unknown>): void {
    for (const keyHash of stored.keys()) revoked.delete(keyHash);
    for (const keyHash of callers.keys()) if (keyHash !== envHash && !stored.has(keyHash)) revoked.add(keyHash);
    for (const keyHash of revoked) {
      if (revoked.size <= REVOKED_MAX) break;
      revoked.delete(keyHash);
    }
  }

  let readMs = Number.NEGATIVE_INFINITY;
  let readFailed = false;
  async function readOnce(): Promise<void> {
    try {
      await read();
      readMs = monotonicMs();
      readFailed = false;
    } catch (error) {
      readFailed = true;
      throw error;
    }
  }

  /** Readings go one after the other: an older one must not overwrite a newer one. */
  let reading: Promise<void> = Promise.resolve();
  function refresh(): Promise<void> {
    const result = reading.then(readOnce);
    reading = result.catch(() => undefined);
    return result;
  }

  let cancel: (() => void) | null = null;
  let running = false;
  let failing = false;
  async function turn(): Promise<void> {
    try {
      await refresh();
      failing = false;
    } catch (error) {
      if (!failing) onFailure(error);
      failing = true;
    }
    if (running) cancel = schedule(() => void turn(), failing ? RETRY_MS : REFRESH_MS);
  }

  /** Whether the keys are known as they are now, or were within {@link REFRESH_MS}. */
  function isCurrent(): boolean {
    if (revision === undefined || readFailed || !answers()) return false;
    return !running || monotonicMs() - readMs < OVERDUE_MS;
  }

  return {
    lookup(token) {
      const found = remembered.get(token);
      if (found !== undefined) return found;
      if (token.length > KEY_MAX_CHARACTERS) return null;
      const caller = callers.get(hashOfKey(token));
      if (caller === undefined) return null;
      remembered.set(token, caller);
      return caller;
    },
    mayBeUnread: (token) =>
      !isCurrent() && token.length <= KEY_MAX_CHARACTERS && idInKey(token) !== null && !revoked.has(hashOfKey(token)),
    access: () => ({ envKey: envHash !== null, keysKnown: revision !== undefined, keyCount: mostKeys }),
    whenKnown: () => known,
    refresh,
    start() {
      if (running) return;
      running = true;
      void turn();
    },
    stop() {
      running = false;
      cancel?.();
    },
  };
}
