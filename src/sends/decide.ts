import { type AskingObserver, createAsking } from '../gate/asking';
import type { Message } from '../limits/limit';
import type { Plan } from '../limits/plan';
import type { AccountSettings } from '../membership/account-settings';
import type { RedisClock } from '../store/clock';
import type { ConfigurationStore } from '../store/configuration';
import type { Link } from '../store/link';
import type { SendDecision, SendReply, SendStore } from './store';

/** What became of a message that was to be decided. */
export type SendVerdict =
  | Exclude<SendReply, { kind: 'stale' | 'account-stale' | 'window' | 'late' | 'sole-account' | 'limits-forgotten' }>
  /** Redis does not answer: whether it was taken is not known. */
  | { kind: 'unavailable' };

/** Told of what happens, for the metrics and the statistics. Must be cheap. */
export interface SendObserver extends AskingObserver {
  /**
   * A message was decided, or not.
   * @param message with the account that it was decided for
   * @param throttledBy the ids of the limits that had no room for one that is throttled
   */
  sendDecided(kind: SendVerdict['kind'], message: Message, throttledBy: readonly string[]): void;
}

/** Decides messages that are handed over. What is asked in the same turn of the event loop shares calls. */
export type DecideSend = (decision: SendDecision) => Promise<SendVerdict>;

/**
 * Makes the decider of one process.
 * @param deps.timeoutMs within how many milliseconds there is a verdict, `unavailable` if need be
 * @param deps.usersKnown of how many users it is remembered which their only account is, those that were used last
 */
export function createDecideSend(deps: {
  store: SendStore;
  configuration: ConfigurationStore;
  accounts: AccountSettings;
  clock: RedisClock;
  link: Link;
  observer: SendObserver;
  timeoutMs: number;
  usersKnown: number;
}): DecideSend {
  const { store, observer, usersKnown } = deps;
  const soleAccounts = createSoleAccounts(usersKnown);

  const asking = createAsking<SendDecision, SendReply, SendVerdict>({
    ...deps,
    questionOf({ message, sole }) {
      const asked = sole ? { ...message, account: soleAccounts.known(message.user!) } : message;
      return { message: asked, atMs: null, anyone: false };
    },
    call: (version, _settings, asks) => store.decide(version, asks),
    meaningOf({ request }, reply) {
      switch (reply.kind) {
        case 'stale':
        case 'window':
        case 'late':
          return { again: reply.kind };
        case 'account-stale':
          return { again: reply.kind, account: reply };
        case 'sole-account':
          soleAccounts.learn(request.message.user!, reply.account);
          return { again: 'membership' };
        case 'limits-forgotten':
          return { again: reply.kind };
        default:
          return { answer: reply, counted: reply.kind === 'accepted' };
      }
    },
    answered(verdict, { request, plan }) {
      const throttledBy = verdict.kind === 'throttled' ? exceededLimits(plan, verdict.used, request.cost) : NONE;
      observer.sendDecided(verdict.kind, plan.message, throttledBy);
    },
    async withoutRedis({ message }) {
      observer.sendDecided('unavailable', message, NONE);
      // What cannot be written down is not taken.
      return { kind: 'unavailable' };
    },
  });
  return asking.ask;
}

const NONE: readonly string[] = [];

/** The ids of the enforced limits that have no room for a message. */
function exceededLimits({ shape }: Plan, used: readonly number[], cost: number): string[] {
  return shape.limits.flatMap(({ limit: { id, mode, max }, counter }) =>
    mode === 'enforce' && max !== null && used[counter]! + cost > max ? [id] : [],
  );
}

/** Which account is a user's only one, as far as it was seen; the script says when that is wrong. */
function createSoleAccounts(capacity: number) {
  // A Map lists its entries in the order in which they were set: the first is the one not used for longest.
  const accounts = new Map<string, string>();
  return {
    known(user: string): string | null {
      return accounts.get(user) ?? null;
    },
    learn(user: string, account: string | null): void {
      accounts.delete(user);
      if (account === null) return;
      accounts.set(user, account);
      if (accounts.size <= capacity) return;
      for (const first of accounts.keys()) {
        accounts.delete(first);
        return;
      }
    },
  };
}
