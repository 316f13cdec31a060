import { Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { CallError } from '../api/call';
import { deleteLimit, type Limit, type VersionedLimit } from '../api/limits';
import { Confirm } from '../frame/confirm';
import { visible } from '../show/foreign';
import { baseOf, countOverrides } from './families';
import { A_PERIOD, limitWords, perWords } from './limit-words';
import { previewOf } from './meaning';
import { WithoutIt } from './what-if';

/** Asks before a limit is deleted, and says what that changes. */
export function DeleteLimit({
  opened,
  version,
  limits,
  onDeleted,
  onRefused,
  onClose,
}: {
  opened: boolean;
  version: VersionedLimit;
  limits: readonly Limit[];
  onDeleted: () => void;
  /** Told that it is no longer the limit that was looked at. */
  onRefused: () => void;
  onClose: () => void;
}) {
  const { limit, etag } = version;
  const preview = useQuery({ ...previewOf(limit), enabled: opened });
  async function confirm(): Promise<void> {
    try {
      await deleteLimit(limit.id, etag);
    } catch (error) {
      const status = error instanceof CallError ? error.status : null;
      if (status === 412) onRefused();
      // Somebody else has deleted it: it is as was asked for.
      if (status !== 404) throw error;
    }
    onDeleted();
  }
  return (
    <Confirm
      opened={opened}
      title={`Delete ${limit.id}?`}
      confirmLabel="Delete it"
      danger
      onConfirm={confirm}
      onClose={onClose}
    >
      <Stack gap="xs">
        <Text size="sm" fw={600} className="foreign">
          {visible(preview.data?.description ?? limitWords(limit))}
        </Text>
        <Text size="sm" className="foreign">
          {visible(consequences(limit, limits))}
        </Text>
        <WithoutIt id={limit.id} isAsked={opened} />
        <Text size="sm" c="dimmed">
          That holds from the next check on. What was counted stays counted until its window ends, and the audit trail
          keeps the limit as it was.
        </Text>
      </Stack>
    </Confirm>
  );
}

/** What holds once a limit is gone. */
function consequences(limit: Limit, limits: readonly Limit[]): string {
  const { per, period, mode, where } = limit;
  if (mode === 'shadow')
    return 'It is a shadow: it stops nothing, and without it nothing more is said of what it would have stopped.';
  const base = baseOf(limits, limit);
  if (base !== null) {
    const whom = where === null ? 'All messages' : 'The messages that it is for';
    return `${whom} then go by “${base.id}” (${limitWords(base)}), unless another override is for them.`;
  }
  const others = where === null ? countOverrides(limits, limit) : 0;
  const rest =
    others === 0
      ? ''
      : ` ${others === 1 ? 'The limit' : `The ${others.toLocaleString()} limits`} under it ${others === 1 ? 'stays' : 'stay'}, for the messages that ${others === 1 ? 'it matches' : 'they match'}.`;
  const subject =
    per.length === 0 ? 'how many messages go out in all' : `how many messages go out to ${perWords(per).toLowerCase()}`;
  return `Nothing else then limits ${where === null ? '' : 'for these messages '}${subject} ${A_PERIOD[period]}.${rest}`;
}
