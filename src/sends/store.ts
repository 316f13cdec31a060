import type { Ask, Replies } from '../gate/asking';
import type { Message } from '../limits/limit';
import type { Shape } from '../limits/plan';
import { type Actor, AUDIT_MAX_EVENTS } from '../store/actor';
import { decodeDelta } from '../store/configuration';
import type { RedisClient } from '../store/connection';
import { LOG_SLACK_MS } from '../store/decisions';
import type { Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';
import {
  addCounterNames,
  COUNTER_GRACE_MS,
  countedNames,
  createShapeEncoder,
  decodeLimits,
  type EncodedShape,
  type RecordedLimit,
} from '../store/shapes';
import type { ProviderCode } from './providers/provider';
import type { Due } from './request';

/** A message to decide. */
export interface SendDecision {
  /** `new` is written down; `held` has waited; `again` is sent again by hand. */
  kind: 'new' | 'held' | 'again';
  id: string;
  message: Message;
  /** Whether nobody can have used its id before: it is random. Only of a new one. */
  fresh: boolean;
  /** Whether its account is the user's only one, and must still be. Only of a new one. */
  sole: boolean;
  cost: number;
  /** The attempt that it is at; 0 for a new one. */
  attempt: number;
  /** When it is to be decided; null for now. Only of a new one. */
  due: Due | null;
  provider: string;
  /** What it came with. Only of a new one. */
  request: { id: string; payload: string } | null;
  /** JSON of the recipient. Only of a new one. */
  recipient: string;
  /** More of its state than its message and provider: names and values, see lua/lib/send.lua. Only of a new one. */
  fields: readonly string[];
  /** What its idempotency key is known by, and a hash of its content. Only of a new one that is its request's only one. */
  idempotency: { key: string; content: string } | null;
  /** Who sends it again. Only then. */
  actor: Actor | null;
  /** Once a message is held by that counter, as `held` in keys.ts names it, those asked behind it are not decided. */
  only: string;
}

/** What lua/send.lua replies. `used` is the use of each counter of the plan's shape after the decision. */
export type SendReply =
  | { kind: 'accepted'; used: number[] }
  | { kind: 'throttled'; used: number[] }
  | { kind: 'filtered' }
  | { kind: 'known'; requestId: string }
  | { kind: 'conflict' }
  | { kind: 'stale' }
  | { kind: 'account-stale'; revision: number; json: string }
  | { kind: 'window' }
  | { kind: 'late' }
  /** The user's only account is another one; null: there is none, or more than one. */
  | { kind: 'sole-account'; account: string | null }
  | { kind: 'held'; used: number[] }
  | { kind: 'delayed' }
  /** It is not to be decided at that attempt. */
  | { kind: 'over'; status: string }
  | { kind: 'behind' }
  /** What is kept of its limits was thought to be there, and is not. */
  | { kind: 'limits-forgotten' };

/** An attempt that is being made. */
export interface BegunAttempt {
  payload: string;
  recipient: string;
  message: Message & { user: string };
  provider: string;
  /** How often it was tried before, since it was decided. */
  tries: number;
  /** Whether this attempt was begun before, by a worker that died or lost its place. */
  again: boolean;
  /** When it was taken, and decided, in epoch milliseconds. */
  takenMs: number;
  decidedMs: number;
  limits: RecordedLimit[];
  cost: number;
  counts: boolean;
}

/** How an attempt ended. */
export type AttemptOutcome =
  /**
   * `receipts` are the provider's ids of its parts that it will say later of what became of them; `refund` is whether one
   * that failed then gives back what the message counted.
   */
  | {
      kind: 'sent';
      detail: object;
      reference: string | null;
      keepPayload: boolean;
      receipts?: readonly string[];
      refund?: boolean;
    }
  | { kind: 'retry'; detail: object; error: string; dueMs: number; code?: ProviderCode | undefined }
  /** `refund` gives back what the message counted. `partly` is what was sent all the same. `stop` stops the provider besides. */
  | {
      kind: 'failed';
      detail: object;
      error: string;
      reason: string;
      refund: boolean;
      code?: ProviderCode | undefined;
      partly?: { reference: string | null; receipts: readonly string[] } | undefined;
      stop?: StopReason | undefined;
    }
  /** The provider takes no messages. It was no try. */
  | ({ kind: 'stopped'; detail: object } & StopReason);

/** Why a provider is to be left alone, and for how long, in milliseconds. */
export interface StopReason {
  error: string;
  code: ProviderCode;
  pauseMs: number;
}

/** Why an attempt stops its provider, if it does. */
export function stopReasonOf(outcome: AttemptOutcome): StopReason | undefined {
  if (outcome.kind === 'stopped') return outcome;
  return outcome.kind === 'failed' ? outcome.stop : undefined;
}

/** A provider that takes no messages now. */
export interface ProviderStop {
  /** Since when, and until when it is left alone, in epoch milliseconds. */
  sinceMs: number;
  untilMs: number;
  /** Whether nobody has met it before in this pause. */
  isFirst: boolean;
}

/** What an attempt's end has come to. */
export interface FinishedAttempt {
  status: string;
  /** Redis's time, in epoch milliseconds. */
  nowMs: number;
  /** Of one that stops its provider. */
  stop: ProviderStop | null;
}

/** For how long receipts find their message, in milliseconds. Vonage makes one up after 72 hours, and tries it for 24. */
const PARTS_MS = 5 * 86_400_000;

/** What of a provider's code is kept: see `ec` in lua/lib/send.lua. */
export function encodeProviderCode(code: ProviderCode | null | undefined): string {
  return code ? [code.code, code.meaning, code.whatToDo].map((text) => text.replaceAll('\n', ' ')).join('\n') : '';
}

/** Everything about a send's state that is done in one script. @throws each of them whatever Redis fails with */
export interface SendStore {
  /** Decides messages, each by itself, in one call. `only` must be the same of all. */
  decide(version: number, asks: readonly Ask<SendDecision>[]): Promise<Replies<SendReply>>;
  /** Begins an attempt; null when it is not, or no longer, to be made. */
  begin(id: string, attempt: number): Promise<BegunAttempt | null>;
  /**
   * Records how an attempt ended.
   * @returns what the message is then; null when it came too late to count
   */
  finish(id: string, attempt: number, begun: BegunAttempt, outcome: AttemptOutcome): Promise<FinishedAttempt | null>;
  /** Stops a message that is still to be decided or sent. `counted` is what it counted, at that attempt. */
  cancel(
    id: string,
    attempt: number,
    counted: { limits: readonly RecordedLimit[]; message: Message } | null,
    actor: Actor,
  ): Promise<'canceled' | 'changed' | 'sending' | 'over'>;
  /**
   * Notes what an idempotency key is used for, unless it is noted already.
   * @returns what is noted now
   */
  claim(key: string, claim: Claim): Promise<Claim>;
  /** What is noted of an idempotency key, and whether all of its request has been written down; or null. */
  claimed(key: string): Promise<(Claim & { isWhole: boolean }) | null>;
  /** Notes that all of the request that an idempotency key is used for has been written down. */
  noteWhole(key: string, claim: Claim): Promise<void>;
}

/** What an idempotency key is used for. */
export interface Claim {
  requestId: string;
  content: string;
  /** The key of the only recipient, or '' for several: see {@link distinctRecipients}. */
  sole: string;
}

const FLAG = {
  ...{ exempt: 2, idempotent: 8, account: 16, member: 32 },
  ...{ sole: 128, held: 256, again: 512, fresh: 1_024 },
} as const;

/** How often what is kept of limits is sent along, in milliseconds: it is there already, but that it is kept is renewed. */
const KEEP_LIMITS_MS = 3_600_000;

/** What a claim ends with once its request has been written down. */
const WHOLE = 'whole';

/** Makes the store. */
export function createSendStore(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  /** How long an idempotency key is remembered, in milliseconds. */
  idempotencyTtlMs: number;
  /** How long the log keeps a message, in milliseconds. */
  logMaxAgeMs: number;
  /** How long a message is held for want of room at most, in milliseconds. */
  holdMaxMs: number;
  /** A clock that never jumps, in milliseconds. */
  monotonicMs: () => number;
}): SendStore {
  const { redis, scripts, keys, idempotencyTtlMs, logMaxAgeMs, holdMaxMs, monotonicMs } = deps;
  const fixedKeys = [keys.config, keys.configItems, keys.configChanges, keys.log];
  const encodeShape = createShapeEncoder(keys);
  /** When what is kept of a shape's limits was last sent along. */
  let keptAtMs = new WeakMap<EncodedShape, number>();
  const isKept = (encoded: EncodedShape) =>
    monotonicMs() - (keptAtMs.get(encoded) ?? Number.NEGATIVE_INFINITY) < KEEP_LIMITS_MS;

  async function decide(version: number, asks: readonly Ask<SendDecision>[]): Promise<Replies<SendReply>> {
    const shapeNumbers = new Map<Shape, number>();
    const shapesJson: string[] = [];
    const limitsTexts: string[] = [];
    const sent: EncodedShape[] = [];
    const requestPlaces = new Map<object, number>();
    const newTexts: string[] = [];
    const messages: unknown[][] = [];
    const names = [...fixedKeys];
    for (const { request: decision, plan, deadlineMs } of asks) {
      const { shape, message } = plan;
      const { idempotency, request } = decision;
      const encoded = encodeShape(shape);
      let shapeNumber = shapeNumbers.get(shape);
      if (shapeNumber === undefined) {
        shapeNumber = shapesJson.push(encoded.sendJson);
        limitsTexts.push(isKept(encoded) ? '' : encoded.limitsText, encoded.limitsHash, encoded.alertsText);
        sent.push(encoded);
        shapeNumbers.set(shape, shapeNumber);
      }
      if (request !== null && !requestPlaces.has(request)) {
        requestPlaces.set(request, newTexts.push(request.id, request.payload) - 1);
      }
      const requestPlace = request === null ? 0 : requestPlaces.get(request)!;
      const recipientPlace = request === null ? 0 : newTexts.push(decision.recipient);
      let flags = plan.exempt ? FLAG.exempt : 0;
      if (decision.fresh) flags |= FLAG.fresh;
      if (decision.kind === 'held') flags |= FLAG.held;
      if (decision.kind === 'again') flags |= FLAG.again;
      if (idempotency !== null) {
        flags |= FLAG.idempotent;
        names.push(keys.idempotencyKey(idempotency.key));
      }
      if (plan.accountRevision !== null) {
        flags |= FLAG.account;
        names.push(keys.account(message.account ?? ''));
      }
      if (plan.membership) {
        flags |= FLAG.member;
        names.push(keys.userProfiles(message.user ?? ''));
      }
      if (decision.sole) {
        flags |= FLAG.sole;
        names.push(keys.userAccounts(message.user ?? ''));
      }
      addCounterNames(names, keys, shape, encoded, message);
      messages.push([
        ...[shapeNumber, flags, deadlineMs, `${decision.cost}`],
        ...[message.user ?? '', message.account ?? '', message.topic ?? '', message.channel ?? '', decision.id],
        ...[plan.accountRevision ?? 0, decision.attempt, encodeDue(decision.due), decision.provider],
        ...[requestPlace, recipientPlace, request === null ? [] : stateFields(decision, request.id, message)],
        decision.actor !== null
          ? JSON.stringify(decision.actor)
          : idempotency === null
            ? ''
            : `${idempotency.content}\n`,
      ]);
    }
    const [redisMs, changes, ...replies] = (await runScript(redis, scripts.send, names, [
      version,
      idempotencyTtlMs,
      logMaxAgeMs + LOG_SLACK_MS,
      holdMaxMs,
      COUNTER_GRACE_MS,
      `[${shapesJson.join(',')}]`,
      JSON.stringify(messages),
      asks[0]?.request.only ?? '',
      AUDIT_MAX_EVENTS,
      ...limitsTexts,
      ...newTexts,
    ])) as [number, unknown[], ...unknown[][]];
    const decoded = replies.map(decodeReply);
    if (decoded.some(({ kind }) => kind === 'limits-forgotten')) keptAtMs = new WeakMap();
    else for (const encoded of sent) if (!isKept(encoded)) keptAtMs.set(encoded, monotonicMs());
    return { redisMs, delta: changes.length === 0 ? null : decodeDelta(changes), replies: decoded };
  }

  async function claimed(key: string) {
    const noted = await redis.get(keys.idempotencyKey(key));
    if (noted === null) return null;
    const [requestId = '', content = '', sole = '', state] = noted.split('\n');
    return { requestId, content, sole, isWhole: state === WHOLE };
  }

  return {
    decide,

    async begin(id, attempt) {
      const [begun, ...fields] = (await runScript(redis, scripts.send_begin, [keys.log], [id, attempt])) as unknown[];
      if (begun === 0) return null;
      const [payload, recipient, user, account, topic, channel, provider, ...rest] = fields as string[];
      const [tries, again, decidedMs, limits, cost, counts, takenMs] = rest as unknown as [
        number,
        number,
        ...[string, string, string, string, string],
      ];
      return {
        payload: payload!,
        recipient: recipient!,
        message: { user: user!, account: account || null, topic: topic || null, channel: channel || null },
        provider: provider!,
        tries,
        again: again === 1,
        takenMs: Number(takenMs),
        decidedMs: Number(decidedMs),
        limits: limits === '' ? [] : decodeLimits(limits),
        cost: Number(cost),
        counts: counts === '1',
      };
    },

    async finish(id, attempt, { limits, message, counts }, outcome) {
      const { kind, detail } = outcome;
      const isSent = kind === 'sent';
      const refunds = (isSent || kind === 'failed') && outcome.refund === true;
      const givesBack = refunds && counts;
      const stopReason = stopReasonOf(outcome);
      const left = kind === 'failed' ? outcome.partly : isSent ? outcome : undefined;
      const receipts = left?.receipts ?? [];
      const needsCounters = givesBack && (kind === 'failed' || receipts.length > 0);
      const [status, nowMs, ...stop] = (await runScript(
        redis,
        scripts.send_finish,
        [keys.log, ...(needsCounters ? countedNames(keys, limits, message) : [])],
        [
          ...[id, attempt, kind],
          JSON.stringify(kind === 'failed' && givesBack ? { ...detail, gave_back: true } : detail),
          isSent ? '' : outcome.error,
          kind === 'retry' ? outcome.dueMs : '',
          kind === 'failed' ? outcome.reason : '',
          left?.reference ?? '',
          isSent && outcome.keepPayload ? '1' : '',
          (isSent ? refunds : givesBack) ? '1' : '',
          isSent ? '' : encodeProviderCode(outcome.code),
          receipts.length === 0 ? '' : JSON.stringify(receipts),
          PARTS_MS,
          stopReason?.pauseMs ?? '',
          stopReason?.error ?? '',
        ],
      )) as [string, number, ...number[]];
      if (status === '') return null;
      const [isFirst, sinceMs, untilMs] = stop;
      return {
        status,
        nowMs,
        stop: sinceMs === undefined ? null : { sinceMs, untilMs: untilMs!, isFirst: isFirst === 1 },
      };
    },

    async cancel(id, attempt, counted, actor) {
      return (await runScript(
        redis,
        scripts.send_cancel,
        [keys.log, keys.audit, ...(counted === null ? [] : countedNames(keys, counted.limits, counted.message))],
        [id, attempt, JSON.stringify(actor), 'api', AUDIT_MAX_EVENTS],
      )) as 'canceled' | 'changed' | 'sending' | 'over';
    },

    async claim(key, claim) {
      for (;;) {
        await redis.set(keys.idempotencyKey(key), encodeClaim(claim), 'PX', idempotencyTtlMs, 'NX');
        const noted = await claimed(key);
        // It may have expired between the two calls.
        if (noted !== null) return noted;
      }
    },

    claimed,

    async noteWhole(key, claim) {
      await redis.call('SET', keys.idempotencyKey(key), `${encodeClaim(claim)}\n${WHOLE}`, 'XX', 'KEEPTTL');
    },
  };
}

function encodeClaim({ requestId, content, sole }: Claim): string {
  return `${requestId}\n${content}\n${sole}`;
}

/** As of `due` in lua/send.lua. */
function encodeDue(due: Due | null): number {
  if (due === null) return 0;
  return 'atMs' in due ? due.atMs : -due.afterMs;
}

/** What of a new message's state does not depend on the decision: names and values, see lua/lib/send.lua. */
function stateFields(
  { id, provider, cost, fields }: SendDecision,
  requestId: string,
  { user, account, topic, channel }: Message,
): string[] {
  const all = ['u', user ?? '', 'pv', provider];
  if (account !== null) all.push('a', account);
  if (topic !== null) all.push('t', topic);
  if (channel !== null) all.push('c', channel);
  if (cost !== 1) all.push('k', `${cost}`);
  if (requestId !== id) all.push('r', requestId);
  return fields.length === 0 ? all : all.concat(fields);
}

function decodeReply(reply: unknown[]): SendReply {
  const [code, ...rest] = reply;
  switch (code) {
    case 1:
      return { kind: 'accepted', used: rest as number[] };
    case 2:
      return { kind: 'throttled', used: rest as number[] };
    case 3:
      return { kind: 'filtered' };
    case 4:
      return { kind: 'known', requestId: rest[0] as string };
    case 5:
      return { kind: 'conflict' };
    case 6:
      return { kind: 'stale' };
    case 7:
      return { kind: 'account-stale', revision: rest[0] as number, json: rest[1] as string };
    case 8:
      return { kind: 'window' };
    case 9:
      return { kind: 'late' };
    case 10:
      return { kind: 'sole-account', account: (rest[0] as string) || null };
    case 11:
      return { kind: 'held', used: rest as number[] };
    case 12:
      return { kind: 'delayed' };
    case 13:
      return { kind: 'over', status: rest[0] as string };
    case 14:
      return { kind: 'behind' };
    case 15:
      return { kind: 'limits-forgotten' };
    default:
      throw new Error(`send.lua answered what it cannot answer: ${JSON.stringify(reply)}`);
  }
}
