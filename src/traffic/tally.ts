import type { Decision } from '../limits/decision';
import type { Message } from '../limits/limit';

/**
 * What becomes of messages, as it is counted. `failed` is a handed-over message that was accepted and could not be
 * delivered; `degraded` a check that was answered without Redis, and counts as what it was decided besides.
 */
export const OUTCOMES = ['accepted', 'throttled', 'filtered', 'failed', 'degraded'] as const;
export type Outcome = (typeof OUTCOMES)[number];
export type Counts = Record<Outcome, number>;

/** Whom or what throttled messages are counted by: those they were for, and the limits that stopped them. */
export const TOP_KINDS = ['users', 'accounts', 'topics', 'limits'] as const;
export type TopKind = (typeof TOP_KINDS)[number];

/** What was counted within ten minutes. */
export interface TenMinutes {
  /** In epoch milliseconds, a whole multiple of ten minutes. */
  startMs: number;
  /** By when the minute began. */
  minutes: Map<number, Counts>;
  throttled: Record<TopKind, Map<string, number>>;
}

/** Counts, in this process's memory, what is decided and delivered. */
export interface TrafficTally {
  /** A check was decided. A dry run and a verdict that is given again are none. */
  checkDecided(
    decision: Pick<Decision, 'decision' | 'replayed' | 'throttled_by'>,
    check: { message: Message; dry: boolean },
  ): void;
  /** A check was answered without Redis. */
  checkDegraded(check: { dry: boolean }): void;
  /** A handed-over message was decided. What is held or delayed is decided later. */
  sendDecided(kind: string, message: Message, throttledBy: readonly string[]): void;
  /** A handed-over message was given up. */
  sendFailed(): void;
  /** Takes out everything that was counted, the oldest first. */
  take(): TenMinutes[];
}

const MINUTE_MS = 60_000;
const TEN_MINUTES_MS = 10 * MINUTE_MS;
/** How many users, accounts and so on are told apart, of each kind, until they are taken out: later ones are left out. */
export const DISTINCT_MAX = 10_000;
/** For how many ten minutes it counts until they are taken out, a day and an hour: then it forgets the oldest. */
export const TEN_MINUTES_MAX = 150;

/** Counts that are all zero. */
export function noCounts(): Counts {
  return { accepted: 0, throttled: 0, filtered: 0, failed: 0, degraded: 0 };
}

/**
 * Makes an empty one.
 * @param nowMs Redis's time, in epoch milliseconds, asked for whenever something is counted
 */
export function createTrafficTally(nowMs: () => number): TrafficTally {
  /** By when they begin. */
  let all = new Map<number, TenMinutes>();
  /** How many more can be told apart. */
  let room = roomForAll();
  // The minute that was counted in last: nearly always the one to count in.
  let minuteMs = Number.NaN;
  let counts = noCounts();
  let ten: TenMinutes;

  function open(instantMs: number): void {
    minuteMs = Math.floor(instantMs / MINUTE_MS) * MINUTE_MS;
    const startMs = Math.floor(instantMs / TEN_MINUTES_MS) * TEN_MINUTES_MS;
    ten = all.get(startMs) ?? begin(startMs);
    counts = ten.minutes.get(minuteMs) ?? noCounts();
    ten.minutes.set(minuteMs, counts);
  }

  function begin(startMs: number): TenMinutes {
    if (all.size >= TEN_MINUTES_MAX) forget(all.values().next().value!);
    const begun: TenMinutes = {
      startMs,
      minutes: new Map(),
      throttled: { users: new Map(), accounts: new Map(), topics: new Map(), limits: new Map() },
    };
    all.set(startMs, begun);
    return begun;
  }

  function forget({ startMs, throttled }: TenMinutes): void {
    all.delete(startMs);
    for (const kind of TOP_KINDS) room[kind] += throttled[kind].size;
  }

  function count(outcome: Outcome): void {
    const instantMs = nowMs();
    if (!(instantMs >= minuteMs && instantMs < minuteMs + MINUTE_MS)) open(instantMs);
    counts[outcome] += 1;
  }

  function countFor(kind: TopKind, id: string | null): void {
    if (id === null) return;
    const throttled = ten.throttled[kind];
    const before = throttled.get(id);
    if (before === undefined) {
      if (room[kind] === 0) return;
      room[kind] -= 1;
    }
    throttled.set(id, (before ?? 0) + 1);
  }

  function countThrottled({ user, account, topic }: Message, throttledBy: readonly string[]): void {
    count('throttled');
    countFor('users', user);
    countFor('accounts', account);
    countFor('topics', topic);
    for (const id of throttledBy) countFor('limits', id);
  }

  return {
    checkDecided({ decision, replayed, throttled_by: throttledBy }, { message, dry }) {
      if (dry || replayed) return;
      if (decision === 'throttled') countThrottled(message, throttledBy);
      else count(decision);
    },
    checkDegraded({ dry }) {
      if (!dry) count('degraded');
    },
    sendDecided(kind, message, throttledBy) {
      if (kind === 'throttled') countThrottled(message, throttledBy);
      else if (kind === 'accepted' || kind === 'filtered') count(kind);
    },
    sendFailed: () => count('failed'),
    take() {
      const taken = [...all.values()].sort((a, b) => a.startMs - b.startMs);
      all = new Map();
      room = roomForAll();
      minuteMs = Number.NaN;
      return taken;
    },
  };
}

function roomForAll(): Record<TopKind, number> {
  return { users: DISTINCT_MAX, accounts: DISTINCT_MAX, topics: DISTINCT_MAX, limits: DISTINCT_MAX };
}
