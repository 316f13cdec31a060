import type { JsonObject } from './providers/provider';

/** A recipient of a request. */
export interface Recipient {
  /** Null is every member of the account. */
  user: string | null;
  /** Null where none was named: the user's only one then. */
  account: string | null;
  /** As the sender wrote it. */
  to: JsonObject;
}

/** What all messages of a request are sent with. */
export interface Payload {
  template: string | null;
  content: unknown;
  data: JsonObject | null;
  metadata: JsonObject | null;
}

/** A handed-over send: one message for each recipient. */
export interface SendRequest {
  recipients: readonly Recipient[];
  /** JSON of a {@link Payload}. */
  payload: string;
  template: string | null;
  topic: string | null;
  channel: string | null;
  /** The name of the provider that delivers it. */
  provider: string;
  event: string | null;
  traceId: string | null;
  tags: readonly string[];
  /** When it is to be decided, in epoch milliseconds; null for now. */
  dueMs: number | null;
  /** Whether that had passed when the request came: it is only taken when its idempotency key was taken before that. */
  isPast: boolean;
  /** What its sender knows it by, so that sending it again does nothing twice. */
  idempotencyKey: string | null;
  /** Its whole body: under the same key it must be the same. */
  body: unknown;
  /**
   * The id that it is to have; a new one if it is absent. What has been taken under it is not taken again. It must not
   * have the form of an id of a stream's entry, which a check has in the log.
   */
  requestId?: string;
}

/** The most recipients of a request, members of accounts included. */
export const RECIPIENTS_MAX = 10_000;

/**
 * The same recipients, each once: those that are equal in everything are one, and a member of an account that is also
 * named with that account gets the message that names him.
 * @param membersOf the users of each account that stands for all of them, by the recipient's place in the list
 */
export function distinctRecipients(
  recipients: readonly Recipient[],
  membersOf: ReadonlyMap<number, readonly string[]>,
): { user: string; account: string | null; to: JsonObject; key: string }[] {
  const pair = (user: string, account: string | null) => JSON.stringify([user, account]);
  const named = new Set<string>();
  for (const { user, account } of recipients) if (user !== null) named.add(pair(user, account));
  const distinct = new Map<string, { user: string; account: string | null; to: JsonObject; key: string }>();
  recipients.forEach(({ user, account, to }, index) => {
    if (user !== null) {
      const key = JSON.stringify(to);
      distinct.set(key, { user, account, to, key });
      return;
    }
    for (const member of membersOf.get(index) ?? []) {
      const key = pair(member, account);
      if (!named.has(key)) distinct.set(key, { user: member, account, to: { ...to, user_id: member }, key });
    }
  });
  return [...distinct.values()];
}
