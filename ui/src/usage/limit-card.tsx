import { Button, Group, Paper, Text } from '@mantine/core';
import type { LimitUsage } from '../api/limits';
import type { UsageOf } from '../api/usage';
import { LimitBar } from '../show/limit-bar';
import { ViewLink } from '../show/view-link';
import { counterOf } from './counter';
import { CounterWords } from './usage-words';

/** A limit, what is used of it, and what can be done about that. */
export function LimitCard({
  of,
  usage,
  onReset,
}: {
  of: UsageOf;
  usage: LimitUsage;
  /** Undefined for who may not. */
  onReset: (() => void) | undefined;
}) {
  const { limit_id, mode, used, exceeded } = usage;
  return (
    <Paper component="li" withBorder p="md" miw={0} style={{ listStyle: 'none' }}>
      <LimitBar
        usage={usage}
        action={
          <Group justify="space-between" align="center" gap="xs" wrap="nowrap" mt={4}>
            <Text size="xs" className="foreign" lineClamp={2} miw={0}>
              <CounterWords of={counterOf(usage, of)} />
              {exceeded && (
                <b>{mode === 'shadow' ? ' · would stop the next, if it were enforced' : ' · no room for the next'}</b>
              )}
            </Text>
            <Group gap="sm" wrap="nowrap">
              <ViewLink size="xs" to="/limits" search={{ edit: limit_id }} aria-label={`The limit ${limit_id}`}>
                Limit
              </ViewLink>
              {onReset !== undefined && (
                <Button
                  size="compact-xs"
                  variant="default"
                  disabled={used === 0}
                  aria-label={`Reset the counter of ${limit_id}`}
                  onClick={onReset}
                >
                  Reset
                </Button>
              )}
            </Group>
          </Group>
        }
      />
    </Paper>
  );
}
