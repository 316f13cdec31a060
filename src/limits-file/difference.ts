import type { Limit } from '../limits/limit';
import { createLimitSet, type LimitSet } from '../limits/limit-set';
import type { Configuration } from '../limits/plan';
import type { Settings } from '../limits/settings';
import { type AuditEvent, type ConfigurationWrite, SETTINGS_ID } from '../store/configuration';
import { shownSettings } from '../store/shown-settings';
import { type FileLimit, type LimitsFile, limitInForce, sameGround } from './parse';
import type { FileProblem } from './yaml';

/** One field that becomes something else. */
export interface FieldChange {
  field: string;
  before: unknown;
  after: unknown;
}

/** What stands between what is in force and what a limits file says. */
export interface Difference {
  created: Limit[];
  updated: { before: Limit; after: Limit; fields: FieldChange[] }[];
  removed: Limit[];
  /** How many limits of the file are in force as it says. */
  unchanged: number;
  /** Null when the settings that the file names are what it says. */
  settings: { before: Settings; after: Settings; fields: FieldChange[] } | null;
}

/** The fields of a limit that a file decides. */
const LIMIT_FIELDS = [
  'per',
  'period',
  'max',
  'where',
  'mode',
  'on_exceeded',
  'on_redis_down',
  'alert_thresholds',
  'from',
  'until',
  'reason',
] as const satisfies readonly (keyof Limit)[];

/**
 * Works out what applying the file would change: it creates and updates its own limits and removes those that an
 * earlier file brought and this one lacks. Limits that were made over the API stay, and where one of the file's has
 * the id of one of them, or could not apply beside it, the file as a whole is refused, with every such limit named.
 *
 * @param now when it is applied, RFC 3339 in UTC
 */
export function differenceOf(
  { limits, settings }: Pick<Configuration, 'limits' | 'settings'>,
  file: LimitsFile,
  now: string,
): Difference | { refused: FileProblem[] } {
  const foreign = foreignOf(limits);

  const difference: Difference = { created: [], updated: [], removed: [], unchanged: 0, settings: null };
  const refused: FileProblem[] = [];
  const kept = new Set<string>();
  for (const entry of file.limits) {
    const { limit } = entry;
    kept.add(limit.id);
    const present = limits.get(limit.id);
    const before = present?.source === 'file' ? present : undefined;
    const fields = before === undefined ? [] : fieldChanges(before, limit, LIMIT_FIELDS);
    if (before !== undefined && fields.length === 0) {
      difference.unchanged += 1;
      continue;
    }
    const problem = problemBeside(foreign, entry, now);
    if (problem !== null) refused.push(problem);
    else if (before === undefined) difference.created.push(limitInForce(limit, now, now));
    else difference.updated.push({ before, after: limitInForce(limit, before.created_at, now), fields });
  }
  if (refused.length > 0) return { refused };

  for (const limit of limits.values()) {
    if (limit.source === 'file' && !kept.has(limit.id)) difference.removed.push(limit);
  }
  const after = { ...settings, ...file.settings };
  const fields = fieldChanges(settings, after, Object.keys(file.settings) as (keyof Settings)[]);
  if (fields.length > 0) difference.settings = { before: settings, after, fields };
  return difference;
}

/**
 * Works out what would change if the file's limits took the place of those that were made over the API and are in their way.
 * Applying the file is refused then: `inTheWay` names them.
 *
 * @param now as of {@link differenceOf}
 */
export function differenceInTrial(
  { limits, settings }: Pick<Configuration, 'limits' | 'settings'>,
  file: LimitsFile,
  now: string,
): { difference: Difference; inTheWay: string[] } {
  const foreign = foreignOf(limits);
  const inTheWay = new Set<string>();
  for (const { limit } of file.limits) {
    const candidate = limitInForce(limit, now, now);
    const next = () => foreign.get(limit.id) ?? foreign.conflict(candidate);
    for (let other = next(); other !== null; other = next()) {
      foreign.remove(other.id);
      inTheWay.add(other.id);
    }
  }
  const asOfTheFile = createLimitSet();
  for (const limit of limits.values()) asOfTheFile.put(inTheWay.has(limit.id) ? { ...limit, source: 'file' } : limit);
  const difference = differenceOf({ limits: asOfTheFile, settings }, file, now);
  if ('refused' in difference) throw new Error('something else is in the way of the limits file');
  return { difference, inTheWay: [...inTheWay] };
}

/** The limits that no file brought. */
function foreignOf(limits: LimitSet): LimitSet {
  const foreign = createLimitSet();
  for (const limit of limits.values()) if (limit.source !== 'file') foreign.put(limit);
  return foreign;
}

/** Whether the file says what is in force. */
export function isSame(difference: Difference): boolean {
  const { created, updated, removed, settings } = difference;
  return created.length === 0 && updated.length === 0 && removed.length === 0 && settings === null;
}

/** What to write, and to tell the audit trail, to make the difference. */
export function changeFor(difference: Difference): { writes: ConfigurationWrite[]; events: AuditEvent[] } {
  const writes: ConfigurationWrite[] = [];
  const events: AuditEvent[] = [];
  const change = (type: string, id: string, before: Limit | undefined, after: Limit | undefined) => {
    writes.push({ id, value: after ?? null });
    events.push({ type, target: `limit:${id}`, before, after });
  };
  for (const limit of difference.removed) change('limit.deleted', limit.id, limit, undefined);
  for (const { before, after } of difference.updated) change('limit.updated', after.id, before, after);
  for (const limit of difference.created) change('limit.created', limit.id, undefined, limit);
  if (difference.settings !== null) {
    const { before, after } = difference.settings;
    writes.push({ id: SETTINGS_ID, value: after });
    events.push({
      type: 'settings.updated',
      target: 'settings',
      before: shownSettings(before),
      after: shownSettings(after),
    });
  }
  return { writes, events };
}

function problemBeside(foreign: LimitSet, entry: FileLimit, now: string): FileProblem | null {
  const { limit, index, line, column } = entry;
  const refusal = (message: string) => ({ line, column, path: `limits[${index}]`, message });
  if (foreign.get(limit.id) !== undefined) {
    return refusal(
      `"${limit.id}" is the id of a limit that was made over the API: ` +
        `remove that one (DELETE /limits/${limit.id}), or give this one another id`,
    );
  }
  const candidate = limitInForce(limit, now, now);
  const other = foreign.conflict(candidate);
  if (other === null) return null;
  return refusal(
    `"${limit.id}" ${sameGround(candidate)} as "${other.id}", which was made over the API: ` +
      `remove that one (DELETE /limits/${other.id}), or this one from the file`,
  );
}

function fieldChanges<Field extends string>(
  before: { readonly [F in Field]?: unknown },
  after: { readonly [F in Field]?: unknown },
  fields: readonly Field[],
): FieldChange[] {
  return fields
    .filter((field) => !means(before[field], after[field]))
    .map((field) => ({ field, before: before[field], after: after[field] }));
}

/** Whether two values mean the same: every list of limits and settings is a set, and fields have no order. */
function means(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    const [setA, setB] = [new Set(a), new Set(b)];
    return setA.size === setB.size && a.every((item) => setB.has(item));
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  return Object.keys({ ...a, ...b }).every((key) => means(Reflect.get(a, key), Reflect.get(b, key)));
}
