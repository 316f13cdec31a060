import type { LimitUsage } from '../limits/decision';
import type { RecordedLimit } from '../store/shapes';
import type { LoggedMessage, MessageFilter, MessageLog, MessageStatus } from './messages';

/** A limit that a message was held against, and who had used its room. */
export interface ExplainedLimit {
  /** As it was when the message was decided. */
  usage: LimitUsage;
  /** Whether it is what kept the message from going. */
  stopped: boolean;
  /** When it opens again; null when it never has room for so much. */
  opensAt: string | null;
  /** Those that used its room last before the message was decided, as far as the log has them, the last first. */
  lastUsedBy: LoggedMessage[];
}

/** Why a message is where it is. */
export interface Explanation {
  message: LoggedMessage;
  limits: ExplainedLimit[];
}

/** How many messages are named that used a limit's room, and how many are looked through for them, at most. */
const USERS_SHOWN = 5;
const LOOKED_THROUGH = 500;
const PAGE = 100;

/** What those that count can have become. */
const COUNTED_STATUSES: readonly MessageStatus[] = ['ACCEPTED', 'ENQUEUED', 'SENT', 'DELIVERED', 'UNDELIVERABLE'];

/** Works out why a message is where it is, from the log. @throws whatever Redis fails with */
export async function explain(messageLog: Pick<MessageLog, 'page'>, message: LoggedMessage): Promise<Explanation> {
  const { recorded, decision, cost } = message;
  const limits = await Promise.all(
    recorded.map(async ({ limit }, index): Promise<ExplainedLimit> => {
      const usage = decision.limits[index]!;
      return {
        usage,
        stopped: decision.throttled_by.includes(limit.id),
        opensAt: limit.max !== null && cost > limit.max ? null : usage.resets_at,
        lastUsedBy: await usersOf(messageLog, message, limit),
      };
    }),
  );
  return { message, limits };
}

async function usersOf(
  messageLog: Pick<MessageLog, 'page'>,
  message: LoggedMessage,
  limit: RecordedLimit,
): Promise<LoggedMessage[]> {
  const { user, account, topic, channel } = message;
  const { per } = limit;
  const filter: MessageFilter = {
    statuses: COUNTED_STATUSES,
    ...(per.includes('user') ? { user } : {}),
    ...(per.includes('account') && account !== null ? { account } : {}),
    ...(per.includes('topic') && topic !== null ? { topic } : {}),
    untilMs: decidedMs(message) + 1,
  };
  const found: LoggedMessage[] = [];
  let looked = 0;
  let next: string | null = null;
  do {
    const page = await messageLog.page(filter, next, PAGE);
    for (const other of page.messages) {
      if (other.id === message.id || !countsIn(other, limit)) continue;
      if (per.includes('channel') && other.channel !== channel) continue;
      if (wasDecidedBefore(other, message, limit)) found.push(other);
    }
    next = page.next;
    looked += PAGE;
  } while (next !== null && found.length < USERS_SHOWN && looked < LOOKED_THROUGH);
  return found.sort((one, other) => decidedMs(other) - decidedMs(one)).slice(0, USERS_SHOWN);
}

/**
 * Whether a message used room in a counter before another one was decided. Of those that were decided in the same
 * millisecond the use that each left tells: it only rises.
 */
function wasDecidedBefore(other: LoggedMessage, message: LoggedMessage, limit: RecordedLimit): boolean {
  const apartMs = decidedMs(message) - decidedMs(other);
  if (apartMs !== 0) return apartMs > 0;
  const counted = !message.decision.throttled_by.length && message.status !== 'THROTTLED';
  const [left, found] = [useOf(other, limit), useOf(message, limit)];
  return counted ? left < found : left <= found;
}

function useOf({ recorded }: LoggedMessage, limit: RecordedLimit): number {
  return recorded.find((one) => isSameCounter(one.limit, limit))?.used ?? 0;
}

function isSameCounter(one: RecordedLimit, other: RecordedLimit): boolean {
  return (
    one.period === other.period &&
    one.startMs === other.startMs &&
    one.endMs === other.endMs &&
    one.per.length === other.per.length &&
    one.per.every((dimension) => other.per.includes(dimension))
  );
}

function decidedMs({ atMs, send }: LoggedMessage): number {
  return send?.decidedMs ?? atMs;
}

/** Whether a message used room in that counter and has not given it back. */
function countsIn({ status, recorded, send }: LoggedMessage, limit: RecordedLimit): boolean {
  if (send === null ? status !== 'ACCEPTED' : send.counts !== true) return false;
  return recorded.some((one) => isSameCounter(one.limit, limit));
}
