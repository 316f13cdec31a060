import { MESSAGES_PER_CALL } from '../gate/asking';
import type { Members } from '../membership/members';
import type { DecideSend, SendVerdict } from './decide';
import { contentHashOf, hashOf, newRequestId, recipientMessageId } from './ids';
import { distinctRecipients, RECIPIENTS_MAX, type SendRequest } from './request';
import type { SendDecision, SendStore } from './store';

/** What a request is answered. */
export type SendOutcome =
  /** Each of its messages has been decided, or waits for its time, and is written down. */
  | { kind: 'taken'; requestId: string }
  /** The idempotency key was used with other content. */
  | { kind: 'conflict' }
  /** It was to be decided at a moment that has passed. */
  | { kind: 'past' }
  /** The recipient at that place is an account without members. */
  | { kind: 'no-members'; index: number }
  /** With the members of the account at that place there are more recipients than may be. */
  | { kind: 'too-many'; index: number }
  /** Redis does not answer. Some messages may have been taken; with an idempotency key the request can go on. */
  | { kind: 'unavailable' };

/** Takes requests to send. */
export type AcceptSend = (request: SendRequest) => Promise<SendOutcome>;

/** Makes what takes requests. @throws what is made throws whatever Redis fails with beside decisions */
export function createAcceptSend(deps: {
  store: Pick<SendStore, 'claim' | 'claimed' | 'noteWhole'>;
  members: Pick<Members, 'userIdsOf'>;
  decide: DecideSend;
  randomBytes: (count: number) => Uint8Array;
}): AcceptSend {
  const { store, members, decide, randomBytes } = deps;

  /**
   * The members of each recipient that is an account as a whole, by its place in the list.
   * @param goesOn whether the request was cut off before: that nobody is left in an account is no mistake of the caller then
   */
  async function expand({ recipients }: SendRequest, goesOn: boolean): Promise<Map<number, string[]> | SendOutcome> {
    const membersOf = new Map<number, string[]>();
    let room = RECIPIENTS_MAX;
    for (const { user } of recipients) if (user !== null) room -= 1;
    for (const [index, { user, account }] of recipients.entries()) {
      if (user !== null) continue;
      const users = await members.userIdsOf(account!, room + 1);
      if (users.length === 0 && !goesOn) return { kind: 'no-members', index };
      if (users.length > room) return { kind: 'too-many', index };
      membersOf.set(index, users);
      room -= users.length;
    }
    return membersOf;
  }

  return async (request) => {
    const { recipients, idempotencyKey } = request;
    const [first] = recipients;
    const requestId = request.requestId ?? newRequestId(randomBytes);
    const fresh = request.requestId === undefined;
    const idempotency =
      idempotencyKey === null ? null : { key: hashOf(idempotencyKey), content: contentHashOf(request.body) };
    const isOneMessage = recipients.length === 1 && first!.user !== null;

    const noted =
      idempotency !== null && (request.isPast || !isOneMessage) ? await store.claimed(idempotency.key) : null;
    if (noted !== null) {
      if (noted.content !== idempotency!.content) return { kind: 'conflict' };
      // Whoever is in its accounts by now: it was answered that all of it is written down.
      if (noted.isWhole) return { kind: 'taken', requestId: noted.requestId };
    } else if (request.isPast) return { kind: 'past' };

    // A request to one user is one call: its key is noted in the call that decides it.
    if (isOneMessage) {
      const decision = decisionsOf(request, { id: requestId, sole: null, fresh })({
        ...first!,
        user: first!.user!,
        key: '',
      });
      const verdict = await decide({ ...decision, idempotency });
      switch (verdict.kind) {
        case 'known':
          return { kind: 'taken', requestId: verdict.requestId };
        case 'conflict':
        case 'unavailable':
          return { kind: verdict.kind };
        default:
          return { kind: 'taken', requestId };
      }
    }

    const expanded = await expand(request, noted !== null);
    if (!(expanded instanceof Map)) return expanded;
    const distinct = distinctRecipients(recipients, expanded);
    // A request that turns out to have one recipient is that message. That is noted, so that it stays so when it is made
    // again and its account has got another member meanwhile.
    const claim = {
      requestId,
      content: idempotency?.content ?? '',
      sole: distinct.length === 1 ? distinct[0]!.key : '',
    };
    const claimed = idempotency === null ? claim : await store.claim(idempotency.key, claim);
    if (claimed.content !== claim.content) return { kind: 'conflict' };

    const decisionOf = decisionsOf(request, {
      id: claimed.requestId,
      sole: claimed.sole,
      fresh: fresh && idempotency === null,
    });
    for (let start = 0; start < distinct.length; start += MESSAGES_PER_CALL) {
      const verdicts = await Promise.all(
        distinct.slice(start, start + MESSAGES_PER_CALL).map((recipient) => decide(decisionOf(recipient))),
      );
      if (verdicts.some(isUnavailable)) return { kind: 'unavailable' };
    }
    if (idempotency !== null) await store.noteWhole(idempotency.key, claimed);
    return { kind: 'taken', requestId: claimed.requestId };
  };
}

function isUnavailable({ kind }: SendVerdict): boolean {
  return kind === 'unavailable';
}

/**
 * Makes the decision of each recipient of a request.
 * @param sole the key of the recipient whose message has the id of the request; null for whichever comes
 * @param fresh whether the id of the request is new
 */
function decisionsOf(request: SendRequest, { id, sole, fresh }: { id: string; sole: string | null; fresh: boolean }) {
  const { template, topic, channel, provider, event, traceId, tags, payload, due } = request;
  const fields: string[] = [];
  if (template !== null) fields.push('tp', template);
  if (event !== null) fields.push('en', event);
  if (traceId !== null) fields.push('tc', traceId);
  if (tags.length > 0) fields.push('tg', tags.join('\n'));
  const shared = { id, payload };

  return ({
    user,
    account,
    to,
    key,
  }: {
    user: string;
    account: string | null;
    to: object;
    key: string;
  }): SendDecision => ({
    kind: 'new',
    id: sole === null || sole === key ? id : recipientMessageId(id, key),
    message: { user, account, topic, channel },
    fresh,
    sole: account === null,
    cost: 1,
    attempt: 0,
    due,
    provider,
    request: shared,
    recipient: JSON.stringify(to),
    fields,
    idempotency: null,
    actor: null,
    only: '',
  });
}
