import { Group, Paper, Stack, Table, Text, Title } from '@mantine/core';
import { IconGauge } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { fetchMessages, type Message } from '../api/messages';
import type { UsageOf } from '../api/usage';
import { live } from '../frame/queries';
import { Trouble } from '../frame/trouble';
import { Foreign } from '../show/foreign';
import { fromNow } from '../show/instant';
import { ViewLink } from '../show/view-link';

/** How many throttled messages are looked at, and how many different ones of them are offered. */
const LOOKED_AT = 50;
const OFFERED = 8;

/** What is shown before anything is asked about: how to ask, and whom one may have come for. */
export function ThrottledLately() {
  const query = useQuery({
    queryKey: ['throttled-lately'],
    queryFn: async ({ signal }) =>
      distinct((await fetchMessages({ status: 'THROTTLED' }, null, LOOKED_AT, signal)).items),
    ...live,
  });
  return (
    <>
      <Paper withBorder p="lg">
        <Group wrap="nowrap" align="flex-start">
          <IconGauge size={28} stroke={1.5} aria-hidden />
          <Stack gap={4}>
            <Text fw={600}>Whom or what is it about?</Text>
            <Text size="sm">
              Give a user, an account, a topic or a channel, or several of them: what you know of a message. You see
              each limit that such a message counts toward, what is used, what is left, and when it begins again.
            </Text>
          </Stack>
        </Group>
      </Paper>
      <Trouble error={query.error} onRetry={() => void query.refetch()} />
      {query.data !== undefined && query.data.length > 0 && (
        <Stack gap="xs" component="section">
          <Title order={2} size="h5">
            Throttled lately
          </Title>
          <Table layout="fixed" fz="sm" verticalSpacing={6} aria-label="Throttled lately">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>User</Table.Th>
                <Table.Th>Account</Table.Th>
                <Table.Th visibleFrom="xs">Topic</Table.Th>
                <Table.Th w="9rem">When</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {query.data.map((message) => (
                <Table.Tr key={message.log_id}>
                  <Table.Td>
                    <ViewLink size="sm" to="/usage" search={usageOf(message)}>
                      <Foreign text={message.recipient} />
                    </ViewLink>
                  </Table.Td>
                  <Table.Td>
                    <Foreign text={message.account_id} />
                  </Table.Td>
                  <Table.Td visibleFrom="xs">
                    <Foreign text={message.topic} />
                  </Table.Td>
                  <Table.Td>{fromNow(message.enqueued)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Stack>
      )}
    </>
  );
}

function usageOf({ recipient, account_id, topic, channel }: Message): UsageOf {
  return {
    user: recipient,
    ...(account_id === null ? {} : { account: account_id }),
    ...(topic === null ? {} : { topic }),
    ...(channel === null ? {} : { channel }),
  };
}

/** The newest of each recipient, account, topic and channel. */
function distinct(messages: readonly Message[]): Message[] {
  const newest = new Map<string, Message>();
  for (const message of messages) {
    const key = JSON.stringify(usageOf(message));
    if (!newest.has(key)) newest.set(key, message);
  }
  return [...newest.values()].slice(0, OFFERED);
}
