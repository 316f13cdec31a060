import { spawn } from 'node:child_process';

/**
 * Has a command run should this process end, however it ends, before it is called off.
 * @returns a function that calls it off, for when the work is done in the ordinary way
 */
export function ifKilled(command: string[], env: NodeJS.ProcessEnv = process.env): () => void {
  // The pipe to the guard closes with this process, and that is what the guard waits for.
  const guard = spawn('sh', ['-c', 'trap "" HUP INT TERM; read -r _; exec "$@"', 'guard', ...command], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env,
  });
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
  return () => guard.kill('SIGKILL');
}
