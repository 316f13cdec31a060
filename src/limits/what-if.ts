import type { Limit, Message } from './limit';
import type { KnownAccount, PlannedLimit, Planner } from './plan';
import { createSimulator, type PastEvent, type SimulatedDecision } from './simulate';
import type { CounterNames } from './simulated-counters';

/** How many messages, and of how many users. */
export interface Amount {
  messages: number;
  users: number;
}

/** What became of messages. One that is decided several times counts once, by what became of it last. */
export interface Tally {
  throttled: Amount;
  /** Those that had to wait for room, and were not throttled. */
  delayed: Amount;
}

/** Who or what is affected: `messages` fare otherwise. */
export interface Affected {
  id: string;
  messages: number;
  throttledBefore: number;
  throttledAfter: number;
  delayedBefore: number;
  delayedAfter: number;
}

/** How many messages a limit had no room for, enforced or not; null where it is not in force. */
export interface LimitTally {
  id: string;
  mode: Limit['mode'];
  before: number | null;
  after: number | null;
}

/** A limit that messages are not certain of. */
export interface DoubtfulLimit {
  id: string;
  messages: number;
  /** When the first of its windows began of which that is so, in epoch milliseconds. */
  windowStartMs: number;
}

/** What would have become of past messages: before a change, by what is in force, and after it, by what would be. */
export interface Comparison {
  messages: number;
  before: Tally;
  after: Tally;
  newlyThrottled: Amount;
  noLongerThrottled: Amount;
  newlyDelayed: Amount;
  noLongerDelayed: Amount;
  /** The first by how many messages, some of each. */
  affected: { users: Affected[]; accounts: Affected[]; topics: Affected[] };
  limits: LimitTally[];
  uncertain: { messages: number; limits: DoubtfulLimit[] };
}

/** How many of each are named. */
const NAMED_MAX = 10;
const LIMITS_NAMED_MAX = 100;

/** One message by one configuration. */
interface Fate {
  throttled: boolean;
  waited: boolean;
  isCertain: boolean;
  /** What it was too much for when it was throttled, or had to wait; for a shadow always. */
  exceeded: readonly PlannedLimit[];
  doubtful: readonly PlannedLimit[];
}

interface Replayed {
  message: Message;
  before: Fate;
  after: Fate;
}

const NONE: readonly PlannedLimit[] = [];
const newFate = (): Fate => ({ throttled: false, waited: false, isCertain: true, exceeded: NONE, doubtful: NONE });

/**
 * Decides past events again, by what is in force and by what would be, and compares what has become by `toMs` of messages
 * that were decided first at `fromMs` or later. It yields after each event, and more often where many have waited: whoever runs it can
 * let others go first.
 *
 * @param input.events in the order in which they happened
 * @param input.knownFromMs see {@link createSimulator}
 */
export function* compareReplay(input: {
  events: readonly PastEvent[];
  knownFromMs: number;
  fromMs: number;
  toMs: number;
  before: Planner;
  after: Planner;
  accountOf: (accountId: string) => KnownAccount | undefined;
  names: CounterNames;
  holdMaxMs: number;
  idempotencyTtlMs: number;
}): Generator<void, Comparison> {
  const { events, fromMs, toMs, before, after } = input;
  const replayed = new Map<string, Replayed>();
  const checks = new Map<string, { one: Replayed; message: Message; cost: number }>();
  for (const event of events) {
    yield;
    if (event.kind !== 'arrival' || event.atMs < fromMs) continue;
    const { ref, message, messageId, cost, isRepeat } = event;
    // A check that is asked again under its id is the same message, whatever it was answered before.
    const asked = messageId === null ? undefined : checks.get(messageId);
    if (asked?.message === message && asked.cost === cost) {
      replayed.set(ref, asked.one);
      continue;
    }
    if (isRepeat) continue;
    const one = replayed.get(ref) ?? { message, before: newFate(), after: newFate() };
    replayed.set(ref, one);
    if (messageId !== null) checks.set(messageId, { one, message, cost });
  }
  // One after the other: what a simulator knows of counters and messages takes far more memory than what comes of it.
  for (const side of ['before', 'after'] as const) {
    const simulator = createSimulator({
      ...input,
      planner: input[side],
      decided(decision) {
        const one = replayed.get(decision.ref);
        if (one !== undefined) take(one[side], decision);
      },
    });
    for (const event of events) {
      for (const _ of simulator.take(event)) yield;
      yield;
    }
    for (const _ of simulator.letGo(toMs)) yield;
  }
  return yield* countUp(new Set(replayed.values()), before, after);
}

/** Takes over what became of a message. */
function take(fate: Fate, { outcome, isCertain, exceeded, doubtful }: SimulatedDecision): void {
  fate.isCertain = isCertain;
  fate.doubtful = isCertain ? NONE : doubtful;
  if (outcome === 'replayed' || outcome === 'conflict') return;
  fate.throttled = outcome === 'throttled';
  if (outcome === 'held') fate.waited = true;
  // Of one that has waited it stays what it waited for.
  if (outcome !== 'accepted' || !fate.waited) fate.exceeded = exceeded;
}

/** Counts messages and whose they are. */
function createCount() {
  let messages = 0;
  const users = new Set<string>();
  return {
    add({ message: { user } }: Replayed) {
      messages += 1;
      if (user !== null) users.add(user);
    },
    amount: (): Amount => ({ messages, users: users.size }),
  };
}

function* countUp(
  all: ReadonlySet<Replayed>,
  plannerBefore: Planner,
  plannerAfter: Planner,
): Generator<void, Comparison> {
  const counts = {
    ...{ throttledBefore: createCount(), throttledAfter: createCount() },
    ...{ delayedBefore: createCount(), delayedAfter: createCount() },
    ...{ newlyThrottled: createCount(), noLongerThrottled: createCount() },
    ...{ newlyDelayed: createCount(), noLongerDelayed: createCount() },
  };
  const affected = {
    users: new Map<string, Affected>(),
    accounts: new Map<string, Affected>(),
    topics: new Map<string, Affected>(),
  };
  const limits = new Map<string, { before: number; after: number }>();
  const doubtful = new Map<string, DoubtfulLimit>();
  let uncertain = 0;

  for (const one of all) {
    yield;
    const [before, after] = [fateOf(one.before), fateOf(one.after)];
    if (before === 'throttled') counts.throttledBefore.add(one);
    if (before === 'delayed') counts.delayedBefore.add(one);
    if (after === 'throttled') counts.throttledAfter.add(one);
    if (after === 'delayed') counts.delayedAfter.add(one);
    if (before !== after) {
      if (after === 'throttled') counts.newlyThrottled.add(one);
      if (before === 'throttled') counts.noLongerThrottled.add(one);
      if (after === 'delayed') counts.newlyDelayed.add(one);
      if (before === 'delayed') counts.noLongerDelayed.add(one);
    }
    if (before !== 'accepted' || after !== 'accepted') {
      const { user, account, topic } = one.message;
      addAffected(affected.users, user, before, after);
      addAffected(affected.accounts, account, before, after);
      addAffected(affected.topics, topic, before, after);
    }
    for (const side of ['before', 'after'] as const) {
      const fate = one[side];
      for (const { limit } of fate.exceeded) {
        if (limit.mode === 'enforce' && fateOf(fate) === 'accepted') continue;
        let count = limits.get(limit.id);
        if (count === undefined) {
          count = { before: 0, after: 0 };
          limits.set(limit.id, count);
        }
        count[side] += 1;
      }
    }
    if (one.before.isCertain && one.after.isCertain) continue;
    uncertain += 1;
    const told = new Set<string>();
    for (const { limit, view } of [...one.before.doubtful, ...one.after.doubtful]) {
      const known = doubtful.get(limit.id);
      if (known === undefined) doubtful.set(limit.id, { id: limit.id, messages: 1, windowStartMs: view.startMs });
      else {
        if (!told.has(limit.id)) known.messages += 1;
        known.windowStartMs = Math.min(known.windowStartMs, view.startMs);
      }
      told.add(limit.id);
    }
  }

  const amounts = (side: 'Before' | 'After'): Tally => ({
    throttled: counts[`throttled${side}`].amount(),
    delayed: counts[`delayed${side}`].amount(),
  });
  return {
    messages: all.size,
    before: amounts('Before'),
    after: amounts('After'),
    newlyThrottled: counts.newlyThrottled.amount(),
    noLongerThrottled: counts.noLongerThrottled.amount(),
    newlyDelayed: counts.newlyDelayed.amount(),
    noLongerDelayed: counts.noLongerDelayed.amount(),
    affected: {
      users: mostAffected(affected.users),
      accounts: mostAffected(affected.accounts),
      topics: mostAffected(affected.topics),
    },
    limits: limitTallies(limits, plannerBefore, plannerAfter),
    uncertain: {
      messages: uncertain,
      limits: [...doubtful.values()].sort((a, b) => b.messages - a.messages).slice(0, LIMITS_NAMED_MAX),
    },
  };
}

function fateOf({ throttled, waited }: Fate): 'accepted' | 'throttled' | 'delayed' {
  if (throttled) return 'throttled';
  return waited ? 'delayed' : 'accepted';
}

function addAffected(
  all: Map<string, Affected>,
  id: string | null,
  before: ReturnType<typeof fateOf>,
  after: ReturnType<typeof fateOf>,
): void {
  if (id === null) return;
  let one = all.get(id);
  if (one === undefined) {
    one = { id, messages: 0, throttledBefore: 0, throttledAfter: 0, delayedBefore: 0, delayedAfter: 0 };
    all.set(id, one);
  }
  if (before !== after) one.messages += 1;
  if (before === 'throttled') one.throttledBefore += 1;
  if (before === 'delayed') one.delayedBefore += 1;
  if (after === 'throttled') one.throttledAfter += 1;
  if (after === 'delayed') one.delayedAfter += 1;
}

function mostAffected(all: ReadonlyMap<string, Affected>): Affected[] {
  const compare = (a: Affected, b: Affected) =>
    a.messages - b.messages || a.throttledAfter - b.throttledAfter || (a.id < b.id ? 1 : -1);
  const first: Affected[] = [];
  // There may be a great many, of which few are named.
  for (const one of all.values()) {
    if (one.messages === 0) continue;
    let place = first.length;
    while (place > 0 && compare(one, first[place - 1]!) > 0) place -= 1;
    if (place === NAMED_MAX) continue;
    first.splice(place, 0, one);
    if (first.length > NAMED_MAX) first.pop();
  }
  return first;
}

function limitTallies(
  counts: ReadonlyMap<string, { before: number; after: number }>,
  before: Planner,
  after: Planner,
): LimitTally[] {
  const countIn = ({ configuration }: Planner, id: string, count: number) =>
    configuration.limits.get(id) === undefined ? null : count;
  return [...counts]
    .map(
      ([id, count]): LimitTally => ({
        id,
        mode: (after.configuration.limits.get(id) ?? before.configuration.limits.get(id))!.mode,
        before: countIn(before, id, count.before),
        after: countIn(after, id, count.after),
      }),
    )
    .sort((a, b) => sum(b) - sum(a) || (a.id < b.id ? -1 : 1))
    .slice(0, LIMITS_NAMED_MAX);
}

const sum = ({ before, after }: LimitTally) => (before ?? 0) + (after ?? 0);
