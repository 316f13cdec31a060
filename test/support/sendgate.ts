import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const CLI = join(__dirname, '../../dist/cli.js');

/** How long a process may take on a busy machine to say what a test waits for. */
const PATIENCE_MS = 20_000;

/** One line of the log. */
export interface LogLine {
  level: string;
  message: string;
  [field: string]: unknown;
}

/** A `sendgate` command that runs. */
export interface Sendgate {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Resolves with the exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
  stdout(): string;
  stderr(): string;
  /** The lines of the log so far. */
  log(): LogLine[];
  /** Waits for a line of the log with that message that no call before has found. */
  logged(message: string | RegExp): Promise<LogLine>;
  /** Waits until the API is ready. @returns its URL */
  ready(): Promise<string>;
  signal(name: NodeJS.Signals): void;
}

const running = new Set<Sendgate>();

/**
 * Starts the command that was built, as a process of its own.
 * @param env all of its environment, but for what finds programs
 */
export function startSendgate(args: string[], env: Record<string, string> = {}, cwd?: string): Sendgate {
  if (!existsSync(CLI)) throw new Error(`there is no ${CLI}: build first, as \`make test\` does`);
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  });
  let stdout = '';
  let stderr = '';
  const found = new Set<number>();
  let over = false;
  let wake: () => void = () => undefined;
  const onChange = () => wake();
  child.stdout!.setEncoding('utf8').on('data', (text) => {
    stdout += text;
    onChange();
  });
  child.stderr!.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => {
      over = true;
      running.delete(sendgate);
      onChange();
      resolve(code ?? signal!);
    });
  });
  const log = () =>
    stdout
      .split('\n')
      .slice(0, -1)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine);

  async function logged(message: string | RegExp): Promise<LogLine> {
    const matches = (line: LogLine) =>
      typeof message === 'string' ? line.message === message : message.test(line.message);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      onChange();
    }, PATIENCE_MS);
    try {
      for (;;) {
        const lines = log();
        const index = lines.findIndex((line, position) => !found.has(position) && matches(line));
        if (index !== -1) {
          found.add(index);
          return lines[index]!;
        }
        if (over || late) {
          throw new Error(`${over ? 'ended' : 'waited too long'} without logging ${message}:\n${stdout}${stderr}`);
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  const sendgate: Sendgate = {
    child,
    pid: child.pid!,
    ended,
    stdout: () => stdout,
    stderr: () => stderr,
    log,
    logged,
    ready: async () => (await logged('The API is ready.')).url as string,
    signal: (name) => void child.kill(name),
  };
  running.add(sendgate);
  return sendgate;
}

/** Runs a command to its end. */
export async function runSendgate(
  args: string[],
  env: Record<string, string> = {},
  cwd?: string,
): Promise<{ code: number | string; stdout: string; stderr: string }> {
  const sendgate = startSendgate(args, env, cwd);
  const code = await sendgate.ended;
  return { code, stdout: sendgate.stdout(), stderr: sendgate.stderr() };
}

/** Ends whatever a test has left running. */
export async function endAllSendgates(): Promise<void> {
  await Promise.all(
    [...running].map((sendgate) => {
      sendgate.signal('SIGKILL');
      return sendgate.ended;
    }),
  );
}
