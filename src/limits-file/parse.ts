import { isUtf8 } from 'node:buffer';
import type { z } from 'zod';
import { isTemporary, type Limit, type LimitInput, limitInputSchema } from '../limits/limit';
import { createLimitSet } from '../limits/limit-set';
import { fileSettingsSchema, type Settings } from '../limits/settings';
import { type FileProblem, type Path, PROBLEMS_MAX, pathText, readYaml, type YamlSource } from './yaml';

/** The largest limits file, in bytes. */
export const FILE_MAX_BYTES = 5_000_000;

/** The most limits in one file: a change of them all is one write, which holds Redis for about 15 ms for each 1,000. */
export const FILE_MAX_LIMITS = 10_000;

/** A limit of the file, and where it stands there. */
export interface FileLimit {
  limit: LimitInput & { id: string };
  /** Which of the file's limits it is, from 0. */
  index: number;
  line: number;
  column: number;
}

/** What a limits file says. */
export interface LimitsFile {
  limits: FileLimit[];
  /** Only the settings that the file names. */
  settings: Partial<Settings>;
}

/** What became of reading a limits file: what it says, or everything that is wrong with it, in the order of lines. */
export type ParsedFile = { file: LimitsFile } | { problems: FileProblem[] };

/** A limit of the file as one in force. */
export function limitInForce(limit: FileLimit['limit'], createdAt: string, updatedAt: string): Limit {
  return { ...limit, source: 'file', created_at: createdAt, updated_at: updatedAt };
}

/**
 * Reads a limits file: YAML in UTF-8 with a list `limits`, each as in `POST /limits` but with an id, and, if it likes,
 * `settings` as in `PATCH /settings`, without `alert_webhooks`. A file without settings may also be that list itself.
 */
export function parseLimitsFile(bytes: Uint8Array): ParsedFile {
  if (bytes.byteLength > FILE_MAX_BYTES) return { problems: [tooLarge()] };
  if (!isUtf8(bytes)) return { problems: [notUtf8(bytes)] };
  const source = readYaml(new TextDecoder().decode(bytes));
  if ('problems' in source) return { problems: inOrder(source.problems) };

  const problems: FileProblem[] = [];
  const file = readFile(source, (path, message, what = 'value') => {
    const place = what === 'name' ? source.placeOfName(path) : source.placeOf(path);
    problems.push({ ...place, path: pathText(path), message });
  });
  return problems.length > 0 ? { problems: inOrder(problems) } : { file };
}

/** The problem of a file that is larger than {@link FILE_MAX_BYTES}. */
export function tooLarge(): FileProblem {
  return { line: 1, column: 1, path: '', message: `must be at most ${FILE_MAX_BYTES / 1_000_000} MB` };
}

function notUtf8(bytes: Uint8Array): FileProblem {
  const newline = 0x0a; // Never a part of a longer character.
  let line = 1;
  let start = 0;
  for (;;) {
    const found = bytes.indexOf(newline, start);
    const end = found === -1 ? bytes.length : found;
    if (!isUtf8(bytes.subarray(start, end)) || found === -1) {
      const column = new TextDecoder().decode(bytes.subarray(start, end)).indexOf('\ufffd') + 1;
      return { line, column: Math.max(column, 1), path: '', message: 'is not UTF-8' };
    }
    line += 1;
    start = found + 1;
  }
}

function inOrder(problems: FileProblem[]): FileProblem[] {
  const sorted = problems.sort((a, b) => a.line - b.line || a.column - b.column);
  const left = sorted.length - PROBLEMS_MAX;
  if (left <= 0) return sorted;
  const last = sorted[PROBLEMS_MAX]!;
  return [...sorted.slice(0, PROBLEMS_MAX), { ...last, path: '', message: `and ${left} more from here on` }];
}

type Report = (path: Path, message: string, what?: 'value' | 'name') => void;

const TOP_LEVEL = ['limits', 'settings'];

function readFile({ value, placeOf }: YamlSource, report: Report): LimitsFile {
  const file: LimitsFile = { limits: [], settings: {} };
  if (Array.isArray(value)) {
    readLimits(value, [], file, placeOf, report);
    return file;
  }
  if (!isMapping(value)) {
    report([], 'must be a mapping with the field limits, or the list of limits itself');
    return file;
  }
  for (const name of Object.keys(value)) {
    if (!TOP_LEVEL.includes(name)) report([name], `is not known here: there are ${TOP_LEVEL.join(' and ')}`, 'name');
  }

  if (value.settings !== undefined) {
    const settings = fileSettingsSchema.safeParse(value.settings, { error: wordsOf });
    if (settings.success) Object.assign(file.settings, settings.data);
    else reportIssues(settings.error.issues, ['settings'], report);
  }

  if (!Array.isArray(value.limits)) {
    report(['limits'], value.limits === undefined ? 'is missing' : 'must be a list: for no limits, write `[]`');
    return file;
  }
  readLimits(value.limits, ['limits'], file, placeOf, report);
  return file;
}

/** Reads the list of limits, which stands at a path of the file. */
function readLimits(
  items: readonly unknown[],
  at: Path,
  file: LimitsFile,
  placeOf: YamlSource['placeOf'],
  report: Report,
): void {
  if (items.length > FILE_MAX_LIMITS) {
    report([...at, FILE_MAX_LIMITS], `is one too many: a file has at most ${FILE_MAX_LIMITS} limits`);
    return;
  }
  items.forEach((item, index) => {
    const path = [...at, index];
    const limit = limitInputSchema.safeParse(item, { error: wordsOf });
    if (!limit.success) reportIssues(limit.error.issues, path, report);
    if (isMapping(item) && item.id === undefined) {
      report([...path, 'id'], 'is missing: it tells a changed limit from a new one');
    } else if (limit.success) {
      file.limits.push({ limit: limit.data as FileLimit['limit'], index, ...placeOf(path) });
    }
  });
  reportDuplicates(file.limits, at, report);
}

function reportDuplicates(limits: FileLimit[], at: Path, report: Report): void {
  const set = createLimitSet();
  const byId = new Map<string, FileLimit>();
  for (const entry of limits) {
    const { limit, index } = entry;
    const same = byId.get(limit.id);
    if (same !== undefined) {
      const first = pathText([...at, same.index]);
      report([...at, index, 'id'], `is the id of ${first} too (line ${same.line})`);
      continue;
    }
    byId.set(limit.id, entry);
    // Since when a limit is there makes no difference to what it conflicts with.
    const candidate = limitInForce(limit, '', '');
    const conflict = set.conflict(candidate);
    if (conflict === null) {
      set.put(candidate);
      continue;
    }
    const other = byId.get(conflict.id)!;
    const place = `${pathText([...at, other.index])}, line ${other.line}`;
    report([...at, index], `"${limit.id}" ${sameGround(candidate)} as "${conflict.id}" (${place})`);
  }
}

/** What two conflicting limits have in common: "... as" the other. */
export function sameGround(limit: Limit): string {
  return isTemporary(limit)
    ? 'is in force at the same time, with the same per, period, mode and where,'
    : 'has the same per, period, mode and where';
}

function reportIssues(issues: z.core.$ZodIssue[], at: Path, report: Report): void {
  const byPath = new Map<string, z.core.$ZodIssue>();
  for (const issue of issues) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) report([...at, ...issue.path, key], 'is not known here', 'name');
      continue;
    }
    // What has the wrong type often has the wrong size as well; of two sizes the second is the narrower one.
    const path = pathText(issue.path);
    const told = byPath.get(path);
    if (told === undefined || told.code === issue.code) byPath.set(path, issue);
  }
  for (const issue of byPath.values()) report([...at, ...issue.path], issue.message);
}

/** Words for who writes YAML. Those that a schema brings itself are kept. */
function wordsOf(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type') {
    if (issue.input === undefined) return 'is missing';
    if (issue.expected === 'string' && ['number', 'boolean'].includes(typeof issue.input)) {
      return 'must be text: put it in quotes';
    }
    return `must be ${TYPE_WORDS[issue.expected] ?? issue.expected}`;
  }
  if (issue.code === 'invalid_value') {
    return issue.input === undefined ? 'is missing' : `must be one of ${issue.values.map(String).join(', ')}`;
  }
  if (issue.code === 'too_big' && issue.origin === 'array') return `must have at most ${issue.maximum} items`;
  if (issue.code === 'too_big' && issue.origin === 'string') return `must have at most ${issue.maximum} characters`;
  if (issue.code === 'too_big') return `must be at most ${issue.maximum}`;
  if (issue.code === 'too_small') return `must be at least ${issue.minimum}`;
  return undefined;
}

const TYPE_WORDS: Record<string, string> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
  object: 'a mapping',
  string: 'text',
};

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
