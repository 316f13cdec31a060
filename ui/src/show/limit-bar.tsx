import { Badge, Group, Progress, Stack, Text } from '@mantine/core';
import type { Dimension, LimitUsage, Period } from '../api/limits';
import { Foreign } from './foreign';
import { fromNow, Instant } from './instant';

/** A period, as it stands after "a". */
export const PERIOD_WORDS: Record<Period, string> = {
  hour: 'hour',
  day: 'day',
  week: 'week',
  month: 'month',
  billing_period: 'billing period',
};

/** What a limit counts, in a few words: `each user and topic, a day`. */
export function scopeWords({ per, period }: { per: readonly Dimension[]; period: Period }): string {
  const whom = per.length === 0 ? 'all messages' : `each ${per.join(' and ')}`;
  return `${whom}, ${period === 'hour' ? 'an' : 'a'} ${PERIOD_WORDS[period]}`;
}

/**
 * A limit and its use: a bar of used against max, and the numbers that it is made of.
 * @param stopped whether it is what stopped a message
 */
export function LimitBar({
  usage,
  stopped,
  cost = 0,
  action,
}: {
  usage: LimitUsage;
  stopped?: boolean | undefined;
  /** What a message that was stopped would have added. */
  cost?: number;
  action?: React.ReactNode;
}) {
  const { limit_id, max, used, remaining, resets_at, mode } = usage;
  const isFull = max !== null && used + cost > max;
  const percent = max === null ? 0 : max === 0 ? 100 : Math.min(100, (100 * used) / max);
  const color = stopped || isFull || percent >= 100 ? 'red' : percent >= 80 ? 'yellow' : 'teal';
  const numbers =
    max === null ? `${used.toLocaleString()} used, no limit` : `${used.toLocaleString()} of ${max.toLocaleString()}`;
  return (
    <Stack gap={4} className="limit-bar" data-limit={limit_id}>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <Group gap="xs" wrap="nowrap" miw={0}>
          <Text size="sm" fw={600} miw={0}>
            <Foreign text={limit_id} />
          </Text>
          {stopped && (
            <Badge color="red.9" variant="filled" size="sm" tt="none">
              stopped it
            </Badge>
          )}
          {mode === 'shadow' && (
            <Badge color="gray" variant="outline" size="sm" tt="none">
              shadow
            </Badge>
          )}
        </Group>
        <Text size="sm" style={{ whiteSpace: 'nowrap', fontVariantNumeric: 'tabular-nums' }}>
          {numbers}
        </Text>
      </Group>
      <Progress
        value={percent}
        color={color}
        size="md"
        aria-label={`${limit_id}: ${numbers}`}
        {...(max === null ? { striped: true } : {})}
      />
      <Group justify="space-between" gap="xs">
        <Text size="xs" c="dimmed">
          {scopeWords(usage)}
          {remaining === null ? '' : ` · ${remaining.toLocaleString()} left`}
        </Text>
        <Text size="xs" c="dimmed">
          resets <Instant at={resets_at} /> ({fromNow(resets_at)})
        </Text>
      </Group>
      {action}
    </Stack>
  );
}
