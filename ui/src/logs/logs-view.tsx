import { Button, Drawer, Group, MultiSelect, Title } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useCallback, useMemo, useState } from 'react';
import { fetchMessages, fetchMessagesById, type Message, STATUSES } from '../api/messages';
import { type FeedColumn, FeedTable } from '../feed/feed-table';
import { useFeed } from '../feed/use-feed';
import { againAfterMs } from '../frame/queries';
import { VERY_WIDE } from '../frame/theme';
import { useEscape } from '../frame/use-escape';
import { FilterField } from '../show/filter-field';
import { Foreign } from '../show/foreign';
import { Instant } from '../show/instant';
import { STATUS_LOOKS, StatusBadge } from '../show/status';
import { MessageSide } from './message-side';
import { TimeRange } from './time-range';

const route = getRouteApi('/logs');

/** What has not come to its end: shown rows of these are asked for again. */
const MOVING: ReadonlySet<string> = new Set(['ENQUEUED', 'DELAYED', 'SENT']);
/** How often, in milliseconds, and how many at a time. */
const MOVING_MS = 3_000;
const MOVING_MAX = 100;

const logId = (message: Message) => message.log_id;

/** The log of messages: which were throttled, and why. */
export function LogsView() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const isVeryWide = useMediaQuery(VERY_WIDE, undefined, { getInitialValueInEffect: false });
  const { message: openId, ...filters } = search;
  const { status, recipient, account, topic, after, before, id } = filters;

  type Filters = typeof filters;
  const setFilters = useCallback(
    (changes: Partial<Filters>) => {
      void navigate({ search: (old) => ({ ...old, ...changes }) });
    },
    [navigate],
  );
  const open = useCallback(
    (message: string | undefined) => {
      void navigate({ search: ({ message: _open, ...old }) => (message === undefined ? old : { ...old, message }) });
    },
    [navigate],
  );

  const feed = useFeed<Message>({
    key: ['messages', status, recipient, account, topic, after, before, id],
    fetchPage: (cursor, limit, signal) => fetchMessages(filters, cursor, limit, signal),
    idOf: logId,
    isClosed: before !== undefined && Date.parse(before) < Date.now(),
  });

  const [inView, setInView] = useState<Message[]>([]);
  const present = usePresent(inView);
  const columns = useMemo(
    (): FeedColumn<Message>[] => [
      {
        id: 'time',
        header: 'Time',
        widthRem: 10.5,
        narrowRem: 8.5,
        cell: (message) => (
          <button type="button" className="open-row">
            <Instant at={message.enqueued} />
          </button>
        ),
      },
      {
        id: 'status',
        header: 'Status',
        widthRem: 9,
        narrowRem: 7.5,
        cell: (message) => <StatusBadge status={(present.get(message.log_id) ?? message).status} />,
      },
      { id: 'recipient', header: 'Recipient', cell: ({ recipient }) => <Foreign text={recipient} /> },
      { id: 'account', header: 'Account', isWideOnly: true, cell: ({ account_id }) => <Foreign text={account_id} /> },
      { id: 'topic', header: 'Topic', isWideOnly: true, cell: ({ topic }) => <Foreign text={topic} /> },
      {
        id: 'provider',
        header: 'Provider',
        widthRem: 8,
        isWideOnly: true,
        cell: ({ provider, kind }) => (kind === 'check' ? <i>its caller</i> : <Foreign text={provider} />),
      },
    ],
    [present],
  );

  const drawer = useEscape(openId === undefined || isVeryWide ? null : () => open(undefined));
  const beside = useEscape(openId === undefined || !isVeryWide ? null : closeSide);
  /** The keyboard goes on in the list, where it can be at the message that was open. */
  function closeSide(): void {
    const [list, side] = ['.feed-scroll', '.beside-side'].map((name) =>
      beside.current?.querySelector<HTMLElement>(name),
    );
    if (openId !== undefined && side?.contains(document.activeElement)) {
      const row = list?.querySelector<HTMLElement>(`[data-id="${CSS.escape(openId)}"] .open-row`);
      (row ?? list)?.focus({ preventScroll: true });
    }
    open(undefined);
  }

  const isFiltered = Object.values(filters).some((value) => value !== undefined);
  const side = openId !== undefined && (
    <MessageSide
      key={openId}
      id={openId}
      onClose={closeSide}
      onOpen={open}
      onFilter={setFilters}
      onChanged={feed.replace}
    />
  );
  return (
    <div className="page-fill">
      <div className="page-head">
        <Title order={1} size="h2">
          Logs
        </Title>
        <Group gap="xs" align="flex-end" component="search">
          <MultiSelect
            aria-label="Status"
            placeholder={status === undefined ? 'Any status' : ''}
            w={status === undefined ? 140 : 230}
            size="xs"
            clearable
            data={STATUSES.map((value) => ({ value, label: STATUS_LOOKS[value].label }))}
            value={status?.split(',') ?? []}
            onChange={(values) => setFilters({ status: values.length === 0 ? undefined : values.join(',') })}
            clearButtonProps={{ 'aria-label': 'Any status' }}
          />
          <FilterField
            aria-label="Recipient"
            placeholder="Recipient"
            w={130}
            size="xs"
            value={recipient}
            onFilter={(value) => setFilters({ recipient: value })}
          />
          <FilterField
            aria-label="Account"
            placeholder="Account"
            w={120}
            size="xs"
            value={account}
            onFilter={(value) => setFilters({ account: value })}
          />
          <FilterField
            aria-label="Topic"
            placeholder="Topic"
            w={120}
            size="xs"
            value={topic}
            onFilter={(value) => setFilters({ topic: value })}
          />
          <TimeRange after={after} before={before} onChange={setFilters} />
          <FilterField
            aria-label="Message or request id"
            placeholder="Message or request id"
            w={170}
            size="xs"
            value={id}
            onFilter={(value) => setFilters({ id: value })}
          />
          <Button
            size="xs"
            variant="subtle"
            disabled={!isFiltered}
            onClick={() => void navigate({ search: openId === undefined ? {} : { message: openId } })}
          >
            Clear
          </Button>
        </Group>
      </div>
      <div className="beside" ref={beside}>
        <FeedTable
          feed={feed}
          columns={columns}
          idOf={logId}
          label="Messages"
          emptyWords={
            isFiltered
              ? 'No message matches these filters.'
              : 'Nothing yet. Every send is logged here, and every check that was throttled; accepted checks too, once the settings say so.'
          }
          endWords="These are all: the log has no older ones."
          open={(message) => open(message.log_id)}
          openId={openId}
          onView={setInView}
        />
        {isVeryWide && side && (
          // What is pointed at in it is where the keyboard goes on
          <aside className="beside-side" aria-label="Message" tabIndex={-1}>
            {side}
          </aside>
        )}
      </div>
      {!isVeryWide && (
        // The message has a heading and a way out of its own.
        <Drawer.Root
          opened={openId !== undefined}
          onClose={() => open(undefined)}
          position="right"
          size="27.5rem"
          padding={0}
          closeOnEscape={false}
          ref={drawer}
        >
          <Drawer.Overlay />
          <Drawer.Content aria-label="Message">
            <Drawer.Body>{side}</Drawer.Body>
          </Drawer.Content>
        </Drawer.Root>
      )}
    </div>
  );
}

/** What those in view that go on are now, by their id in the log. */
function usePresent(inView: readonly Message[]): ReadonlyMap<string, Message> {
  const ids = inView
    .filter(({ kind, status }) => kind === 'send' && MOVING.has(status))
    .slice(0, MOVING_MAX)
    .map(logId);
  const query = useQuery<ReadonlyMap<string, Message>>({
    queryKey: ['present', ids],
    enabled: ids.length > 0,
    placeholderData: keepPreviousData,
    refetchInterval: ({ state: { error } }) => againAfterMs(error, MOVING_MS),
    queryFn: async ({ signal }) =>
      new Map((await fetchMessagesById(ids, signal)).map((message) => [message.log_id, message])),
  });
  return query.data ?? NONE;
}

const NONE: ReadonlyMap<string, Message> = new Map();
