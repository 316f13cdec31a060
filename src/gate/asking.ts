import type { Message } from '../limits/limit';
import type { Plan, Planner } from '../limits/plan';
import type { Settings } from '../limits/settings';
import type { AccountSettings } from '../membership/account-settings';
import type { RedisClock } from '../store/clock';
import type { ConfigurationDelta, ConfigurationStore } from '../store/configuration';
import type { Link } from '../store/link';

/** Why an answer was given without Redis. */
export type DegradedReason = 'unreachable' | 'timeout' | 'error' | 'contention' | 'not_loaded';

/** Why a plan was refused by the script, so that it is made again. */
export type ReplanReason = 'stale' | 'account-stale' | 'window' | 'late' | 'membership' | 'limits-forgotten';

/** Told of what happens, for the metrics. Must be cheap. */
export interface AskingObserver {
  /** A plan was refused by the script and made again. */
  replanned(reason: ReplanReason): void;
  /** One call to Redis, in seconds. */
  called(seconds: number): void;
  /** A verdict came after the answer had been given without it; `counted` says whether it raised counters. */
  tooLate(counted: boolean): void;
  /** Redis failed in a way that is not being away. */
  fault(error: unknown): void;
}

/** What a request is planned by. */
export interface Question {
  message: Message;
  /** The instant to plan for instead of now, in epoch milliseconds. */
  atMs: number | null;
  /** Whether the user need not be in the account, whatever the settings say. */
  anyone: boolean;
}

/** One request, ready for the script. */
export interface Ask<Request> {
  request: Request;
  plan: Plan;
  /** Redis's time after which nothing may be counted any more, in epoch milliseconds. */
  deadlineMs: number;
}

/** The replies to one call, in the order of what was asked. */
export interface Replies<Reply> {
  /** Redis's time, in epoch milliseconds. */
  redisMs: number;
  /** What has changed since the version planned with, when it was stale. */
  delta: ConfigurationDelta | null;
  replies: Reply[];
}

/** What a script's reply means to the one who asked. */
export type Meaning<Answer> =
  | { answer: Answer; counted: boolean }
  /** It has to be planned and asked again; an account's settings may come along. */
  | { again: ReplanReason; account?: { revision: number; json: string } };

/** Asks a script that decides, for one replica. */
export interface Asking<Request, Answer> {
  /** Answers within the timeout, whatever Redis does. */
  ask(request: Request): Promise<Answer>;
  /** Answers as if Redis had not answered. */
  askNobody(request: Request): Promise<Answer>;
}

/** A request on its way. */
interface Pending<Request, Answer> {
  request: Request;
  /** When the caller is answered without Redis, by the monotonic clock. */
  giveUpMs: number;
  /** After which moment the script must not count it any more, by the monotonic clock. */
  deadlineMs: number;
  plan: Plan | null;
  attempts: number;
  settled: boolean;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/** How many messages one call of a script decides at most: it holds Redis for a millisecond or so. */
export const MESSAGES_PER_CALL = 32;
/** How often a plan is made again before it is answered without Redis. */
const ATTEMPTS_MAX = 10;
/** The part of the timeout after which a caller is answered without Redis: the rest is for the answer itself. */
const GIVE_UP_PART = 0.9;
/**
 * The part of the timeout after which the script counts nothing any more. The gap to GIVE_UP_PART is for the reply to
 * travel: a verdict that was counted is then also the one that is answered.
 */
const DEADLINE_PART = 0.75;
/**
 * The parts that Redis has at least from the moment something is sent to it, like the two above. It is not at fault when
 * this process is what took long: windows to work out for the first time, or a machine with too much to do.
 */
const REDIS_GIVE_UP_PART = 0.5;
const REDIS_DEADLINE_PART = 0.35;

/**
 * Makes what asks a script that decides: it plans, asks, learns what the script says that it did not know, and plans
 * again. What is asked in the same turn of the event loop shares calls.
 */
export function createAsking<Request, Reply, Answer>(deps: {
  configuration: ConfigurationStore;
  accounts: AccountSettings;
  clock: RedisClock;
  link: Link;
  observer: AskingObserver;
  /** Within how many milliseconds there is an answer. */
  timeoutMs: number;
  questionOf(request: Request): Question;
  /** One call of the script. @throws whatever Redis fails with */
  call(version: number, settings: Settings, asks: readonly Ask<Request>[]): Promise<Replies<Reply>>;
  meaningOf(ask: { request: Request; plan: Plan }, reply: Reply): Meaning<Answer>;
  /** Told of each answer that Redis gave in time, and to what. */
  answered(answer: Answer, ask: { request: Request; plan: Plan }): void;
  /** The answer without Redis. `plan` is null while no limits are known. */
  withoutRedis(request: Request, plan: (() => Plan) | null, nowMs: number, reason: DegradedReason): Promise<Answer>;
}): Asking<Request, Answer> {
  const { configuration, accounts, clock, link, observer, timeoutMs } = deps;
  const { questionOf, call, meaningOf, answered, withoutRedis } = deps;
  type P = Pending<Request, Answer>;
  let queue: P[] = [];

  function enqueue(pending: P): void {
    if (queue.length === 0) setImmediate(flush);
    queue.push(pending);
  }

  /**
   * Sends what has been asked since the last turn of the event loop, many messages to a call: under load one round
   * trip, with its writes, reads and parsing, is shared; alone, a message waits for nothing.
   */
  function flush(): void {
    const pendings = queue;
    queue = [];
    for (let start = 0; start < pendings.length; start += MESSAGES_PER_CALL) {
      void askTogether(pendings.slice(start, start + MESSAGES_PER_CALL));
    }
  }

  function giveUp(pending: P, reason: DegradedReason): void {
    if (pending.settled) return;
    pending.settled = true;
    const planner = configuration.planner();
    const nowMs = clock.nowMs();
    const answer = async () =>
      planner === null
        ? withoutRedis(pending.request, null, nowMs, 'not_loaded')
        : withoutRedis(pending.request, () => planOf(planner, pending, nowMs), nowMs, reason);
    answer().then(pending.resolve, pending.reject);
  }

  function planOf(planner: Planner, { request }: P, nowMs: number): Plan {
    const { message, atMs, anyone } = questionOf(request);
    const account = message.account === null ? undefined : accounts.known(message.account);
    const plan = planner.plan(message, atMs ?? nowMs, account);
    return anyone && plan.membership ? { ...plan, membership: false } : plan;
  }

  /** Plans what can be planned; a message whose plan fails fails by itself. */
  function planAll(planner: Planner, pendings: readonly P[], nowMs: number): P[] {
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

  async function askTogether(pendings: P[]): Promise<void> {
    let done = false;
    let expired = false;
    let timer: NodeJS.Timeout | undefined;
    const expire = () => {
      if (done) return;
      expired = true;
      for (const pending of pendings) giveUp(pending, 'timeout');
    };
    const giveUpInTime = () => {
      clearTimeout(timer);
      const giveUpMs = Math.min(...pendings.map((pending) => pending.giveUpMs));
      // By one turn later, so that a reply that already waits to be read is read: timers come before it.
      timer = setTimeout(() => setImmediate(expire), Math.max(0, giveUpMs - clock.monotonicMs()));
    };
    const again: P[] = [];
    try {
      const waits = !link.isReady() || configuration.planner() === null;
      if (waits) giveUpInTime();
      if (!link.isReady() && !(await link.nextAttempt())) {
        for (const pending of pendings) giveUp(pending, 'unreachable');
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
        pending.giveUpMs = Math.max(pending.giveUpMs, sentMs + timeoutMs * REDIS_GIVE_UP_PART);
        pending.deadlineMs = Math.max(pending.deadlineMs, sentMs + timeoutMs * REDIS_DEADLINE_PART);
      }
      giveUpInTime();
      const aheadMs = clock.nowMs() - clock.monotonicMs();
      const { version, settings } = planner.configuration;
      const { redisMs, delta, replies } = await call(
        version,
        settings,
        planned.map(({ request, plan, deadlineMs }) => ({
          request,
          plan: plan!,
          deadlineMs: Math.floor(deadlineMs + aheadMs),
        })),
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
      for (const pending of pendings) giveUp(pending, link.isReady() ? 'error' : 'unreachable');
    } finally {
      done = true;
      clearTimeout(timer);
    }
    for (const pending of again) {
      if (pending.settled) continue;
      if (pending.attempts < ATTEMPTS_MAX) enqueue(pending);
      else giveUp(pending, 'contention');
    }
  }

  /** Answers with the script's reply. Returns false when it has to be planned again. */
  function take(pending: P, reply: Reply): boolean {
    const ask = { request: pending.request, plan: pending.plan! };
    const meaning = meaningOf(ask, reply);
    if ('again' in meaning) {
      const { again, account } = meaning;
      if (account !== undefined) accounts.learn(ask.plan.message.account!, account.revision, account.json);
      observer.replanned(again);
      return false;
    }
    if (pending.settled) {
      observer.tooLate(meaning.counted);
      return true;
    }
    pending.settled = true;
    answered(meaning.answer, ask);
    pending.resolve(meaning.answer);
    return true;
  }

  function pendingOf(request: Request, { resolve, reject }: Pick<P, 'resolve' | 'reject'>): P {
    const nowMs = clock.monotonicMs();
    return {
      request,
      giveUpMs: nowMs + timeoutMs * GIVE_UP_PART,
      deadlineMs: nowMs + timeoutMs * DEADLINE_PART,
      plan: null,
      attempts: 0,
      settled: false,
      resolve,
      reject,
    };
  }

  return {
    ask: (request) => new Promise((resolve, reject) => enqueue(pendingOf(request, { resolve, reject }))),
    askNobody: (request) =>
      new Promise((resolve, reject) =>
        giveUp(pendingOf(request, { resolve, reject }), link.isReady() ? 'timeout' : 'unreachable'),
      ),
  };
}
