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

/** When a message is to be decided: at a moment, in epoch milliseconds, or so many milliseconds after it was taken. */
export type Due = { atMs: number } | { afterMs: number };

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
  /** When it is to be decided; null for now. */
  due: Due | null;
  /** Whether that had passed when the request came: it is only taken when its idempotency key was taken before that. */
  isPast: boolean;
  /** What its sender knows it by, so that sending it again does nothing twice. */
  idempotencyKey: string | null;
  /** Its whole body: under the same key it must be the same, in whatever order its members are. */
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
 * The same recipients, each once: those that are equal in everything are one; a member of an account who is also named by
 * himself gets the message that names him, and one of several accounts that of the first.
 * @param membersOf the users of each account that stands for all of them, by the recipient's place in the list
 */
export function distinctRecipients(
  recipients: readonly Recipient[],
  membersOf: ReadonlyMap<number, readonly string[]>,
): { user: string; account: string | null; to: JsonObject; key: string }[] {
  const named = new Set(recipients.map(({ user }) => user));
  const distinct = new Map<string, { user: string; account: string | null; to: JsonObject; key: string }>();
  recipients.forEach(({ user, account, to }, index) => {
    if (user !== null) {
      const key = JSON.stringify(to);
      distinct.set(key, { user, account, to, key });
      return;
    }
    for (const member of membersOf.get(index) ?? []) {
      // Not of the account: who has left the first one, when the request is made again, is not sent it a second time.
      const key = JSON.stringify([member]);
      if (named.has(member) || distinct.has(key)) continue;
      distinct.set(key, { user: member, account, to: { ...to, user_id: member }, key });
    }
  });
  return [...distinct.values()];
}
