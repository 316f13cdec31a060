import { call, segment } from './call';
import type { LimitUsage } from './limits';

/** What can have become of a message. */
export const STATUSES = [
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
export type Status = (typeof STATUSES)[number];

/** A message in the log. Times are in epoch milliseconds. */
export interface Message {
  id: string;
  /** No two have the same. */
  log_id: string;
  status: Status;
  recipient: string;
  event: string;
  notification: string;
  enqueued: number;
  sent?: number;
  delivered?: number;
  due?: number;
  held_since?: number;
  error: string | null;
  reason: string | null;
  kind: 'check' | 'send';
  request_id: string | null;
  account_id: string | null;
  topic: string | null;
  channel: string | null;
  provider: string | null;
  tags: string[];
  trace_id: string | null;
  tries: number;
  cost: number;
  throttled_by: string[];
  limits: LimitUsage[];
  retry_at: string | null;
}

/** Something that happened to a message, with whatever else is known of it. */
export interface MessageEvent {
  id: string;
  ts: number;
  type: string;
  [detail: string]: unknown;
}

/** A limit that a message was held against. */
export interface ExplainedLimit extends LimitUsage {
  stopped: boolean;
  opens_at: string | null;
  last_used_by: {
    message_id: string;
    status: Status;
    decided: number;
    recipient: string;
    account_id: string | null;
    topic: string | null;
    cost: number;
  }[];
}

/** Why a message is where it is. */
export interface Explanation {
  message_id: string;
  status: Status;
  summary: string;
  decided: number | null;
  checks_logged: boolean;
  limits: ExplainedLimit[];
}

/** A page of a list that is read on by its cursor. */
export interface Page<Item> {
  items: Item[];
  cursor: string | null;
}

/** Which messages are asked for. */
export interface MessageFilters {
  status?: string;
  recipient?: string;
  account?: string;
  topic?: string;
  /** RFC 3339. */
  after?: string;
  before?: string;
  /** A message's, or that of the request that it came with. */
  id?: string;
}

interface CourierPage<Item> {
  paging: { cursor: string | null; more: boolean };
  results: Item[];
}

export async function fetchMessages(
  filters: MessageFilters,
  cursor: string | null,
  limit: number,
  signal?: AbortSignal,
): Promise<Page<Message>> {
  const { status, recipient, account, topic, after, before, id } = filters;
  const query = {
    status,
    recipient,
    account_id: account,
    topic,
    enqueued_after: after,
    enqueued_before: before,
    limit,
    cursor: cursor ?? undefined,
  };
  const page = async (more: { messageId?: string; request_id?: string }): Promise<Page<Message>> =>
    pageOf(await call('GET', 'messages', { query: { ...query, ...more }, signal }));
  if (id === undefined) return page({});
  // A message has no second page.
  const found = cursor === null ? await page({ messageId: id }) : null;
  return found !== null && found.items.length > 0 ? found : page({ request_id: id });
}

/** A page in Courier's words. */
export function pageOf<Item>({ paging, results }: CourierPage<Item>): Page<Item> {
  return { items: results, cursor: paging.more ? paging.cursor : null };
}

/** A message by itself. @throws CallError, with status 404 when the log has none, or no longer */
export function fetchMessage(id: string, signal?: AbortSignal): Promise<Message> {
  return call('GET', `messages/${segment(id)}`, { signal });
}

export async function fetchHistory(id: string, signal?: AbortSignal): Promise<MessageEvent[]> {
  return (await call<{ results: MessageEvent[] }>('GET', `messages/${segment(id)}/history`, { signal })).results;
}

export function fetchExplanation(id: string, signal?: AbortSignal): Promise<Explanation> {
  return call('GET', `messages/${segment(id)}/explain`, { signal });
}

/** Sends a throttled or failed message again, under a new decision. */
export function retryMessage(id: string): Promise<Message> {
  return call('POST', `messages/${segment(id)}/retry`);
}

/** Stops one that has not been sent. */
export function cancelMessage(id: string): Promise<Message> {
  return call('POST', `messages/${segment(id)}/cancel`);
}

/** Messages by their ids, 100 at most; those that the log does not have are left out. */
export async function fetchMessagesById(ids: readonly string[], signal?: AbortSignal): Promise<Message[]> {
  const page = await call<CourierPage<Message>>('GET', 'messages', { query: { messageId: ids, limit: 100 }, signal });
  return page.results;
}
