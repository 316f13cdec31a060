import {
  DIMENSION_BIT,
  DIMENSIONS,
  dimensionMask,
  isTemporary,
  type Limit,
  type Message,
  PERIODS,
  type Where,
  whereMask,
} from './limit';

/** The limits that apply to a message at an instant, and how long that stays so. */
export interface Selection {
  /** At most one enforced and one shadow limit for each (per, period), in the order of verdicts. */
  limits: Limit[];
  /** The selection holds in `[fromMs, toMs)`, by the `from` and `until` of the limits that it looked at. */
  fromMs: number;
  toMs: number;
}

/** All limits of a workspace, indexed so that one override among 100,000 is found as fast as one among ten. */
export interface LimitSet {
  readonly size: number;
  get(id: string): Limit | undefined;
  /** In no particular order. */
  values(): IterableIterator<Limit>;
  /** Adds a limit, or replaces the one with its id. */
  put(limit: Limit): void;
  /** Removes the limit with that id, if there is one. */
  remove(id: string): void;
  /**
   * The limit that may not stand beside `limit`, or null: one with the same per, period, mode and where, when both
   * are lasting, or both temporary with overlapping times. A limit never conflicts with the one it replaces.
   */
  conflict(limit: Limit): Limit | null;
  /** The limits that apply to the message at an instant, in epoch milliseconds. */
  select(message: Message, instantMs: number): Selection;
}

/** The limits of one (per, period, mode), by what their `where` names. */
interface Group {
  perMask: number;
  order: number;
  /** The masks of `where` that occur, the strongest first. */
  masks: number[];
  byMask: Map<number, Map<string, Limit[]>>;
}

/** What a message or a `where` has in each dimension of the mask. Ids hold no control characters: no two collide. */
function keyOf(mask: number, values: Message | Where): string {
  let key = '';
  for (const dimension of DIMENSIONS) {
    if (mask & DIMENSION_BIT[dimension]) key += `${values[dimension]}\n`;
  }
  return key;
}

function messageMask(message: Message): number {
  return (
    (message.user === null ? 0 : DIMENSION_BIT.user) |
    (message.account === null ? 0 : DIMENSION_BIT.account) |
    (message.topic === null ? 0 : DIMENSION_BIT.topic) |
    (message.channel === null ? 0 : DIMENSION_BIT.channel)
  );
}

/** When a limit is in force, in epoch milliseconds: `[fromMs, untilMs)`. */
export function inForce(limit: Pick<Limit, 'from' | 'until'>): { fromMs: number; untilMs: number } {
  return {
    fromMs: limit.from === null ? Number.NEGATIVE_INFINITY : Date.parse(limit.from),
    untilMs: limit.until === null ? Number.POSITIVE_INFINITY : Date.parse(limit.until),
  };
}

function overlaps(a: Limit, b: Limit): boolean {
  const [forceA, forceB] = [inForce(a), inForce(b)];
  return forceA.fromMs < forceB.untilMs && forceB.fromMs < forceA.untilMs;
}

/** An empty set of limits. */
export function createLimitSet(): LimitSet {
  const byId = new Map<string, Limit>();
  const groups = new Map<number, Group>();
  /** The groups in the order of verdicts: by what they count, then from the shortest period to the longest. */
  let ordered: Group[] = [];

  // The order doubles as the group's identity: per, then period, then mode.
  const orderOf = (limit: Limit) =>
    (dimensionMask(limit.per) * PERIODS.length + PERIODS.indexOf(limit.period)) * 2 + (limit.mode === 'shadow' ? 1 : 0);

  function siblings(limit: Limit): Limit[] {
    const mask = whereMask(limit.where);
    return (
      groups
        .get(orderOf(limit))
        ?.byMask.get(mask)
        ?.get(keyOf(mask, limit.where ?? {})) ?? []
    );
  }

  function put(limit: Limit): void {
    remove(limit.id);
    byId.set(limit.id, limit);
    const order = orderOf(limit);
    let group = groups.get(order);
    if (group === undefined) {
      group = { perMask: dimensionMask(limit.per), order, masks: [], byMask: new Map() };
      groups.set(order, group);
      ordered = [...groups.values()].sort((a, b) => a.order - b.order);
    }
    const mask = whereMask(limit.where);
    let byKey = group.byMask.get(mask);
    if (byKey === undefined) {
      byKey = new Map();
      group.byMask.set(mask, byKey);
      group.masks = [...group.byMask.keys()].sort((a, b) => b - a);
    }
    const key = keyOf(mask, limit.where ?? {});
    const same = byKey.get(key);
    if (same === undefined) byKey.set(key, [limit]);
    else same.push(limit);
  }

  function remove(id: string): void {
    const limit = byId.get(id);
    if (limit === undefined) return;
    byId.delete(id);
    const order = orderOf(limit);
    const group = groups.get(order)!;
    const mask = whereMask(limit.where);
    const byKey = group.byMask.get(mask)!;
    const key = keyOf(mask, limit.where ?? {});
    const rest = byKey.get(key)!.filter((other) => other.id !== id);
    if (rest.length > 0) {
      byKey.set(key, rest);
      return;
    }
    byKey.delete(key);
    if (byKey.size > 0) return;
    group.byMask.delete(mask);
    group.masks = group.masks.filter((other) => other !== mask);
    if (group.masks.length > 0) return;
    groups.delete(order);
    ordered = ordered.filter((other) => other !== group);
  }

  function select(message: Message, instantMs: number): Selection {
    const selection: Selection = { limits: [], fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
    const has = messageMask(message);
    for (const group of ordered) {
      if ((group.perMask & has) !== group.perMask) continue;
      for (const mask of group.masks) {
        if ((mask & has) !== mask) continue;
        const candidates = group.byMask.get(mask)!.get(keyOf(mask, message));
        if (candidates === undefined) continue;
        const limit = strongest(candidates, instantMs, selection);
        if (limit === null) continue;
        selection.limits.push(limit);
        break;
      }
    }
    return selection;
  }

  return {
    get size() {
      return byId.size;
    },
    get: (id) => byId.get(id),
    values: () => byId.values(),
    put,
    remove,
    conflict: (limit) =>
      siblings(limit).find(
        (other) =>
          other.id !== limit.id &&
          isTemporary(other) === isTemporary(limit) &&
          (!isTemporary(limit) || overlaps(other, limit)),
      ) ?? null,
    select,
  };
}

/**
 * Of limits with the same `where`, the one that rules at an instant: a temporary one in force before a lasting one.
 * Narrows the selection to the time for which that answer, including "none", stays the same.
 */
function strongest(candidates: Limit[], instantMs: number, selection: Selection): Limit | null {
  let found: Limit | null = null;
  for (const limit of candidates) {
    if (!isTemporary(limit)) {
      found ??= limit;
      continue;
    }
    const { fromMs, untilMs } = inForce(limit);
    if (instantMs < fromMs) selection.toMs = Math.min(selection.toMs, fromMs);
    else if (instantMs >= untilMs) selection.fromMs = Math.max(selection.fromMs, untilMs);
    else {
      selection.fromMs = Math.max(selection.fromMs, fromMs);
      selection.toMs = Math.min(selection.toMs, untilMs);
      found = limit;
    }
  }
  return found;
}
