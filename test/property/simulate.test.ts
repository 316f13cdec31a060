import fc from 'fast-check';
import { type CalendarRules, createCalendarCache } from '../../src/limits/calendar';
import type { Dimension, Limit, Message, Period } from '../../src/limits/limit';
import { createLimitSet, type LimitSet } from '../../src/limits/limit-set';
import { createPlanner, type KnownAccount, type Planner } from '../../src/limits/plan';
import { DEFAULT_SETTINGS, type Settings } from '../../src/limits/settings';
import { type Arrival, createSimulator, type PastEvent, type SimulatedDecision } from '../../src/limits/simulate';
import { createKeys } from '../../src/store/keys';
import { limitOf } from '../support/gate';

const HOUR_MS = 3_600_000;
/** Two days before clocks go forward in New York, and a few weeks before they do in Berlin. */
const START_MS = Date.UTC(2026, 2, 6, 0, 17);
const END_MS = START_MS + 60 * 24 * HOUR_MS;
const TTL_MS = 20 * HOUR_MS;

const calendars = createCalendarCache(100);
const calendarFor = (rules: CalendarRules) => calendars.for(rules);
const keys = createKeys('w');
const acme: KnownAccount = {
  revision: 1,
  calendar: { timezone: 'Asia/Tokyo', billing_anchor: null, billing_months: null },
};
const accountOf = (id: string) => (id === 'acme' ? acme : undefined);

const someLimit: fc.Arbitrary<Limit> = fc
  .record({
    id: fc.integer({ min: 0, max: 30 }).map((number) => `l${number}`),
    per: fc.subarray<Dimension>(['user', 'account', 'topic'], { maxLength: 2 }),
    period: fc.constantFrom<Period>('hour', 'day', 'day', 'week'),
    max: fc.option(fc.integer({ min: 0, max: 5 }), { freq: 8 }),
    mode: fc.constantFrom<Limit['mode']>('enforce', 'enforce', 'shadow'),
    on_exceeded: fc.constantFrom<Limit['on_exceeded']>('throttle', 'defer'),
    where: fc.option(
      fc.oneof(
        fc.constantFrom('ann', 'bob').map((user) => ({ user })),
        fc.constantFrom('news', 'alarm').map((topic) => ({ topic })),
      ),
      { freq: 2 },
    ),
    from: fc.option(fc.integer({ min: 0, max: 100 }), { freq: 1 }),
    hours: fc.integer({ min: 1, max: 60 }),
  })
  .map(({ from, hours, ...limit }) => {
    const at = (hour: number) => new Date(START_MS + hour * HOUR_MS).toISOString();
    return limitOf({ ...limit, from: from === null ? null : at(from), until: from === null ? null : at(from + hours) });
  });

const someMessage: fc.Arbitrary<Message> = fc.record({
  user: fc.constantFrom('ann', 'bob'),
  account: fc.constantFrom(null, null, 'acme', 'bolt'),
  topic: fc.constantFrom(null, 'news', 'alarm'),
  channel: fc.constant(null),
});

/** What happens next, after a pause in minutes; `which` picks an earlier message. */
const someStep = fc.record({
  pause: fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: 30 }) }, fc.integer({ min: 0, max: 900 })),
  what: fc.constantFrom(
    ...(['send', 'send', 'send', 'send', 'check', 'check', 'canceled', 'failed', 'again', 'filtered'] as const),
    ...(['released', 'reset'] as const),
  ),
  which: fc.nat({ max: 1_000 }),
  message: someMessage,
  cost: fc.integer({ min: 1, max: 3 }),
  flag: fc.boolean(),
  per: fc.subarray<Dimension>(['user', 'topic'], { maxLength: 1 }),
  period: fc.constantFrom<Period>('hour', 'day', 'week'),
});
type Step = typeof someStep extends fc.Arbitrary<infer S> ? S : never;

function eventsOf(steps: readonly Step[], reusesIds: boolean): PastEvent[] {
  let atMs = START_MS;
  const sends: Arrival[] = [];
  const ids: string[] = [];
  return steps.flatMap(({ pause, what, which, message, cost, flag, per, period }, index): PastEvent[] => {
    atMs += pause * 60_000;
    const arrival: Arrival = {
      ...{ kind: 'arrival', ref: `m${index}`, number: index, atMs, message, cost, isSend: false, again: false },
      ...{ messageId: null, isRepeat: false, really: null },
    };
    const earlier = sends[which % Math.max(1, sends.length)];
    switch (what) {
      case 'send': {
        const send = { ...arrival, cost: 1, isSend: true };
        sends.push(send);
        return [send];
      }
      case 'check': {
        const messageId = reusesIds && flag && ids.length > 0 ? ids[which % ids.length]! : `id${index}`;
        ids.push(messageId);
        return [{ ...arrival, messageId }];
      }
      case 'again':
        return earlier === undefined ? [] : [{ ...earlier, atMs, again: true }];
      case 'released':
        return ids.length === 0 ? [] : [{ kind: what, messageId: ids[which % ids.length]!, atMs }];
      case 'reset':
        return [{ kind: what, per, period, values: message, atMs }];
      case 'failed':
        return earlier === undefined ? [] : [{ kind: what, ref: earlier.ref, atMs, givesBack: flag }];
      case 'filtered':
        return earlier === undefined ? [] : [{ kind: what, ref: earlier.ref, atMs, isFirst: false }];
      default:
        return earlier === undefined ? [] : [{ kind: what, ref: earlier.ref, atMs }];
    }
  });
}

function limitSetOf(candidates: readonly Limit[]): LimitSet {
  const set = createLimitSet();
  for (const limit of candidates) if (set.conflict(limit) === null) set.put(limit);
  return set;
}

function plannerOf(limits: LimitSet, settings: Partial<Settings>): Planner {
  return createPlanner({ version: 1, limits, settings: { ...DEFAULT_SETTINGS, ...settings } }, calendarFor);
}

function simulate(planner: Planner, events: readonly PastEvent[], holdMaxMs: number, knownFromMs = -Infinity) {
  const told: SimulatedDecision[] = [];
  const simulator = createSimulator({
    ...{ planner, accountOf, names: keys, holdMaxMs, idempotencyTtlMs: TTL_MS, knownFromMs },
    decided: (decision) => told.push(decision),
  });
  for (const event of events) for (const _ of simulator.take(event));
  for (const _ of simulator.letGo(END_MS));
  return told;
}

/** A decision as both tell of it. */
const line = ({ ref, atMs, outcome, exceeded }: SimulatedDecision) =>
  `${new Date(atMs).toISOString()} ${ref} ${outcome} ${exceeded.map(({ limit }) => limit.id).sort()}`;

/** The rules read aloud: slow, without an index, a heap or a cache, and with every event's consequences worked out anew. */
function plainly(limits: LimitSet, settings: Settings, events: readonly PastEvent[], holdMaxMs: number): string[] {
  interface Plain {
    ref: string;
    number: number;
    isSend: boolean;
    message: Message;
    cost: number;
    state: string;
    decidedMs: number;
    sinceMs: number;
    counted: string[];
    waitsFor: string[];
  }
  const used = new Map<string, number>();
  const resets = new Map<string, number>();
  const sends = new Map<string, Plain>();
  const checks = new Map<string, Plain>();
  const looks = new Map<string, number>();
  const told: string[] = [];
  const waiting = (name: string) =>
    [...sends.values()]
      .filter(({ waitsFor }) => waitsFor.includes(name))
      .sort((a, b) => a.sinceMs - b.sinceMs || a.number - b.number);
  const plan = (name: string, atMs: number) => looks.set(name, Math.min(looks.get(name) ?? Infinity, atMs));

  function counterName(per: readonly Dimension[], period: Period, message: Message, atMs: number): string {
    const own = per.includes('account') && message.account !== null ? accountOf(message.account) : undefined;
    const calendar = calendarFor({ ...settings, timezone: own?.calendar.timezone ?? settings.timezone });
    return keys.counterName(per, period, calendar.windowAt(period, atMs), message);
  }

  function decide(one: Plain, atMs: number): void {
    const chosen = limits.select(one.message, atMs).limits;
    const exempt = one.message.topic !== null && settings.exempt_topics.includes(one.message.topic);
    const exceeded = chosen.filter(
      ({ per, period, max }) =>
        !exempt && max !== null && (used.get(counterName(per, period, one.message, atMs)) ?? 0) + one.cost > max,
    );
    const stopping = exceeded.filter(({ mode }) => mode === 'enforce');
    const names = [...new Set(chosen.map(({ per, period }) => counterName(per, period, one.message, atMs)))];
    one.decidedMs = atMs;
    one.waitsFor = [];
    if (stopping.length === 0) {
      one.state = 'accepted';
      one.counted = names;
      for (const name of names) used.set(name, (used.get(name) ?? 0) + one.cost);
    } else if (
      one.isSend &&
      atMs < one.sinceMs + holdMaxMs &&
      stopping.every(({ on_exceeded, max }) => on_exceeded === 'defer' && one.cost <= max!)
    ) {
      one.state = 'held';
      one.waitsFor = stopping.map(({ per, period }) => counterName(per, period, one.message, atMs));
      for (const name of one.waitsFor) plan(name, Math.min(endOf(name), one.sinceMs + holdMaxMs));
    } else one.state = 'throttled';
    const ids = exceeded.map(({ id }) => id).sort();
    told.push(`${new Date(atMs).toISOString()} ${one.ref} ${one.state} ${ids}`);
  }

  const endOf = (name: string) => Number.parseInt(name.split(':')[5]!, 36);

  function letGo(untilMs: number, nowMs: number): void {
    for (;;) {
      const [next] = [...looks].sort(([a, atMs], [b, otherMs]) => atMs - otherMs || (a < b ? -1 : 1));
      if (next === undefined || next[1] > untilMs) return;
      const [name, dueMs] = next;
      looks.delete(name);
      for (let one = waiting(name)[0]; one !== undefined; one = waiting(name)[0]) {
        decide(one, Math.max(dueMs, nowMs));
        // After the reset that may have made the room.
        one.decidedMs += 1;
        if (one.waitsFor.includes(name)) break;
      }
    }
  }

  function giveBack(one: Plain): void {
    for (const name of one.counted) {
      if (one.decidedMs <= (resets.get(name) ?? -Infinity)) continue;
      used.set(name, Math.max(0, (used.get(name) ?? 0) - one.cost));
      if (looks.has(name)) plan(name, -Infinity);
    }
    one.counted = [];
  }

  function happen(event: PastEvent): void {
    const { atMs } = event;
    switch (event.kind) {
      case 'arrival': {
        const { ref, number, message, cost, isSend, messageId, again } = event;
        const one: Plain = {
          ...{ ref, number, message, cost, isSend, state: '', decidedMs: atMs, sinceMs: atMs },
          ...{ counted: [], waitsFor: [] },
        };
        if (again) {
          const before = sends.get(ref)!;
          if (!['throttled', 'failed', 'filtered'].includes(before.state)) return;
        }
        if (isSend) sends.set(ref, one);
        const before = checks.get(messageId ?? '');
        if (!isSend && before !== undefined && atMs <= before.decidedMs + TTL_MS) {
          const same = JSON.stringify([before.message, before.cost]) === JSON.stringify([message, cost]);
          told.push(`${new Date(atMs).toISOString()} ${ref} ${same ? 'replayed' : 'conflict'} `);
          return;
        }
        decide(one, atMs);
        if (!isSend && one.state === 'accepted') checks.set(messageId!, one);
        return;
      }
      case 'released': {
        const one = checks.get(event.messageId);
        if (one === undefined || atMs > one.decidedMs + TTL_MS) return;
        giveBack(one);
        checks.delete(event.messageId);
        return;
      }
      case 'reset': {
        const name = counterName(event.per, event.period, event.values, atMs);
        used.set(name, 0);
        resets.set(name, atMs);
        if (looks.has(name)) plan(name, -Infinity);
        return;
      }
      case 'filtered': {
        const one = sends.get(event.ref)!;
        if (one.state === 'accepted' || one.state === 'canceled') return;
        Object.assign(one, { state: 'filtered', waitsFor: [] });
        return;
      }
      case 'canceled': {
        const one = sends.get(event.ref)!;
        if (one.state === 'accepted') giveBack(one);
        if (one.state === 'accepted' || one.state === 'held') Object.assign(one, { state: 'canceled', waitsFor: [] });
        return;
      }
      case 'failed': {
        const one = sends.get(event.ref)!;
        if (one.state !== 'accepted') return;
        if (event.givesBack) giveBack(one);
        one.state = 'failed';
      }
    }
  }

  for (const event of events) {
    letGo(event.atMs, -Infinity);
    happen(event);
    letGo(event.atMs, event.atMs);
  }
  letGo(END_MS, -Infinity);
  return told;
}

const someZone = fc.constantFrom('UTC', 'America/New_York', 'Asia/Kathmandu');
const anyLimits = fc.array(someLimit, { minLength: 1, maxLength: 6, size: 'max' });
/** Such that many a send waits: few limits, for everybody, most of which defer. */
const deferring = fc.array(someLimit, { minLength: 1, maxLength: 3, size: 'max' }).map((limits) =>
  limits.map((limit, index): Limit => {
    const defers = index % 3 < 2 ? 'defer' : 'throttle';
    return { ...limit, mode: 'enforce', on_exceeded: defers, max: 1 + (limit.max ?? 0), where: null };
  }),
);
const someLimits = fc.oneof(anyLimits, deferring);
const someHold = fc.constantFrom(1, 5, 30).map((hours) => hours * HOUR_MS);
const someSteps = fc.array(someStep, { minLength: 1, maxLength: 80, size: 'max' });

test('it decides as the rules say, over windows that end, in any zone, with all that is given back in between', () => {
  fc.assert(
    fc.property(
      someLimits,
      someSteps,
      someZone,
      someHold,
      fc.boolean(),
      (candidates, steps, timezone, holdMaxMs, exempts) => {
        const limits = limitSetOf(candidates);
        const settings = { ...DEFAULT_SETTINGS, timezone, exempt_topics: exempts ? ['alarm'] : [] };
        const events = eventsOf(steps, true);
        const told = simulate(plannerOf(limits, settings), events, holdMaxMs);
        expect(told.map(line)).toEqual(plainly(limits, settings, events, holdMaxMs));
        expect(told.every(({ isCertain, doubtful }) => isCertain && doubtful.length === 0)).toBe(true);
      },
    ),
    { numRuns: 1_000 },
  );
});

test('what it calls certain is so, whatever came before it began', () => {
  fc.assert(
    fc.property(
      someLimits,
      someSteps,
      someZone,
      someHold,
      fc.nat({ max: 40 }),
      (candidates, steps, timezone, holdMaxMs, cut) => {
        const planner = plannerOf(limitSetOf(candidates), { timezone });
        const events = eventsOf(steps, false);
        const before = events.slice(0, cut);
        const after = events.slice(cut);
        const lastOf = (decisions: readonly SimulatedDecision[]) =>
          new Map(decisions.map((decision) => [decision.ref, decision]));
        const truth = lastOf(simulate(planner, events, holdMaxMs));
        const knownFromMs = before.length === 0 ? -Infinity : before.at(-1)!.atMs + 1;
        const arrived = new Set(
          after.flatMap((event) => (event.kind === 'arrival' && !event.again ? [event.ref] : [])),
        );
        for (const [ref, decision] of lastOf(simulate(planner, after, holdMaxMs, knownFromMs))) {
          if (!arrived.has(ref)) continue;
          const really = truth.get(ref)!;
          if (decision.isCertain) expect([ref, decision.outcome]).toEqual([ref, really.outcome]);
          if (!decision.isCertain || decision.atMs !== really.atMs) continue;
          const doubtful = new Set(decision.doubtful.map(({ limit }) => limit.id));
          const exceeded = ({ exceeded: some }: SimulatedDecision) =>
            some.map(({ limit }) => limit.id).filter((id) => !doubtful.has(id));
          expect([ref, exceeded(decision)]).toEqual([ref, exceeded(really)]);
        }
      },
    ),
    { numRuns: 2_000 },
  );
});
