import { setTimeout as delay } from 'node:timers/promises';
import type { RedisClient } from '../store/connection';
import { isRedisUnavailable } from '../store/failure';
import type { Keys } from '../store/keys';
import type { LoggedMessage, MessageLog } from './messages';
import { entriesBefore, eventMs, type StreamEntry, streamEntry } from './stream';

/** Something that happened, as it is followed. */
export interface TailedEvent {
  atMs: number;
  /** The status that the message got, or RETRYING, REDELIVERED, STOPPED, RECEIPT. */
  type: string;
  detail: Readonly<Record<string, unknown>>;
  /** The message as it is now; null when it has been trimmed since. */
  message: LoggedMessage | null;
}

/** How soon it is looked again for what has happened, in milliseconds. */
const EVERY_MS = 300;
/** The most entries of one look. */
const ENTRIES_PER_LOOK = 500;
/** The most of the newest entries that are looked through for the first lines. */
const LOOKED_BACK = 5_000;

/**
 * Follows what happens to messages, from the last few things on. It goes on when Redis comes back.
 * @param types only events of these types; null for all
 * @param last how many of what has happened already come first
 * @param onAway told once whenever Redis does not answer
 */
export async function* followLog(
  deps: { redis: RedisClient; keys: Keys; messageLog: Pick<MessageLog, 'read'>; onAway: () => void },
  { types, last, signal }: { types: ReadonlySet<string> | null; last: number; signal: AbortSignal },
): AsyncGenerator<TailedEvent> {
  const { redis, keys, messageLog, onAway } = deps;
  /** What was read last of each of the two streams. */
  const after = { row: '0-0', entry: '0-0' };

  /** Puts what both streams have into one order: with which status sends began, and everything else. */
  async function events(rows: readonly StreamEntry[], entries: readonly StreamEntry[]): Promise<TailedEvent[]> {
    const began = rows.map(({ fields }) => ({
      atMs: Number(fields.t),
      type: fields.s ?? '',
      detail: {},
      ref: fields.m ?? '',
    }));
    const later = entries.map(({ id, fields }) => ({
      atMs: eventMs(id, fields),
      type: fields.status ?? '',
      detail: fields.detail ? (JSON.parse(fields.detail) as Record<string, unknown>) : {},
      ref: fields.send ?? id,
    }));
    // A row about a check says no status: its entry does.
    const wanted = [...began, ...later].filter(({ type }) => type !== '' && (types === null || types.has(type)));
    wanted.sort((one, other) => one.atMs - other.atMs);
    const shown = first ? wanted.slice(Math.max(0, wanted.length - last)) : wanted;
    const messages = await messageLog.read(shown.map(({ ref }) => ref));
    return shown.map(({ ref, ...event }, index) => ({ ...event, message: messages[index] ?? null }));
  }

  let first = true;
  let away = false;
  while (!signal.aborted) {
    let found: TailedEvent[] = [];
    let full = false;
    try {
      const [rows, entries] = first
        ? await Promise.all([
            entriesBefore(redis, keys.logRows, null, LOOKED_BACK),
            entriesBefore(redis, keys.log, null, LOOKED_BACK),
          ]).then((both) => both.map((newest) => newest.reverse()) as [StreamEntry[], StreamEntry[]])
        : await Promise.all([entriesAfter(redis, keys.logRows, after.row), entriesAfter(redis, keys.log, after.entry)]);
      found = await events(rows, entries);
      after.row = rows.at(-1)?.id ?? after.row;
      after.entry = entries.at(-1)?.id ?? after.entry;
      full = !first && (rows.length === ENTRIES_PER_LOOK || entries.length === ENTRIES_PER_LOOK);
      first = false;
      away = false;
    } catch (error) {
      if (!isRedisUnavailable(error)) throw error;
      if (!away) onAway();
      away = true;
    }
    yield* found;
    if (!full) await delay(EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function entriesAfter(redis: RedisClient, key: string, id: string): Promise<StreamEntry[]> {
  return (await redis.xrange(key, `(${id}`, '+', 'COUNT', ENTRIES_PER_LOOK)).map(streamEntry);
}
