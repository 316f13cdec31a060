import { Alert, Button, Group, Skeleton, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useEffect, useState } from 'react';
import { CallError } from '../api/call';

/** After how many milliseconds somebody who waits is told that it takes long. */
const LONG_MS = 2_000;

/** What is wrong, in words, and whether it is tried again by itself. Nothing when nothing is. */
export function Trouble({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  if (error === null || error === undefined) return null;
  const known = error instanceof CallError ? error : null;
  const passing = known?.isPassing ?? false;
  // Somebody is asked to sign in again, over the view.
  if (known?.status === 401) return null;
  return (
    <Alert
      role="alert"
      color={passing ? 'yellow' : 'red'}
      variant="light"
      icon={<IconAlertTriangle aria-hidden />}
      title={known?.title ?? 'The console failed'}
      styles={{ message: { color: 'var(--mantine-color-text)' }, title: { color: 'var(--mantine-color-text)' } }}
    >
      <Group justify="space-between" align="flex-end">
        <Stack gap={2} flex={1}>
          <Text size="sm" className="foreign">
            {error instanceof Error ? error.message : String(error)}
          </Text>
          {known?.errors.map(({ path, message }) => (
            <Text size="sm" key={path} className="foreign">
              {path === '' ? message : `${path} ${message}`}
            </Text>
          ))}
          {passing && (
            <Text size="sm" c="dimmed">
              {onRetry === undefined ? 'What you typed is kept: try again.' : 'It is tried again by itself.'}
            </Text>
          )}
        </Stack>
        {passing && onRetry !== undefined && (
          <Button size="compact-sm" variant="default" onClick={onRetry}>
            Try now
          </Button>
        )}
      </Group>
    </Alert>
  );
}

/** A placeholder for what is being asked for; says so when that takes long. */
export function Waiting({ lines = 4, height = 24 }: { lines?: number; height?: number }) {
  const isLong = useIsLong();
  return (
    <Stack gap="sm" aria-busy="true">
      <Text size="sm" c="dimmed" role="status" mih={20}>
        {isLong ? 'Still waiting for Sendgate…' : ''}
      </Text>
      {Array.from({ length: lines }, (_, line) => (
        // Nothing tells them apart
        <Skeleton key={line} height={height} />
      ))}
    </Stack>
  );
}

function useIsLong(): boolean {
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLong(true), LONG_MS);
    return () => clearTimeout(timer);
  }, []);
  return isLong;
}

interface Asked<Data> {
  data: Data | undefined;
  error: unknown;
  refetch: () => unknown;
}

/** What a query gave, under what is wrong with it now; a placeholder before there is anything. */
export function Answered<Data>({
  query,
  children,
  lines,
}: {
  query: Asked<Data>;
  children: (data: Data) => React.ReactNode;
  lines?: number;
}) {
  const { data, error, refetch } = query;
  return (
    <>
      <Trouble error={error} onRetry={() => void refetch()} />
      {data !== undefined ? children(data) : error === null && <Waiting {...(lines === undefined ? {} : { lines })} />}
    </>
  );
}
