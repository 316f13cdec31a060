import type { LimitView } from '../limits/decision';
import type { Message } from '../limits/limit';
import type { Plan, Shape } from '../limits/plan';
import { type ConfigurationDelta, decodeDelta } from './configuration';
import type { RedisClient } from './connection';
import type { Keys } from './keys';
import { runScript, type Scripts } from './scripts';

/** One message to decide. */
export interface Take {
  plan: Plan;
  cost: number;
  /** The id under which an accepted verdict is remembered; null remembers nothing. */
  messageId: string | null;
  /** Only looks: counts, remembers and logs nothing. */
  dry: boolean;
  /** Looks at the plan's windows whether or not they are the present ones. Only with `dry`. */
  anyTime: boolean;
  /** Whether an accepted message is logged too. */
  logAccepted: boolean;
  /** Redis's time after which nothing may be counted any more, in epoch milliseconds. */
  deadlineMs: number;
}

/** What the script found. `used` is the use of each counter of the plan's shape after the decision. */
export type TakeReply =
  | { kind: 'accepted'; used: number[] }
  | { kind: 'throttled'; used: number[] }
  | { kind: 'filtered' }
  | { kind: 'replayed'; record: MessageRecord }
  | { kind: 'conflict' }
  | { kind: 'stale' }
  | { kind: 'account-stale'; revision: number; json: string }
  | { kind: 'window' }
  | { kind: 'late' };

/** The replies to one call of take.lua. */
export interface TakeReplies {
  /** Redis's time, in epoch milliseconds. */
  redisMs: number;
  /** What has changed since the version planned with, when it was stale. */
  delta: ConfigurationDelta | null;
  replies: TakeReply[];
}

/** What is remembered of an accepted message. */
export interface MessageRecord {
  /** The record as it stands in Redis: a release names it, so that nothing is released twice. */
  text: string;
  message: Message;
  cost: number;
  decidedMs: number;
  /** The use of each counter after the decision. */
  used: number[];
  limits: RecordedLimit[];
}

/** A limit as records and the log keep it. */
export interface RecordedLimit extends LimitView {
  /** The index of its counter in `used`. */
  counter: number;
}

/** Decides messages in Redis. */
export interface DecisionStore {
  /**
   * Decides messages, each by itself, in one call.
   * @param version the version of the configuration that all of them were planned with
   * @throws whatever Redis fails with; until a deadline has passed a message may then have been counted or not
   */
  take(version: number, takes: readonly Take[]): Promise<TakeReplies>;
  /**
   * Gives back what an accepted message counted.
   * @returns true when it was released, false when it had been before, null when the id is not known
   */
  release(messageId: string): Promise<boolean | null>;
}

/** The flags of take.lua. */
const FLAG = { dry: 1, exempt: 2, logAll: 4, messageId: 8, account: 16, member: 32, anyTime: 64 } as const;

/**
 * How long a counter outlives its window, in milliseconds: a release or a look at the hour that has just ended still
 * finds it.
 */
export const COUNTER_GRACE_MS = 3_600_000;

/** A shape in the words of Redis, worked out once. */
interface EncodedShape {
  json: string;
  /** What records and the log keep of its limits. */
  limitsText: string;
  counterPrefixes: string[];
}

/** Decides in Redis, under the keys of one workspace. */
export function createDecisionStore(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  /** How long an accepted verdict is remembered, in milliseconds. */
  idempotencyTtlMs: number;
  /** The most entries that the log keeps, about. */
  logMaxEntries: number;
}): DecisionStore {
  const { redis, scripts, keys, idempotencyTtlMs, logMaxEntries } = deps;
  const fixedKeys = [keys.config, keys.configItems, keys.configChanges, keys.log];
  const encodedShapes = new WeakMap<Shape, EncodedShape>();

  function encodeShape(shape: Shape): EncodedShape {
    let encoded = encodedShapes.get(shape);
    if (encoded === undefined) {
      // Of the limits that share a counter one at most is enforced: the other only looks.
      const most = shape.counters.map(() => -1);
      for (const { limit, counter } of shape.limits) {
        if (limit.mode === 'enforce' && limit.max !== null) most[counter] = limit.max;
      }
      encoded = {
        json: JSON.stringify([
          // No limit at all: the plan holds for ever, which JSON cannot say.
          Number.isFinite(shape.fromMs) ? shape.fromMs : 0,
          Number.isFinite(shape.toMs) ? shape.toMs : Number.MAX_SAFE_INTEGER,
          shape.counters.map(({ window }) => window.endMs + COUNTER_GRACE_MS),
          most,
        ]),
        limitsText: encodeLimits(shape),
        counterPrefixes: shape.counters.map((counter) => keys.counterPrefix(counter)),
      };
      encodedShapes.set(shape, encoded);
    }
    return encoded;
  }

  async function take(version: number, takes: readonly Take[]): Promise<TakeReplies> {
    const shapeNumbers = new Map<Shape, number>();
    const shapesJson: string[] = [];
    const limitsTexts: string[] = [];
    const messagesJson: string[] = [];
    const names = [...fixedKeys];
    for (const { plan, cost, messageId, dry, anyTime, logAccepted, deadlineMs } of takes) {
      const { shape, message } = plan;
      const { json, limitsText, counterPrefixes } = encodeShape(shape);
      let shapeNumber = shapeNumbers.get(shape);
      if (shapeNumber === undefined) {
        shapeNumber = shapesJson.push(json);
        limitsTexts.push(limitsText);
        shapeNumbers.set(shape, shapeNumber);
      }
      let flags = (dry ? FLAG.dry : 0) | (plan.exempt ? FLAG.exempt : 0) | (logAccepted ? FLAG.logAll : 0);
      if (anyTime) flags |= FLAG.anyTime;
      if (messageId !== null && !dry) {
        flags |= FLAG.messageId;
        names.push(keys.message(messageId));
      }
      if (plan.accountRevision !== null) {
        flags |= FLAG.account;
        names.push(keys.account(message.account ?? ''));
      }
      if (plan.membership) {
        flags |= FLAG.member;
        names.push(keys.userProfiles(message.user ?? ''));
      }
      for (let index = 0; index < counterPrefixes.length; index += 1) {
        names.push(counterPrefixes[index]! + keys.counterValues(shape.counters[index]!.perMask, message));
      }
      const texts = JSON.stringify([
        message.user ?? '',
        message.account ?? '',
        message.topic ?? '',
        message.channel ?? '',
        messageId ?? '',
      ]).slice(1, -1);
      messagesJson.push(`[${shapeNumber},${flags},${deadlineMs},"${cost}",${texts},${plan.accountRevision ?? 0}]`);
    }
    return decodeReplies(
      (await runScript(redis, scripts.take, names, [
        version,
        idempotencyTtlMs,
        logMaxEntries,
        `[${shapesJson.join(',')}]`,
        `[${messagesJson.join(',')}]`,
        ...limitsTexts,
      ])) as unknown[],
    );
  }

  async function release(messageId: string): Promise<boolean | null> {
    const recordKey = keys.message(messageId);
    for (;;) {
      const text = await redis.get(recordKey);
      if (text === null) return null;
      if (text === 'R') return false;
      const { message, cost, decidedMs, limits } = decodeRecord(text);
      const names = [recordKey];
      const seen = new Set<number>();
      for (const { per, period, startMs, endMs, counter } of limits) {
        if (seen.has(counter)) continue;
        seen.add(counter);
        const counterKey = keys.counterName(per, period, { startMs, endMs }, message);
        names.push(counterKey, keys.counterReset(counterKey));
      }
      // Somebody else may have released it, and asked again with the same id, between the two calls.
      if ((await runScript(redis, scripts.release, names, [text, cost, decidedMs])) === 1) return true;
    }
  }

  return { take, release };
}

function decodeReplies(reply: unknown[]): TakeReplies {
  const [redisMs, changes, ...rest] = reply as [number, unknown[], ...unknown[][]];
  return {
    redisMs,
    delta: changes.length === 0 ? null : decodeDelta(changes),
    replies: rest.map(decodeReply),
  };
}

function decodeReply(reply: unknown[]): TakeReply {
  switch (reply[0]) {
    case 1:
      return { kind: 'accepted', used: reply.slice(1) as number[] };
    case 2:
      // A throttled message's log id, a string, comes last.
      return { kind: 'throttled', used: reply.slice(1).filter((item) => typeof item === 'number') };
    case 3:
      return { kind: 'filtered' };
    case 4:
      return { kind: 'replayed', record: decodeRecord(reply[1] as string) };
    case 5:
      return { kind: 'conflict' };
    case 6:
      return { kind: 'stale' };
    case 7:
      return { kind: 'account-stale', revision: reply[1] as number, json: reply[2] as string };
    case 8:
      return { kind: 'window' };
    case 9:
      return { kind: 'late' };
    default:
      throw new Error(`take.lua answered what it cannot answer: ${JSON.stringify(reply)}`);
  }
}

type EncodedLimit = [
  id: string,
  per: LimitView['per'],
  period: LimitView['period'],
  max: number | null,
  startMs: number,
  endMs: number,
  mode: LimitView['mode'],
  counter: number,
];

/** The limits of a shape as records and the log keep them: JSON, so without a newline. */
function encodeLimits(shape: Shape): string {
  return JSON.stringify(
    shape.limits.map(
      ({ view: { id, per, period, max, startMs, endMs, mode }, counter }): EncodedLimit => [
        id,
        per,
        period,
        max,
        startMs,
        endMs,
        mode,
        counter,
      ],
    ),
  );
}

/** Reads what a record or a log entry keeps of the limits that were looked at. */
export function decodeLimits(text: string): RecordedLimit[] {
  return (JSON.parse(text) as EncodedLimit[]).map(([id, per, period, max, startMs, endMs, mode, counter]) => ({
    id,
    per,
    period,
    max,
    startMs,
    endMs,
    mode,
    counter,
  }));
}

/** Reads a record as take.lua writes it: lines of 'A', the content, the time, the use and the limits. */
export function decodeRecord(text: string): MessageRecord {
  const [, user = '', account = '', topic = '', channel = '', cost = '', decidedMs = '', used = '', limits = ''] =
    text.split('\n');
  return {
    text,
    message: { user: user || null, account: account || null, topic: topic || null, channel: channel || null },
    cost: Number(cost),
    decidedMs: Number(decidedMs),
    used: used === '' ? [] : used.split(',').map(Number),
    limits: decodeLimits(limits),
  };
}
