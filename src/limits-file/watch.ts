import { createHash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { LimitSet } from '../limits/limit-set';
import type { ConfigurationStore } from '../store/configuration';
import { isRedisUnavailable } from '../store/failure';
import { applyLimitsFile } from './apply';
import type { LimitsFile, ParsedFile } from './parse';
import { readLimitsFile } from './read';
import { type FileProblem, problemText } from './yaml';

/** How applying the file went: it is in force, is not valid, cannot stand beside limits from the API, or is not there. */
export type FileOutcome = 'applied' | 'bad' | 'refused' | 'unreadable';

/** A limits file that is kept in force. */
export interface LimitsFileWatch {
  /** How it went at the start. It waits for Redis as long as it takes, unless `stop` comes first. */
  readonly first: Promise<FileOutcome | 'stopped'>;
  /** Ends it, after what is being applied. */
  stop(): Promise<void>;
}

/** Takes one line of the log: what happened, and what to know of it. */
type LogLine = (message: string, fields: Record<string, unknown>) => unknown;

export interface LimitsFileWatchDeps {
  path: string;
  configuration: Pick<ConfigurationStore, 'planner' | 'refresh' | 'change'>;
  parse: (bytes: Uint8Array) => Promise<ParsedFile>;
  /** Epoch milliseconds, Redis's as far as known. */
  nowMs: () => number;
  log: { info: LogLine; warn: LogLine; error: LogLine };
  /** For how long a file must stay as it is before it is read as a whole, in milliseconds. */
  settleMs?: number;
  /** How often to look without having been told of a change, in milliseconds. */
  pollMs?: number;
}

/** How many problems of a bad file go into its one line of the log. */
const PROBLEMS_LOGGED_MAX = 50;

/** The content that was seen last, and how far applying it has come. */
interface Content {
  hash: string;
  /** Null when it is bad: there is nothing more to do with it. */
  file: LimitsFile | null;
  /** The version of the configuration at which it was applied or refused; null before either. */
  version: number | null;
  refused: boolean;
}

/**
 * Applies a limits file now and whenever its content changes: edited in place, replaced by another, or behind a symlink
 * that is moved to another folder, as Kubernetes does with a ConfigMap. The folder is watched for that; since file
 * systems may keep changes to themselves, the file is also read every few seconds.
 *
 * What is in force stays as it is while the file is bad, refused, not there, or Redis does not answer. A refused file
 * is tried again when the configuration has changed, and any while Redis was away. It is applied again, too, when Redis
 * has lost what was applied. Each outcome is logged once.
 *
 * Any number of processes may watch copies of the same file: whoever comes second finds nothing to change.
 */
export function watchLimitsFile(deps: LimitsFileWatchDeps): LimitsFileWatch {
  const { path, configuration, parse, nowMs, log, settleMs = 250, pollMs = 5_000 } = deps;
  let content: Content | null = null;
  /** A new content that must be there unchanged a little longer: it may still be being written. */
  let candidate: string | null = null;
  let settling: NodeJS.Timeout | null = null;
  let folder: { watcher: FSWatcher; inode: number } | null = null;
  let told = '';
  let readable = true;
  let stopped = false;
  let tellFirst: (outcome: FileOutcome | 'stopped') => void = () => undefined;
  const first = new Promise<FileOutcome | 'stopped'>((resolve) => {
    tellFirst = resolve;
  });

  /** Says what was done. */
  function report(message: string, fields: Record<string, unknown> = {}): void {
    told = '';
    log.info(message, { file: path, ...fields });
  }

  /** Says what is wrong, unless it was the last thing that was said: every look finds it again. */
  function complain(level: 'warn' | 'error', message: string, fields: Record<string, unknown> = {}): void {
    const line = JSON.stringify([message, fields]);
    if (line === told) return;
    told = line;
    log[level](message, { file: path, ...fields });
  }

  function settle(): void {
    if (stopped) return;
    if (settling !== null) clearTimeout(settling);
    settling = setTimeout(() => {
      settling = null;
      enqueue(() => look('settled'));
    }, settleMs);
    settling.unref();
  }

  async function look(why: 'start' | 'settled' | 'poll'): Promise<void> {
    const bytes = await readLimitsFile(path);
    if ('unreadable' in bytes) {
      candidate = null;
      readable = false;
      complain('error', `The limits file cannot be read: ${bytes.unreadable}. What is in force stays.`);
      tellFirst('unreadable');
      return;
    }
    const hash = createHash('sha256').update(bytes).digest('hex');
    if (hash !== content?.hash) {
      if (why !== 'start' && hash !== candidate) {
        candidate = hash;
        settle();
        return;
      }
      const parsed = await parse(bytes);
      content = { hash, file: 'file' in parsed ? parsed.file : null, version: null, refused: false };
      if ('problems' in parsed) {
        complain(
          'error',
          'The limits file is not valid: what is in force stays.',
          problemFields(path, parsed.problems),
        );
        tellFirst('bad');
      }
    }
    candidate = null;
    if (!readable) {
      readable = true;
      report('The limits file can be read again.');
    }
    if (content.file !== null) await bringIntoForce(content, content.file);
  }

  async function bringIntoForce(current: Content, file: LimitsFile): Promise<void> {
    if (current.version !== null) {
      await configuration.refresh();
      if (!isDueAgain(current, file)) return;
    }
    const result = await applyLimitsFile({ configuration, nowMs }, file, { id: 'file', name: path }, 'file');
    current.version = configuration.planner()!.configuration.version;
    current.refused = 'refused' in result;
    if ('refused' in result) {
      complain('error', 'The limits file is refused: what is in force stays.', problemFields(path, result.refused));
      tellFirst('refused');
    } else {
      report('The limits file is in force.', { ...result.applied, hash: current.hash });
      tellFirst('applied');
    }
  }

  function isDueAgain(current: Content, file: LimitsFile): boolean {
    const { version, limits } = configuration.planner()!.configuration;
    if (version === current.version) return false;
    if (current.refused) return true;
    // Redis came back without what it had: from an older backup, or with nothing at all. Other differences are left
    // alone: they come from another process whose copy of the file is newer or older, and would be undone for ever.
    const lost = version < current.version! || (file.limits.length > 0 && !hasLimitOfFile(limits));
    if (!lost) current.version = version;
    return lost;
  }

  /** Where nothing can be watched, reading the file every few seconds is enough. */
  async function watchFolder(): Promise<void> {
    const found = await stat(dirname(path)).catch(() => null);
    if (folder !== null && folder.inode === found?.ino) return;
    folder?.watcher.close();
    folder = null;
    if (found === null || stopped) return;
    try {
      const watcher = watch(dirname(path), { persistent: false }, (_event, name) => {
        // Kubernetes' names for what it swaps begin with two dots.
        if (name === null || name === basename(path) || name.startsWith('..')) settle();
      });
      const opened = { watcher, inode: found.ino };
      watcher.on('error', () => {
        watcher.close();
        if (folder === opened) folder = null;
      });
      folder = opened;
    } catch (error) {
      complain('warn', `The folder of the limits file cannot be watched: ${(error as Error).message}`);
    }
  }

  /** One thing at a time, each to its end. */
  let queue: Promise<void> = Promise.resolve();
  let queued = 0;
  function enqueue(work: () => Promise<void>): void {
    queued += 1;
    queue = queue.then(async () => {
      if (stopped) return;
      try {
        await work();
      } catch (error) {
        if (!isRedisUnavailable(error)) {
          complain('error', `The limits file could not be applied, and is tried again: ${(error as Error).message}`, {
            error,
          });
        } else if (content?.version === null) {
          // What is in force already needs nothing of Redis, and whoever needs more says that it is away.
          complain('warn', 'Redis does not answer: what the limits file says is brought into force when it does.');
        }
      } finally {
        queued -= 1;
      }
    });
  }

  enqueue(watchFolder);
  enqueue(() => look('start'));
  const polling = setInterval(() => {
    if (queued > 0 || settling !== null) return;
    enqueue(watchFolder);
    enqueue(() => look('poll'));
  }, pollMs);
  polling.unref();

  return {
    first,
    async stop() {
      stopped = true;
      clearInterval(polling);
      if (settling !== null) clearTimeout(settling);
      await queue;
      folder?.watcher.close();
      tellFirst('stopped');
    },
  };
}

function hasLimitOfFile(limits: LimitSet): boolean {
  for (const limit of limits.values()) if (limit.source === 'file') return true;
  return false;
}

function problemFields(path: string, problems: FileProblem[]): Record<string, unknown> {
  return {
    problems: problems.slice(0, PROBLEMS_LOGGED_MAX).map((problem) => problemText(path, problem)),
    problem_count: problems.length,
  };
}
