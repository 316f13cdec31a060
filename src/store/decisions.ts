import type { Message } from '../limits/limit';
import type { Plan, Shape } from '../limits/plan';
import { type ConfigurationDelta, decodeDelta } from './configuration';
import type { RedisClient } from './connection';
import type { Keys } from './keys';
import { runScript, type Scripts } from './scripts';
import { addCounterNames, countedNames, createShapeEncoder, decodeLimits, type RecordedLimit } from './shapes';

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
  /** Whether it is in the log too. */
  logged: boolean;
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
 * How much longer than a log entry what it refers to is kept, in milliseconds: entries are trimmed now and then, and what
 * they refer to goes by itself.
 */
export const LOG_SLACK_MS = 86_400_000;

/** Decides in Redis, under the keys of one workspace. */
export function createDecisionStore(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  /** How long an accepted verdict is remembered, in milliseconds. */
  idempotencyTtlMs: number;
  /** How long the log keeps a message, in milliseconds. */
  logMaxAgeMs: number;
}): DecisionStore {
  const { redis, scripts, keys, idempotencyTtlMs, logMaxAgeMs } = deps;
  const fixedKeys = [keys.config, keys.configItems, keys.configChanges, keys.log];
  const encodeShape = createShapeEncoder(keys);

  async function take(version: number, takes: readonly Take[]): Promise<TakeReplies> {
    const shapeNumbers = new Map<Shape, number>();
    const shapesJson: string[] = [];
    const limitsTexts: string[] = [];
    const messagesJson: string[] = [];
    const names = [...fixedKeys];
    for (const { plan, cost, messageId, dry, anyTime, logAccepted, deadlineMs } of takes) {
      const { shape, message } = plan;
      const encoded = encodeShape(shape);
      let shapeNumber = shapeNumbers.get(shape);
      if (shapeNumber === undefined) {
        shapeNumber = shapesJson.push(encoded.json);
        limitsTexts.push(encoded.limitsText, encoded.alertsText);
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
      addCounterNames(names, keys, shape, encoded, message);
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
        logMaxAgeMs + LOG_SLACK_MS,
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
      const { message, cost, decidedMs, limits, logged } = decodeRecord(text);
      const names = [recordKey, ...countedNames(keys, limits, message)];
      const args = [text, cost, decidedMs, logged ? messageId : ''];
      // Somebody else may have released it, and asked again with the same id, between the two calls.
      if ((await runScript(redis, scripts.release, names, args)) === 1) return true;
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

/** Reads a record as take.lua writes it: lines of 'A', the content, the time, the use, the limits, and 'L' if it is logged. */
export function decodeRecord(text: string): MessageRecord {
  const [, user = '', account = '', topic = '', channel = '', cost = '', decidedMs = '', used = '', ...rest] =
    text.split('\n');
  const [limits = '', logged] = rest;
  return {
    text,
    message: { user: user || null, account: account || null, topic: topic || null, channel: channel || null },
    cost: Number(cost),
    decidedMs: Number(decidedMs),
    used: used === '' ? [] : used.split(',').map(Number),
    limits: decodeLimits(limits),
    logged: logged === 'L',
  };
}
