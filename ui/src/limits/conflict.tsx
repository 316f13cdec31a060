import { Alert, Button, Group, Stack, Table, Text } from '@mantine/core';
import { IconUsers } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { fetchAuditEvents } from '../api/audit';
import type { Limit } from '../api/limits';
import { visible } from '../show/foreign';
import { fromNow, Instant } from '../show/instant';
import { type Draft, draftErrors, draftOf, inputOf, isSameDraft, merged } from './draft';
import { fieldsOf } from './limit-words';

/** How far back it is looked for who changed a limit. */
const AUDIT_MAX = 100;

/**
 * Tells somebody who edits a limit that somebody else has changed or deleted it meanwhile: what it was, what it is, and what
 * was written here, for both to be kept, or one of them.
 */
export function Conflict({
  began,
  now,
  written,
  isSaving,
  onOverwrite,
  onMerge,
  onDrop,
}: {
  /** The limit as it was when the editing began. */
  began: Limit;
  /** As it is; null once it is deleted. */
  now: Limit | null;
  written: Draft;
  isSaving: boolean;
  onOverwrite: () => void;
  onMerge: () => void;
  onDrop: () => void;
}) {
  const isOwned = now?.source === 'file';
  const [was, is] = [draftOf(began), now === null ? null : draftOf(now)];
  const both = is === null ? null : merged(was, is, written);
  const canMerge = both !== null && !isOwned && !isSameDraft(both, written);
  const isEdited = !isSameDraft(was, written);
  return (
    <Alert
      role="alert"
      color="yellow"
      variant="light"
      icon={<IconUsers aria-hidden />}
      title={now === null ? 'Somebody has deleted this limit meanwhile' : 'Somebody has changed this limit meanwhile'}
      styles={{ message: { color: 'var(--mantine-color-text)' }, title: { color: 'var(--mantine-color-text)' } }}
      data-testid="conflict"
    >
      <Stack gap="sm">
        <ChangedBy id={began.id} now={now} />
        {isEdited && (
          <Text size="sm">
            Nothing of what you wrote is lost, and nothing of it is saved.
            {isOwned && ' It comes from the limits file by now: it can only be changed there.'}
          </Text>
        )}
        <Comparison began={began} now={now} written={written} />
        <Group gap="xs">
          {canMerge && (
            <Button size="compact-sm" onClick={onMerge} disabled={isSaving}>
              Put both together
            </Button>
          )}
          {!isOwned && (isEdited || now === null) && (
            <Button
              size="compact-sm"
              variant={canMerge ? 'default' : 'filled'}
              onClick={onOverwrite}
              loading={isSaving}
            >
              {now === null ? 'Create it again as written here' : 'Save mine over it'}
            </Button>
          )}
          <Button size="compact-sm" variant="default" onClick={onDrop} disabled={isSaving}>
            {now === null ? 'Let it be deleted' : 'Drop mine'}
          </Button>
        </Group>
        {canMerge && (
          <Text size="xs" c="dimmed">
            Put together, what you changed stays as you wrote it, and everything else is as it is now: look it over,
            then save it.
          </Text>
        )}
      </Stack>
    </Alert>
  );
}

function ChangedBy({ id, now }: { id: string; now: Limit | null }) {
  const query = useQuery({
    queryKey: ['limit-changed-by', id, now?.updated_at ?? null],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }) => {
      const { items } = await fetchAuditEvents(null, AUDIT_MAX, signal);
      // The newest that left it as it is.
      return (
        items.find(({ target, after }) => {
          if (target !== `limit:${id}`) return false;
          return now === null ? after === null : (after as Partial<Limit> | null)?.updated_at === now.updated_at;
        }) ?? null
      );
    },
  });
  const event = query.data ?? null;
  const at = event?.timestamp ?? now?.updated_at;
  if (at === undefined) return null;
  const who = event === null ? null : (event.actor.name ?? event.actor.id);
  return (
    <Text size="sm" className="foreign">
      {who !== null && (
        <>
          By <b>{visible(who)}</b>
          {event?.actor.name === null ? '' : ` (${visible(event!.actor.id)})`},{' '}
        </>
      )}
      <Instant at={at} />, {fromNow(at)}.
    </Text>
  );
}

function Comparison({ began, now, written }: { began: Limit; now: Limit | null; written: Draft }) {
  const was = fieldsOf(began);
  const is = now === null ? null : fieldsOf(now);
  const wrote = fieldsOf(inputOf(written)).map((field) =>
    field.label === 'At most' && draftErrors(written).max !== undefined
      ? { ...field, text: written.max.trim() || '–' }
      : field,
  );
  const rows = was.flatMap(({ label, text }, index) => {
    const [theirs, mine] = [is?.[index]?.text ?? null, wrote[index]?.text ?? ''];
    const isSame = (theirs === null || theirs === text) && mine === text;
    return isSame ? [] : [{ label, text, theirs, mine }];
  });
  if (rows.length === 0) return null;
  return (
    <Table.ScrollContainer minWidth={420} type="native">
      <Table fz="sm" withTableBorder layout="fixed" bg="var(--mantine-color-body)">
        <Table.Thead>
          <Table.Tr>
            <Table.Th w="22%">Field</Table.Th>
            <Table.Th>When you began</Table.Th>
            {is !== null && <Table.Th>Now</Table.Th>}
            <Table.Th>Yours</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map(({ label, text, theirs, mine }) => (
            <Table.Tr key={label}>
              <Table.Th>{label}</Table.Th>
              <Table.Td className="foreign">{visible(text)}</Table.Td>
              {theirs !== null && (
                <Table.Td className="foreign" fw={theirs === text ? undefined : 700}>
                  {visible(theirs)}
                </Table.Td>
              )}
              <Table.Td className="foreign" fw={mine === text ? undefined : 700}>
                {visible(mine)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
