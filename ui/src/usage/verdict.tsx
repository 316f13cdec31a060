import { Alert, Text } from '@mantine/core';
import { IconCheck, IconHandStop, IconInfoCircle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { LimitUsage } from '../api/limits';
import { fetchSettings } from '../api/settings';
import type { UsageOf } from '../api/usage';
import { live } from '../frame/queries';
import { visible } from '../show/foreign';
import { fromNow, Instant } from '../show/instant';
import { Listed, MessageWords } from './usage-words';

const LOOKS = {
  passes: { color: 'teal', icon: IconCheck },
  stopped: { color: 'red', icon: IconHandStop },
  unlimited: { color: 'gray', icon: IconInfoCircle },
} as const;

/** What would become of a message now, in a sentence. */
export function Verdict({ of, limits }: { of: UsageOf; limits: readonly LimitUsage[] }) {
  const settings = useQuery({
    queryKey: ['settings'],
    queryFn: ({ signal }) => fetchSettings(signal),
    enabled: of.topic !== undefined,
    ...live,
  });
  const isExempt = of.topic !== undefined && settings.data?.exempt_topics.includes(of.topic) === true;
  const { outcome, words } = verdictOf(of, limits, isExempt);
  const { color, icon: Icon } = LOOKS[outcome];
  return (
    <Alert
      role="status"
      variant="light"
      color={color}
      icon={<Icon aria-hidden />}
      styles={{ message: { color: 'var(--mantine-color-text)' } }}
      data-testid="verdict"
    >
      <Text size="sm" className="foreign">
        {words}
      </Text>
    </Alert>
  );
}

function verdictOf(
  of: UsageOf,
  limits: readonly LimitUsage[],
  isExempt: boolean,
): { outcome: keyof typeof LOOKS; words: React.ReactNode } {
  const message = <MessageWords of={of} />;
  if (limits.length === 0) return { outcome: 'unlimited', words: <>{message} counts toward no limit: none applies.</> };
  const enforced = limits.filter(({ mode }) => mode === 'enforce');
  const stopping = enforced.filter(({ exceeded }) => exceeded);
  if (stopping.length > 0 && !isExempt) {
    const never = stopping.find(({ max }) => max === 0);
    const opensAt = Math.max(...stopping.map(({ resets_at }) => Date.parse(resets_at)));
    return {
      outcome: 'stopped',
      words: (
        <>
          {message} would be throttled now:{' '}
          <Listed items={stopping.map(({ limit_id }) => <b key={limit_id}>{visible(limit_id)}</b>)} />{' '}
          {stopping.length === 1 ? 'has' : 'have'} no room.{' '}
          {never === undefined ? (
            <>
              There is room again <Instant at={opensAt} /> ({fromNow(opensAt)}).
            </>
          ) : (
            <>{visible(never.limit_id)} lets none pass, in any period.</>
          )}
        </>
      ),
    };
  }
  if (isExempt) {
    return {
      outcome: 'passes',
      words: <>{message} goes out: its topic is exempt. It counts, and is never throttled.</>,
    };
  }
  const tightest = enforced
    .filter(({ remaining }) => remaining !== null)
    .reduce<LimitUsage | null>(
      (least, one) => (least === null || one.remaining! < least.remaining! ? one : least),
      null,
    );
  if (tightest === null) return { outcome: 'passes', words: <>{message} goes out: what applies only counts.</> };
  return {
    outcome: 'passes',
    words: (
      <>
        {message} goes out now. There is room for {tightest.remaining!.toLocaleString()}
        {enforced.length === 1 ? '' : ' before '}
        {enforced.length === 1 ? ' of ' : ''}
        <b>{visible(tightest.limit_id)}</b>
        {enforced.length === 1 ? '.' : ' is full.'}
      </>
    ),
  };
}
