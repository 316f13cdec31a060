import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import type { LoggedMessage } from './messages';
import { eventMs, streamEntry } from './stream';

/** Something that happened to a message. */
export interface MessageEvent {
  /** The entry's id in the log; of the first, with which a send began, the number of its row. */
  id: string;
  atMs: number;
  /** The status that it got, or RETRYING, REDELIVERED, STOPPED, RECEIPT. */
  type: string;
  /** What else there is to know: of an attempt, what the provider said. */
  detail: Readonly<Record<string, unknown>>;
}

/** Reads what happened to a message, in order. @throws whatever Redis fails with */
export async function readHistory(
  { redis, keys }: { redis: RedisClient; keys: Keys },
  { id, status, atMs, send }: LoggedMessage,
): Promise<MessageEvent[]> {
  // A check is decided once, and that is all that ever happens to it.
  if (send === null) return [{ id, atMs, type: status, detail: {} }];
  const began = { id: `${send.number}`, atMs, type: send.beganAs, detail: {} };
  const reads = redis.pipeline();
  for (const entry of send.entries) reads.xrange(keys.log, entry, entry);
  const later = ((await reads.exec()) ?? []).flatMap(([error, value]) => {
    if (error) throw error;
    const [found] = value as [string, string[]][];
    if (found === undefined) return [];
    const { id: entryId, fields } = streamEntry(found);
    const detail = fields.detail ? (JSON.parse(fields.detail) as Record<string, unknown>) : {};
    return [{ id: entryId, atMs: eventMs(entryId, fields), type: fields.status ?? '', detail }];
  });
  return [began, ...later];
}
