import { type Decision, decide } from '../limits/decision';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import type { Scripts } from '../store/scripts';
import { decodeLimits, type RecordedLimit } from '../store/shapes';
import { createLogRows, LOOK_ROWS, type Row } from './rows';
import { entryMs, entryWithId, isStreamId, type StreamEntry, streamEntry } from './stream';

/**
 * What can have become of a message. `ACCEPTED` is a check's; the rest are Courier's, with their meaning. `UNMAPPED` is an
 * event that came in and that no mapping makes a message of.
 */
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
  'UNMAPPED',
] as const;
export type MessageStatus = (typeof MESSAGE_STATUSES)[number];

/** A message as the log has it: one check that was decided, or one handed-over send and what has become of it. */
export interface LoggedMessage {
  /**
   * A send's id; the `message_id` of a check, else its log entry's id. Several checks may have the same one: each is one
   * decision.
   */
  id: string;
  /** A send's id; a check's entry in the log: no two have the same. */
  logId: string;
  status: MessageStatus;
  /** When a check was decided, or a send taken, by Redis's clock. */
  atMs: number;
  user: string;
  account: string | null;
  topic: string | null;
  channel: string | null;
  cost: number;
  /** The limits that were compared, which of them it was too much for, and when it may be tried again. */
  decision: Pick<Decision, 'limits' | 'throttled_by' | 'retry_at'>;
  /** The same limits as they are kept, with the use of each counter after the decision; empty when none was looked at. */
  recorded: readonly { limit: RecordedLimit; used: number }[];
  /** Null for a check. */
  send: LoggedSend | null;
}

/** What only a handed-over send has. */
export interface LoggedSend {
  /** The number of its row. */
  number: number;
  requestId: string;
  provider: string;
  template: string | null;
  event: string | null;
  tags: string[];
  traceId: string | null;
  /** The status that it began with. */
  beganAs: MessageStatus;
  /** Which attempt it is at: every decision and every try is another. */
  attempt: number;
  /** Whether a worker is at it now. */
  sending: boolean;
  /** How often it was tried to deliver it since it was decided last. */
  tries: number;
  /** How often a delivery was begun that had been begun before: its worker died, or lost its place. */
  redeliveries: number;
  decidedMs: number | null;
  sentMs: number | null;
  deliveredMs: number | null;
  /** Since when it waits for room. */
  heldSinceMs: number | null;
  /** When it is decided. */
  dueMs: number | null;
  /** Whether what it counted counts; null when it has counted nothing since it was decided last. */
  counts: boolean | null;
  /** The provider's own id of it. */
  reference: string | null;
  /** What went wrong last, in words. */
  error: string | null;
  /** One word for why it failed. */
  reason: string | null;
  /** What the provider's code for it says. */
  code: { code: string; meaning: string; whatToDo: string } | null;
  /** Its entries in the log, of what happened after it began, the oldest first. */
  entries: string[];
}

/** Which messages are wanted: those that match everything that is said. */
export interface MessageFilter {
  /** Any of these; of none of them is no message. */
  statuses?: readonly MessageStatus[] | undefined;
  user?: string | undefined;
  account?: string | undefined;
  topic?: string | undefined;
  traceId?: string | undefined;
  /** Those of the request with that id. */
  request?: string | undefined;
  /** Any of these. */
  tags?: readonly string[] | undefined;
  /** Only those taken at that moment or later, or before that moment, in epoch milliseconds. */
  fromMs?: number | undefined;
  untilMs?: number | undefined;
  /** These have no index: what the others find is looked through. */
  event?: string | undefined;
  template?: string | undefined;
  providers?: readonly string[] | undefined;
}

/** Some messages, the newest first. */
export interface MessagesPage {
  messages: LoggedMessage[];
  /** Where to go on: the number of a row; null when there are no older ones that match. */
  next: string | null;
}

/** The message log of a workspace. */
export interface MessageLog {
  /**
   * Matching messages older than the row numbered `before`, or the newest for null. It looks at no more than
   * {@link SCAN_MAX_ROWS} rows: when few match, a page may have fewer than `most`, or none, and yet a `next`.
   * @throws whatever Redis fails with
   */
  page(filter: MessageFilter, before: string | null, most: number): Promise<MessagesPage>;
  /** The send with that id, else the newest check with that message id, or the check with that `logId`; or null. */
  get(id: string): Promise<LoggedMessage | null>;
  /**
   * Has what was written found by filters, about so many messages of it, or all: done now and then, and before each look
   * by a filter.
   */
  index(most?: number): Promise<void>;
  /** The messages that rows are about. One that was trimmed meanwhile is null. */
  read(refs: readonly string[]): Promise<(LoggedMessage | null)[]>;
}

/** The most rows that one call looks at: a few milliseconds of Redis, in steps that let other calls through. */
export const SCAN_MAX_ROWS = 10_000;
/** The most that are read whole by one call, to look through them for what has no index, and in one step of it. */
const READ_MAX_MESSAGES = 2_000;
const STEP_MESSAGES = 200;
/** The most limits that are remembered decoded. What they are found by is a hash of them: they never change. */
const LIMITS_REMEMBERED = 5_000;

/** Reads the message log. */
export function createMessageLog(deps: { redis: RedisClient; scripts: Scripts; keys: Keys }): MessageLog {
  const { redis, keys } = deps;
  const rows = createLogRows(deps);
  const limitsByHash = new Map<string, RecordedLimit[]>();

  async function learnLimits(hashes: Iterable<string>): Promise<void> {
    const unknown = [...new Set(hashes)].filter((hash) => hash !== '' && !limitsByHash.has(hash));
    if (unknown.length === 0) return;
    if (limitsByHash.size + unknown.length > LIMITS_REMEMBERED) limitsByHash.clear();
    const texts = await redis.mget(unknown.map((hash) => keys.loggedLimits(hash)));
    unknown.forEach((hash, index) => {
      const text = texts[index];
      // Gone by itself: the message is older than the log keeps any, and about to be trimmed.
      if (typeof text === 'string') limitsByHash.set(hash, decodeLimits(text));
    });
  }

  const limitsOf = (hash: string | undefined) => limitsByHash.get(hash ?? '') ?? [];

  async function read(refs: readonly string[]): Promise<(LoggedMessage | null)[]> {
    if (refs.length === 0) return [];
    const reads = redis.pipeline();
    for (const ref of refs) {
      if (isStreamId(ref)) reads.xrange(keys.log, ref, ref);
      else reads.hgetall(keys.send(ref));
    }
    const found = ((await reads.exec()) ?? []).map(([error, value], index) => {
      if (error) throw error;
      if (!isStreamId(refs[index]!)) return value as Record<string, string>;
      const [entry] = value as [string, string[]][];
      return entry === undefined ? null : streamEntry(entry);
    });
    await learnLimits(found.map((one) => (one === null ? '' : (isEntry(one) ? one.fields.limits : one.x) || '')));
    return found.map((one, index) => {
      if (one === null) return null;
      if (isEntry(one)) return checkOf(one, limitsOf(one.fields.limits));
      return one.st === undefined ? null : sendOf(refs[index]!, one, limitsOf(one.x));
    });
  }

  /** Of the request that a filter asks for the message that has its id, and so is in no index of it. */
  async function firstOf(filter: MessageFilter): Promise<{ row: Row; message: LoggedMessage } | null> {
    const { request } = filter;
    if (request === undefined || isStreamId(request)) return null;
    const [message] = await read([request]);
    if (!message?.send || !matchesFilter(message, filter)) return null;
    return { row: { number: `${message.send.number}`, ref: request }, message };
  }

  return {
    async page(filter, before, most) {
      if (filter.statuses?.length === 0 || filter.tags?.length === 0) return { messages: [], next: null };
      const found: { row: Row; message: LoggedMessage }[] = [];
      const wanted = rowFilter(filter, keys);
      if (wanted.groups.length > 0) await rows.index();
      const looksThrough = hasUnindexed(filter);
      let next = before;
      let looked = 0;
      // One more than is asked for tells whether there is another page.
      while (found.length <= most && looked < (looksThrough ? READ_MAX_MESSAGES : SCAN_MAX_ROWS)) {
        const count = looksThrough ? STEP_MESSAGES : most + 1 - found.length;
        const page = await rows.page(wanted, next, count);
        const messages = await read(page.rows.map(({ ref }) => ref));
        page.rows.forEach((row, index) => {
          const message = messages[index];
          if (message && matchesUnindexed(message, filter)) found.push({ row, message });
        });
        next = page.next;
        if (next === null) break;
        looked += looksThrough ? page.rows.length : LOOK_ROWS;
      }
      const first = await firstOf(filter);
      if (first !== null && isBetween(first.row.number, next, before)) {
        found.push(first);
        found.sort((one, other) => Number(other.row.number) - Number(one.row.number));
      }
      const shown = found.slice(0, most);
      return {
        messages: shown.map(({ message }) => message),
        next: found.length > most ? shown.at(-1)!.row.number : next,
      };
    },

    async get(id) {
      if (id === '') return null;
      const [send] = await read(isStreamId(id) ? [] : [id]);
      if (send) return send;
      const newest = await redis.get(keys.loggedCheck(id));
      if (newest !== null) {
        const [check] = await read([newest]);
        if (check) return check;
      }
      if (!isStreamId(id)) return null;
      // An entry without a user is of what happened to a send, and no message.
      const entry = await entryWithId(redis, keys.log, id);
      if (entry?.fields.user === undefined) return null;
      return (await read([id]))[0] ?? null;
    },

    index: rows.index,
    read,
  };
}

/** Whether a row is of the page that ends where the next one begins, and begins before that number. */
function isBetween(number: string, next: string | null, before: string | null): boolean {
  return (next === null || Number(number) >= Number(next)) && (before === null || Number(number) < Number(before));
}

function rowFilter(
  { statuses, user, account, topic, traceId, request, tags, fromMs, untilMs }: MessageFilter,
  keys: Keys,
) {
  const groups: string[][] = [];
  if (statuses !== undefined) groups.push(statuses.map((status) => keys.logIndex('s', status)));
  if (user !== undefined) groups.push([keys.logIndex('u', user)]);
  if (account !== undefined) groups.push([keys.logIndex('a', account)]);
  if (topic !== undefined) groups.push([keys.logIndex('t', topic)]);
  if (traceId !== undefined) groups.push([keys.logIndex('r', traceId)]);
  if (request !== undefined) groups.push([keys.logIndex('q', request)]);
  if (tags !== undefined) groups.push(tags.map((tag) => keys.logIndex('g', tag)));
  return { groups, fromMs, untilMs };
}

function hasUnindexed({ event, template, providers }: MessageFilter): boolean {
  return event !== undefined || template !== undefined || providers !== undefined;
}

function matchesUnindexed({ send }: LoggedMessage, { event, template, providers }: MessageFilter): boolean {
  return (
    (event === undefined || send?.event === event) &&
    (template === undefined || send?.template === template) &&
    (providers === undefined || (send !== null && providers.includes(send.provider)))
  );
}

/** Whether a message is one that a filter asks for. */
export function matchesFilter(message: LoggedMessage, filter: MessageFilter): boolean {
  const { statuses, user, account, topic, traceId, request, tags, fromMs, untilMs } = filter;
  return (
    (statuses === undefined || statuses.includes(message.status)) &&
    (user === undefined || message.user === user) &&
    (account === undefined || message.account === account) &&
    (topic === undefined || message.topic === topic) &&
    (traceId === undefined || message.send?.traceId === traceId) &&
    (request === undefined || message.send?.requestId === request) &&
    (tags === undefined || tags.some((tag) => message.send?.tags.includes(tag))) &&
    (fromMs === undefined || message.atMs >= fromMs) &&
    (untilMs === undefined || message.atMs < untilMs) &&
    matchesUnindexed(message, filter)
  );
}

function isEntry(found: StreamEntry | Record<string, string>): found is StreamEntry {
  return typeof found.fields === 'object';
}

/** A message's decision as it was recorded. */
function recordedDecision(
  kind: 'accepted' | 'throttled' | 'filtered',
  messageId: string,
  cost: number,
  counted: boolean,
  limits: readonly RecordedLimit[],
  used: string,
): Pick<LoggedMessage, 'decision' | 'recorded'> {
  const uses = used === '' ? [] : used.split(',').map(Number);
  // A filtered message was turned away before any limit was looked at: there is no use to show.
  const recorded = uses.length === 0 ? [] : limits.map((limit) => ({ limit, used: uses[limit.counter]! }));
  const { throttled_by, retry_at, ...decision } = decide({
    kind,
    messageId,
    replayed: false,
    degraded: false,
    cost,
    counted,
    limits: recorded,
  });
  return { decision: { limits: decision.limits, throttled_by, retry_at }, recorded };
}

/** See `write_log` in lua/take.lua. */
function checkOf({ id: entryId, fields }: StreamEntry, limits: readonly RecordedLimit[]): LoggedMessage {
  const { status = '', id = '', user = '', account, topic, channel, cost = '1', used = '' } = fields;
  const kind = status === 'THROTTLED' ? 'throttled' : status === 'FILTERED' ? 'filtered' : 'accepted';
  return {
    id: id || entryId,
    logId: entryId,
    status: status as MessageStatus,
    atMs: entryMs(entryId),
    user,
    account: account || null,
    topic: topic || null,
    channel: channel || null,
    cost: Number(cost),
    ...recordedDecision(kind, id, Number(cost), status === 'ACCEPTED', limits, used),
    send: null,
  };
}

/** See lua/lib/send.lua. */
function sendOf(id: string, state: Record<string, string>, limits: readonly RecordedLimit[]): LoggedMessage {
  const status = state.st as MessageStatus;
  const cost = Number(state.k ?? '1');
  const counted = state.cd === '0' || COUNTING.has(status);
  const unlooked = status === 'FILTERED' || status === 'UNMAPPED';
  const kind = counted ? 'accepted' : unlooked ? 'filtered' : 'throttled';
  return {
    id,
    logId: id,
    status,
    atMs: Number(state.ms),
    user: state.u ?? '',
    account: state.a ?? null,
    topic: state.t ?? null,
    channel: state.c ?? null,
    cost,
    ...recordedDecision(kind, id, cost, counted, limits, state.us ?? ''),
    send: {
      number: Number(state.q),
      requestId: state.r ?? id,
      provider: state.pv ?? '',
      template: state.tp ?? null,
      event: state.en ?? null,
      tags: state.tg?.split('\n') ?? [],
      traceId: state.tc ?? null,
      attempt: Number(state.n ?? 1),
      sending: state.ph === 's',
      tries: Number(state.tries ?? 0),
      redeliveries: Number(state.rd ?? 0),
      beganAs: (state.fs ?? 'ENQUEUED') as MessageStatus,
      // One that waits for its time has not been decided, and one without a mapping never is.
      decidedMs: state.du === undefined && status !== 'UNMAPPED' ? Number(state.dm ?? state.ms) : null,
      sentMs: numberOrNull(state.sn),
      deliveredMs: numberOrNull(state.dl),
      heldSinceMs: numberOrNull(state.hs),
      dueMs: numberOrNull(state.du),
      counts: counted ? state.cd !== '0' : null,
      reference: state.rf ?? null,
      error: state.er ?? null,
      reason: state.rs ?? null,
      code: codeOf(state.ec),
      entries: entriesOf(state.ev ?? ''),
    },
  };
}

/** What a send can be only after it was accepted; a canceled one may have been or not. */
const COUNTING: ReadonlySet<MessageStatus> = new Set(['ENQUEUED', 'SENT', 'DELIVERED', 'UNDELIVERABLE']);

/** See `ec` in lua/lib/send.lua. */
function codeOf(text: string | undefined): LoggedSend['code'] {
  if (text === undefined) return null;
  const [code = '', meaning = '', whatToDo = ''] = text.split('\n');
  return { code, meaning, whatToDo };
}

function numberOrNull(text: string | undefined): number | null {
  return text === undefined ? null : Number(text);
}

/** The entries that an `ev` stands for: see `add_event` in lua/lib/send.lua. */
function entriesOf(ev: string): string[] {
  let firstMs: number | undefined;
  return [...ev.matchAll(/(\d+)-(\d+)/g)].map(([entry, ms = '', part = '']) => {
    if (firstMs === undefined) {
      firstMs = Number(ms);
      return entry;
    }
    return `${firstMs + Number(ms)}-${part}`;
  });
}
