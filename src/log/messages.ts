import { type Decision, decide } from '../limits/decision';
import type { RedisClient } from '../store/connection';
import { decodeLimits } from '../store/decisions';
import type { Keys } from '../store/keys';
import { entriesBefore, entryMs, entryWithId, isStreamId, type StreamEntry } from './stream';

/** What can have become of a message. `ACCEPTED` is a check's; the rest are Courier's, with their meaning. */
export const MESSAGE_STATUSES = [
  'ACCEPTED',
  'ENQUEUED',
  'DELAYED',
  'THROTTLED',
  'FILTERED',
  'SENT',
  'DELIVERED',
  'UNDELIVERABLE',
  'CANCELED',
] as const;
export type MessageStatus = (typeof MESSAGE_STATUSES)[number];

/** A message as the log has it: see `write_log` in lua/take.lua. */
export interface LoggedMessage {
  /** The caller's `message_id`, else the log entry's id. Several entries may have the same one: each is one decision. */
  id: string;
  status: MessageStatus;
  /** When it was decided, by Redis's clock. */
  atMs: number;
  user: string;
  account: string | null;
  topic: string | null;
  channel: string | null;
  cost: number;
  /** The limits that were compared, which of them it was too much for, and when it may be tried again. */
  decision: Pick<Decision, 'limits' | 'throttled_by' | 'retry_at'>;
}

/** Which messages are wanted: those that match everything that is said. */
export interface MessageFilter {
  /** Any of these; of none of them is no message. */
  statuses?: readonly MessageStatus[] | undefined;
  user?: string | undefined;
  account?: string | undefined;
  topic?: string | undefined;
}

/** Some messages, the newest first. */
export interface MessagesPage {
  messages: LoggedMessage[];
  /** Where to go on, or null when there are no older ones that match. */
  next: string | null;
}

/** The message log of a workspace. */
export interface MessageLog {
  /**
   * Matching messages older than the log entry `beforeId`, or the newest for null. It looks at no more than
   * {@link SCAN_MAX_ENTRIES} entries: when few match, a page may have fewer than `most`, or none, and yet a `next`.
   * @throws whatever Redis fails with
   */
  page(filter: MessageFilter, beforeId: string | null, most: number): Promise<MessagesPage>;
  /**
   * The newest entry with that message id among the newest {@link SCAN_MAX_ENTRIES} of the log (an entry's own id is
   * found however old it is), or null.
   * @throws whatever Redis fails with
   */
  get(id: string): Promise<LoggedMessage | null>;
}

/** The most entries that one call looks at: a tenth of a second of CPU, in steps that let other calls through. */
export const SCAN_MAX_ENTRIES = 5_000;
/** Entries of one step: with five limits each, Redis is held for half a millisecond and this process for five. */
const STEP_ENTRIES = 250;

/** Reads the message log. */
export function createMessageLog({ redis, keys }: { redis: RedisClient; keys: Keys }): MessageLog {
  /** The entries before `beforeId` that match, at most `most`, and where the look ended: null at the log's end. */
  async function scan(
    matches: (fields: StreamEntry['fields']) => boolean,
    beforeId: string | null,
    most: number,
    firstStep: number,
  ): Promise<{ found: StreamEntry[]; scannedTo: string | null }> {
    const found: StreamEntry[] = [];
    let scannedTo = beforeId;
    let looked = 0;
    while (looked < SCAN_MAX_ENTRIES) {
      const step = Math.min(looked === 0 ? firstStep : STEP_ENTRIES, SCAN_MAX_ENTRIES - looked);
      const entries = await entriesBefore(redis, keys.log, scannedTo, step);
      for (const entry of entries) {
        scannedTo = entry.id;
        if (matches(entry.fields) && found.push(entry) === most) return { found, scannedTo };
      }
      if (entries.length < step) return { found, scannedTo: null };
      looked += step;
    }
    return { found, scannedTo };
  }

  return {
    async page(filter, beforeId, most) {
      if (filter.statuses?.length === 0) return { messages: [], next: null };
      // One more than is asked for tells whether there is another page.
      const firstStep = Object.values(filter).every((value) => value === undefined) ? most + 1 : STEP_ENTRIES;
      const { found, scannedTo } = await scan((fields) => matchesFilter(fields, filter), beforeId, most + 1, firstStep);
      const shown = found.slice(0, most);
      return {
        messages: shown.map(loggedMessage),
        next: found.length > most ? shown.at(-1)!.id : scannedTo,
      };
    },
    async get(id) {
      // Entries whose message has no id have this one.
      if (id === '') return null;
      if (isStreamId(id)) {
        const entry = await entryWithId(redis, keys.log, id);
        // An entry whose message has an id of its own goes by that one.
        if (entry !== null && (entry.fields.id === '' || entry.fields.id === id)) return loggedMessage(entry);
      }
      const { found } = await scan((fields) => fields.id === id, null, 1, STEP_ENTRIES);
      return found.length === 0 ? null : loggedMessage(found[0]!);
    },
  };
}

function matchesFilter(fields: StreamEntry['fields'], { statuses, user, account, topic }: MessageFilter): boolean {
  return (
    (statuses === undefined || statuses.includes(fields.status as MessageStatus)) &&
    (user === undefined || fields.user === user) &&
    (account === undefined || fields.account === account) &&
    (topic === undefined || fields.topic === topic)
  );
}

function loggedMessage({ id: entryId, fields }: StreamEntry): LoggedMessage {
  const {
    status = '',
    id = '',
    user = '',
    account = '',
    topic = '',
    channel = '',
    cost = '',
    limits = '[]',
    used = '',
  } = fields;
  const counted = status === 'ACCEPTED';
  const uses = used === '' ? [] : used.split(',').map(Number);
  const {
    limits: compared,
    throttled_by,
    retry_at,
  } = decide({
    kind: status === 'THROTTLED' ? 'throttled' : status === 'FILTERED' ? 'filtered' : 'accepted',
    messageId: id || null,
    replayed: false,
    degraded: false,
    cost: Number(cost),
    counted,
    // A filtered message was turned away before any limit was looked at: there is no use to show.
    limits: uses.length === 0 ? [] : decodeLimits(limits).map((limit) => ({ limit, used: uses[limit.counter]! })),
  });
  return {
    id: id || entryId,
    status: status as MessageStatus,
    atMs: entryMs(entryId),
    user,
    account: account || null,
    topic: topic || null,
    channel: channel || null,
    cost: Number(cost),
    decision: { limits: compared, throttled_by, retry_at },
  };
}
