import type { Actor, Source } from '../store/actor';
import type { ConfigurationStore } from '../store/configuration';
import { changeFor, type Difference, differenceOf } from './difference';
import type { LimitsFile } from './parse';
import type { FileProblem } from './yaml';

/** How many limits a file created, updated, removed and left as they were, and whether it changed settings. */
export interface Summary {
  created: number;
  updated: number;
  removed: number;
  unchanged: number;
  settings: 'updated' | 'unchanged';
}

/**
 * Makes the workspace's limits what the file says, as one change: all of it or none. Nothing is written when they are
 * already. See {@link differenceOf} for what it changes and what it refuses.
 *
 * @param nowMs epoch milliseconds, Redis's as far as known
 * @throws whatever Redis fails with: apply it again then, which does no harm
 */
export async function applyLimitsFile(
  deps: { configuration: Pick<ConfigurationStore, 'change'>; nowMs: () => number },
  file: LimitsFile,
  actor: Actor,
  source: Source,
): Promise<{ applied: Summary } | { refused: FileProblem[] }> {
  let summary: Summary | undefined;
  const result = await deps.configuration.change<FileProblem[]>(actor, source, (configuration) => {
    const difference = differenceOf(configuration, file, new Date(deps.nowMs()).toISOString());
    if ('refused' in difference) return difference;
    summary = summaryOf(difference);
    return changeFor(difference);
  });
  return 'refused' in result ? result : { applied: summary! };
}

export function summaryOf(difference: Difference): Summary {
  return {
    created: difference.created.length,
    updated: difference.updated.length,
    removed: difference.removed.length,
    unchanged: difference.unchanged,
    settings: difference.settings === null ? 'unchanged' : 'updated',
  };
}
