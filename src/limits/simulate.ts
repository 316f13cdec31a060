import type { LimitView } from './decision';
import { createHeap, type Heap } from './heap';
import { type Dimension, dimensionMask, type Message, type Period } from './limit';
import type { KnownAccount, PlannedLimit, Planner, Shape } from './plan';
import { type CounterNames, createSimulatedCounters, type SimulatedCounter } from './simulated-counters';

/** Something that happened and counts, or takes away what was counted. `atMs` is when, in epoch milliseconds. */
export type PastEvent =
  | Arrival
  /** A send was decided, for the first time or again, and was filtered: it counts nothing, and waits no longer. */
  | { kind: 'filtered'; ref: string; atMs: number; isFirst: boolean }
  /** A send was stopped, and gave back what it had counted. */
  | { kind: 'canceled'; ref: string; atMs: number }
  /** A send could not be delivered. */
  | { kind: 'failed'; ref: string; atMs: number; givesBack: boolean }
  /** What the accepted check with that id had counted was given back. */
  | { kind: 'released'; messageId: string; atMs: number }
  /** The present counter of these values over that period was set to zero. */
  | { kind: 'reset'; per: readonly Dimension[]; period: Period; values: Message; atMs: number };

/** A message that was decided, for the first time, or anew because somebody sent it again. */
export interface Arrival {
  kind: 'arrival';
  /** What other events name it by. */
  ref: string;
  /** Of sends that wait since the same moment the one with the lower number goes first. */
  number: number;
  atMs: number;
  message: Message;
  cost: number;
  /** Whether it was handed over, and may wait for room; the caller of a check waits for an answer. */
  isSend: boolean;
  /** Whether it is a send that somebody sends again. */
  again: boolean;
  /** The `message_id` of a check; null for none. */
  messageId: string | null;
  /** Whether it is a check that was really answered by what was decided before under its id, or not at all. */
  isRepeat: boolean;
  /**
   * What it was really decided by: whether it was counted, by which limits, and the use of each of their counters
   * afterwards. Null: not known.
   */
  really: { counted: boolean; limits: readonly (LimitView & { counter: number })[]; used: readonly number[] } | null;
}

/**
 * What became of a message: `held` is one that waits for room, `replayed` a check that was answered with the verdict that
 * its id has had before, `conflict` one whose id was accepted with other content.
 */
export type SimulatedOutcome = 'accepted' | 'throttled' | 'held' | 'replayed' | 'conflict';

/** One decision. Of a message that waits there is one each time that it is looked at. */
export interface SimulatedDecision {
  ref: string;
  atMs: number;
  outcome: SimulatedOutcome;
  /** Whether it would have been decided so, whatever it is that is not known. */
  isCertain: boolean;
  /** The limits that it was held against. */
  limits: readonly PlannedLimit[];
  /** Those, enforced or not, that had no room. Empty for a message about an exempt topic. */
  exceeded: readonly PlannedLimit[];
  /** Those that it is not certain of. */
  doubtful: readonly PlannedLimit[];
}

/** Decides what has happened again. */
export interface Simulator {
  /**
   * Takes the next event. What it gives must be run to its end: it yields after each decision about a message that has
   * waited, of which there may be many, so that whoever runs it can let others go first.
   */
  take(event: PastEvent): Iterable<void>;
  /** Lets go what was waiting until a moment, in epoch milliseconds. To be run as what `take` gives is. */
  letGo(untilMs: number): Iterable<void>;
}

/** How long a counter outlives its window: what is given back then is of no use to anybody, in milliseconds. */
const FORGOTTEN_AFTER_MS = 3_600_000;

/** A message in the simulation. */
interface Simulated {
  readonly ref: string;
  readonly number: number;
  readonly message: Message;
  readonly cost: number;
  readonly isSend: boolean;
  outcome: SimulatedOutcome | 'filtered' | 'failed' | 'canceled';
  decidedMs: number;
  /** Since when it waits, should it have to. */
  sinceMs: number;
  /** Whether what became of it is certain. */
  isCertain: boolean;
  /** Whether it is counted among what may yet come into its counters: see `mayCome`. */
  isComing: boolean;
  /** Whether it was really counted when it was decided, as far as the log tells. */
  reallyCounted: boolean;
  /** The counters of its last decision. */
  counters: readonly SimulatedCounter[];
  waitsFor: readonly SimulatedCounter[];
  /** Raised whenever it ceases to wait where it did: an older place in a queue is none. */
  turn: number;
  /** What was told last of it, while it waits. */
  told: SimulatedDecision | null;
}

/** Those that wait for room in a counter. It is there until it is looked at and found empty. */
interface Queue {
  waiting: Heap<{ one: Simulated; turn: number }>;
  /** When to look at them, in epoch milliseconds. */
  lookMs: number;
  /** Whether it may be certain of any of them what has become of it. */
  mayBeCertain: boolean;
}

const NONE: readonly PlannedLimit[] = [];
const NOWHERE: readonly SimulatedCounter[] = [];
/** What there is to run on when nobody waits. */
const NOTHING_TO_DO: Iterable<void> = [];

/**
 * Makes a simulator of the gate and of what looks after sends that wait, which decides past events as those would have
 * decided them under a planner's configuration: see lua/lib/decision.lua, lua/send.lua and src/sends/hold.ts. What waits
 * is looked at the moment there may be room.
 *
 * Where it is not known what was counted before the first event, it goes on from what the log tells of that, and keeps the
 * bounds of what could have been: a decision that comes out the same at both is certain. Nothing that is not known can make
 * it otherwise, provided that a message's `message_id` was not asked before the first event.
 *
 * @param deps.accountOf the settings of an account; undefined for one without any
 * @param deps.holdMaxMs how long a send waits at most, in milliseconds
 * @param deps.idempotencyTtlMs how long a verdict is kept for its `message_id`, in milliseconds
 * @param deps.knownFromMs everything that counted at that moment or later is among the events, in epoch milliseconds
 * @param deps.decided told of each decision, and again when what was certain ceases to be
 */
export function createSimulator(deps: {
  planner: Planner;
  accountOf: (accountId: string) => KnownAccount | undefined;
  names: CounterNames;
  holdMaxMs: number;
  idempotencyTtlMs: number;
  knownFromMs: number;
  decided: (decision: SimulatedDecision) => void;
}): Simulator {
  const { planner, accountOf, names, holdMaxMs, idempotencyTtlMs, knownFromMs, decided } = deps;
  // What has waited since before may be counted as long as it may wait.
  const windowsKnownFromMs = knownFromMs + (mayWait(planner) ? holdMaxMs : 0);
  const counters = createSimulatedCounters(names, windowsKnownFromMs);
  const sends = new Map<string, Simulated>();
  const filtered = new Set<string>();
  /** The last check of each id that was accepted, or may have been. */
  const checks = new Map<string, Simulated>();
  const queues = new Map<SimulatedCounter, Queue>();
  /** A look is due unless its queue has another moment by now. */
  const looks = createHeap<{ counter: SimulatedCounter; lookMs: number }>(
    (one, other) => one.lookMs < other.lookMs || (one.lookMs === other.lookMs && one.counter.name < other.counter.name),
  );
  let nowMs = Number.NEGATIVE_INFINITY;
  let forgetMs = Number.NEGATIVE_INFINITY;

  const known = (account: string | null) => (account === null ? undefined : accountOf(account));
  const planOf = ({ message }: Pick<Simulated, 'message'>, atMs: number) =>
    planner.plan(message, atMs, known(message.account));
  const defers = (shape: Shape) => counters.room(shape).defers.includes(true);

  function begin({ ref, number, message, cost, isSend, atMs, really }: Arrival, isCertain: boolean): Simulated {
    return {
      ref,
      number,
      message,
      cost,
      isSend,
      outcome: 'throttled',
      decidedMs: atMs,
      sinceMs: atMs,
      isCertain,
      isComing: false,
      reallyCounted: really?.counted ?? false,
      counters: NOWHERE,
      waitsFor: NOWHERE,
      turn: 0,
      told: null,
    };
  }

  function tell(one: Simulated, decision: SimulatedDecision): void {
    one.told = decision.outcome === 'held' ? decision : null;
    decided(decision);
  }

  /** Decides a message by what its counters hold. Whether it is certain that it is decided at all, it says itself. */
  function decide(one: Simulated, atMs: number, really: Arrival['really']): void {
    const { message, cost, isSend } = one;
    const { shape, exempt } = planOf(one, atMs);
    const own = counters.of(shape, message);
    if (really !== null) learn(shape, own, really, cost);
    const { most, defers: mayDefer } = counters.room(shape);
    const waitedOut = atMs >= one.sinceMs + holdMaxMs;
    // Each by what the counters hold, and by the least and the most that they may hold.
    const refused = { now: false, surely: false, maybe: false };
    const ended = { now: false, surely: false };
    let isSame = true;
    for (let index = 0; index < own.length; index += 1) {
      const max = most[index]!;
      if (exempt || max < 0) continue;
      const { used, leastUsed, mostUsed } = own[index]!;
      const exceeded = used + cost > max;
      const surely = leastUsed + cost > max;
      const maybe = mostUsed + cost > max;
      const ends = !isSend || !mayDefer[index] || cost > max || waitedOut;
      refused.now ||= exceeded;
      refused.surely ||= surely;
      refused.maybe ||= maybe;
      ended.now ||= exceeded && ends;
      ended.surely ||= surely && ends;
      isSame &&= surely === maybe;
    }
    const decidedAtAll = one.isCertain;
    // One that waits is not looked at, and so not ended, behind another that has no room and that nobody may know of.
    const mayBeBehind = one.outcome === 'held' && !waitedOut && counters.mayAnyCome();
    const refusedSurely = (ended.surely && !mayBeBehind) || (refused.surely && isSame);
    one.isCertain &&= !refused.maybe || refusedSurely;
    one.outcome = !refused.now ? 'accepted' : ended.now ? 'throttled' : 'held';
    one.decidedMs = atMs;
    one.counters = own;

    const told = lookedAt(shape, own, exempt ? null : cost, decidedAtAll);
    if (one.outcome === 'accepted') for (const counter of own) counter.used += cost;
    if (one.isCertain) {
      if (one.outcome === 'accepted') {
        for (const counter of own) {
          counter.leastUsed += cost;
          counter.mostUsed += cost;
        }
      }
    } else maybeCount(one, shape, own);
    if (one.outcome === 'held') {
      one.waitsFor = own.filter((counter, index) => most[index]! >= 0 && counter.used + cost > most[index]!);
      for (const counter of one.waitsFor) join(one, counter);
    }
    tell(one, { ref: one.ref, atMs, outcome: one.outcome, isCertain: one.isCertain, ...told });
  }

  /** What limits say to a message of that cost, before it is counted; null: they are not asked. */
  function lookedAt(
    { limits }: Shape,
    own: readonly SimulatedCounter[],
    cost: number | null,
    isCertain: boolean,
  ): Pick<SimulatedDecision, 'limits' | 'exceeded' | 'doubtful'> {
    let exceeded = NONE;
    let doubtful = NONE;
    for (const planned of limits) {
      const { max } = planned.limit;
      if (max === null || cost === null) continue;
      const { used, leastUsed, mostUsed } = own[planned.counter]!;
      if (used + cost > max) exceeded = [...exceeded, planned];
      if (!isCertain || leastUsed + cost > max !== mostUsed + cost > max) doubtful = [...doubtful, planned];
    }
    return { limits, exceeded, doubtful };
  }

  /** Takes into account that a message may have been counted, or may be later. */
  function maybeCount(one: Simulated, shape: Shape, own: readonly SimulatedCounter[]): void {
    if (one.isComing) return;
    for (const counter of own) counter.mostUsed += one.cost;
    if (!one.isSend || !(defers(shape) || one.outcome === 'held')) return;
    one.isComing = true;
    counters.mayCome(shape, one.message, one.cost, one.sinceMs + holdMaxMs);
  }

  /** Takes into account that nobody can know any more what has become of a message that waits. */
  function doubt(one: Simulated, atMs: number): void {
    if (!one.isCertain) return;
    one.isCertain = false;
    const { shape } = planOf(one, atMs);
    maybeCount(one, shape, counters.of(shape, one.message));
    tell(one, { ...one.told!, isCertain: false, doubtful: one.told!.limits });
  }

  /** Goes on from what a counter really held, where not everything that counted in it is known. */
  function learn(
    shape: Shape,
    own: readonly SimulatedCounter[],
    { counted, limits, used }: NonNullable<Arrival['really']>,
    cost: number,
  ): void {
    own.forEach((counter, index) => {
      if (counter.isKnown) return;
      const { perMask, period, window } = shape.counters[index]!;
      const same = limits.find(
        (limit) =>
          limit.period === period &&
          limit.startMs === window.startMs &&
          limit.endMs === window.endMs &&
          dimensionMask(limit.per) === perMask,
      );
      if (same === undefined) return;
      const usedThen = used[same.counter]!;
      const before = usedThen - (counted ? cost : 0);
      counter.used = Math.max(counter.leastUsed, counter.used + before - counter.reallyUsed);
      counter.reallyUsed = usedThen;
    });
  }

  /** Gives back what a message counted, or may have counted, but for what a reset has taken away. */
  function giveBack(one: Simulated, atMs: number): void {
    const { cost, isCertain } = one;
    const counted = one.outcome === 'accepted';
    if (isCertain && !counted) return;
    for (const counter of one.counters) {
      if (one.decidedMs <= counter.resetMs) continue;
      if (one.reallyCounted) counter.reallyUsed = Math.max(0, counter.reallyUsed - cost);
      if (counted) counter.used = Math.max(0, counter.used - cost);
      if (isCertain) {
        counter.leastUsed = Math.max(0, counter.leastUsed - cost);
        counter.mostUsed = Math.max(0, counter.mostUsed - cost);
      } else doubtAll(counter, atMs);
      if (counted) look(counter, Number.NEGATIVE_INFINITY);
    }
  }

  function join(one: Simulated, counter: SimulatedCounter): void {
    let queue = queues.get(counter);
    if (queue === undefined) {
      const waiting = createHeap<{ one: Simulated; turn: number }>(
        (a, b) => a.one.sinceMs < b.one.sinceMs || (a.one.sinceMs === b.one.sinceMs && a.one.number < b.one.number),
      );
      queue = { waiting, lookMs: Number.POSITIVE_INFINITY, mayBeCertain: false };
      queues.set(counter, queue);
    }
    queue.waiting.push({ one, turn: one.turn });
    queue.mayBeCertain ||= one.isCertain;
    look(counter, Math.min(counter.endMs, one.sinceMs + holdMaxMs));
  }

  function leave(one: Simulated): void {
    one.turn += 1;
    one.waitsFor = NOWHERE;
  }

  /** The one that waits for room in a counter longest. */
  function firstOf(counter: SimulatedCounter): Simulated | undefined {
    const waiting = queues.get(counter)?.waiting;
    for (let first = waiting?.peek(); first !== undefined; first = waiting!.peek()) {
      if (first.turn === first.one.turn) return first.one;
      waiting!.pop();
    }
    return undefined;
  }

  function doubtAll(counter: SimulatedCounter, atMs: number): void {
    const queue = queues.get(counter);
    // Nobody becomes certain while it waits.
    if (!queue?.mayBeCertain) return;
    for (const { one, turn } of queue.waiting.values()) if (turn === one.turn) doubt(one, atMs);
    queue.mayBeCertain = false;
  }

  /** Plans to look at a counter's queue, if there is one, unless that is planned for sooner. */
  function look(counter: SimulatedCounter, lookMs: number): void {
    const queue = queues.get(counter);
    if (queue === undefined || queue.lookMs <= lookMs) return;
    queue.lookMs = lookMs;
    looks.push({ counter, lookMs });
  }

  /** Looks at those that wait for room in a counter, the oldest first, as long as there is some. */
  function* lookNow(counter: SimulatedCounter, atMs: number): Generator<void> {
    for (let one = firstOf(counter); one !== undefined; one = firstOf(counter)) {
      leave(one);
      decide(one, atMs, null);
      // For real it is looked at a moment later: after the reset that may have made the room, and not before it.
      one.decidedMs = atMs + 1;
      // It may have gone or not: so may those behind it.
      if (!one.isCertain) doubtAll(counter, atMs);
      yield;
      if (one.waitsFor.includes(counter)) return;
    }
    queues.delete(counter);
  }

  function* letGo(untilMs: number): Generator<void> {
    for (let next = looks.peek(); next !== undefined && next.lookMs <= untilMs; next = looks.peek()) {
      looks.pop();
      const queue = queues.get(next.counter);
      if (queue?.lookMs !== next.lookMs) continue;
      queue.lookMs = Number.POSITIVE_INFINITY;
      nowMs = Math.max(nowMs, next.lookMs);
      yield* lookNow(next.counter, nowMs);
    }
  }

  function arrive(arrival: Arrival): void {
    if (arrival.again) sendAgain(arrival);
    else if (arrival.isSend) {
      const one = begin(arrival, true);
      sends.set(arrival.ref, one);
      decide(one, arrival.atMs, arrival.really);
    } else check(arrival);
  }

  function sendAgain(arrival: Arrival): void {
    const { ref, atMs, really } = arrival;
    const before = sends.get(ref);
    if (before === undefined || ['throttled', 'failed', 'filtered'].includes(before.outcome)) {
      // Of what came before the first event it is not known what had become of it.
      const one = begin(arrival, before?.isCertain ?? filtered.has(ref));
      sends.set(ref, one);
      decide(one, atMs, really);
    } else if (!before.isCertain) {
      // It may have had to be sent again.
      const one = begin(arrival, false);
      const { shape } = planOf(one, atMs);
      maybeCount(one, shape, counters.of(shape, one.message));
    }
  }

  function check(arrival: Arrival): void {
    const { ref, atMs, messageId, really } = arrival;
    const before = messageId === null ? undefined : checks.get(messageId);
    const isKept = before !== undefined && atMs <= before.decidedMs + idempotencyTtlMs;
    const one = begin(arrival, !isKept || before.isCertain);
    if (isKept && before.outcome === 'accepted') {
      const { shape } = planOf(one, atMs);
      const own = counters.of(shape, one.message);
      if (really !== null) learn(shape, own, really, one.cost);
      if (!one.isCertain) maybeCount(one, shape, own);
      const outcome = isSameContent(one, before) ? 'replayed' : 'conflict';
      const none = { limits: shape.limits, exceeded: NONE, doubtful: one.isCertain ? NONE : shape.limits };
      tell(one, { ref, atMs, outcome, isCertain: one.isCertain, ...none });
      return;
    }
    decide(one, atMs, really);
    if (messageId !== null && (one.outcome === 'accepted' || !one.isCertain)) checks.set(messageId, one);
  }

  function stop(one: Simulated, outcome: Simulated['outcome']): void {
    leave(one);
    one.outcome = outcome;
  }

  function happen(event: PastEvent): void {
    const { atMs } = event;
    switch (event.kind) {
      case 'arrival':
        arrive(event);
        return;
      case 'filtered': {
        const one = sends.get(event.ref);
        if (event.isFirst) filtered.add(event.ref);
        else if (one === undefined) return;
        else if (one.outcome !== 'accepted' && one.outcome !== 'canceled') stop(one, 'filtered');
        return;
      }
      case 'canceled': {
        const one = sends.get(event.ref);
        if (one === undefined) return;
        giveBack(one, atMs);
        if (one.outcome === 'accepted' || one.outcome === 'held') stop(one, 'canceled');
        return;
      }
      case 'failed': {
        const one = sends.get(event.ref);
        if (one === undefined) return;
        if (event.givesBack) giveBack(one, atMs);
        if (one.outcome === 'accepted') stop(one, 'failed');
        return;
      }
      case 'released': {
        const one = checks.get(event.messageId);
        if (one === undefined || atMs > one.decidedMs + idempotencyTtlMs) return;
        giveBack(one, atMs);
        checks.delete(event.messageId);
        return;
      }
      case 'reset': {
        const planned = planner.counterAt(event.per, event.period, atMs, known(event.values.account));
        const counter = counters.one(planned, event.values);
        counter.used = 0;
        counter.leastUsed = 0;
        counter.reallyUsed = 0;
        counter.isKnown ||= atMs >= windowsKnownFromMs;
        if (counter.isKnown) counter.mostUsed = counters.comingTo(planned, event.values);
        counter.resetMs = atMs;
        look(counter, Number.NEGATIVE_INFINITY);
      }
    }
  }

  const isDue = (atMs: number) => (looks.peek()?.lookMs ?? Number.POSITIVE_INFINITY) <= atMs;

  function takeNow(event: PastEvent): void {
    nowMs = Math.max(nowMs, event.atMs);
    if (nowMs >= forgetMs) {
      counters.forgetBefore(nowMs - FORGOTTEN_AFTER_MS);
      forgetMs = nowMs + FORGOTTEN_AFTER_MS;
    }
    happen(event);
  }

  function* takeAfterOthers(event: PastEvent): Generator<void> {
    yield* letGo(event.atMs);
    takeNow(event);
    yield* letGo(event.atMs);
  }

  return {
    take(event) {
      if (isDue(event.atMs)) return takeAfterOthers(event);
      takeNow(event);
      // Who was woken by it goes before what comes next.
      return isDue(event.atMs) ? letGo(event.atMs) : NOTHING_TO_DO;
    },
    letGo,
  };
}

/** Whether any send may have to wait for room. */
function mayWait({ configuration }: Planner): boolean {
  for (const { mode, max, on_exceeded } of configuration.limits.values()) {
    if (mode === 'enforce' && max !== null && on_exceeded === 'defer') return true;
  }
  return false;
}

function isSameContent(one: Simulated, other: Simulated): boolean {
  const [a, b] = [one.message, other.message];
  return (
    a.user === b.user &&
    a.account === b.account &&
    a.topic === b.topic &&
    a.channel === b.channel &&
    one.cost === other.cost
  );
}
