import type { Depth } from './queue';

/** What waits for the providers, looked at now and then. */
export interface DepthWatch {
  /** What was seen last; null when that is not known. */
  last(): readonly Depth[] | null;
  stop(): void;
}

/** How often it is looked at, in milliseconds. */
const EVERY_MS = 2_000;

/**
 * Begins to look.
 * @param deps.isReady whether Redis can be asked
 * @param deps.depths asks it
 */
export function watchDepths(deps: { isReady: () => boolean; depths: () => Promise<Depth[]> }): DepthWatch {
  const { isReady, depths } = deps;
  let last: readonly Depth[] | null = null;
  let asking = false;
  async function look(): Promise<void> {
    if (!isReady()) {
      last = null;
      return;
    }
    if (asking) return;
    asking = true;
    try {
      last = await depths();
    } catch {
      // That Redis fails is said where it is watched. What waits is not known then.
      last = null;
    } finally {
      asking = false;
    }
  }
  void look();
  const timer = setInterval(() => void look(), EVERY_MS);
  timer.unref();
  return { last: () => last, stop: () => clearInterval(timer) };
}
