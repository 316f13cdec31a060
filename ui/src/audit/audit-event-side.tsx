import { Button, CopyButton, Group, Stack, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type AuditEvent, fetchAuditEvent } from '../api/audit';
import { Answered } from '../frame/trouble';
import { visible } from '../show/foreign';
import { Instant } from '../show/instant';
import { fieldChanges } from './change';

/** One change: by whom, to what, and what was before and after. */
export function AuditEventSide({ id, listed }: { id: string; listed: AuditEvent | undefined }) {
  const query = useQuery({
    queryKey: ['audit-event', id],
    queryFn: ({ signal }) => fetchAuditEvent(id, signal),
    // It never changes.
    staleTime: Number.POSITIVE_INFINITY,
    ...(listed === undefined ? {} : { initialData: listed }),
  });
  return (
    <Stack>
      <Answered query={query}>{(event) => <Change event={event} />}</Answered>
    </Stack>
  );
}

function Change({ event }: { event: AuditEvent }) {
  const { type, target, actor, source, timestamp } = event;
  const changes = fieldChanges(event);
  const raw = JSON.stringify(event, null, 2);
  return (
    <>
      <Text fw={600} className="foreign">
        {visible(type)} · {visible(target)}
      </Text>
      <Text size="sm" className="foreign">
        By {actor.name === null ? visible(actor.id) : `${visible(actor.name)} (${visible(actor.id)})`}, through {source}
        , <Instant at={timestamp} />
      </Text>
      {changes.length > 0 && (
        <Table layout="fixed" fz="sm" withTableBorder>
          <Table.Thead>
            <Table.Tr>
              <Table.Th w="28%">Field</Table.Th>
              <Table.Th>Before</Table.Th>
              <Table.Th>After</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {changes.map(({ field, before, after }) => (
              <Table.Tr key={field}>
                <Table.Td className="foreign">{visible(field)}</Table.Td>
                <Table.Td className="foreign">{visible(before)}</Table.Td>
                <Table.Td className="foreign">{visible(after)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      <Group justify="space-between">
        <Text size="sm" c="dimmed">
          The raw record
        </Text>
        <CopyButton value={raw}>
          {({ copied, copy }) => (
            <Button variant="default" size="compact-sm" onClick={copy}>
              {copied ? 'Copied' : 'Copy'}
            </Button>
          )}
        </CopyButton>
      </Group>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <pre className="raw" tabIndex={0}>
        {raw}
      </pre>
    </>
  );
}
