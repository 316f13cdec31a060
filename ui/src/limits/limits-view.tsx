import './limits.css';
import { Button, Drawer, Group, Text, Title } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconPlus, IconShield } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useCallback, useMemo, useState } from 'react';
import { fetchLimits, type Limit } from '../api/limits';
import { againAfterMs, LIVE_MS } from '../frame/queries';
import { useMay } from '../frame/session';
import { VERY_WIDE } from '../frame/theme';
import { Trouble, Waiting } from '../frame/trouble';
import { useEscape } from '../frame/use-escape';
import { FilterField } from '../show/filter-field';
import { visible } from '../show/foreign';
import { choiceKey, groupLimits, linesOf } from './families';
import { LimitSide, type Opened } from './limit-side';
import { LimitsTable } from './limits-table';

const route = getRouteApi('/limits');

/** From how many limits on the list is asked for less often: it is megabytes then. */
const MANY = 1_000;
const MANY_MS = 60_000;
const NO_LIMITS: readonly Limit[] = [];

/** All limits, by what they count, and a form to write them in. */
export function LimitsView() {
  const { edit, add, override, find } = route.useSearch();
  const navigate = route.useNavigate();
  const mayChange = useMay('admin');
  const isVeryWide = useMediaQuery(VERY_WIDE, undefined, { getInitialValueInEffect: false });
  const query = useQuery({
    queryKey: ['limits'],
    queryFn: ({ signal }) => fetchLimits(signal),
    refetchInterval: ({ state: { data, error } }) =>
      againAfterMs(error, (data?.length ?? 0) > MANY ? MANY_MS : LIVE_MS),
  });
  const limits = query.data ?? NO_LIMITS;
  const groups = useMemo(() => groupLimits(limits), [limits]);
  const [choices, setChoices] = useState<ReadonlyMap<string, boolean>>(new Map());
  const lines = useMemo(() => linesOf(groups, find, choices), [groups, find, choices]);
  const choose = useCallback(
    (familyKey: string, isOpen: boolean) => setChoices((old) => new Map(old).set(choiceKey(familyKey, find), isOpen)),
    [find],
  );

  const go = useCallback(
    (opened: { edit?: string; add?: string; override?: string }) =>
      void navigate({ search: ({ find }) => (find === undefined ? opened : { ...opened, find }) }),
    [navigate],
  );
  const open = useCallback((id: string) => go({ edit: id }), [go]);
  const close = useCallback(() => go({}), [go]);
  const opened = useMemo(() => openedBy({ edit, add, override }), [edit, add, override]);
  const drawer = useEscape(opened === null ? null : close);
  // What is closed is shown until it has slid away; what is opened begins anew, also when it is the same
  const [shown, setShown] = useState<{ opened: Opened; turn: number } | null>(null);
  if (opened !== null && opened !== shown?.opened) setShown({ opened, turn: (shown?.turn ?? 0) + 1 });

  return (
    <div className="page-fill">
      <div className="page-head">
        <div>
          <Title order={1} size="h2">
            Limits
          </Title>
          <Text size="sm" c="dimmed">
            {query.data === undefined || limits.length === 0
              ? 'A message goes out if every limit that applies to it has room.'
              : countWords(limits)}
          </Text>
        </div>
        <Group gap="xs" component="search">
          {limits.length > 0 && (
            <FilterField
              aria-label="Find limits"
              placeholder="Id, user, account, topic…"
              w={220}
              size="xs"
              value={find}
              onFilter={(value) =>
                void navigate({
                  search: ({ find: _old, ...rest }) => (value === undefined ? rest : { ...rest, find: value }),
                })
              }
            />
          )}
          {mayChange && (
            <Button size="xs" leftSection={<IconPlus size={14} aria-hidden />} onClick={() => go({ add: 'new' })}>
              New limit
            </Button>
          )}
        </Group>
      </div>
      {query.error !== null && (
        <div className="limits-trouble">
          <Trouble error={query.error} onRetry={() => void query.refetch()} />
        </div>
      )}
      {query.data === undefined && query.error === null && (
        <div className="page">
          <Waiting lines={10} />
        </div>
      )}
      {query.data !== undefined && limits.length === 0 && (
        <NoLimits mayChange={mayChange} onAdd={() => go({ add: 'new' })} />
      )}
      {limits.length > 0 && lines.length === 0 && (
        <Text className="limits-none foreign" role="status">
          No limit has “{visible(find ?? '')}” in its id, its reason, or what it is for.
        </Text>
      )}
      {lines.length > 0 && (
        <LimitsTable lines={lines} open={open} openId={edit} choose={choose} mayChange={mayChange} />
      )}
      <Drawer
        opened={opened !== null}
        onClose={close}
        position="right"
        size={isVeryWide ? '62rem' : '44rem'}
        padding={0}
        title={shown === null ? '' : titleOf(shown.opened)}
        classNames={{ content: 'limit-drawer', header: 'limit-drawer-head', body: 'limit-drawer-body' }}
        closeOnEscape={false}
        ref={drawer}
      >
        {shown !== null && (
          <LimitSide key={shown.turn} opened={shown.opened} limits={limits} mayChange={mayChange} onClose={close} />
        )}
      </Drawer>
    </div>
  );
}

function openedBy({ edit, add, override }: { edit?: string; add?: string; override?: string }): Opened | null {
  if (edit !== undefined) return { kind: 'edit', id: edit };
  if (override !== undefined) return { kind: 'override', id: override };
  return add === undefined ? null : { kind: 'add' };
}

function titleOf(opened: Opened): string {
  if (opened.kind === 'add') return 'New limit';
  return opened.kind === 'edit' ? visible(opened.id) : `Override ${visible(opened.id)}`;
}

function countWords(limits: readonly Limit[]): string {
  const overrides = limits.filter(({ where }) => where !== null).length;
  const all = limits.length === 1 ? '1 limit' : `${limits.length.toLocaleString()} limits`;
  if (overrides === 0) return all;
  return `${all}, ${overrides.toLocaleString()} of them for some messages only`;
}

function NoLimits({ mayChange, onAdd }: { mayChange: boolean; onAdd: () => void }) {
  return (
    <div className="limits-empty">
      <IconShield size={40} stroke={1.2} aria-hidden />
      <Title order={2} size="h4">
        There are no limits: every message goes out
      </Title>
      <Text size="sm" c="dimmed">
        A limit says how many messages may go out in an hour, a day, a week, a month or a billing period: in all, or to
        each user, for each account, about each topic. What is over it is throttled, and is in the logs with the limit
        that stopped it.
      </Text>
      <Text size="sm" fs="italic">
        “Each user, at most 50 messages a day, midnight to midnight in New York.”
      </Text>
      {mayChange ? (
        <Button onClick={onAdd}>Make the first limit</Button>
      ) : (
        <Text size="sm">To make one, sign in with a key that has the role admin.</Text>
      )}
    </div>
  );
}
