import { type Decision, decide, type LimitUsage } from '../limits/decision';
import type { Dimension, Message, Period } from '../limits/limit';
import type { AccountSettings } from '../membership/account-settings';
import type { Actor, Source } from '../store/actor';
import type { RedisClock } from '../store/clock';
import type { ConfigurationStore } from '../store/configuration';
import type { Reset, ResetReply } from '../store/counters';
import type { DecisionStore, Take, TakeReply } from '../store/decisions';
import type { Link } from '../store/link';
import {
  type Ask,
  type AskingObserver,
  createAsking,
  type DegradedReason,
  MESSAGES_PER_CALL,
  type Meaning,
} from './asking';
import type { CheckOutcome, CheckRequest } from './check';
import type { AnswerDegraded, DegradedPolicy } from './degraded';

/** Told of what happens, for the metrics and the statistics. Must be cheap. */
export interface GateObserver extends AskingObserver {
  /** A check was decided, by Redis or without it. */
  decided(decision: Decision, check: CheckRequest): void;
  /** A check was answered without Redis. */
  degraded(policy: DegradedPolicy, reason: DegradedReason, check: CheckRequest): void;
}

/** The answer to a reset of a counter. */
export interface ResetOutcome {
  usedBefore: number;
  windowStartMs: number;
  resetsAtMs: number;
}

/** Decides whether messages may go out. */
export interface Gate {
  /** Decides one message. Answers within the check timeout, whatever Redis does. */
  check(request: CheckRequest): Promise<CheckOutcome>;
  /**
   * Decides messages one after the other, and answers in their order. However many they are, Redis has the check
   * timeout for each call of the script, and once it lets one pass the rest are answered without it at once.
   */
  checkAll(requests: readonly CheckRequest[]): Promise<CheckOutcome[]>;
  /** The limits that would apply to a message, with their use; counts nothing. Null when Redis does not answer. */
  usage(message: Message): Promise<LimitUsage[] | null>;
  /** Sets the present counter of some values to zero. @throws whatever Redis fails with */
  reset(
    values: { [D in Dimension]?: string | undefined },
    period: Period,
    actor: Actor,
    source: Source,
  ): Promise<ResetOutcome>;
  /** Gives back what an accepted message counted: true, false when it was before, null for an unknown id. */
  release(messageId: string): Promise<boolean | null>;
}

/** A check, or a look at what stands in Redis. */
interface Asked extends CheckRequest {
  /** Whether the user need not be in the account, whatever the settings say. */
  anyone: boolean;
}

/** Makes the gate of one replica. */
export function createGate(deps: {
  configuration: ConfigurationStore;
  decisions: DecisionStore;
  accounts: AccountSettings;
  clock: RedisClock;
  link: Link;
  answerDegraded: AnswerDegraded;
  resetCounter: (reset: Reset, actor: Actor, source: Source) => Promise<ResetReply>;
  observer: GateObserver;
  /** Within how many milliseconds a check is answered. */
  checkTimeoutMs: number;
}): Gate {
  const { configuration, decisions, accounts, clock, link, answerDegraded, resetCounter, observer, checkTimeoutMs } =
    deps;

  const asking = createAsking<Asked, TakeReply, CheckOutcome>({
    configuration,
    accounts,
    clock,
    link,
    observer,
    timeoutMs: checkTimeoutMs,
    questionOf: (asked) => asked,
    call(version, settings, asks) {
      const logAccepted = settings.log_checks === 'all';
      return decisions.take(
        version,
        asks.map((ask) => takeOf(ask, logAccepted)),
      );
    },
    meaningOf,
    answered(outcome, { request }) {
      if (outcome.kind === 'decided') observer.decided(outcome.decision, request);
    },
    async withoutRedis(request, plan, nowMs, reason) {
      if (plan === null) {
        observer.degraded('deny', reason, request);
        return { kind: 'unavailable' };
      }
      const { policy, outcome } = await answerDegraded(request, plan(), nowMs);
      observer.degraded(policy, reason, request);
      if (outcome.kind === 'decided') observer.decided(outcome.decision, request);
      return outcome;
    },
  });

  async function checkAll(requests: readonly CheckRequest[]): Promise<CheckOutcome[]> {
    const outcomes: CheckOutcome[] = [];
    let ask = asking.ask;
    for (let start = 0; start < requests.length; start += MESSAGES_PER_CALL) {
      const some = await Promise.all(
        requests.slice(start, start + MESSAGES_PER_CALL).map((request) => ask({ ...request, anyone: false })),
      );
      outcomes.push(...some);
      if (some.some(isWithoutRedis)) ask = asking.askNobody;
    }
    return outcomes;
  }

  return {
    check: (request) => asking.ask({ ...request, anyone: false }),
    checkAll,
    async usage(message) {
      const outcome = await asking.ask({ message, messageId: null, cost: 1, dry: true, atMs: null, anyone: true });
      return outcome.kind === 'decided' ? outcome.decision.limits : null;
    },
    async reset(given, period, actor, source) {
      const values: Message = {
        user: given.user ?? null,
        account: given.account ?? null,
        topic: given.topic ?? null,
        channel: given.channel ?? null,
      };
      const per = (Object.keys(given) as Dimension[]).filter((dimension) => given[dimension] !== undefined);
      const target = `counter:${per.map((dimension) => `${dimension}=${given[dimension]}`).join(',')}/${period}`;
      for (;;) {
        if (configuration.planner() === null) await configuration.refresh();
        const planner = configuration.planner()!;
        const { version } = planner.configuration;
        const known = values.account === null ? undefined : accounts.known(values.account);
        const account = values.account === null ? null : { id: values.account, revision: known?.revision ?? 0 };
        const sentMs = clock.monotonicMs();
        const counter = planner.counterAt(per, period, clock.nowMs(), known);
        const reply = await resetCounter({ counter, values, version, account, target }, actor, source);
        clock.observe(reply.redisMs, sentMs);
        if (reply.kind === 'done') {
          const { startMs, endMs } = counter.window;
          return { usedBefore: reply.usedBefore, windowStartMs: startMs, resetsAtMs: endMs };
        }
        if (reply.kind === 'stale') await configuration.refresh();
        if (reply.kind === 'account-stale') accounts.learn(values.account!, reply.account.revision, reply.account.json);
      }
    },
    release: (messageId) => decisions.release(messageId),
  };
}

function takeOf({ request, plan, deadlineMs }: Ask<Asked>, logAccepted: boolean): Take {
  const { messageId, cost, dry, atMs } = request;
  return { plan, cost, messageId, dry, anyTime: atMs !== null, logAccepted, deadlineMs };
}

function meaningOf({ request, plan }: Pick<Ask<Asked>, 'request' | 'plan'>, reply: TakeReply): Meaning<CheckOutcome> {
  const common = { messageId: request.messageId, replayed: false, degraded: false, cost: request.cost };
  const decided = (decision: Decision, counted: boolean): Meaning<CheckOutcome> => ({
    answer: { kind: 'decided', decision },
    counted,
  });
  switch (reply.kind) {
    case 'accepted':
    case 'throttled': {
      const limits = plan.shape.limits.map(({ view, counter }) => ({ limit: view, used: reply.used[counter]! }));
      const counted = reply.kind === 'accepted' && !request.dry;
      return decided(decide({ ...common, kind: reply.kind, counted, limits }), counted);
    }
    case 'filtered':
      return decided(decide({ ...common, kind: 'filtered', counted: false, limits: [] }), false);
    case 'replayed': {
      const { limits: recorded, used } = reply.record;
      const limits = recorded.map((limit) => ({ limit, used: used[limit.counter]! }));
      return decided(decide({ ...common, kind: 'accepted', replayed: true, counted: true, limits }), false);
    }
    case 'conflict':
      return { answer: { kind: 'conflict' }, counted: false };
    case 'account-stale':
      return { again: reply.kind, account: reply };
    case 'stale':
    case 'window':
    case 'late':
      return { again: reply.kind };
  }
}

function isWithoutRedis(outcome: CheckOutcome): boolean {
  return outcome.kind === 'unavailable' || (outcome.kind === 'decided' && outcome.decision.degraded);
}
