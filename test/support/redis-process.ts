import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports';
import {
  READY_WORDS,
  type RedisOptions,
  type RedisServer,
  redisArguments,
  redisFiles,
  START_TIMEOUT_MS,
} from './redis-server';

interface Running {
  guard: ChildProcess;
  pid: number;
  /** Resolves when the Redis process is gone. */
  ended: Promise<void>;
}

/** A private Redis process on a loopback port, with its data in a directory of its own under the system's temp. */
export async function startRedisProcess(options: RedisOptions, attemptsLeft = 5): Promise<RedisServer> {
  const port = options.port ?? (await freePort());
  const directory = mkdtempSync(join(tmpdir(), 'sendgate-redis-'));
  for (const [name, content] of redisFiles(options)) writeFileSync(join(directory, name), content);
  const start = () => launch(directory, redisArguments({ ...options, port, bind: '127.0.0.1', directory }));

  let running: Running;
  try {
    running = await start();
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    const taken = error instanceof Error && error.message.includes('Address already in use');
    if (!taken || options.port !== undefined || attemptsLeft === 0) throw error;
    return startRedisProcess(options, attemptsLeft - 1);
  }

  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    async stop() {
      await kill(running);
      rmSync(directory, { recursive: true, force: true });
    },
    kill: () => kill(running),
    async restart() {
      await kill(running);
      running = await start();
    },
    async freeze() {
      signal(running, 'SIGSTOP');
    },
    async thaw() {
      signal(running, 'SIGCONT');
    },
  };
}

function launch(directory: string, args: string[]): Promise<Running> {
  const guard = spawn('sh', [join(__dirname, 'guard.sh'), directory, redisProgram(), ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => guard.once('close', () => resolve()));
  return new Promise((resolve, reject) => {
    let output = '';
    const timer = setTimeout(() => {
      guard.stdin.destroy();
      fail('did not become ready in time');
    }, START_TIMEOUT_MS);
    const fail = (why: string) => {
      clearTimeout(timer);
      reject(new Error(`redis-server ${why}:\n${output}`));
    };
    const read = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-8_192);
      const pid = /^pid (\d+)$/m.exec(output)?.[1];
      if (pid === undefined || !READY_WORDS.test(output)) return;
      clearTimeout(timer);
      // From here on the pipes are only drained: they must not keep a finished test file from ending.
      for (const handle of handles(guard)) handle.unref();
      guard.stdout.removeAllListeners('data').resume();
      guard.stderr.removeAllListeners('data').resume();
      resolve({ guard, pid: Number(pid), ended });
    };
    guard.stdout.on('data', read);
    guard.stderr.on('data', read);
    guard.once('error', (error) => fail(error.message));
    guard.once('close', (code) => fail(`ended with status ${code}`));
    guard.stdin.on('error', () => {}); // It ended first, which 'close' reports.
  });
}

/** All that would keep this process from ending for as long as the guard runs. */
function handles(guard: ChildProcess): { ref(): void; unref(): void }[] {
  return [guard, ...([guard.stdin, guard.stdout, guard.stderr] as unknown as { ref(): void; unref(): void }[])];
}

async function kill(running: Running): Promise<void> {
  // With nothing left to wait for, Node would end here, with status 0: jest would pass with failed tests.
  for (const handle of handles(running.guard)) handle.ref();
  signal(running, 'SIGKILL');
  await running.ended;
}

function signal(running: Running, name: NodeJS.Signals): void {
  if (running.guard.exitCode !== null) return;
  try {
    process.kill(running.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

let program: string | undefined;

function redisProgram(): string {
  program ??= execFileSync('sh', ['-c', 'command -v redis-server || command -v valkey-server || true'])
    .toString()
    .trim();
  if (program === '')
    throw new Error('neither redis-server nor valkey-server is on the PATH; `make test` installs one');
  return program;
}
