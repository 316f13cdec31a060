import { Button, Group, Loader, NativeSelect, Stack, Table, Text, Title } from '@mantine/core';
import { IconHistory } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { CallError } from '../api/call';
import { type Affected, type LimitChange, type LimitInput, type LimitSimulation, simulateLimits } from '../api/limits';
import { againAfterMs } from '../frame/queries';
import { Trouble } from '../frame/trouble';
import { Foreign, visible } from '../show/foreign';
import { ViewLink } from '../show/view-link';

/** How far back it may be tried, in days. */
const DAYS = [1, 7, 30] as const;
const DAYS_USUAL = 7;

/** What is known is of the moment at which it was asked for; only what fails and may pass is asked for again by itself. */
const ONCE = {
  staleTime: Number.POSITIVE_INFINITY,
  gcTime: 0,
  refetchOnWindowFocus: false,
  refetchInterval: ({ state: { error } }: { state: { error: unknown } }) => againAfterMs(error, false),
};

/** What a limit would have done, had it been in force: tried on the log when somebody asks for it. */
export function WhatIf({ input, id }: { input: LimitInput | null; id: string | null }) {
  const [days, setDays] = useState<number>(DAYS_USUAL);
  const [asked, setAsked] = useState<{ change: LimitChange; turn: number } | null>(null);
  const change = input === null ? null : { limits: [id === null ? input : { ...input, id }], days };
  const query = useQuery({
    ...ONCE,
    // Asked for again it is worked out again: there is more in the log by then.
    queryKey: ['what-if', asked],
    queryFn: ({ signal }) => simulateLimits(asked!.change, signal),
    enabled: asked !== null,
    placeholderData: keepPreviousData,
  });
  const { data, error, isFetching } = query;
  const isOfAnother = asked !== null && JSON.stringify(change) !== JSON.stringify(asked.change);
  const isBusy = error instanceof CallError && error.status === 429;
  return (
    <section className="limit-card" aria-label="What would it have done?" data-testid="what-if">
      <Title order={3} size="h6" mb={6}>
        What would it have done?
      </Title>
      <Stack gap="sm">
        <Text size="xs" c="dimmed">
          Decides the messages of the log again, as if it had been in force. Nothing is changed.
        </Text>
        <Group gap="xs" align="flex-end">
          <NativeSelect
            size="xs"
            aria-label="Over how long"
            data={DAYS.map((count) => ({
              value: `${count}`,
              label: count === 1 ? 'Over the last day' : `Over the last ${count} days`,
            }))}
            value={`${days}`}
            onChange={(event) => setDays(Number(event.currentTarget.value))}
          />
          <Button
            size="xs"
            variant="default"
            leftSection={<IconHistory size={14} aria-hidden />}
            disabled={change === null}
            loading={isFetching}
            onClick={() => change !== null && setAsked({ change, turn: (asked?.turn ?? 0) + 1 })}
          >
            Try it on the log
          </Button>
        </Group>
        {change === null && (
          <Text size="xs" c="dimmed">
            Once every field is right it can be tried.
          </Text>
        )}
        <div role="status" aria-busy={isFetching}>
          {isFetching && (
            <Text size="sm" c="dimmed" span className="sr-only">
              The log is being replayed.
            </Text>
          )}
          {isBusy && (
            <Group gap="xs">
              <Loader size="xs" aria-hidden />
              <Text size="sm">Another is being worked out: this one comes next.</Text>
            </Group>
          )}
          {asked !== null && data !== undefined && (
            <Result simulation={data} isBehind={isOfAnother || query.isPlaceholderData || error !== null} />
          )}
          {isOfAnother && data !== undefined && !isFetching && (
            <Text size="xs" mt="xs">
              You have changed it since: this is of what it was. Try it again.
            </Text>
          )}
        </div>
        {!isBusy && <Trouble error={error} {...(isPassing(error) ? { onRetry: () => void query.refetch() } : {})} />}
      </Stack>
    </section>
  );
}

function isPassing(error: unknown): boolean {
  return error instanceof CallError && error.isPassing;
}

/** What a limit that is to go would have left to go out, in a sentence. */
export function WithoutIt({ id, isAsked }: { id: string; isAsked: boolean }) {
  const { data, error, isFetching } = useQuery({
    ...ONCE,
    queryKey: ['without', id],
    queryFn: ({ signal }) => simulateLimits({ delete: [id], days: DAYS_USUAL }, signal),
    enabled: isAsked,
  });
  return (
    <div role="status" aria-busy={isFetching} data-testid="without-it">
      {data !== undefined ? (
        <Text size="sm" className="foreign">
          {visible(`Without it: ${data.summary.charAt(0).toLowerCase()}${data.summary.slice(1)}`)}
          {data.uncertain.messages > 0 &&
            ` Of ${data.uncertain.messages.toLocaleString()} messages that is not certain.`}
        </Text>
      ) : (
        <Text size="sm" c="dimmed">
          {error === null || isPassing(error)
            ? 'The log is being looked through for what that would have changed…'
            : 'What that would have changed could not be worked out.'}
        </Text>
      )}
    </div>
  );
}

function Result({ simulation, isBehind }: { simulation: LimitSimulation; isBehind: boolean }) {
  const { summary, notes, most_affected: affected, by_limit: limits } = simulation;
  const shadows = limits.filter(({ mode, after }) => mode === 'shadow' && after !== null && after > 0);
  return (
    <Stack gap="xs" className={isBehind ? 'limit-behind' : undefined}>
      <Text fw={500} className="foreign limit-sentence" data-testid="what-if-summary">
        {visible(summary)}
      </Text>
      {shadows.map(({ limit_id: id, after }) => (
        <Text size="sm" key={id} className="foreign">
          {visible(id)} only watches: {after!.toLocaleString()} {after === 1 ? 'message' : 'messages'} would have been
          too much for it.
        </Text>
      ))}
      <MostAffected title="The users most affected" column="User" all={affected.users} searchOf="recipient" />
      {affected.users.length === 0 && (
        <MostAffected title="The accounts most affected" column="Account" all={affected.accounts} searchOf="account" />
      )}
      {notes.length > 0 && (
        <Stack gap={4} component="section" aria-label="What is not certain">
          {notes.map((note) => (
            <Text size="xs" key={note} className="foreign">
              {visible(note)}
            </Text>
          ))}
        </Stack>
      )}
    </Stack>
  );
}

/** Who fares otherwise, each with what the log has of them. It opens beside this page, on which something is being written. */
function MostAffected({
  title,
  column,
  all,
  searchOf,
}: {
  title: string;
  column: string;
  all: readonly Affected[];
  searchOf: 'recipient' | 'account';
}) {
  if (all.length === 0) return null;
  return (
    <Table layout="fixed" fz="sm" verticalSpacing={2} aria-label={title}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{column}</Table.Th>
          <Table.Th w="10.5rem">Throttled</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {all.map((one) => (
          <Table.Tr key={one.id}>
            <Table.Td>
              <ViewLink
                size="sm"
                to="/logs"
                search={{ [searchOf]: one.id }}
                target="_blank"
                rel="noopener"
                className="limit-affected"
              >
                <Foreign text={one.id} />
                <span className="sr-only"> in the logs, in another tab</span>
              </ViewLink>
            </Table.Td>
            <Table.Td>
              {one.throttled_after.toLocaleString()} instead of {one.throttled_before.toLocaleString()}
              {(one.delayed_after > 0 || one.delayed_before > 0) && (
                <Text size="xs" c="dimmed">
                  {one.delayed_after.toLocaleString()} delayed instead of {one.delayed_before.toLocaleString()}
                </Text>
              )}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
