import { Box, Button, Grid, Group, Paper, Stack, Table, Text, Title } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { type AlertsPage, fetchAlerts } from '../api/alerts';
import { fetchSettings } from '../api/settings';
import { live } from '../frame/queries';
import { Answered } from '../frame/trouble';
import { Foreign, visible } from '../show/foreign';
import { Instant } from '../show/instant';
import { AlertSettings } from './alert-settings';
import { alertWords, stateWords, whoseWords } from './alert-words';

/** What Sendgate has told of by itself, and to whom. */
export function AlertsView() {
  const settings = useQuery({ queryKey: ['settings'], queryFn: ({ signal }) => fetchSettings(signal), ...live });
  const alerts = useInfiniteQuery({
    queryKey: ['alerts'],
    queryFn: ({ pageParam, signal }) => fetchAlerts(pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: ({ paging }) => paging.cursor,
    ...live,
  });
  const newest = alerts.data?.pages[0];
  return (
    <div className="page">
      <Stack gap={0}>
        <Title order={1} size="h2">
          Alerts
        </Title>
        <Text size="sm" c="dimmed">
          What Sendgate tells of by itself: once for each limit, counter and window.
        </Text>
      </Stack>
      <Grid gap="xl">
        <Grid.Col span={{ base: 12, lg: 7 }}>
          <Title order={2} size="h4" mb="sm">
            Latest
          </Title>
          <Answered query={alerts} lines={6}>
            {({ pages }) => (
              <Stack gap="sm">
                <AlertTable items={pages.flatMap(({ items }) => items)} />
                {alerts.hasNextPage && (
                  <Group>
                    <Button
                      variant="default"
                      loading={alerts.isFetchingNextPage}
                      onClick={() => void alerts.fetchNextPage()}
                    >
                      Show older
                    </Button>
                  </Group>
                )}
              </Stack>
            )}
          </Answered>
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 5 }}>
          <Paper withBorder p="lg" component="section">
            <Title order={2} size="h4" mb="sm">
              Who is told
            </Title>
            <Answered query={settings} lines={6}>
              {(present) => <AlertSettings settings={present} page={newest} />}
            </Answered>
          </Paper>
        </Grid.Col>
      </Grid>
    </div>
  );
}

function AlertTable({ items }: { items: AlertsPage['items'] }) {
  if (items.length === 0) return <Text>Nothing has happened that there is an alert of.</Text>;
  return (
    <Table fz="sm" verticalSpacing="xs" aria-label="Alerts">
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Time</Table.Th>
          <Table.Th>What</Table.Th>
          <Table.Th visibleFrom="sm">Told</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {items.map(({ alert, deliveries }) => (
          <Table.Tr key={alert.data.alert_id}>
            <Table.Td style={{ whiteSpace: 'nowrap' }}>
              <Instant at={alert.timestamp} />
            </Table.Td>
            <Table.Td className="foreign">
              <Text size="sm" fw={500} className="foreign">
                {visible(alertWords(alert))}
              </Text>
              {whoseWords(alert) !== '' && (
                <Text size="xs" c="dimmed" component="div">
                  <Foreign text={whoseWords(alert)} />
                </Text>
              )}
              <Box hiddenFrom="sm">
                <Told deliveries={deliveries} />
              </Box>
            </Table.Td>
            <Table.Td className="foreign" visibleFrom="sm">
              <Told deliveries={deliveries} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

/** Who was told, and how that went. */
function Told({ deliveries }: Pick<AlertsPage['items'][number], 'deliveries'>) {
  if (deliveries.length === 0) {
    return (
      <Text size="xs" c="dimmed">
        Nobody
      </Text>
    );
  }
  return deliveries.map((delivery) => (
    <Text size="xs" key={delivery.url ?? 'mail'} className="foreign">
      {delivery.url === null ? 'Mail' : visible(hostOf(delivery.url))}: {visible(stateWords(delivery))}
    </Text>
  ));
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}
