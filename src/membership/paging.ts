import type { RedisClient } from '../store/connection';

/** Some of a list, in the order of the ids' bytes. */
export interface Page<Item> {
  items: Item[];
  /** The id to go on after, or null when this was the last page. */
  next: string | null;
}

/** Which part of a list to read. */
export interface PageRequest {
  /** The id to go on after, or null to begin; whether that id is still in the list does not matter. */
  after: string | null;
  /** The most items, at least 1. */
  limit: number;
}

/** The ids of one page, before what belongs to them is read. */
export interface IdPage {
  ids: string[];
  next: string | null;
}

/**
 * Reads a page of a sorted set whose scores are all 0, and whose members begin with `prefix`, which is cut off.
 *
 * A page goes on after an id, not after a number of ids. So whatever comes and goes meanwhile, an id that stays is
 * listed once: it is neither skipped nor repeated.
 */
export async function readIds(
  redis: RedisClient,
  key: string,
  { after, limit }: PageRequest,
  prefix = '',
): Promise<IdPage> {
  const from = after === null ? (prefix === '' ? '-' : `[${prefix}`) : `(${prefix}${after}`;
  const found = await redis.zrange(key, from, endOf(prefix), 'BYLEX', 'LIMIT', 0, limit + 1);
  const ids = found.slice(0, limit).map((member) => member.slice(prefix.length));
  return { ids, next: found.length > limit ? (ids.at(-1) ?? null) : null };
}

/** The end of all texts that begin with the prefix, whose last character must be ASCII: the next one in its place. */
function endOf(prefix: string): string {
  if (prefix === '') return '+';
  return `(${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
}
