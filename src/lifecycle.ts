import type { Logger } from './logger';

/** What keeps a process from starting, or from going on; the message is for its operator. */
export class Refusal extends Error {
  /** 2: what it was told to do cannot be done this way; 1: what it needs was not there. */
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A process's work, from its start to its end. */
export interface Service {
  /** @throws Refusal */
  start(): Promise<void>;
  /**
   * Ends everything, in order, whether it has started or not.
   * @param drainMs how long what has begun may take to end, in milliseconds
   */
  stop(drainMs: number): Promise<void>;
}

/** The part of the shutdown timeout that is for what has begun to end; the rest is for closing what it used. */
const DRAIN_PART = 0.7;

/**
 * Runs a service until a signal, a refusal or a fault ends it, and stops it within its deadline.
 * @param deps.stderr takes the words of a refusal: they are for a person
 * @param deps.proc where signals and faults come from: Node's `process`
 * @returns the exit code
 */
export async function runUntilStopped(deps: {
  service: Service;
  logger: Logger;
  shutdownTimeoutMs: number;
  stderr: (text: string) => void;
  proc: Pick<NodeJS.Process, 'on'>;
}): Promise<number> {
  const { service, logger, shutdownTimeoutMs, stderr, proc } = deps;

  let end: (exitCode: number) => void;
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  /** The exit code to end with once everything is stopped; undefined while it runs. */
  let stopping: number | undefined;

  async function stop(exitCode: number): Promise<void> {
    if (stopping !== undefined) {
      stopping = Math.max(stopping, exitCode);
      return;
    }
    stopping = exitCode;
    const deadline = setTimeout(() => {
      logger.error('Not everything has ended within SENDGATE_SHUTDOWN_TIMEOUT_MS: it is cut off.');
      end(1);
    }, shutdownTimeoutMs);
    try {
      await service.stop(shutdownTimeoutMs * DRAIN_PART);
    } catch (error) {
      logger.error('The stop failed.', { error });
      stopping = 1;
    }
    clearTimeout(deadline);
    logger.info('Stopped.');
    end(stopping);
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    proc.on(signal, () => {
      if (stopping !== undefined) {
        logger.warn(`${signal} again: ending at once.`);
        end(1);
        return;
      }
      logger.info(`${signal}: stopping.`);
      void stop(0);
    });
  }
  const fault = (error: unknown) => {
    logger.error('A fault that nothing expected: stopping.', { error });
    void stop(1);
  };
  proc.on('uncaughtException', fault);
  proc.on('unhandledRejection', fault);

  service.start().catch((error) => {
    if (stopping !== undefined) return;
    if (error instanceof Refusal) {
      stderr(`${error.message}\n`);
      void stop(error.exitCode);
    } else fault(error);
  });
  return ended;
}
