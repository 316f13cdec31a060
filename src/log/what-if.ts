import { createCalendarCache } from '../limits/calendar';
import type { Limit, Period } from '../limits/limit';
import { createLimitSet, inForce, type LimitSet } from '../limits/limit-set';
import { type Configuration, createPlanner, type KnownAccount, type Planner } from '../limits/plan';
import type { Settings } from '../limits/settings';
import { type Comparison, compareReplay } from '../limits/what-if';
import { comparisonWords, notInForceWords, type ReplayedSpan, uncertaintyWords } from '../limits/what-if-words';
import { readKnownAccounts } from '../store/accounts';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import type { Scripts } from '../store/scripts';
import { type PastEvents, readableNow, readPastEvents, type UnknownBefore } from './replay';

/** What would be in force instead. */
export interface Change {
  /** Limits put over those in force, by id. */
  put: readonly Limit[];
  /** Ids of limits that would be gone. */
  removed: readonly string[];
  /** Absent: as they are. */
  settings?: Settings | undefined;
}

/** What a change would have done. */
export interface WhatIf {
  span: ReplayedSpan;
  comparison: Comparison;
  /** From when on everything that counted is known, in epoch milliseconds, and why not from before; null: all is. */
  known: { fromMs: number; why: UnknownBefore } | null;
  /** When a check was last counted that is not in the log, in epoch milliseconds; null for never. */
  unloggedMs: number | null;
  /** How many rows and marks of the log were replayed. */
  events: number;
  /** It in a sentence, and what else there is to know of it. */
  summary: string;
  notes: string[];
}

/** What became of trying. */
export type Tried =
  | { kind: 'done'; whatIf: WhatIf }
  | { kind: 'busy' }
  | { kind: 'conflict'; limit: Limit; other: Limit };

type From = number | ((nowMs: number) => number);

/** Tries changes of limits on the past. */
export interface WhatIfs {
  /**
   * Decides what is in the log again, under what is in force and under the change, and compares the two. Nothing is
   * changed. It works in pieces between which others go first.
   * @param fromMs since when messages are looked at, in epoch milliseconds, or that of what is now
   * @returns `busy` while another is worked out by this process; `conflict` when a limit may not stand beside another
   * @throws whatever Redis fails with
   */
  try(current: Pick<Configuration, 'limits' | 'settings'>, change: Change, fromMs: From): Promise<Tried>;
}

/** How long this process is held at a stretch, in milliseconds: checks are answered in between. */
const STRETCH_MS = 4;
/** How many limits are copied at a stretch. */
const LIMITS_AT_A_STRETCH = 1_000;
/** After how many events it is looked how long it has taken: to look takes time too. */
const EVENTS_AT_A_STRETCH = 16;
const CALENDARS_KNOWN = 10_000;

const DAY_MS = 86_400_000;
/** How long a window of a period may be at most, in whichever zone, in milliseconds; a billing period may have any length. */
const LONGEST_MS: Record<Exclude<Period, 'billing_period'>, number> = {
  hour: 2 * 3_600_000,
  day: 2 * DAY_MS,
  week: 8 * DAY_MS,
  month: 33 * DAY_MS,
};

/** Makes what tries changes. One is worked out at a time. */
export function createWhatIfs(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  /** How long a send waits for room at most, in milliseconds. */
  holdMaxMs: number;
  /** How long an accepted verdict is remembered, in milliseconds. */
  idempotencyTtlMs: number;
  /** Redis's time, in epoch milliseconds. */
  nowMs: () => number;
  /** A clock that never jumps, in milliseconds. */
  monotonicMs: () => number;
  /** Lets others go first. */
  pause: () => Promise<void>;
  /** How many rows and marks are read at most; absent: as many as there is memory for. */
  most?: number | undefined;
}): WhatIfs {
  const { redis, scripts, keys, holdMaxMs, idempotencyTtlMs, nowMs, monotonicMs, pause, most } = deps;
  let isBusy = false;

  /** Limits as they are now: what is in force may change meanwhile. */
  async function copyOf(limits: Iterable<Limit>, removed: ReadonlySet<string>): Promise<LimitSet> {
    const copy = createLimitSet();
    for (const limit of [...limits]) {
      if (removed.has(limit.id)) continue;
      copy.put(limit);
      if (copy.size % LIMITS_AT_A_STRETCH === 0) await pause();
    }
    return copy;
  }

  /** Runs something to its end, in stretches. */
  async function inStretches<T>(work: Generator<void, T>): Promise<T> {
    let sinceMs = monotonicMs();
    let steps = 0;
    for (;;) {
      const next = work.next();
      if (next.done) return next.value;
      steps += 1;
      if (steps % EVENTS_AT_A_STRETCH !== 0 || monotonicMs() - sinceMs < STRETCH_MS) continue;
      await pause();
      sinceMs = monotonicMs();
    }
  }

  async function work(current: Pick<Configuration, 'limits' | 'settings'>, change: Change, from: From): Promise<Tried> {
    const toMs = Math.floor(nowMs());
    const askedFromMs = typeof from === 'number' ? from : from(toMs);
    const calendars = createCalendarCache(CALENDARS_KNOWN);
    const plannerOf = (limits: LimitSet, settings: Settings) =>
      createPlanner({ version: 0, limits, settings }, calendars.for.bind(calendars));
    const [limitsBefore, { settings }] = [[...current.limits.values()], current];
    const before = plannerOf(await copyOf(limitsBefore, new Set()), settings);
    const gone = new Set([...change.removed, ...change.put.map(({ id }) => id)]);
    const changed = await copyOf(limitsBefore, gone);
    for (const limit of change.put) {
      const other = changed.conflict(limit);
      if (other !== null) return { kind: 'conflict', limit, other };
      changed.put(limit);
    }
    const after = plannerOf(changed, change.settings ?? settings);

    const needMs =
      Math.min(...[before, after].map((planner) => neededFromMs(planner, askedFromMs, holdMaxMs))) - idempotencyTtlMs;
    const past = await readPastEvents({ redis, scripts, keys, pause, most: most ?? readableNow() }, needMs);
    const accounts = await accountsOf(past, [before, after]);
    const fromMs = Math.min(toMs, Math.max(askedFromMs, past.readFromMs));
    const comparison = await inStretches(
      compareReplay({
        // What has happened by the time that it was read has happened.
        ...{
          ...past,
          fromMs,
          toMs: Math.max(toMs, past.events.at(-1)?.atMs ?? 0),
          before,
          after,
          names: keys,
          holdMaxMs,
          idempotencyTtlMs,
        },
        accountOf: (id) => accounts.get(id),
      }),
    );
    const span: ReplayedSpan = { askedFromMs, fromMs, toMs };
    const { knownFromMs, unknownBefore: why, unloggedMs, events } = past;
    const idle = change.put.filter((limit) => !wasInForce(limit, span));
    const whatIf: WhatIf = {
      ...{ span, comparison, unloggedMs, events: events.length },
      known: why === null ? null : { fromMs: knownFromMs, why },
      summary: comparisonWords(comparison, span, unloggedMs),
      notes: [
        ...uncertaintyWords(comparison, span, why === null ? null : { knownFromMs, why }, unloggedMs),
        ...idle.map(notInForceWords),
        ...membershipNote(settings, change.settings),
      ],
    };
    return { kind: 'done', whatIf };
  }

  /** The settings of the accounts that windows depend on. */
  async function accountsOf({ events }: PastEvents, planners: readonly Planner[]): Promise<Map<string, KnownAccount>> {
    const isByAccount = planners.some(({ configuration }) =>
      [...configuration.limits.values()].some(({ per }) => per.includes('account')),
    );
    const ids = new Set<string>();
    for (const event of events) {
      const account =
        event.kind === 'arrival' ? event.message.account : event.kind === 'reset' ? event.values.account : null;
      if (account !== null && isByAccount) ids.add(account);
    }
    return readKnownAccounts({ redis, keys, pause }, [...ids]);
  }

  return {
    async try(current, change, from) {
      if (isBusy) return { kind: 'busy' };
      isBusy = true;
      try {
        return await work(current, change, from);
      } finally {
        isBusy = false;
      }
    },
  };
}

/** Since when what counted makes a difference to messages from a moment on, in epoch milliseconds. */
function neededFromMs({ configuration, counterAt }: Planner, fromMs: number, holdMaxMs: number): number {
  const kinds = new Set<string>();
  let neededMs = fromMs;
  let waitMs = 0;
  for (const { per, period, on_exceeded: onExceeded } of configuration.limits.values()) {
    if (onExceeded === 'defer') waitMs = holdMaxMs;
    const isByAccount = per.includes('account');
    const kind = `${period} ${isByAccount}`;
    if (kinds.has(kind)) continue;
    kinds.add(kind);
    if (!isByAccount) neededMs = Math.min(neededMs, counterAt([], period, fromMs, undefined).window.startMs);
    else if (period === 'billing_period') neededMs = Number.NEGATIVE_INFINITY;
    else neededMs = Math.min(neededMs, fromMs - LONGEST_MS[period]);
  }
  return neededMs - waitMs;
}

function wasInForce(limit: Limit, { fromMs, toMs }: ReplayedSpan): boolean {
  const force = inForce(limit);
  return force.fromMs < toMs && force.untilMs > fromMs;
}

/** Who was in which account when is not in the log. */
function membershipNote(before: Settings, after: Settings | undefined): string[] {
  if (after === undefined || before.require_membership === after.require_membership) return [];
  return ['A change of require_membership is not replayed: who was in which account then is not in the log.'];
}
