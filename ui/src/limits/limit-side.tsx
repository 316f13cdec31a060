import { Alert, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { CallError } from '../api/call';
import { fetchLimit, type Limit, type VersionedLimit } from '../api/limits';
import { againAfterMs, LIVE_MS } from '../frame/queries';
import { Answered, Waiting } from '../frame/trouble';
import { EMPTY_DRAFT, overrideOf } from './draft';
import { LimitFacts } from './limit-facts';
import { type Edited, LimitForm } from './limit-form';

/** What is open beside the list: a limit, or a new one, perhaps to override another. */
export type Opened = { kind: 'edit'; id: string } | { kind: 'add' } | { kind: 'override'; id: string };

/** The limit that is looked at, edited or made. */
export function LimitSide({
  opened,
  limits,
  mayChange,
  onClose,
}: {
  opened: Opened;
  limits: readonly Limit[];
  mayChange: boolean;
  onClose: () => void;
}) {
  // Somebody who signs in again with a lesser key still has what they wrote.
  const [mayWrite, setMayWrite] = useState(mayChange);
  if (mayChange && !mayWrite) setMayWrite(true);
  if (opened.kind === 'edit') {
    return <OneLimit id={opened.id} limits={limits} mayChange={mayWrite} onClose={onClose} />;
  }
  if (!mayWrite) {
    return (
      <Text p="lg" size="sm">
        To make a limit, sign in with a key that has the role admin.
      </Text>
    );
  }
  if (opened.kind === 'add')
    return <LimitForm edited={NOTHING} start={EMPTY_DRAFT} limits={limits} onClose={onClose} />;
  return <Override id={opened.id} limits={limits} onClose={onClose} />;
}

const NOTHING: Edited = { began: null, now: undefined, look: async () => undefined, beginAgain: () => undefined };

function useLimit(id: string) {
  return useQuery({
    queryKey: ['limit', id],
    queryFn: ({ signal }) => fetchLimit(id, signal),
    // Whoever opens it begins with what it is then.
    gcTime: 0,
    refetchInterval: ({ state: { error } }) => againAfterMs(error, LIVE_MS / 2),
  });
}

function OneLimit({
  id,
  limits,
  mayChange,
  onClose,
}: {
  id: string;
  limits: readonly Limit[];
  mayChange: boolean;
  onClose: () => void;
}) {
  const query = useLimit(id);
  const { data, error, refetch } = query;
  const [began, setBegan] = useState<VersionedLimit | null>(null);
  if (began === null && data !== undefined) setBegan(data);
  if (began === null) return <Unread query={query} id={id} />;
  const isGone = error instanceof CallError && error.status === 404;
  const now = isGone ? null : data;
  if (!mayChange || began.limit.source === 'file') {
    return (
      <>
        {isGone && (
          <Alert color="yellow" variant="light" m="lg" mb={0} role="alert">
            This limit has been deleted meanwhile. This is what it was.
          </Alert>
        )}
        <LimitFacts limit={data?.limit ?? began.limit} mayChange={mayChange} />
      </>
    );
  }
  return (
    <LimitForm
      edited={{ began, now, look: refetch, beginAgain: setBegan }}
      start={EMPTY_DRAFT}
      limits={limits}
      onClose={onClose}
    />
  );
}

function Override({ id, limits, onClose }: { id: string; limits: readonly Limit[]; onClose: () => void }) {
  const query = useLimit(id);
  const [base, setBase] = useState<Limit | null>(null);
  if (base === null && query.data !== undefined) setBase(query.data.limit);
  if (base === null) return <Unread query={query} id={id} />;
  return <LimitForm edited={NOTHING} start={overrideOf(base)} limits={limits} onClose={onClose} />;
}

function Unread({ query, id }: { query: ReturnType<typeof useLimit>; id: string }) {
  const { error } = query;
  if (error instanceof CallError && error.status === 404) {
    return (
      <Text p="lg" size="sm" className="foreign" role="alert">
        There is no limit {id}. Somebody may have deleted it.
      </Text>
    );
  }
  return (
    <Stack p="lg">
      {error === null ? <Waiting lines={8} height={36} /> : <Answered query={query}>{() => null}</Answered>}
    </Stack>
  );
}
