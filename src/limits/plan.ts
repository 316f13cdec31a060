import { thresholdUse } from './alert-settings';
import type { Calendar, CalendarRules, Window } from './calendar';
import type { LimitView } from './decision';
import { type Dimension, dimensionMask, type Limit, type Message, type Period } from './limit';
import type { LimitSet } from './limit-set';
import type { AccountCalendar, Settings } from './settings';

/** One counter that a message raises: what is counted, over which window. It belongs to no limit in particular. */
export interface PlannedCounter {
  per: readonly Dimension[];
  perMask: number;
  period: Period;
  window: Window;
}

/** One limit that a message is held against. */
export interface PlannedLimit {
  limit: Limit;
  /** The limit with its window, as verdicts show it. */
  view: LimitView;
  /** The index of its counter in the shape. An enforced and a shadow limit of the same (per, period) share one. */
  counter: number;
  /** At which parts of its max there is an alert, in percent, rising. None for a lifted one. */
  thresholds: readonly number[];
}

/**
 * Everything about a decision but whose message it is: messages under the same limits and windows share one shape,
 * so that planning a message costs a look-up.
 */
export interface Shape {
  limits: readonly PlannedLimit[];
  counters: readonly PlannedCounter[];
  /** The shape holds in `[fromMs, toMs)`: within every window, and between the turns of temporary limits. */
  fromMs: number;
  toMs: number;
}

/** What is known of an account's settings: revision 0 is an account without any. */
export interface KnownAccount {
  revision: number;
  calendar: AccountCalendar;
}

/** What the store needs in order to decide one message. */
export interface Plan {
  shape: Shape;
  message: Message;
  /** Whether the message's topic counts toward limits but is never throttled. */
  exempt: boolean;
  /** The revision of the account's settings that the windows rely on, or null when they rely on none. */
  accountRevision: number | null;
  /** Whether the user must be in the account. */
  membership: boolean;
}

/** The configuration of a workspace at one version. */
export interface Configuration {
  version: number;
  limits: LimitSet;
  settings: Settings;
}

/** Plans decisions under one version of the configuration. */
export interface Planner {
  readonly configuration: Configuration;
  /**
   * The plan for a message at an instant, in epoch milliseconds.
   * `account` is what is known of the message's account; undefined is an account without settings.
   * @throws RangeError when the instant is outside the years that calendars know.
   */
  plan(message: Message, instantMs: number, account: KnownAccount | undefined): Plan;
  /** The window of one counter: of those values, that period, at that instant. */
  counterAt(
    per: readonly Dimension[],
    period: Period,
    instantMs: number,
    account: KnownAccount | undefined,
  ): PlannedCounter;
}

/** How much the counters of a shape may hold. */
export interface Room {
  /** The most that each counter may reach: the max of its enforced limit, -1 for any. */
  most: readonly number[];
  /** Whether that limit defers. */
  defers: readonly boolean[];
}

/** The room in a shape's counters. Of the limits that share a counter one at most is enforced: the other only looks. */
export function roomOf({ limits, counters }: Shape): Room {
  const most = counters.map(() => -1);
  const defers = counters.map(() => false);
  for (const { limit, counter } of limits) {
    if (limit.mode !== 'enforce' || limit.max === null) continue;
    most[counter] = limit.max;
    defers[counter] = limit.on_exceeded === 'defer';
  }
  return { most, defers };
}

/**
 * The least uses of each counter that pass a threshold of one of its limits, rising, each once: nothing that happens between
 * two of them is an alert.
 */
export function alertUsesOf({ limits, counters }: Shape): number[][] {
  const uses = counters.map(() => new Set<number>());
  for (const { limit, counter, thresholds } of limits) {
    for (const percent of thresholds) uses[counter]!.add(thresholdUse(limit.max!, percent));
  }
  return uses.map((one) => [...one].sort((a, b) => a - b));
}

/** The most shapes kept for one calendar. Each override in use makes one or a few. */
const SHAPES_MAX = 20_000;

/** The rules of an account's calendar: what it says itself, else what the workspace says. */
export function accountRules(settings: Settings, account: AccountCalendar | undefined): CalendarRules {
  return {
    timezone: account?.timezone ?? settings.timezone,
    week_start: settings.week_start,
    billing_anchor: account?.billing_anchor ?? settings.billing_anchor,
    billing_months: account?.billing_months ?? settings.billing_months,
  };
}

/**
 * Makes a planner. `calendarFor` gives the calendar of rules, the same object for the same rules.
 */
export function createPlanner(configuration: Configuration, calendarFor: (rules: CalendarRules) => Calendar): Planner {
  const { limits, settings } = configuration;
  const workspaceCalendar = calendarFor(accountRules(settings, undefined));
  const exemptTopics = new Set(settings.exempt_topics);
  const shapes = new Map<Calendar, Map<string, Shape>>();

  function calendarOf(account: KnownAccount | undefined): Calendar {
    return account === undefined ? workspaceCalendar : calendarFor(accountRules(settings, account.calendar));
  }

  function cachedShapes(calendar: Calendar): Map<string, Shape> {
    let cached = shapes.get(calendar);
    if (cached === undefined || cached.size >= SHAPES_MAX) {
      if (shapes.size >= SHAPES_MAX) shapes.clear();
      cached = new Map();
      shapes.set(calendar, cached);
    }
    return cached;
  }

  function plan(message: Message, instantMs: number, account: KnownAccount | undefined): Plan {
    const selection = limits.select(message, instantMs);
    let key = '';
    let byAccount = false;
    for (const limit of selection.limits) {
      key += `${limit.id},`;
      byAccount ||= limit.per.includes('account');
    }
    if (selection.fromMs !== Number.NEGATIVE_INFINITY || selection.toMs !== Number.POSITIVE_INFINITY) {
      key += `${selection.fromMs},${selection.toMs}`;
    }
    const calendar = byAccount ? calendarOf(account) : workspaceCalendar;
    const cached = cachedShapes(calendar);
    let shape = cached.get(key);
    if (shape === undefined || instantMs < shape.fromMs || instantMs >= shape.toMs) {
      shape = shapeOf(selection, settings.alert_thresholds, (limit) =>
        (limit.per.includes('account') ? calendar : workspaceCalendar).windowAt(limit.period, instantMs),
      );
      cached.set(key, shape);
    }
    return {
      shape,
      message,
      exempt: message.topic !== null && exemptTopics.has(message.topic),
      accountRevision: byAccount ? (account?.revision ?? 0) : null,
      membership: settings.require_membership && message.account !== null && message.user !== null,
    };
  }

  return {
    configuration,
    plan,
    counterAt(per, period, instantMs, account) {
      const calendar = per.includes('account') ? calendarOf(account) : workspaceCalendar;
      return { per, perMask: dimensionMask(per), period, window: calendar.windowAt(period, instantMs) };
    },
  };
}

function shapeOf(
  selection: { limits: Limit[]; fromMs: number; toMs: number },
  usualThresholds: readonly number[],
  windowOf: (limit: Limit) => Window,
): Shape {
  let { fromMs, toMs } = selection;
  const counters: PlannedCounter[] = [];
  const planned = selection.limits.map((limit): PlannedLimit => {
    const window = windowOf(limit);
    fromMs = Math.max(fromMs, window.startMs);
    toMs = Math.min(toMs, window.endMs);
    const perMask = dimensionMask(limit.per);
    let counter = counters.findIndex((other) => other.perMask === perMask && other.period === limit.period);
    if (counter === -1) counter = counters.push({ per: limit.per, perMask, period: limit.period, window }) - 1;
    const view: LimitView = {
      id: limit.id,
      per: limit.per,
      period: limit.period,
      max: limit.max,
      startMs: window.startMs,
      endMs: window.endMs,
      mode: limit.mode,
    };
    // Of 0 every part is 0, which no use passes: it is there from the start.
    const thresholds = limit.max === null || limit.max === 0 ? [] : (limit.alert_thresholds ?? usualThresholds);
    return { limit, view, counter, thresholds };
  });
  return { limits: planned, counters, fromMs, toMs };
}
