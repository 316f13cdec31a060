import type { Limit } from '../limits/limit';
import type { Configuration } from '../limits/plan';
import { affectedWords } from '../limits/what-if-words';
import type { WhatIf, WhatIfs } from '../log/what-if';
import type { Actor } from '../store/actor';
import type { ConfigurationStore } from '../store/configuration';
import { isRedisUnavailable } from '../store/failure';
import { applyLimitsFile, type Summary, summaryOf } from './apply';
import { type Difference, differenceInTrial, differenceOf, type FieldChange, isSame } from './difference';
import { type LimitsFile, parseLimitsFile } from './parse';
import { collect, readLimitsFile } from './read';
import { type FileProblem, problemText } from './yaml';

/** What a command has to say, and the exit code to say it with. */
export interface CommandResult {
  stdout: string;
  stderr: string;
  exitCode: number;
}

export interface CommandDeps {
  /** What `-f -` reads. */
  stdin: AsyncIterable<Uint8Array>;
  /** Opens the workspace's configuration. Only called for a file that is valid. */
  configuration: () => Promise<ConfigurationStore>;
  /** Epoch milliseconds. */
  nowMs: () => number;
  actor: Actor;
}

/** What `simulate` needs beyond that. */
export interface SimulateDeps extends CommandDeps {
  /** What tries changes, in the workspace of `configuration`, which is opened first. */
  whatIfs: () => Promise<WhatIfs>;
}

/** Exit codes of `limits diff`, those of `diff` itself. The other commands end with 0 or, for any failure, 1. */
const DIFF_EXIT = { same: 0, different: 1, failed: 2 } as const;

/** `sendgate limits validate -f`: says everything that is wrong with the file. Redis is not asked. */
export async function validateCommand(deps: Pick<CommandDeps, 'stdin'>, path: string): Promise<CommandResult> {
  const read = await readFileOf(deps, path);
  if ('failure' in read) return failed(read.failure, 1);
  const { limits, settings } = read.file;
  const named = Object.keys(settings);
  const also = named.length === 0 ? '' : `, and settings: ${named.join(', ')}`;
  return { stdout: `${path} is valid: ${counted(limits.length, 'limit')}${also}\n`, stderr: '', exitCode: 0 };
}

/**
 * `sendgate limits diff -f`: shows what applying the file would change. It ends with 0 when that is nothing, 1 when it
 * is something, and 2 when it cannot be told.
 */
export async function diffCommand(deps: CommandDeps, path: string): Promise<CommandResult> {
  const result = await compare(deps, path, differenceOf);
  if ('failure' in result) return failed(result.failure, DIFF_EXIT.failed);
  return {
    stdout: differenceText(result.compared),
    stderr: '',
    exitCode: isSame(result.compared) ? DIFF_EXIT.same : DIFF_EXIT.different,
  };
}

/** `sendgate limits apply -f [--dry-run]`: makes the limits what the file says, or only shows what that would change. */
export async function applyCommand(
  deps: CommandDeps,
  path: string,
  options: { dryRun: boolean },
): Promise<CommandResult> {
  if (options.dryRun) {
    const result = await compare(deps, path, differenceOf);
    if ('failure' in result) return failed(result.failure, 1);
    const stdout = `${differenceText(result.compared)}Dry run: nothing was changed.\n`;
    return { stdout, stderr: '', exitCode: 0 };
  }
  const read = await readFileOf(deps, path);
  if ('failure' in read) return failed(read.failure, 1);
  const result = await orUnavailable(async () => {
    const configuration = await deps.configuration();
    return applyLimitsFile({ configuration, nowMs: deps.nowMs }, read.file, deps.actor, 'cli');
  });
  // The answer may have been lost rather than the change, which makes no difference to what to do.
  if ('failure' in result) return failed(`${result.failure} Apply the file again: that does no harm.\n`, 1);
  if ('refused' in result) return failed(refusalText(path, result.refused), 1);
  return { stdout: `Applied: ${summaryText(result.applied)}.\n`, stderr: '', exitCode: 0 };
}

const DAY_MS = 86_400_000;

/**
 * `sendgate limits simulate -f [--days]`: says what the file would have done in the last days. Nothing is changed. It ends
 * with 0 whatever that is.
 */
export async function simulateCommand(
  deps: SimulateDeps,
  path: string,
  { days }: { days: number },
): Promise<CommandResult> {
  const result = await compare(deps, path, differenceInTrial);
  if ('failure' in result) return failed(result.failure, 1);
  const { difference, inTheWay } = result.compared;
  const { created, updated, removed, settings } = difference;
  const tried = await orUnavailable(async () => {
    const configuration = (await deps.configuration()).planner()!.configuration;
    return (await deps.whatIfs()).try(
      configuration,
      {
        put: [...created, ...updated.map(({ after }) => after)],
        removed: removed.map(({ id }) => id),
        settings: settings?.after,
      },
      (nowMs) => nowMs - days * DAY_MS,
    );
  });
  if ('failure' in tried) return failed(`${tried.failure}\n`, 1);
  // The file has been held against what is in force, and this process tries nothing else.
  if (tried.kind !== 'done') throw new Error(`the file could not be tried: ${tried.kind}`);
  const notes = inTheWay.map(
    (id) =>
      `"${id}" was made over the API, and the file's limit took its place here. The file can be applied once it is gone.`,
  );
  return { stdout: whatIfText(tried.whatIf, notes), stderr: '', exitCode: 0 };
}

async function compare<Compared extends object>(
  deps: CommandDeps,
  path: string,
  how: (configuration: Configuration, file: LimitsFile, now: string) => Compared | { refused: FileProblem[] },
): Promise<{ compared: Compared } | { failure: string }> {
  const read = await readFileOf(deps, path);
  if ('failure' in read) return read;
  const result = await orUnavailable(async () => {
    const configuration = await deps.configuration();
    await configuration.refresh();
    return how(configuration.planner()!.configuration, read.file, new Date(deps.nowMs()).toISOString());
  });
  if ('failure' in result) return { failure: `${result.failure}\n` };
  if ('refused' in result) return { failure: refusalText(path, result.refused) };
  return { compared: result };
}

async function readFileOf(
  deps: Pick<CommandDeps, 'stdin'>,
  path: string,
): Promise<{ file: LimitsFile } | { failure: string }> {
  const bytes = path === '-' ? await collect(deps.stdin) : await readLimitsFile(path);
  if ('unreadable' in bytes) return { failure: `${path}: ${bytes.unreadable}\n` };
  const parsed = parseLimitsFile(bytes);
  return 'file' in parsed ? parsed : { failure: problemLines(path, parsed.problems) };
}

async function orUnavailable<T>(work: () => Promise<T>): Promise<T | { failure: string }> {
  try {
    return await work();
  } catch (error) {
    if (!isRedisUnavailable(error)) throw error;
    return { failure: `Redis does not answer: ${(error as Error).message}.` };
  }
}

function failed(stderr: string, exitCode: number): CommandResult {
  return { stdout: '', stderr, exitCode };
}

function problemLines(path: string, problems: FileProblem[]): string {
  return problems.map((problem) => `${problemText(path === '-' ? '<stdin>' : path, problem)}\n`).join('');
}

function refusalText(path: string, refused: FileProblem[]): string {
  return `${problemLines(path, refused)}Refused: nothing was changed.\n`;
}

function differenceText(difference: Difference): string {
  if (isSame(difference)) return `No difference: ${counted(difference.unchanged, 'limit')} as in the file.\n`;
  const lines = [
    ...difference.created.map((limit) => `+ ${limit.id}: ${limitText(limit)}`),
    ...difference.updated.map(({ after, fields }) => `~ ${after.id}: ${fields.map(changeText).join(', ')}`),
    ...difference.removed.map((limit) => `- ${limit.id}: ${limitText(limit)}`),
    ...(difference.settings === null ? [] : [`~ settings: ${difference.settings.fields.map(changeText).join(', ')}`]),
  ];
  const { created, updated, removed, unchanged } = summaryOf(difference);
  return `${lines.join('\n')}\n${created} to create, ${updated} to update, ${removed} to remove, ${unchanged} unchanged.\n`;
}

/** What sets a limit apart: `per [user], day, max 10, where {"topic":"marketing"}`. */
function limitText({ per, period, max, where, mode, from, until }: Limit): string {
  return [
    `per [${per.join(', ')}]`,
    period,
    `max ${max ?? 'none'}`,
    ...(where === null ? [] : [`where ${JSON.stringify(where)}`]),
    ...(mode === 'enforce' ? [] : [mode]),
    ...(from === null ? [] : [`from ${from}`]),
    ...(until === null ? [] : [`until ${until}`]),
  ].join(', ');
}

function changeText({ field, before, after }: FieldChange): string {
  return `${field} ${JSON.stringify(before)} → ${JSON.stringify(after)}`;
}

function whatIfText({ summary, notes: known, comparison }: WhatIf, more: readonly string[]): string {
  const notes = [...known, ...more];
  const { affected, limits } = comparison;
  const named = (['users', 'accounts', 'topics'] as const).flatMap((kind) =>
    affected[kind].length === 0
      ? []
      : [
          `\nThe ${kind} most affected:\n`,
          ...affected[kind].map((one) => `  ${JSON.stringify(one.id)}: ${affectedWords(one)}\n`),
        ],
  );
  const counts = (count: number | null) => (count === null ? 'not in force' : counted(count, 'message'));
  const byLimit = limits.map(
    ({ id, mode, before, after }) =>
      `  ${id}${mode === 'shadow' ? ' (shadow)' : ''}: ${counts(before)} → ${counts(after)}\n`,
  );
  return [
    `${summary}\n`,
    ...named,
    ...(byLimit.length === 0 ? [] : ['\nHow many messages limits had no room for:\n', ...byLimit]),
    ...(notes.length === 0 ? [] : ['\nTo be known:\n', ...notes.map((note) => `  ${note}\n`)]),
    'Nothing was changed.\n',
  ].join('');
}

function summaryText({ created, updated, removed, unchanged, settings }: Summary): string {
  const limits = `${created} created, ${updated} updated, ${removed} removed, ${unchanged} unchanged`;
  return settings === 'updated' ? `${limits}; settings updated` : limits;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
