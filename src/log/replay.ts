import type { LimitView } from '../limits/decision';
import { DIMENSIONS, type Message, type Period } from '../limits/limit';
import type { Arrival, PastEvent } from '../limits/simulate';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { decodeLimits, type RecordedLimit } from '../store/shapes';
import { isStreamId, streamEntry } from './stream';

/** Why what counted is known only from some moment on. */
export type UnknownBefore =
  /** What was written before has been trimmed. */
  | 'log_trimmed'
  /** The log is longer than one reading. */
  | 'log_too_long'
  /** It was not asked for. */
  | 'not_read'
  /** Checks were counted and not logged. */
  | 'checks_not_logged'
  /** Something counted of which the log has only that it did. */
  | 'log_incomplete';

/** What has happened, as the log has it. */
export interface PastEvents {
  /** In the order in which it happened. */
  events: PastEvent[];
  /** Everything that counted at that moment or later is among them, in epoch milliseconds; -Infinity: all that ever did. */
  knownFromMs: number;
  /** Why not everything before; null when it is all known. */
  unknownBefore: UnknownBefore | null;
  /** From when on all is among them that the log has, in epoch milliseconds. */
  readFromMs: number;
  /** When a check was last counted that is not in the log, in epoch milliseconds; null for never. */
  unloggedMs: number | null;
}

/** How many rows and marks are read together: Redis and this process are held for a millisecond or two. */
const TOGETHER = 250;
/** The most rows and marks of one reading, the newest ones: what is read is in memory. */
export const READ_MAX = 250_000;

/** A row of the log, or a mark: see lua/lib/log.lua. */
interface Item {
  number: number;
  atMs: number;
  /** Undefined for a row. */
  kind: string | undefined;
  fields: Readonly<Record<string, string | undefined>>;
}

/** What is read of a send's state: see lua/lib/send.lua. */
const STATE_FIELDS = ['st', 'q', 'u', 'a', 't', 'c', 'k', 'dm', 'x', 'us', 'cd'] as const;
type State = Record<(typeof STATE_FIELDS)[number], string | null>;

/** What a send can be only after it was accepted; a canceled one may have been or not. */
const COUNTED = ['ENQUEUED', 'SENT', 'DELIVERED', 'UNDELIVERABLE'];

/**
 * Reads what has happened out of the message log, in pieces between which others go first.
 * @param needMs from when on it is needed, in epoch milliseconds. What was before is read too, unless that is too much
 * @param deps.most rows and marks, at most: the newest
 * @throws whatever Redis fails with
 */
export async function readPastEvents(
  deps: { redis: RedisClient; keys: Keys; most?: number; pause: () => Promise<void> },
  needMs: number,
): Promise<PastEvents> {
  const { redis, keys, most = READ_MAX, pause } = deps;
  const meta = await redis.hmget(keys.logMeta, 'last', 'trimmed', 'trimmed_ms', 'unlogged_ms');
  const [last, trimmed, trimmedMs, unloggedMs] = meta.map((text) => (text === null ? null : Number(text)));

  let knownFromMs = Number.NEGATIVE_INFINITY;
  let unknownBefore: UnknownBefore | null = null;
  const knownOnlyFrom = (ms: number, why: UnknownBefore) => {
    if (ms <= knownFromMs) return;
    knownFromMs = ms;
    unknownBefore = why;
  };

  let first = (trimmed ?? 0) + 1;
  let readFromMs = Number.NEGATIVE_INFINITY;
  if (typeof trimmedMs === 'number') knownOnlyFrom(trimmedMs + 1, 'log_trimmed');
  const end = last ?? 0;
  if (end - first >= most) {
    const needed = await firstSince(redis, keys, first, end, needMs);
    if (needed > first) knownOnlyFrom(needMs, 'not_read');
    first = Math.max(needed, end - most + 1);
    // Of the moment at which it begins a part may be left out.
    if (first > needed) knownOnlyFrom((await timeOf(redis, keys, first, end)) + 1, 'log_too_long');
  }
  readFromMs = knownFromMs;

  const reader = createEventReader(redis, keys, (atMs) => knownOnlyFrom(atMs + 1, 'log_incomplete'));
  const events: PastEvent[] = [];
  const rows = createCursor(redis, keys.logRows, first, end);
  const marks = createCursor(redis, keys.logMarks, first, end);
  for (;;) {
    const items: Item[] = [];
    while (items.length < TOGETHER) {
      const [row, mark] = [await rows.peek(), await marks.peek()];
      if (row === undefined && mark === undefined) break;
      items.push(mark === undefined || (row !== undefined && row.number < mark.number) ? rows.take() : marks.take());
    }
    if (items.length === 0) break;
    for (const event of await reader.eventsOf(items)) events.push(event);
    await pause();
  }
  if (typeof unloggedMs === 'number') knownOnlyFrom(unloggedMs + 1, 'checks_not_logged');
  return { events, knownFromMs, unknownBefore, readFromMs, unloggedMs: unloggedMs ?? null };
}

/** Goes along a stream by number, some entries at a time. */
function createCursor(redis: RedisClient, key: string, first: number, last: number) {
  let buffer: Item[] = [];
  let place = 0;
  let next = first;
  return {
    async peek(): Promise<Item | undefined> {
      if (place === buffer.length && next <= last) {
        const entries = await redis.xrange(key, `${next}`, `${last}`, 'COUNT', TOGETHER);
        buffer = entries.map(itemOf);
        place = 0;
        next = entries.length < TOGETHER ? last + 1 : buffer.at(-1)!.number + 1;
      }
      return buffer[place];
    },
    take(): Item {
      place += 1;
      return buffer[place - 1]!;
    },
  };
}

function itemOf(entry: [string, string[]]): Item {
  const { id, fields } = streamEntry(entry);
  return { number: Number.parseInt(id, 10), atMs: Number(fields.t), kind: fields.k, fields };
}

/** When the first row or mark from a number on was written, in epoch milliseconds; -Infinity when there is none. */
async function timeOf(redis: RedisClient, keys: Keys, from: number, last: number): Promise<number> {
  const found = await Promise.all(
    [keys.logRows, keys.logMarks].map((key) => redis.xrange(key, `${from}`, `${last}`, 'COUNT', 1)),
  );
  const [one] = found
    .flat()
    .map(itemOf)
    .sort((a, b) => a.number - b.number);
  return one?.atMs ?? Number.NEGATIVE_INFINITY;
}

/** The number from which on rows and marks were written at a moment or later, by halving. */
async function firstSince(redis: RedisClient, keys: Keys, first: number, last: number, ms: number): Promise<number> {
  let [low, high] = [first, last + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const atMs = await timeOf(redis, keys, middle, last);
    if (atMs === Number.NEGATIVE_INFINITY || atMs >= ms) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Makes events of rows and marks. `lost` is told when something counted of which nobody can tell what it was. */
function createEventReader(redis: RedisClient, keys: Keys, lost: (atMs: number) => void) {
  const limitsByHash = new Map<string, RecordedLimit[]>();
  const messages = new Map<string, Message>();
  /** The accepted checks that the log has, by their id. */
  const accepted = new Set<string>();

  /** The same object for the same message: there are far fewer than events. */
  function messageOf(user: string, account: string, topic: string, channel: string): Message {
    // Ids hold no control characters.
    const key = `${user}\n${account}\n${topic}\n${channel}`;
    let message = messages.get(key);
    if (message === undefined) {
      message = { user: user || null, account: account || null, topic: topic || null, channel: channel || null };
      messages.set(key, message);
    }
    return message;
  }

  async function learnLimits(hashes: Iterable<string | null | undefined>): Promise<void> {
    const unknown = [...new Set(hashes)].filter((hash): hash is string => !!hash && !limitsByHash.has(hash));
    if (unknown.length === 0) return;
    const texts = await redis.mget(unknown.map((hash) => keys.loggedLimits(hash)));
    unknown.forEach((hash, index) => {
      const text = texts[index];
      limitsByHash.set(hash, typeof text === 'string' ? decodeLimits(text) : []);
    });
  }

  function really(counted: boolean, hash: string | null | undefined, used: string | null | undefined) {
    const limits = limitsByHash.get(hash ?? '');
    if (limits === undefined || limits.length === 0 || !used) return null;
    const uses = used.split(',').map(Number);
    return {
      counted,
      limits: limits.map((limit): { limit: LimitView; used: number } => ({ limit, used: uses[limit.counter]! })),
    };
  }

  function checkOf({ number, fields: row, atMs }: Item, fields: Item['fields']): PastEvent[] {
    const { status, id = '', user = '', account = '', topic = '', channel = '', cost, limits, used } = fields;
    if (status === 'FILTERED') return [];
    if (status === 'ACCEPTED' && id !== '') accepted.add(id);
    return [
      {
        ...{ kind: 'arrival', ref: row.m!, number, atMs: Number(row.d ?? atMs), isSend: false, again: false },
        ...{
          isRepeat: false,
          message: messageOf(user, account, topic, channel),
          cost: Number(cost),
          messageId: id || null,
        },
        really: really(status === 'ACCEPTED', limits, used),
      },
    ];
  }

  /** @param wasCounted what is known of that; null: it follows from the state, if that is still of this decision */
  function sendOf({ fields: { m }, atMs }: Item, state: State, again: boolean, wasCounted: boolean | null): Arrival {
    const { st, q, u, a, t, c, k, dm, x, us, cd } = state;
    const isLastDecision = wasCounted === null ? Number(dm) === atMs : dm === null;
    const counted = wasCounted ?? (COUNTED.includes(st!) || cd === '0');
    return {
      ...{ kind: 'arrival', ref: m!, number: Number(q), atMs, isSend: true, again, isRepeat: false, messageId: null },
      ...{ message: messageOf(u ?? '', a ?? '', t ?? '', c ?? ''), cost: Number(k ?? '1') },
      really: isLastDecision ? really(counted, x, us) : null,
    };
  }

  function eventOf(item: Item, entry: Item['fields'] | undefined, state: State | undefined): PastEvent[] {
    const { kind, fields, atMs, number } = item;
    const ref = fields.m ?? '';
    switch (kind) {
      case undefined:
        if (isStreamId(ref)) {
          if (entry !== undefined) return checkOf(item, entry);
          lost(atMs);
          return [];
        }
        if (fields.s === 'FILTERED') return [{ kind: 'filtered', ref, atMs, isFirst: true }];
        // Its sender delays it: it is decided later.
        if (fields.d === '') return [];
        break;
      case 'first':
      case 'again':
        break;
      case 'filtered':
        return [{ kind, ref, atMs, isFirst: fields.f === '1' }];
      case 'canceled':
        return [{ kind, ref, atMs }];
      case 'failed':
        return [{ kind, ref, atMs, givesBack: fields.g === '1' }];
      case 'released':
        return [{ kind, messageId: ref, atMs }];
      case 'asked': {
        // What had become of it may be another thing, had it been decided otherwise before.
        if (!accepted.has(ref)) {
          lost(atMs);
          return [];
        }
        const { u = '', a = '', o = '', c = '', x } = fields;
        return [
          {
            ...{ kind: 'arrival', ref: `asked ${number}`, number, atMs, isSend: false, again: false },
            ...{ isRepeat: true, message: messageOf(u, a, o, c), cost: Number(x), messageId: ref, really: null },
          },
        ];
      }
      case 'reset': {
        const values = JSON.parse(fields.v!) as Record<string, string>;
        return [
          {
            ...{ kind, atMs, per: DIMENSIONS.filter((dimension) => values[dimension] !== undefined) },
            period: fields.p as Period,
            values: messageOf(values.user ?? '', values.account ?? '', values.topic ?? '', values.channel ?? ''),
          },
        ];
      }
      default:
        throw new Error(`the log has a mark of a kind that there is none of: ${kind}`);
    }
    if (state === undefined) {
      lost(atMs);
      return [];
    }
    return [sendOf(item, state, kind === 'again', kind === undefined ? fields.s === 'ENQUEUED' : null)];
  }

  return {
    async eventsOf(items: readonly Item[]): Promise<PastEvent[]> {
      const reads = redis.pipeline();
      const places = items.map(({ kind, fields: { m = '', s, d } }) => {
        if (kind === undefined && isStreamId(m)) reads.xrange(keys.log, m, m);
        else if (kind === undefined ? s !== 'FILTERED' && d !== '' : kind === 'first' || kind === 'again') {
          reads.hmget(keys.send(m), ...STATE_FIELDS);
        } else return null;
        return reads.length - 1;
      });
      const found = ((reads.length === 0 ? null : await reads.exec()) ?? []).map(([error, value]) => {
        if (error) throw error;
        return value as unknown[];
      });
      const entries: (Item['fields'] | undefined)[] = [];
      const states: (State | undefined)[] = [];
      items.forEach(({ kind, fields: { m = '' } }, index) => {
        const place = places[index];
        if (place === null || place === undefined) return;
        const value = found[place]!;
        if (kind === undefined && isStreamId(m)) {
          const [entry] = value as [string, string[]][];
          entries[index] = entry === undefined ? undefined : streamEntry(entry).fields;
        } else if (value[0] !== null) {
          states[index] = Object.fromEntries(STATE_FIELDS.map((field, at) => [field, value[at]])) as State;
        }
      });
      await learnLimits([...entries.map((entry) => entry?.limits), ...states.map((state) => state?.x)]);
      return items.flatMap((item, index) => eventOf(item, entries[index], states[index]));
    },
  };
}
