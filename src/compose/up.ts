import { Refusal, type Service } from '../lifecycle';
import { createMetrics } from '../metrics/metrics';
import { DataFolderError, type HeldFolder, holdDataFolder, openDataFolder } from '../private-redis/folder';
import { findRedisProgram, NoRedisProgramError } from '../private-redis/program';
import { type PrivateRedis, PrivateRedisError, privateRedisTarget, startPrivateRedis } from '../private-redis/server';
import { type ApiReady, composeApi } from './api';
import type { ServiceDeps, TwoStepService } from './service';
import { monotonicMs } from './timing';
import { composeWorker } from './worker';

/** What `sendgate up` says when it is ready. */
export interface UpReady extends ApiReady {
  /** The folder of its private Redis, or null when it uses another. */
  privateRedisFolder: string | null;
}

/**
 * API and worker in one process, on a private Redis when REDIS_URL names none.
 * @param system.path the PATH that a Redis is looked for on
 */
export function composeUp(
  { config, logger }: ServiceDeps,
  system: { path: string | undefined; platform: NodeJS.Platform; pid: number },
  onReady: (ready: UpReady) => void,
): Service {
  let held: HeldFolder | undefined;
  let privateRedis: PrivateRedis | undefined;
  let api: TwoStepService | undefined;
  let worker: TwoStepService | undefined;
  let stopped = false;

  async function start(): Promise<void> {
    let target = config.redis?.target;
    let begin: (() => PrivateRedis) | undefined;
    let folderPath: string | null = null;
    if (target === undefined) {
      const program = findRedisProgram(system.path, system.platform);
      const folder = openDataFolder(config.dataDir);
      held = await holdDataFolder(folder, `process ${system.pid}`);
      target = privateRedisTarget(folder);
      folderPath = folder.data;
      begin = () =>
        startPrivateRedis({
          program,
          path: system.path ?? '',
          folder,
          nowMs: monotonicMs,
          observer: {
            died: (status, output, pauseMs) =>
              logger.error('The private Redis ended by itself, and is started again.', {
                status,
                output,
                pause_ms: pauseMs,
              }),
            restarted: () => logger.info('The private Redis runs again.'),
            tornTailStays: (reason) =>
              logger.warn('The private Redis was cut off as it wrote, and its file could not be written anew.', {
                reason,
              }),
          },
        });
    }
    if (stopped) return;
    const privateRedisFolder = folderPath;
    const metrics = createMetrics({ processMetrics: true });
    api = composeApi({ config, logger }, target, (ready) => onReady({ ...ready, privateRedisFolder }), metrics);
    await api.listen();
    privateRedis = begin?.();
    await privateRedis?.ready;
    if (stopped) return;
    worker = composeWorker({ config, logger }, target, metrics);
    // The API looks at what Redis this is.
    await api.run();
    if (!stopped) await worker.run();
  }

  return {
    async start() {
      try {
        await start();
      } catch (error) {
        if (stopped) return;
        if (error instanceof NoRedisProgramError || error instanceof PrivateRedisError) {
          throw new Refusal(error.message, 1);
        }
        if (error instanceof DataFolderError) throw new Refusal(error.message, 1);
        throw error;
      }
    },
    async stop(drainMs) {
      stopped = true;
      await Promise.all([api?.stop(drainMs), worker?.stop(drainMs)]);
      await privateRedis?.stop();
      held?.release();
    },
  };
}
