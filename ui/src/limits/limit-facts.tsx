import { Alert, Button, Group, Stack, Table, Title } from '@mantine/core';
import { IconLock } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Limit } from '../api/limits';
import { Answered } from '../frame/trouble';
import { visible } from '../show/foreign';
import { Instant } from '../show/instant';
import { fieldsOf } from './limit-words';
import { previewOf, Sentence, Windows } from './meaning';

/** A limit for those who may look at it and not change it. */
export function LimitFacts({ limit, mayChange }: { limit: Limit; mayChange: boolean }) {
  const query = useQuery(previewOf(limit));
  const isOfAccounts = limit.per.includes('account') && limit.where?.account === undefined;
  return (
    <Stack gap="md" p="lg" maw="46rem">
      <Alert
        color="gray"
        variant="light"
        icon={<IconLock aria-hidden />}
        styles={{ message: { color: 'var(--mantine-color-text)' } }}
      >
        {limit.source === 'file'
          ? 'This limit comes from the limits file: it is changed and deleted there, and not here. It can be overridden here for some messages.'
          : 'With this key limits can be looked at. To change them, sign in with one that has the role admin.'}
      </Alert>
      <section className="limit-card" aria-label="What it means">
        <Title order={3} size="h6" mb={6}>
          What it means
        </Title>
        <Answered query={query} lines={3}>
          {(preview) => (
            <>
              <Sentence words={preview.description} />
              <Windows preview={preview} period={limit.period} isOfAccounts={isOfAccounts} />
            </>
          )}
        </Answered>
      </section>
      <Table variant="vertical" layout="fixed" fz="sm" withRowBorders={false} verticalSpacing={3}>
        <Table.Tbody>
          {fieldsOf(limit).map(({ label, text }) => (
            <Table.Tr key={label}>
              <Table.Th w={160} c="dimmed" fw={500} bg="transparent">
                {label}
              </Table.Th>
              <Table.Td className="foreign">{visible(text)}</Table.Td>
            </Table.Tr>
          ))}
          <Table.Tr>
            <Table.Th w={160} c="dimmed" fw={500} bg="transparent">
              Last changed
            </Table.Th>
            <Table.Td>
              <Instant at={limit.updated_at} />
            </Table.Td>
          </Table.Tr>
        </Table.Tbody>
      </Table>
      {mayChange && (
        <Group>
          <Link to="/limits" search={{ override: limit.id }} className="limit-link">
            <Button component="span" variant="default">
              Override it for some messages
            </Button>
          </Link>
        </Group>
      )}
    </Stack>
  );
}
