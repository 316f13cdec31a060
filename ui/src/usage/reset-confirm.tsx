import { Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { useRef } from 'react';
import type { LimitUsage } from '../api/limits';
import { resetUsage, type UsageOf } from '../api/usage';
import { Confirm } from '../frame/confirm';
import { visible } from '../show/foreign';
import { Instant } from '../show/instant';
import { PERIOD_WORDS, scopeWords } from '../show/limit-bar';
import { counterOf, shareCounter } from './counter';
import { CounterWords, Listed } from './usage-words';

/** Asks before a counter is set to zero, and says which that is. */
export function ResetConfirm({
  of,
  asked,
  limits,
  onClose,
}: {
  of: UsageOf;
  /** The limit whose counter it is. */
  asked: LimitUsage | null;
  /** All that apply, as they are by now. */
  limits: readonly LimitUsage[];
  onClose: () => void;
}) {
  const queries = useQueryClient();
  // What it asked last is shown while it closes.
  const last = useRef(asked);
  if (asked !== null) last.current = asked;
  const shown = last.current;
  if (shown === null) return null;
  const usage = limits.find(({ limit_id }) => limit_id === shown.limit_id) ?? shown;
  const counter = counterOf(usage, of);
  const sharing = [usage, ...limits.filter((other) => other !== usage && shareCounter(other, usage))];

  async function reset(): Promise<void> {
    try {
      const { used_before } = await resetUsage(counter, usage.period);
      notifications.show({
        color: 'teal',
        title: 'The counter is zero',
        message: (
          <Text size="sm" className="foreign" lineClamp={3}>
            {used_before.toLocaleString()} were counted for <CounterWords of={counter} /> this{' '}
            {PERIOD_WORDS[usage.period]}.
          </Text>
        ),
      });
    } finally {
      // Without an answer it may have been done all the same.
      await queries.invalidateQueries({ queryKey: ['usage'] });
    }
  }

  return (
    <Confirm
      opened={asked !== null}
      title="Set this counter to zero?"
      confirmLabel="Set to zero"
      danger
      onConfirm={reset}
      onClose={onClose}
    >
      <Stack gap="sm">
        <Text size="sm">
          What was counted for{' '}
          <b>
            <CounterWords of={counter} />
          </b>{' '}
          this {PERIOD_WORDS[usage.period]} (<Instant at={usage.window_start} /> to <Instant at={usage.resets_at} />)
          becomes zero. It is {usage.used.toLocaleString()} now.
        </Text>
        <Text size="sm">
          This is for every limit that shares the counter ({scopeWords(usage)}), overrides included:{' '}
          <Listed items={sharing.map(({ limit_id }) => <b key={limit_id}>{visible(limit_id)}</b>)} />{' '}
          {sharing.length === 1 ? 'has' : 'have'} all of {sharing.length === 1 ? 'its' : 'their'} room again.
        </Text>
        <Text size="sm" c="dimmed">
          It cannot be undone. The audit trail says who did it, and what was counted.
        </Text>
      </Stack>
    </Confirm>
  );
}
