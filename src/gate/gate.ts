import { type Decision, decide, type LimitUsage } from '../limits/decision';
import type { Dimension, Message, Period } from '../limits/limit';
import type { Plan, Planner } from '../limits/plan';
import type { AccountSettings } from '../membership/account-settings';
import type { Actor, Source } from '../store/actor';
import type { RedisClock } from '../store/clock';
import type { ConfigurationStore } from '../store/configuration';
import type { Reset, ResetReply } from '../store/counters';
import type { DecisionStore, Take, TakeReply } from '../store/decisions';
import type { Link } from '../store/link';
import type { CheckOutcome, CheckRequest } from './check';
import type { AnswerDegraded, DegradedPolicy } from './degraded';

/** Why an answer was given without Redis. */
export type DegradedReason = 'unreachable' | 'timeout' | 'error' | 'contention' | 'not_loaded';

/** Told of what happens, for the metrics. Must be cheap. */
export interface GateObserver {
  decided(decision: Decision): void;
  degraded(policy: DegradedPolicy, reason: DegradedReason): void;
  /** A plan was refused by the script and made again. */
  replanned(reason: 'stale' | 'account-stale' | 'window' | 'late'): void;
  /** One call to Redis, in seconds. */
  called(seconds: number): void;
  /** A verdict came after the answer had been given without it; `counted` says whether it raised counters. */
  tooLate(counted: boolean): void;
  /** Redis failed in a way that is not being away. */
  fault(error: unknown): void;
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

/** A check on its way. */
interface Pending {
  request: CheckRequest;
  /** Whether the user need not be in the account, whatever the settings say. */
  anyone: boolean;
  /** When the caller is answered without Redis, by the monotonic clock. */
  giveUpMs: number;
  /** After which moment the script must not count it any more, by the monotonic clock. */
  deadlineMs: number;
  plan: Plan | null;
  attempts: number;
  settled: boolean;
  resolve(outcome: CheckOutcome): void;
  reject(error: unknown): void;
}

/** How many messages one call of the script decides at most: it holds Redis for a millisecond or so. */
const MESSAGES_PER_CALL = 32;
/** How often a plan is made again before the check is answered without Redis. */
const ATTEMPTS_MAX = 10;
/** The part of the timeout after which a caller is answered without Redis: the rest is for the answer itself. */
const GIVE_UP_PART = 0.9;
/**
 * The part of the timeout after which the script counts nothing any more. The gap to GIVE_UP_PART is for the reply to
 * travel: a verdict that was counted is then also the one that is answered.
 */
const DEADLINE_PART = 0.75;
/**
 * The parts that Redis has at least from the moment a check is sent to it, like the two above. It is not at fault when
 * this process is what took long: windows to work out for the first time, or a machine with too much to do.
 */
const REDIS_GIVE_UP_PART = 0.5;
const REDIS_DEADLINE_PART = 0.35;

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
  let queue: Pending[] = [];

  function enqueue(pending: Pending): void {
    if (queue.length === 0) setImmediate(flush);
    queue.push(pending);
  }

  /**
   * Sends what has been asked since the last turn of the event loop, many messages to a call: under load one round
   * trip, with its writes, reads and parsing, is shared; alone, a check waits for nothing.
   */
  function flush(): void {
    const pendings = queue;
    queue = [];
    for (let start = 0; start < pendings.length; start += MESSAGES_PER_CALL) {
      void decideTogether(pendings.slice(start, start + MESSAGES_PER_CALL));
    }
  }

  function settle(pending: Pending, outcome: CheckOutcome): void {
    pending.settled = true;
    if (outcome.kind === 'decided') observer.decided(outcome.decision);
    pending.resolve(outcome);
  }

  function settleDegraded(pending: Pending, reason: DegradedReason): void {
    if (pending.settled) return;
    pending.settled = true;
    const planner = configuration.planner();
    if (planner === null) {
      observer.degraded('deny', 'not_loaded');
      pending.resolve({ kind: 'unavailable' });
      return;
    }
    const nowMs = clock.nowMs();
    const answer = async () => answerDegraded(pending.request, planOf(planner, pending, nowMs), nowMs);
    answer().then(({ policy, outcome }) => {
      observer.degraded(policy, reason);
      settle(pending, outcome);
    }, pending.reject);
  }

  function planOf(planner: Planner, { request: { message, atMs }, anyone }: Pending, nowMs: number): Plan {
    const account = message.account === null ? undefined : accounts.known(message.account);
    const plan = planner.plan(message, atMs ?? nowMs, account);
    return anyone && plan.membership ? { ...plan, membership: false } : plan;
  }

  /** Plans what can be planned; a message whose plan fails fails by itself. */
  function planAll(planner: Planner, pendings: readonly Pending[], nowMs: number): Pending[] {
    return pendings.filter((pending) => {
      if (pending.settled) return false;
      try {
        pending.plan = planOf(planner, pending, nowMs);
        return true;
      } catch (error) {
        pending.settled = true;
        pending.reject(error);
        return false;
      }
    });
  }

  async function decideTogether(pendings: Pending[]): Promise<void> {
    let done = false;
    let expired = false;
    let timer: NodeJS.Timeout | undefined;
    const expire = () => {
      if (done) return;
      expired = true;
      for (const pending of pendings) settleDegraded(pending, 'timeout');
    };
    const giveUpInTime = () => {
      clearTimeout(timer);
      const giveUpMs = Math.min(...pendings.map((pending) => pending.giveUpMs));
      // By one turn later, so that a reply that already waits to be read is read: timers come before it.
      timer = setTimeout(() => setImmediate(expire), Math.max(0, giveUpMs - clock.monotonicMs()));
    };
    const again: Pending[] = [];
    try {
      const waits = !link.isReady() || configuration.planner() === null;
      if (waits) giveUpInTime();
      if (!link.isReady() && !(await link.nextAttempt())) {
        for (const pending of pendings) settleDegraded(pending, 'unreachable');
        return;
      }
      if (configuration.planner() === null) await configuration.refresh();
      const planner = configuration.planner()!;
      const nowMs = clock.nowMs();
      const planned = planAll(planner, pendings, nowMs);
      if (planned.length === 0) return;
      const sentMs = clock.monotonicMs();
      for (const pending of planned) {
        // What was spent on waiting for Redis is not given to it a second time.
        if (waits || pending.attempts > 0) continue;
        pending.giveUpMs = Math.max(pending.giveUpMs, sentMs + checkTimeoutMs * REDIS_GIVE_UP_PART);
        pending.deadlineMs = Math.max(pending.deadlineMs, sentMs + checkTimeoutMs * REDIS_DEADLINE_PART);
      }
      giveUpInTime();
      const aheadMs = clock.nowMs() - clock.monotonicMs();
      const logAccepted = planner.configuration.settings.log_checks === 'all';
      const { version } = planner.configuration;
      const { redisMs, delta, replies } = await decisions.take(
        version,
        planned.map((pending): Take => {
          const { messageId, cost, dry, atMs } = pending.request;
          const deadlineMs = Math.floor(pending.deadlineMs + aheadMs);
          return { plan: pending.plan!, cost, messageId, dry, anyTime: atMs !== null, logAccepted, deadlineMs };
        }),
      );
      clock.observe(redisMs, sentMs);
      observer.called((clock.monotonicMs() - sentMs) / 1_000);
      for (let index = 0; index < planned.length; index += 1) {
        const pending = planned[index]!;
        if (take(pending, replies[index]!)) continue;
        pending.attempts += 1;
        again.push(pending);
      }
      if (delta !== null) await configuration.apply(version, delta);
    } catch (error) {
      if (!expired) observer.fault(error);
      for (const pending of pendings) settleDegraded(pending, link.isReady() ? 'error' : 'unreachable');
    } finally {
      done = true;
      clearTimeout(timer);
    }
    for (const pending of again) {
      if (pending.settled) continue;
      if (pending.attempts < ATTEMPTS_MAX) enqueue(pending);
      else settleDegraded(pending, 'contention');
    }
  }

  /** Answers a check with the script's reply. Returns false when it has to be planned again. */
  function take(pending: Pending, reply: TakeReply): boolean {
    const { request } = pending;
    const { shape, message } = pending.plan!;
    if (reply.kind === 'account-stale') accounts.learn(message.account!, reply.revision, reply.json);
    switch (reply.kind) {
      case 'stale':
      case 'account-stale':
      case 'window':
      case 'late':
        observer.replanned(reply.kind);
        return false;
    }
    if (pending.settled) {
      observer.tooLate(reply.kind === 'accepted' && !request.dry);
      return true;
    }
    const common = { messageId: request.messageId, replayed: false, degraded: false, cost: request.cost };
    switch (reply.kind) {
      case 'accepted':
      case 'throttled': {
        const limits = shape.limits.map(({ view, counter }) => ({ limit: view, used: reply.used[counter]! }));
        const counted = reply.kind === 'accepted' && !request.dry;
        settle(pending, { kind: 'decided', decision: decide({ ...common, kind: reply.kind, counted, limits }) });
        return true;
      }
      case 'filtered':
        settle(pending, {
          kind: 'decided',
          decision: decide({ ...common, kind: 'filtered', counted: false, limits: [] }),
        });
        return true;
      case 'replayed': {
        const { limits: recorded, used } = reply.record;
        const limits = recorded.map((limit) => ({ limit, used: used[limit.counter]! }));
        const decision = decide({ ...common, kind: 'accepted', replayed: true, counted: true, limits });
        settle(pending, { kind: 'decided', decision });
        return true;
      }
      case 'conflict':
        settle(pending, { kind: 'conflict' });
        return true;
    }
  }

  function pendingOf(
    request: CheckRequest,
    anyone: boolean,
    { resolve, reject }: Pick<Pending, 'resolve' | 'reject'>,
  ): Pending {
    const nowMs = clock.monotonicMs();
    return {
      request,
      anyone,
      giveUpMs: nowMs + checkTimeoutMs * GIVE_UP_PART,
      deadlineMs: nowMs + checkTimeoutMs * DEADLINE_PART,
      plan: null,
      attempts: 0,
      settled: false,
      resolve,
      reject,
    };
  }

  function submit(request: CheckRequest, anyone: boolean): Promise<CheckOutcome> {
    return new Promise((resolve, reject) => enqueue(pendingOf(request, anyone, { resolve, reject })));
  }

  function withoutRedis(request: CheckRequest): Promise<CheckOutcome> {
    return new Promise((resolve, reject) =>
      settleDegraded(pendingOf(request, false, { resolve, reject }), link.isReady() ? 'timeout' : 'unreachable'),
    );
  }

  async function checkAll(requests: readonly CheckRequest[]): Promise<CheckOutcome[]> {
    const outcomes: CheckOutcome[] = [];
    let ask = (request: CheckRequest) => submit(request, false);
    for (let start = 0; start < requests.length; start += MESSAGES_PER_CALL) {
      const some = await Promise.all(requests.slice(start, start + MESSAGES_PER_CALL).map((request) => ask(request)));
      outcomes.push(...some);
      if (some.some(isWithoutRedis)) ask = withoutRedis;
    }
    return outcomes;
  }

  return {
    check: (request) => submit(request, false),
    checkAll,
    async usage(message) {
      const outcome = await submit({ message, messageId: null, cost: 1, dry: true, atMs: null }, true);
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

function isWithoutRedis(outcome: CheckOutcome): boolean {
  return outcome.kind === 'unavailable' || (outcome.kind === 'decided' && outcome.decision.degraded);
}
