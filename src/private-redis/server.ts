import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connectPatiently, type RedisClient, type RedisTarget } from '../store/connection';
import type { DataFolder } from './folder';

/** The private Redis did not start; the message, with Redis's own words, is for the operator. */
export class PrivateRedisError extends Error {}

/** What a private Redis says of itself while it runs. */
export interface PrivateRedisObserver {
  /** It ended by itself, and is started again after a pause, in milliseconds. `output` is the last that it wrote. */
  died(status: string, output: string, pauseMs: number): void;
  /** It was started again and answers. */
  restarted(): void;
  /** What it was writing when it was killed was cut off, and could not be cleared away: with the next death it may count. */
  tornTailStays(reason: string): void;
}

/** A Redis that belongs to this process: its child, reached through a socket that only this user may open. */
export interface PrivateRedis {
  readonly target: RedisTarget;
  /** Resolves when it answers for the first time; rejects with a PrivateRedisError when it never will. */
  readonly ready: Promise<void>;
  /** Ends it, also while it is starting. What it was told is on disk when this resolves. */
  stop(): Promise<void>;
}

/** How long one that was told to end may take before it is killed, in milliseconds. */
const END_MS = 5_000;
/** How often it is looked whether a file has been written anew, in milliseconds. */
const REWRITE_LOOK_MS = 20;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** One that has run for this long is well: the next death is answered at once again. */
const WELL_MS = 60_000;
/** As much of what Redis wrote last as an operator is shown. */
const OUTPUT_CHARACTERS = 4_000;

/**
 * Runs "$@", and ends it when standard input closes, which happens however the parent ends: SIGKILL closes it too. It
 * has a session of its own, so that Ctrl-C in a terminal reaches Sendgate alone, which then ends Redis last.
 */
const GUARD = `
trap '' HUP INT TERM
exec 3<&0
"$@" </dev/null 3<&- &
redis=$!
echo "pid $redis"
{
  exec >/dev/null 2>&1
  read -r _ <&3
  kill -TERM "$redis"
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 "$redis" || exit
    sleep 1
  done
  kill -KILL "$redis"
} &
guard=$!
wait "$redis"
status=$?
kill -KILL "$guard" 2>/dev/null
exit "$status"
`;

/** One run of the Redis process. */
interface Run {
  /** Tells it to end. */
  end(signal: 'SIGTERM' | 'SIGKILL'): void;
  /** Resolves with how it ended. */
  ended: Promise<string>;
  /** The last that Redis wrote. */
  output(): string;
}

/** Where a private Redis of that folder is reached. */
export function privateRedisTarget(folder: DataFolder): RedisTarget {
  return { kind: 'standalone', options: { path: folder.redisSocket } };
}

/**
 * Starts a Redis of this process's own in a folder that it holds, and again whenever it dies.
 * @param program the path of redis-server or valkey-server
 * @param path the PATH that it is started with
 * @param nowMs a clock that never jumps
 */
export function startPrivateRedis(deps: {
  program: string;
  path: string;
  folder: DataFolder;
  observer: PrivateRedisObserver;
  nowMs: () => number;
}): PrivateRedis {
  const { program, path, folder, observer, nowMs } = deps;
  const target = privateRedisTarget(folder);
  const stopping = new AbortController();
  let run: Run | undefined;

  async function start(): Promise<Run> {
    await endLeftOver(folder);
    if (stopping.signal.aborted) throw new PrivateRedisError('The private Redis was stopped before it was started.');
    run = launch(program, path, folder);
    if (await answers(target, run)) {
      await clearTornTail(target, run, observer);
      return run;
    }
    const status = await run.ended;
    throw new PrivateRedisError(`The private Redis (${program}) ${status} before it answered:\n${run.output()}`);
  }

  async function startAgainWhenItDies(first: Run): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    let latest = first;
    for (;;) {
      const startedMs = nowMs();
      const status = await latest.ended;
      if (stopping.signal.aborted) return;
      if (nowMs() - startedMs >= WELL_MS) pauseMs = FIRST_PAUSE_MS;
      observer.died(status, latest.output(), pauseMs);
      try {
        await delay(pauseMs, undefined, { signal: stopping.signal });
      } catch {
        return; // It was to be stopped meanwhile.
      }
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      latest = launch(program, path, folder);
      run = latest;
      if (await answers(target, latest)) {
        await clearTornTail(target, latest, observer);
        observer.restarted();
      }
    }
  }

  const started = start();
  const ended = started.then(startAgainWhenItDies, () => undefined);
  const ready = started.then(() => undefined);
  // Whoever stops it before it is ready need not also wait for that.
  ready.catch(() => undefined);

  return {
    target,
    ready,
    async stop() {
      stopping.abort();
      run?.end('SIGTERM');
      const timer = setTimeout(() => run?.end('SIGKILL'), END_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

function launch(program: string, path: string, folder: DataFolder): Run {
  const guard = spawn('sh', ['-c', GUARD, 'sendgate-private-redis', program, ...redisArguments(folder)], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    // Not ours: that holds secrets.
    env: { PATH: path },
  });
  let output = '';
  let pid: number | undefined;
  for (const stream of [guard.stdout!, guard.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-OUTPUT_CHARACTERS);
      pid ??= Number(/^pid (\d+)$/m.exec(output)?.[1]) || undefined;
    });
  }
  guard.stdin!.on('error', () => undefined); // It ended first, which 'close' reports.
  let over = false;
  const ended = new Promise<string>((resolve) => {
    guard.once('error', (error) => resolve(`could not be started (${error.message})`));
    // Not 'exit', of the guard alone: only when Redis too is gone is their output closed.
    guard.once('close', (code) => {
      over = true;
      resolve(`ended with status ${code}`);
    });
  });
  return {
    ended,
    end(signal) {
      // Before it has a process id it is not Redis yet: the guard ends it then.
      if (pid === undefined) guard.stdin!.destroy();
      else if (!over) kill(pid, signal);
    },
    // Redis may have written something before the guard said its process id.
    output: () => output.replace(/^pid \d+\n/m, '').trim(),
  };
}

function redisArguments(folder: DataFolder): string[] {
  return [
    // Reached through the socket alone: no other user and no other machine can.
    ...['--port', '0', '--unixsocket', folder.redisSocket, '--unixsocketperm', '700'],
    ...['--dir', folder.data, '--pidfile', pidFile(folder), '--daemonize', 'no'],
    // Every command is written down, at most a second late.
    ...['--appendonly', 'yes', '--appendfsync', 'everysec', '--save', ''],
    // A counter that is evicted would begin again from zero.
    ...['--maxmemory-policy', 'noeviction'],
  ];
}

function pidFile(folder: DataFolder): string {
  return join(folder.data, 'redis.pid');
}

/** Waits until a run has read its data and answers: true. False when it ends before that. */
async function answers(target: RedisTarget, run: Run): Promise<boolean> {
  const redis = connectPatiently(target, { name: 'sendgate-start', commandTimeoutMs: 0, reconnectMs: 20 });
  redis.on('error', () => undefined); // Until it answers, it does not.
  const pinged = redis.ping().then(
    () => true,
    () => false,
  );
  const answered = await Promise.race([pinged, run.ended.then(() => false)]);
  redis.disconnect();
  return answered;
}

/** What Redis and Valkey say when the last of what they wrote was cut off. */
const TORN_TAIL = /aof-load-truncated/;

/**
 * Has the append-only file written anew when its tail was cut off. What a script writes is one transaction there; of one that
 * is cut off inside a command Redis (7.0 and others; Valkey until https://github.com/valkey-io/valkey/pull/4342) leaves the
 * commands before, without their end: they do nothing at this start, and take effect at the next one, with the first
 * transaction that follows. A message would be counted that was never decided.
 */
async function clearTornTail(target: RedisTarget, run: Run, observer: PrivateRedisObserver): Promise<void> {
  if (!TORN_TAIL.test(run.output())) return;
  const redis = connectPatiently(target, { name: 'sendgate-start', commandTimeoutMs: 0, reconnectMs: 20 });
  redis.on('error', () => undefined); // It reconnects, or the run has ended.
  const rewritten = rewriteAppendOnlyFile(redis).then(
    () => null,
    (error: Error) => error.message,
  );
  const reason = await Promise.race([rewritten, run.ended]);
  redis.disconnect();
  if (reason !== null) observer.tornTailStays(reason);
}

/** Has Redis write its append-only file anew, and waits for that. @throws Error when it could not be */
export async function rewriteAppendOnlyFile(redis: RedisClient): Promise<void> {
  await redis.call('BGREWRITEAOF');
  for (;;) {
    const info = await redis.info('persistence');
    if (/aof_rewrite_(?:in_progress|scheduled):1/.test(info)) await delay(REWRITE_LOOK_MS);
    else if (info.includes('aof_last_bgrewrite_status:ok')) return;
    else throw new Error('the append-only file could not be written anew');
  }
}

/**
 * Ends the Redis that a Sendgate before this one has left behind, when it was killed together with the guard or a
 * moment ago. Two that write the same file would spoil it.
 * @throws PrivateRedisError when it cannot be ended
 */
async function endLeftOver(folder: DataFolder): Promise<void> {
  const path = pidFile(folder);
  let pid: number;
  try {
    pid = Number(readFileSync(path, 'utf8'));
  } catch {
    return; // Redis removes the file as it ends.
  }
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!isOurRedis(pid, folder)) break;
    kill(pid, signal);
    for (let waitedMs = 0; waitedMs < END_MS && isOurRedis(pid, folder); waitedMs += 20) await delay(20);
  }
  if (isOurRedis(pid, folder)) throw new PrivateRedisError(`Another Redis (process ${pid}) uses ${folder.data}.`);
  rmSync(path, { force: true });
}

/** Whether a process runs under that id and is the Redis of the folder: it shows its socket in its title. */
function isOurRedis(pid: number, folder: DataFolder): boolean {
  if (!Number.isInteger(pid) || pid <= 1) return false;
  let title: string;
  try {
    title = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    try {
      title = execFileSync('ps', ['-ww', '-o', 'command=', '-p', `${pid}`], { encoding: 'utf8', stdio: 'pipe' });
    } catch {
      return false; // No such process.
    }
  }
  return title.includes(folder.redisSocket);
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
