import type { RedisClient } from '../store/connection';

/** One entry of a Redis stream: its id and its fields. */
export interface StreamEntry {
  id: string;
  fields: Readonly<Record<string, string | undefined>>;
}

/** The largest part of a stream's id: 2^64 - 1. Redis refuses larger ones as malformed. */
const ID_PART_MAX = 18_446_744_073_709_551_615n;

/** Whether a text is the id of a stream's entry, in the one way in which Redis writes it. */
export function isStreamId(text: string): boolean {
  const match = /^(0|[1-9]\d{0,19})-(0|[1-9]\d{0,19})$/.exec(text);
  return match !== null && BigInt(match[1]!) <= ID_PART_MAX && BigInt(match[2]!) <= ID_PART_MAX;
}

/** When an entry was written, by Redis's clock, in epoch milliseconds: its id begins with that. */
export function entryMs(id: string): number {
  return Number.parseInt(id, 10);
}

/**
 * When what an entry of the log tells of happened, in epoch milliseconds: for sends the script's own moment, which their
 * state has too. The entry may have been written in the next millisecond.
 */
export function eventMs(id: string, fields: StreamEntry['fields']): number {
  return fields.t === undefined ? entryMs(id) : Number(fields.t);
}

/**
 * The entries before `beforeId`, or the newest for null, from the newest to the oldest. New entries only come in at
 * the other end, so reading on from the last id that was seen shows each entry once.
 */
export async function entriesBefore(
  redis: RedisClient,
  key: string,
  beforeId: string | null,
  most: number,
): Promise<StreamEntry[]> {
  const entries = await redis.xrevrange(key, beforeId === null ? '+' : `(${beforeId}`, '-', 'COUNT', most);
  return entries.map(streamEntry);
}

/** The entry with that id, or null. */
export async function entryWithId(redis: RedisClient, key: string, id: string): Promise<StreamEntry | null> {
  const [entry] = await redis.xrange(key, id, id);
  return entry === undefined ? null : streamEntry(entry);
}

/** An entry as ioredis reads it. */
export function streamEntry([id, flat]: [string, string[]]): StreamEntry {
  const fields: Record<string, string> = {};
  for (let index = 0; index < flat.length; index += 2) fields[flat[index]!] = flat[index + 1]!;
  return { id, fields };
}
