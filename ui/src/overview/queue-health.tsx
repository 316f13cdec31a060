import type { Overview, ProviderQueue } from '../api/overview';
import { Foreign } from '../show/foreign';
import { Health } from './health';

/** From how many seconds on the oldest in an outbox should have been moved. */
const STUCK_SECONDS = 30;

/**
 * What waits to be delivered, by provider.
 * @param props.isOld whether it is what was known last
 */
export function QueueHealth({ queue, isOld }: { queue: Overview['queue'] | undefined; isOld: boolean }) {
  return (
    <Health title="Queue" {...(isOld ? OLD : statement(queue))}>
      {queue?.providers != null && queue.providers.length > 0 && (
        <table className="numbers">
          <caption className="sr-only">What waits, by provider</caption>
          <thead>
            <tr>
              <th scope="col">Provider</th>
              <th scope="col" title="Not in the queue yet">
                Outbox
              </th>
              <th scope="col" title="Waits for a worker">
                Waiting
              </th>
              <th scope="col" title="Is being delivered">
                Active
              </th>
              <th scope="col" title="Failed, and waits to be tried again">
                Retrying
              </th>
            </tr>
          </thead>
          <tbody>
            {queue.providers.map((provider) => (
              <Provider key={provider.provider} queue={provider} />
            ))}
          </tbody>
        </table>
      )}
    </Health>
  );
}

function Provider({ queue }: { queue: ProviderQueue }) {
  const { provider, outbox, waiting, active, delayed, oldest_outbox_age_seconds: oldestSeconds } = queue;
  return (
    <tr>
      <th scope="row">
        <Foreign text={provider} />
        {oldestSeconds !== null && oldestSeconds >= 1 && (
          <span className="numbers-note">oldest: {ageWords(oldestSeconds)}</span>
        )}
      </th>
      {Object.entries({ outbox, waiting, active, delayed }).map(([name, count]) => (
        <td key={name}>{count.toLocaleString()}</td>
      ))}
    </tr>
  );
}

const OLD = { state: 'unknown', words: 'Not known now', detail: 'These are the last numbers that were.' } as const;

/** @param queue undefined while it is waited for */
function statement(queue: Overview['queue'] | undefined) {
  if (queue === undefined) return { state: undefined, words: '', detail: '' } as const;
  const { depth, providers } = queue;
  if (depth === null) {
    return { state: 'unknown', words: 'Not known', detail: 'Nobody has counted what waits yet.' } as const;
  }
  const oldestSeconds = Math.max(0, ...(providers ?? []).map((one) => one.oldest_outbox_age_seconds ?? 0));
  const words =
    depth === 0
      ? 'Nothing waits'
      : `${depth.toLocaleString()} ${depth === 1 ? 'message waits' : 'messages wait'} to be delivered`;
  if (oldestSeconds > STUCK_SECONDS) {
    const detail = `The oldest has waited to be taken on for ${ageWords(oldestSeconds)}: no worker runs, or its queue is full.`;
    return { state: 'warning', words, detail } as const;
  }
  const detail = depth === 0 ? 'Whatever was handed over has been tried.' : 'It is being worked on.';
  return { state: 'good', words, detail } as const;
}

const UNITS: readonly [string, number][] = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
];

/** How long, in the largest unit that fits. */
function ageWords(seconds: number): string {
  for (const [unit, length] of UNITS) if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  return `${Math.floor(seconds)} s`;
}
