import {
  ActionIcon,
  Anchor,
  Button,
  Collapse,
  CopyButton,
  Divider,
  Group,
  Stack,
  Table,
  Text,
  Timeline,
  Title,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconCheck, IconCopy, IconFilter, IconX } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Fragment, useState } from 'react';
import {
  cancelMessage,
  type Explanation,
  fetchExplanation,
  fetchHistory,
  fetchMessage,
  type Message,
  type MessageEvent,
  type MessageFilters,
  retryMessage,
  type Status,
} from '../api/messages';
import { Confirm } from '../frame/confirm';
import { againAfterMs, LIVE_MS } from '../frame/queries';
import { useMay } from '../frame/session';
import { Answered } from '../frame/trouble';
import { Foreign, visible } from '../show/foreign';
import { fromNow, Instant } from '../show/instant';
import { LimitBar } from '../show/limit-bar';
import { STATUS_LOOKS, StatusBadge } from '../show/status';
import { ViewLink } from '../show/view-link';

/** How often a message that goes on is asked for again, in milliseconds. */
const MOVING_MS = 2_000;
/** A moment in a text of the API. */
const INSTANT = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)/;
const RETRIED: ReadonlySet<Status> = new Set(['THROTTLED', 'FILTERED', 'UNDELIVERABLE']);
const CANCELED: ReadonlySet<Status> = new Set(['ENQUEUED', 'DELAYED']);

/** One message beside the list: what became of it, why, and what can be done. */
export function MessageSide({
  id,
  onClose,
  onOpen,
  onFilter,
  onChanged,
}: {
  /** Its id in the log. */
  id: string;
  onClose: () => void;
  onOpen: (id: string) => void;
  onFilter: (filters: MessageFilters) => void;
  /** Told what it has become by what was done here. */
  onChanged: (message: Message) => void;
}) {
  const queries = useQueryClient();
  const query = useQuery({
    queryKey: ['message', id],
    queryFn: async ({ signal }) => {
      const [message, history, explanation] = await Promise.all([
        fetchMessage(id, signal),
        fetchHistory(id, signal),
        fetchExplanation(id, signal),
      ]);
      return { message, history, explanation };
    },
    refetchInterval: ({ state: { data, error } }) =>
      againAfterMs(error, data !== undefined && CANCELED.has(data.message.status) ? MOVING_MS : LIVE_MS),
  });
  const mayAct = useMay('check');
  const [asked, setAsked] = useState<'retry' | 'cancel' | null>(null);
  const message = query.data?.message;

  async function act(what: 'retry' | 'cancel'): Promise<void> {
    const now = await (what === 'retry' ? retryMessage(id) : cancelMessage(id));
    onChanged(now);
    notifications.show({ message: outcomeWords(what, now), color: now.status === 'THROTTLED' ? 'orange' : 'teal' });
    await Promise.all([
      queries.invalidateQueries({ queryKey: ['message', id] }),
      queries.invalidateQueries({ queryKey: ['present'] }),
    ]);
  }

  return (
    <Stack gap="md" p="md">
      <Group justify="space-between" wrap="nowrap">
        <Title order={2} size="h4">
          Message
        </Title>
        <ActionIcon variant="subtle" color="gray" aria-label="Close the message" onClick={onClose}>
          <IconX size={18} aria-hidden />
        </ActionIcon>
      </Group>
      <Answered query={query} lines={8}>
        {({ message, history, explanation }) => (
          <>
            <Stack gap="xs">
              <Group justify="space-between">
                <StatusBadge status={message.status} />
                {mayAct && message.kind === 'send' && (
                  <Group gap="xs">
                    {RETRIED.has(message.status) && (
                      <Button size="compact-sm" onClick={() => setAsked('retry')}>
                        Retry
                      </Button>
                    )}
                    {CANCELED.has(message.status) && (
                      <Button size="compact-sm" color="red" variant="light" onClick={() => setAsked('cancel')}>
                        Cancel
                      </Button>
                    )}
                  </Group>
                )}
              </Group>
              <Text size="sm" className="foreign" data-testid="why">
                <Why summary={explanation.summary} />
              </Text>
            </Stack>
            <Facts message={message} onFilter={onFilter} />
            <Limits message={message} explanation={explanation} onOpen={onOpen} />
            <Divider label="What happened" labelPosition="left" />
            <History events={history} />
            <Raw value={{ message, history, explanation }} />
          </>
        )}
      </Answered>
      {message !== undefined && (
        <>
          <Confirm
            opened={asked === 'retry'}
            title="Send it again?"
            confirmLabel="Retry"
            onConfirm={() => act('retry')}
            onClose={() => setAsked(null)}
          >
            The message to <bdi>{visible(message.recipient)}</bdi> is decided again, under the limits as they are now.
            If they have room it counts and is sent; if not it stays as it is.
          </Confirm>
          <Confirm
            opened={asked === 'cancel'}
            title="Cancel this message?"
            confirmLabel="Cancel message"
            dismissLabel="Back"
            danger
            onConfirm={() => act('cancel')}
            onClose={() => setAsked(null)}
          >
            The message to <bdi>{visible(message.recipient)}</bdi> is not sent, and what it counted is given back.
          </Confirm>
        </>
      )}
    </Stack>
  );
}

function outcomeWords(what: 'retry' | 'cancel', { status }: Message): string {
  if (what === 'cancel') return 'The message is canceled.';
  if (status === 'THROTTLED') return 'There is still no room: it was throttled again.';
  return `The message was decided again: ${STATUS_LOOKS[status].label.toLowerCase()}.`;
}

/** The answer to *why*, its moments by the clock of this browser. */
function Why({ summary }: { summary: string }) {
  return visible(summary)
    .split(INSTANT)
    .map((part, index) =>
      index % 2 === 0 ? (
        <Fragment key={index}>{part}</Fragment>
      ) : (
        <Fragment key={index}>
          <Instant at={part} /> ({fromNow(part)})
        </Fragment>
      ),
    );
}

function Facts({ message, onFilter }: { message: Message; onFilter: (filters: MessageFilters) => void }) {
  const filtering = (label: string, filters: MessageFilters) => (
    <ActionIcon
      size="xs"
      variant="subtle"
      color="gray"
      aria-label={label}
      title={label}
      onClick={() => onFilter(filters)}
    >
      <IconFilter size={13} aria-hidden />
    </ActionIcon>
  );
  const { recipient, account_id, topic, channel, provider, notification, event, tags, trace_id, request_id } = message;
  const rows: [string, React.ReactNode][] = [
    ['Id', <Copied key="id" text={message.id} />],
    [
      'Recipient',
      <Group key="recipient" gap={4} wrap="nowrap">
        <ViewLink size="sm" miw={0} to="/usage" search={usageOf(message)} title="What is used of the limits">
          <Foreign text={recipient} />
        </ViewLink>
        {filtering('Only messages to this recipient', { recipient })}
      </Group>,
    ],
  ];
  if (account_id !== null) {
    rows.push([
      'Account',
      <Group key="account" gap={4} wrap="nowrap">
        <ViewLink size="sm" miw={0} to="/members" search={{ account: account_id }} title="Who is in it">
          <Foreign text={account_id} />
        </ViewLink>
        {filtering('Only messages for this account', { account: account_id })}
      </Group>,
    ]);
  }
  if (topic !== null) {
    rows.push([
      'Topic',
      <Group key="topic" gap={4} wrap="nowrap">
        <Foreign text={topic} />
        {filtering('Only messages about this topic', { topic })}
      </Group>,
    ]);
  }
  if (channel !== null) rows.push(['Channel', <Foreign key="channel" text={channel} />]);
  rows.push([
    'Kind',
    message.kind === 'check' ? 'A check: its caller sends it, or does not' : `A send, by the provider ${provider}`,
  ]);
  if (message.cost !== 1) rows.push(['Counts as', message.cost.toLocaleString()]);
  rows.push(['Taken', <Instant key="taken" at={message.enqueued} />]);
  if (message.due !== undefined) rows.push(['Decided at', <Instant key="due" at={message.due} />]);
  if (message.held_since !== undefined) rows.push(['Waits since', <Instant key="held" at={message.held_since} />]);
  if (message.sent !== undefined) rows.push(['Sent', <Instant key="sent" at={message.sent} />]);
  if (message.delivered !== undefined) rows.push(['Delivered', <Instant key="delivered" at={message.delivered} />]);
  if (message.tries > 0) rows.push(['Tries', message.tries]);
  if (notification !== '') rows.push(['Template', <Foreign key="template" text={notification} />]);
  if (event !== '') rows.push(['Event', <Foreign key="event" text={event} />]);
  if (tags.length > 0) rows.push(['Tags', <Foreign key="tags" text={tags.join(', ')} />]);
  if (trace_id !== null) rows.push(['Trace id', <Foreign key="trace" text={trace_id} />]);
  if (request_id !== null) {
    rows.push([
      'Request id',
      <Group key="request" gap={6} wrap="nowrap">
        <Copied text={request_id} />
        {request_id !== message.id && filtering('All messages of this request', { id: request_id })}
      </Group>,
    ]);
  }
  return (
    <Table variant="vertical" layout="fixed" fz="sm" withRowBorders={false} verticalSpacing={3} horizontalSpacing="xs">
      <Table.Tbody>
        {rows.map(([label, value]) => (
          <Table.Tr key={label}>
            <Table.Th w={96} c="dimmed" fw={500} bg="transparent">
              {label}
            </Table.Th>
            <Table.Td>{value}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function usageOf({ recipient, account_id, topic, channel }: Message) {
  return {
    user: recipient,
    ...(account_id === null ? {} : { account: account_id }),
    ...(topic === null ? {} : { topic }),
    ...(channel === null ? {} : { channel }),
  };
}

function Copied({ text }: { text: string }) {
  return (
    <Group gap={4} wrap="nowrap">
      <Foreign text={text} />
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <ActionIcon size="xs" variant="subtle" color="gray" aria-label={copied ? 'Copied' : 'Copy'} onClick={copy}>
            {copied ? <IconCheck size={13} aria-hidden /> : <IconCopy size={13} aria-hidden />}
          </ActionIcon>
        )}
      </CopyButton>
    </Group>
  );
}

/** Every limit that it was held against, as it was then: the one that stopped it first. */
function Limits({
  message,
  explanation,
  onOpen,
}: {
  message: Message;
  explanation: Explanation;
  onOpen: (id: string) => void;
}) {
  const limits = [...explanation.limits].sort((one, other) => Number(other.stopped) - Number(one.stopped));
  if (limits.length === 0) return null;
  return (
    <>
      <Divider label={explanation.decided === null ? 'Limits' : 'Limits, when it was decided'} labelPosition="left" />
      <Stack gap="md">
        {limits.map((limit) => (
          <LimitBar
            key={limit.limit_id}
            usage={limit}
            stopped={limit.stopped}
            cost={limit.stopped ? message.cost : 0}
            action={
              limit.stopped && (
                <Stack gap={2}>
                  <Text size="xs">
                    {limit.opens_at === null
                      ? 'It never has room for so much.'
                      : `It opens again ${fromNow(limit.opens_at)}.`}{' '}
                    <Link to="/limits" search={{ edit: limit.limit_id }}>
                      Look at the limit
                    </Link>
                  </Text>
                  {limit.last_used_by.length > 0 && (
                    <Text size="xs" c="dimmed">
                      Its room was used last by
                    </Text>
                  )}
                  {limit.last_used_by.map((other) => (
                    <Group key={`${other.message_id} ${other.decided}`} gap="xs" wrap="nowrap" fz="xs">
                      <Instant at={other.decided} />
                      <Anchor component="button" type="button" fz="xs" miw={0} onClick={() => onOpen(other.message_id)}>
                        <Foreign text={other.recipient} />
                      </Anchor>
                      {other.topic !== null && <Foreign text={other.topic} />}
                    </Group>
                  ))}
                  {limit.last_used_by.length === 0 && limit.used > 0 && !explanation.checks_logged && (
                    <Text size="xs" c="dimmed">
                      What used its room was only asked about, and accepted checks are not logged.
                    </Text>
                  )}
                </Stack>
              )
            }
          />
        ))}
      </Stack>
    </>
  );
}

const EVENT_LABELS: Record<string, string> = {
  RETRYING: 'Failed, tried again',
  REDELIVERED: 'Begun again',
  STOPPED: 'The provider was stopped',
  RECEIPT: 'The provider said more',
};

/** Details that have a place of their own, or say nothing to a person. */
const DETAILS_LEFT_OUT: ReadonlySet<string> = new Set(['id', 'ts', 'type']);

function History({ events }: { events: readonly MessageEvent[] }) {
  return (
    <Timeline bulletSize={14} lineWidth={2} active={events.length}>
      {events.map((event) => (
        <Timeline.Item
          key={event.id}
          title={EVENT_LABELS[event.type] ?? STATUS_LOOKS[event.type as Status]?.label ?? event.type}
        >
          <Text size="xs" c="dimmed">
            <Instant at={event.ts} />
          </Text>
          {Object.entries(event)
            .filter(([name, value]) => !DETAILS_LEFT_OUT.has(name) && value !== null && value !== undefined)
            .map(([name, value]) => (
              <Text key={name} size="xs" className="foreign">
                <b>{name.replaceAll('_', ' ')}:</b> {visible(detailText(name, value))}
              </Text>
            ))}
        </Timeline.Item>
      ))}
    </Timeline>
  );
}

function detailText(name: string, value: unknown): string {
  if (name === 'next_try' && typeof value === 'number') return new Date(value).toLocaleString();
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The record as it is, to be copied into a ticket. */
function Raw({ value }: { value: unknown }) {
  const [isOpen, { toggle }] = useDisclosure(false);
  const text = JSON.stringify(value, null, 2);
  return (
    <>
      <Group justify="space-between">
        <Button variant="subtle" size="compact-sm" onClick={toggle} aria-expanded={isOpen}>
          {isOpen ? 'Hide the raw record' : 'Show the raw record'}
        </Button>
        <CopyButton value={text}>
          {({ copied, copy }) => (
            <Button variant="default" size="compact-sm" onClick={copy}>
              {copied ? 'Copied' : 'Copy the raw record'}
            </Button>
          )}
        </CopyButton>
      </Group>
      <Collapse expanded={isOpen}>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
        <pre className="raw" tabIndex={0}>
          {text}
        </pre>
      </Collapse>
    </>
  );
}
