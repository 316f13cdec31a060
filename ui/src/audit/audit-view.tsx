import { Drawer, Stack, Text, Title } from '@mantine/core';
import { getRouteApi } from '@tanstack/react-router';
import { useCallback, useMemo, useState } from 'react';
import { type AuditEvent, fetchAuditEvents } from '../api/audit';
import { type FeedColumn, FeedTable } from '../feed/feed-table';
import { useFeed } from '../feed/use-feed';
import { Foreign } from '../show/foreign';
import { Instant } from '../show/instant';
import { AuditEventSide } from './audit-event-side';
import { changeWords } from './change';

const route = getRouteApi('/audit');

const KEY = ['audit'];
const eventId = ({ auditEventId }: AuditEvent) => auditEventId;

const COLUMNS: readonly FeedColumn<AuditEvent>[] = [
  {
    id: 'time',
    header: 'Time',
    widthRem: 10.5,
    narrowRem: 8.5,
    cell: ({ timestamp }) => (
      <button type="button" className="open-row">
        <Instant at={timestamp} />
      </button>
    ),
  },
  { id: 'type', header: 'What', widthRem: 11, narrowRem: 8, cell: ({ type }) => <Foreign text={type} /> },
  { id: 'target', header: 'To what', cell: ({ target }) => <Foreign text={target} /> },
  { id: 'change', header: 'Change', isWideOnly: true, cell: (event) => <Foreign text={changeWords(event)} /> },
  {
    id: 'actor',
    header: 'By whom',
    widthRem: 11,
    isWideOnly: true,
    cell: ({ actor }) => <Foreign text={actor.name ?? actor.id} />,
  },
  { id: 'source', header: 'Through', widthRem: 6, isWideOnly: true, cell: ({ source }) => <Foreign text={source} /> },
];

/** Every change that anybody made. */
export function AuditView() {
  const { event: openId } = route.useSearch();
  const navigate = route.useNavigate();
  const open = useCallback(
    (event: string | undefined) => void navigate({ search: event === undefined ? {} : { event } }),
    [navigate],
  );
  // Who reads on to the oldest has what there is to be asked for, and is left to read
  const [isAtTop, setAtTop] = useState(true);
  const feed = useFeed<AuditEvent>({ key: KEY, fetchPage: fetchAuditEvents, idOf: eventId, isClosed: !isAtTop });
  const listed = useMemo(() => feed.items.find((item) => eventId(item) === openId), [feed.items, openId]);
  return (
    <div className="page-fill">
      <div className="page-head">
        <Stack gap={0}>
          <Title order={1} size="h2">
            Audit trail
          </Title>
          <Text size="sm" c="dimmed">
            Every change of limits, settings, accounts, members, keys and counters, and every retry, by whom and when.
          </Text>
        </Stack>
      </div>
      <FeedTable
        feed={feed}
        columns={COLUMNS}
        idOf={eventId}
        label="Changes"
        emptyWords="Nobody has changed anything yet."
        endWords="This is the oldest change that is kept."
        open={(event) => open(eventId(event))}
        openId={openId}
        onTop={setAtTop}
      />
      <Drawer
        opened={openId !== undefined}
        onClose={() => open(undefined)}
        position="right"
        size="32rem"
        title="Change"
      >
        {openId !== undefined && <AuditEventSide key={openId} id={openId} listed={listed} />}
      </Drawer>
    </div>
  );
}
