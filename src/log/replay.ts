import { getHeapStatistics } from 'node:v8';
import { DIMENSIONS, type Dimension, type Message, type Period } from '../limits/limit';
import type { Arrival, PastEvent } from '../limits/simulate';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';
import { decodeLimits, type RecordedLimit } from '../store/shapes';
import { entryMs, streamEntry } from './stream';

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

/** How many rows and marks are read together: Redis is held for about a millisecond. */
const TOGETHER = 128;
/** The most rows and marks of one reading, the newest ones. */
const READ_MAX = 250_000;
/** What each of them takes in memory until it has been decided again, at worst, in bytes; and how much of it may be used. */
const BYTES_EACH = 3_000;
const MEMORY_PART = 0.5;

/** How many rows and marks are read at most: what is read, and what is worked out from it, is in memory. */
export function readableNow(): number {
  const { heap_size_limit: limit, used_heap_size: used } = getHeapStatistics();
  return Math.min(READ_MAX, Math.max(1, Math.floor(((limit - used) * MEMORY_PART) / BYTES_EACH)));
}

/** What a send can be only after it was accepted; a canceled one may have been or not. */
const COUNTED = ['ENQUEUED', 'SENT', 'DELIVERED', 'UNDELIVERABLE'];

/**
 * Reads what has happened out of the message log, in pieces between which others go first.
 * @param needMs from when on it is needed, in epoch milliseconds. What was before is read too, unless that is too much
 * @param deps.most rows and marks, at most: the newest
 * @throws whatever Redis fails with
 */
export async function readPastEvents(
  deps: { redis: RedisClient; scripts: Scripts; keys: Keys; most: number; pause: () => Promise<void> },
  needMs: number,
): Promise<PastEvents> {
  const { redis, scripts, keys, most, pause } = deps;
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

  // What counters really held tells something only where not all is known that counted in them.
  const wantsReally = unknownBefore !== null || typeof unloggedMs === 'number';
  const reader = createEventReader(redis, keys, wantsReally, (atMs) => knownOnlyFrom(atMs + 1, 'log_incomplete'));
  const events: PastEvent[] = [];
  for (let next = `${first}`; next !== '' && first <= end; ) {
    const [after = '', ...texts] = (await runScript(
      redis,
      scripts.log_replay,
      [keys.log],
      [next, end, TOGETHER],
    )) as string[];
    await reader.read(texts, events);
    next = after;
    await pause();
  }
  if (typeof unloggedMs === 'number') knownOnlyFrom(unloggedMs + 1, 'checks_not_logged');
  return { events, knownFromMs, unknownBefore, readFromMs, unloggedMs: unloggedMs ?? null };
}

/** When the first row or mark from a number on was written, in epoch milliseconds; -Infinity when there is none. */
async function timeOf(redis: RedisClient, keys: Keys, from: number, last: number): Promise<number> {
  const found = await Promise.all(
    [keys.logRows, keys.logMarks].map((key) => redis.xrange(key, `${from}`, `${last}`, 'COUNT', 1)),
  );
  const [one] = found
    .flat()
    .map(streamEntry)
    .sort((a, b) => entryMs(a.id) - entryMs(b.id));
  return one === undefined ? Number.NEGATIVE_INFINITY : Number(one.fields.t);
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

/**
 * Makes events of what lua/log_replay.lua replies.
 * @param wantsReally whether it matters what counters really held
 * @param lost told when something counted of which nobody can tell what it was
 */
function createEventReader(redis: RedisClient, keys: Keys, wantsReally: boolean, lost: (atMs: number) => void) {
  const limitsByHash = new Map<string, RecordedLimit[]>();
  const messages = new Map<string, Message>();
  /** The ids of accepted checks that the log has. */
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

  async function learnLimits(hashes: ReadonlySet<string>): Promise<void> {
    const unknown = [...hashes].filter((hash) => hash !== '' && !limitsByHash.has(hash));
    if (unknown.length === 0) return;
    const texts = await redis.mget(unknown.map((hash) => keys.loggedLimits(hash)));
    unknown.forEach((hash, index) => {
      const text = texts[index];
      limitsByHash.set(hash, typeof text === 'string' ? decodeLimits(text) : []);
    });
  }

  function really(counted: boolean, hash: string, used: string): Arrival['really'] {
    if (!wantsReally || used === '') return null;
    const limits = limitsByHash.get(hash);
    if (limits === undefined || limits.length === 0) return null;
    return { counted, limits, used: used.split(',').map(Number) };
  }

  function check(atMs: number, number: number, parts: Parts): Arrival {
    const [, , , decided, ref, status, id, user, account, topic, channel, cost, limits, used] = parts;
    if (status === 'ACCEPTED' && id !== '') accepted.add(id);
    return {
      kind: 'arrival',
      ref,
      number,
      atMs: decided === '' ? atMs : Number(decided),
      message: messageOf(user, account, topic, channel),
      cost: Number(cost),
      isSend: false,
      again: false,
      messageId: id === '' ? null : id,
      isRepeat: false,
      really: really(status === 'ACCEPTED', limits, used),
    };
  }

  function send(kind: string, atMs: number, parts: Parts): Arrival {
    const [, , , ref, beganAs, q, user, account, topic, channel, cost, decided, limits, used, counts, status] = parts;
    const isNew = kind === 'send';
    // Its state tells of its last decision alone.
    const isLastDecision = isNew ? decided === '' : Number(decided) === atMs;
    const counted = isNew ? beganAs === 'ENQUEUED' : COUNTED.includes(status) || counts === '0';
    return {
      kind: 'arrival',
      ref,
      number: Number(q),
      atMs,
      message: messageOf(user, account, topic, channel),
      cost: cost === '' ? 1 : Number(cost),
      isSend: true,
      again: kind === 'again',
      messageId: null,
      isRepeat: false,
      really: isLastDecision ? really(counted, limits, used) : null,
    };
  }

  function asked(atMs: number, number: number, parts: Parts): Arrival {
    const [, , , messageId, user, account, topic, channel, cost] = parts;
    return {
      kind: 'arrival',
      ref: `asked ${number}`,
      number,
      atMs,
      message: messageOf(user, account, topic, channel),
      cost: Number(cost),
      isSend: false,
      again: false,
      messageId,
      isRepeat: true,
      really: null,
    };
  }

  function eventOf(parts: Parts): PastEvent | null {
    const [kind, numberText, atText, ref, more] = parts;
    const [number, atMs] = [Number(numberText), Number(atText)];
    switch (kind) {
      case 'check':
        return check(atMs, number, parts);
      case 'send':
      case 'first':
      case 'again':
        return send(kind, atMs, parts);
      case 'filtered':
        return { kind, ref, atMs, isFirst: more === '1' };
      case 'canceled':
        return { kind, ref, atMs };
      case 'failed':
        return { kind, ref, atMs, givesBack: more === '1' };
      case 'released':
        return { kind, messageId: ref, atMs };
      case 'asked':
        // What had become of it may be another thing, had it been decided otherwise before.
        if (accepted.has(ref)) return asked(atMs, number, parts);
        lost(atMs);
        return null;
      case 'reset': {
        const given = JSON.parse(ref) as Partial<Record<Dimension, string>>;
        const per = DIMENSIONS.filter((dimension) => given[dimension] !== undefined);
        const { user = '', account = '', topic = '', channel = '' } = given;
        return { kind, atMs, per, period: more as Period, values: messageOf(user, account, topic, channel) };
      }
      case 'lost':
        lost(atMs);
        return null;
      default:
        throw new Error(`log_replay.lua answered what it cannot answer: ${kind}`);
    }
  }

  return {
    /** Adds the events of some replies. */
    async read(texts: readonly string[], events: PastEvent[]): Promise<void> {
      const all = texts.map((text) => text.split('\n') as unknown as Parts);
      if (wantsReally) {
        const hashes = new Set<string>();
        for (const parts of all) if (parts.length > LIMITS_PART) hashes.add(parts[LIMITS_PART]);
        await learnLimits(hashes);
      }
      for (const parts of all) {
        const event = eventOf(parts);
        if (event !== null) events.push(event);
      }
    },
  };
}

/** The lines of a text, as lua/log_replay.lua says which there are; those of the longest. */
type Parts = readonly [
  ...[kind: string, number: string, at: string, string, string, string, string, string],
  ...[string, string, string, string, limits: string, string, string, string],
];
/** Where the limits stand that a message was held against, of a check and of a send alike. */
const LIMITS_PART = 12;
