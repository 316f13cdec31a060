import { ActionIcon, Button, Group, Paper, Stack, Table, Text, TextInput, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { CallError } from '../api/call';
import { fetchMappings, type Mapping, putMappings } from '../api/mappings';
import { live } from '../frame/queries';
import { useMay } from '../frame/session';
import { Answered, Trouble } from '../frame/trouble';
import { useUnsaved } from '../frame/unsaved';
import { Foreign } from '../show/foreign';
import { useDraft } from './draft';
import { Overtaken } from './overtaken';

const MAPPINGS_KEY = ['mappings'];

const COLUMNS: { name: keyof Mapping; label: string; empty: string }[] = [
  { name: 'event', label: 'Event', empty: 'Order *' },
  { name: 'topic', label: 'Topic', empty: 'none' },
  { name: 'template', label: 'Template', empty: 'none' },
  { name: 'recipient', label: 'Recipient at', empty: 'userId' },
  { name: 'account', label: 'Account at', empty: 'context.groupId' },
];

/** Which events of Segment and RudderStack become messages. */
export function Mappings() {
  const query = useQuery({ queryKey: MAPPINGS_KEY, queryFn: ({ signal }) => fetchMappings(signal), ...live });
  return (
    <Paper withBorder p="lg" component="section" mt="lg">
      <Stack gap="md">
        <Stack gap={0}>
          <Title order={2} size="h4">
            Events
          </Title>
          <Text size="sm" c="dimmed">
            Which track calls of Segment and RudderStack become messages: by the first row whose event is the name, or a
            pattern of it with * for any characters. The others are logged as unmapped.
          </Text>
        </Stack>
        <Answered query={query} lines={3}>
          {(mappings) => <MappingsForm mappings={mappings} />}
        </Answered>
      </Stack>
    </Paper>
  );
}

function MappingsForm({ mappings }: { mappings: Mapping[] }) {
  const queries = useQueryClient();
  const mayChange = useMay('admin');
  const draft = useDraft({ mappings });
  const { isDirty } = draft;
  const rows = draft.values.mappings;
  const { question } = useUnsaved(isDirty);
  const saving = useMutation({
    mutationFn: putMappings,
    onSuccess(saved) {
      queries.setQueryData(MAPPINGS_KEY, saved);
      notifications.show({ color: 'teal', message: 'Saved. It is in force for the next event.' });
    },
  });
  const isSent = JSON.stringify(saving.variables) === JSON.stringify(rows);
  const refused = isSent && saving.error instanceof CallError ? saving.error.errors : [];
  const errorOf = (index: number, name: keyof Mapping) =>
    refused.find(({ path }) => path === `mappings.${index}.${name}`)?.message;
  const set = (changed: Mapping[]) => draft.set('mappings', changed);

  function change(index: number, name: keyof Mapping, value: string): void {
    const { [name]: _before, ...others } = rows[index]!;
    // What is empty is not given; an event always is.
    const row = (value === '' && name !== 'event' ? others : { ...others, [name]: value }) as Mapping;
    set(rows.map((one, place) => (place === index ? row : one)));
  }

  if (!mayChange && rows.length === 0) return <Text size="sm">There are no mappings: no event becomes a message.</Text>;
  return (
    <form
      aria-label="Mappings of events"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (mayChange && isDirty && !saving.isPending) saving.mutate(rows);
      }}
    >
      <Stack gap="sm">
        {rows.length > 0 && (
          <Table.ScrollContainer minWidth="44rem">
            <Table fz="sm" verticalSpacing={4} horizontalSpacing={4} withRowBorders={false}>
              <Table.Thead>
                <Table.Tr>
                  {COLUMNS.map(({ name, label }) => (
                    <Table.Th key={name}>{label}</Table.Th>
                  ))}
                  {mayChange && <Table.Th w="2.5rem" aria-label="Remove" />}
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {rows.map((row, index) => (
                  <Table.Tr key={index}>
                    {COLUMNS.map(({ name, label, empty }) => (
                      <Table.Td key={name} valign="top">
                        {mayChange ? (
                          <TextInput
                            size="xs"
                            aria-label={`${label}, row ${index + 1}`}
                            placeholder={empty}
                            value={row[name] ?? ''}
                            error={errorOf(index, name)}
                            onChange={(event) => change(index, name, event.currentTarget.value)}
                          />
                        ) : (
                          <Foreign text={row[name]} />
                        )}
                      </Table.Td>
                    ))}
                    {mayChange && (
                      <Table.Td valign="top">
                        <ActionIcon
                          variant="subtle"
                          color="gray"
                          aria-label={`Remove row ${index + 1}`}
                          onClick={() => set(rows.filter((_row, place) => place !== index))}
                        >
                          <IconTrash size={16} aria-hidden />
                        </ActionIcon>
                      </Table.Td>
                    )}
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
        <Overtaken
          isOvertaken={draft.isOvertaken('mappings')}
          theirs={mappings.length === 0 ? 'none' : mappings.map(({ event }) => event).join(', ')}
          onTake={() => draft.drop()}
        />
        {isSent && refused.every(({ path }) => path === 'mappings') && <Trouble error={saving.error} />}
        {mayChange && (
          <Group gap="xs">
            <Button
              variant="default"
              leftSection={<IconPlus size={16} aria-hidden />}
              onClick={() => set([...rows, { event: '' }])}
            >
              Add an event
            </Button>
            {isDirty && (
              <>
                <Button variant="default" onClick={() => draft.drop()} disabled={saving.isPending}>
                  Discard
                </Button>
                <Button type="submit" loading={saving.isPending}>
                  Save the events
                </Button>
              </>
            )}
          </Group>
        )}
      </Stack>
      {question}
    </form>
  );
}
