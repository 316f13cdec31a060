import type { Overview } from '../api/overview';
import { useReadiness } from '../frame/readiness';
import { Instant } from '../show/instant';
import { Health } from './health';

/** Whether Redis answers, and whether answers are degraded. */
export function RedisHealth({ overview }: { overview: Overview | undefined }) {
  const readiness = useReadiness();
  // Without Redis there is no overview, and what was known of it is old.
  const redis = readiness.data ? { up: readiness.data.redis, degraded: readiness.data.degraded } : overview?.redis;
  const degraded = overview?.totals.degraded ?? 0;
  return (
    <Health title="Redis" {...statement(readiness.error === null ? redis : null)}>
      {overview !== undefined && degraded > 0 && (
        <>
          {degraded.toLocaleString()} {degraded === 1 ? 'check was' : 'checks were'} answered without it since{' '}
          <Instant at={overview.start} />.
        </>
      )}
    </Health>
  );
}

/** @param redis undefined while it is waited for; null when it is not known */
function statement(redis: Overview['redis'] | undefined | null) {
  if (redis === undefined) return { state: undefined, words: '', detail: '' } as const;
  if (redis === null) {
    return { state: 'unknown', words: 'Not known', detail: 'Sendgate does not answer.' } as const;
  }
  const { up, degraded } = redis;
  const without = 'Checks are answered without it, as each limit’s “when Redis is down” says.';
  if (!up) {
    return { state: 'bad', words: 'Does not answer', detail: degraded ? without : 'Nothing can be decided.' } as const;
  }
  if (degraded) return { state: 'warning', words: 'Answers again, degraded', detail: without } as const;
  return { state: 'good', words: 'Answers', detail: 'Every check is decided by exact counts.' } as const;
}
