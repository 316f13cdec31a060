import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { Refusal, runUntilStopped, type Service } from '../../src/lifecycle';
import { createLogger } from '../../src/logger';

/** A service that only notes what is done to it, and a process that only has signals. */
function running(overrides: Partial<Service> = {}, shutdownTimeoutMs = 60_000) {
  const proc = new EventEmitter() as EventEmitter & Pick<NodeJS.Process, 'on'>;
  const stream = new PassThrough();
  const stderr: string[] = [];
  const drains: number[] = [];
  const exitCode = runUntilStopped({
    service: {
      start: async () => undefined,
      stop: async (drainMs) => void drains.push(drainMs),
      ...overrides,
    },
    logger: createLogger({ level: 'info', stream, nowMs: () => 0 }),
    shutdownTimeoutMs,
    stderr: (text) => stderr.push(text),
    proc,
  });
  return { proc, exitCode, stderr, drains, log: () => String(stream.read() ?? '') };
}

const never = new Promise<void>(() => undefined);

describe('a running service', () => {
  test.each(['SIGTERM', 'SIGINT'])('is stopped by %s, and ends with 0', async (signal) => {
    const { proc, exitCode, drains } = running();
    proc.emit(signal);
    expect(await exitCode).toBe(0);
    expect(drains).toEqual([42_000]);
  });

  test('ends at once with 1 at a second signal', async () => {
    const { proc, exitCode } = running({ stop: () => never });
    proc.emit('SIGTERM');
    proc.emit('SIGINT');
    expect(await exitCode).toBe(1);
  });

  test('that does not stop within its deadline is cut off with 1, and says so', async () => {
    const { proc, exitCode, log } = running({ stop: () => never }, 20);
    proc.emit('SIGTERM');
    expect(await exitCode).toBe(1);
    expect(log()).toContain('SENDGATE_SHUTDOWN_TIMEOUT_MS');
  });

  test.each([1, 2] as const)(
    'that is refused with %d is stopped, says why on stderr alone, and ends with that',
    async (code) => {
      const { exitCode, stderr, drains, log } = running({ start: () => Promise.reject(new Refusal('Because.', code)) });
      expect(await exitCode).toBe(code);
      expect(stderr).toEqual(['Because.\n']);
      expect(log()).not.toContain('Because');
      expect(drains).toHaveLength(1);
    },
  );

  test.each(['uncaughtException', 'unhandledRejection'])(
    'is stopped by an %s, which is logged, with 1',
    async (event) => {
      const { proc, exitCode, drains, log } = running();
      proc.emit(event, new Error('out of the blue'));
      expect(await exitCode).toBe(1);
      expect(drains).toHaveLength(1);
      expect(log()).toContain('out of the blue');
    },
  );

  test('that fails while it stops ends with 1', async () => {
    const { proc, exitCode, log } = running({ stop: () => Promise.reject(new Error('stuck')) });
    proc.emit('SIGTERM');
    expect(await exitCode).toBe(1);
    expect(log()).toContain('stuck');
  });
});
