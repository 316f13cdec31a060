import { DIMENSIONS, type Dimension, type Limit, type LimitInput, PERIODS, type Period } from '../api/limits';
import { ordered } from './limit-words';

/** A limit for all messages, and those that override it for some, or for a time. */
export interface Family {
  key: string;
  per: Dimension[];
  period: Period;
  /** Null when there are only limits for some. */
  base: Limit | null;
  overrides: Limit[];
}

/** The limits that count the same, from the shortest period to the longest. */
export interface Group {
  key: string;
  per: Dimension[];
  families: Family[];
  count: number;
}

/** A line of the list. */
export type Line =
  | { kind: 'group'; key: string; group: Group; found: number | null }
  /** A base, or in its place that there is none. `shown` of its overrides are in the lines that follow. */
  | { kind: 'base'; key: string; family: Family; shown: number; isOpen: boolean }
  | { kind: 'override'; key: string; family: Family; limit: Limit; isLast: boolean };

/** Up to how many overrides are shown without being asked for. */
const OPEN_MAX = 8;

/** All limits, by what they count and over which period, each override under what it overrides. */
export function groupLimits(limits: readonly Limit[]): Group[] {
  const groups = new Map<string, Map<Period, Limit[]>>();
  for (const limit of limits) {
    const key = ordered(limit.per).join(' ');
    const group = groups.get(key) ?? new Map<Period, Limit[]>();
    groups.set(key, group);
    const same = group.get(limit.period);
    if (same === undefined) group.set(limit.period, [limit]);
    else same.push(limit);
  }
  return [...groups]
    .map(([key, byPeriod]) => {
      const per = key === '' ? [] : (key.split(' ') as Dimension[]);
      const families = PERIODS.flatMap((period) => familiesOf(key, per, period, byPeriod.get(period) ?? []));
      const count = families.reduce((sum, { base, overrides }) => sum + (base === null ? 0 : 1) + overrides.length, 0);
      return { key, per, families, count };
    })
    .sort((one, other) => rank(one.per) - rank(other.per));
}

/** Those of one (per, period): a shadow limit overrides shadow limits only. */
function familiesOf(groupKey: string, per: Dimension[], period: Period, limits: readonly Limit[]): Family[] {
  const [enforced, shadows] = (['enforce', 'shadow'] as const).map((mode) => {
    const some = limits.filter((limit) => limit.mode === mode);
    const base = some.find(isBase) ?? null;
    const key = `${groupKey} ${period} ${mode}`;
    return { key, per, period, base, overrides: sortOverrides(some.filter((limit) => limit !== base)) };
  }) as [Family, Family];
  const families = [enforced, shadows].filter(({ base, overrides }) => base !== null || overrides.length > 0);
  // Without a base of their own they stand with what is enforced.
  if (families.length < 2 || shadows.base !== null) return families;
  return [{ ...enforced, overrides: [...enforced.overrides, ...shadows.overrides] }];
}

/** Whether it stands for all messages, and for good. */
function isBase({ where, from, until }: Pick<LimitInput, 'where' | 'from' | 'until'>): boolean {
  return where === null && from === null && until === null;
}

/** What holds for the messages that an override does not match: the limit that it stands under. */
export function baseOf(
  limits: readonly Limit[],
  { per, period, mode, id }: Pick<LimitInput, 'per' | 'period' | 'mode' | 'id'>,
): Limit | null {
  const key = ordered(per).join(' ');
  return (
    limits.find(
      (limit) =>
        limit.id !== id &&
        limit.period === period &&
        limit.mode === mode &&
        isBase(limit) &&
        ordered(limit.per).join(' ') === key,
    ) ?? null
  );
}

/** How many limits stand under one. */
export function countOverrides(limits: readonly Limit[], base: Limit): number {
  const key = ordered(base.per).join(' ');
  return limits.filter(
    (limit) =>
      limit.id !== base.id &&
      limit.period === base.period &&
      limit.mode === base.mode &&
      ordered(limit.per).join(' ') === key,
  ).length;
}

/**
 * What is shown.
 * @param find what ids, values and reasons are narrowed to
 * @param choices what somebody has opened, and closed, by {@link choiceKey}
 */
export function linesOf(
  groups: readonly Group[],
  find: string | undefined,
  choices: ReadonlyMap<string, boolean>,
): Line[] {
  const sought = find?.toLowerCase();
  const lines: Line[] = [];
  for (const group of groups) {
    const own: Line[] = [];
    let count = 0;
    for (const family of group.families) {
      const { key, base, overrides } = family;
      const found = sought === undefined ? [] : overrides.filter((limit) => matches(limit, sought));
      const isFound = sought !== undefined && base !== null && matches(base, sought);
      if (sought !== undefined && found.length === 0 && !isFound) continue;
      const some = found.length > 0 ? found : overrides;
      count += found.length + (isFound ? 1 : 0);
      const isOpen = choices.get(choiceKey(key, find)) ?? (found.length > 0 || some.length <= OPEN_MAX);
      own.push({ kind: 'base', key, family, shown: some.length, isOpen });
      if (!isOpen) continue;
      some.forEach((limit, index) => {
        own.push({ kind: 'override', key: `limit ${limit.id}`, family, limit, isLast: index === some.length - 1 });
      });
    }
    if (own.length > 0) {
      lines.push({ kind: 'group', key: `group ${group.key}`, group, found: sought === undefined ? null : count });
      for (const line of own) lines.push(line);
    }
  }
  return lines;
}

/** What is opened or closed while something is looked for is so for that alone. */
export function choiceKey(familyKey: string, find: string | undefined): string {
  return `${familyKey}\n${find ?? ''}`;
}

function matches({ id, where, reason }: Limit, sought: string): boolean {
  if (id.toLowerCase().includes(sought) || reason?.toLowerCase().includes(sought)) return true;
  return where !== null && Object.values(where).some((value) => value.toLowerCase().includes(sought));
}

/** The broadest first: all messages, then what one dimension tells apart, then two. */
function rank(per: readonly Dimension[]): number {
  return per.reduce((sum, dimension) => sum + 2 ** DIMENSIONS.indexOf(dimension), per.length * 2 ** DIMENSIONS.length);
}

/** By what they name, then by its value, then by when they are in force. */
function sortOverrides(limits: readonly Limit[]): Limit[] {
  const keys = new Map<Limit, string>();
  for (const limit of limits) {
    const named = DIMENSIONS.filter((dimension) => limit.where?.[dimension] !== undefined);
    const places = named.map((dimension) => DIMENSIONS.indexOf(dimension)).join('');
    const values = named.map((dimension) => limit.where?.[dimension]).join('\n');
    keys.set(limit, `${places}\n${values}\n${limit.from ?? ''}`);
  }
  return [...limits].sort((one, other) => (keys.get(one)! < keys.get(other)! ? -1 : 1));
}
