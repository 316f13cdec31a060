import { ActionIcon, Anchor, Code, CopyButton, Group, Paper, Stack, Table, Text, Title } from '@mantine/core';
import { IconCheck, IconCopy, IconExternalLink } from '@tabler/icons-react';
import { useMay, useSession } from '../frame/session';
import { Foreign } from '../show/foreign';
import { ViewLink } from '../show/view-link';

const CREATE_KEY = 'sendgate keys create --role read --name dashboard';

/** Who is signed in, to what, and where the rest of it is. */
export function About() {
  const { actor, roles, workspace, version } = useSession();
  const isAdmin = useMay('admin');
  const isOpen = actor.id === 'local';
  const rows: [string, React.ReactNode][] = [
    ['Signed in', isOpen ? 'without a key' : <Foreign key="name" text={actor.name ?? actor.id} />],
    ...(isOpen || actor.name === null
      ? []
      : ([['Key', <Foreign key="id" text={actor.id} />]] as [string, React.ReactNode][])),
    ['Roles', roles.join(', ')],
    ['Workspace', <Foreign key="workspace" text={workspace} />],
    ['Version', version],
  ];
  return (
    <Stack gap="lg">
      <Paper withBorder p="lg" component="section">
        <Title order={2} size="h4" mb="xs">
          This console
        </Title>
        <Table
          variant="vertical"
          layout="fixed"
          fz="sm"
          withRowBorders={false}
          verticalSpacing={4}
          horizontalSpacing={0}
        >
          <Table.Tbody>
            {rows.map(([label, value]) => (
              <Table.Tr key={label}>
                <Table.Th w="6.5rem" c="dimmed" fw={500} bg="transparent">
                  {label}
                </Table.Th>
                <Table.Td>{value}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Paper>
      <Paper withBorder p="lg" component="section">
        <Title order={2} size="h4" mb="xs">
          The rest of Sendgate
        </Title>
        <Stack gap="xs">
          <Elsewhere href="docs/" label="API reference" words="Every call, to be tried." />
          <Elsewhere href="openapi.json" label="OpenAPI document" words="The same for programs." />
          {isAdmin && <Elsewhere href="queues" label="Queues" words="What waits to be delivered, and what failed." />}
          <Elsewhere href="metrics" label="Metrics" words="For Prometheus." />
          <div>
            <ViewLink to="/audit" size="sm">
              Audit trail
            </ViewLink>
            <Text size="xs" c="dimmed">
              Who changed what here.
            </Text>
          </div>
        </Stack>
      </Paper>
      <Paper withBorder p="lg" component="section">
        <Title order={2} size="h4" mb="xs">
          API keys
        </Title>
        <Stack gap="xs">
          <Text size="sm">Keys are made where Sendgate runs, and shown once:</Text>
          <Group gap="xs" wrap="nowrap">
            <Code block flex={1} miw={0} style={{ whiteSpace: 'pre-wrap' }}>
              {CREATE_KEY}
            </Code>
            <CopyButton value={CREATE_KEY}>
              {({ copied, copy }) => (
                <ActionIcon variant="subtle" color="gray" aria-label={copied ? 'Copied' : 'Copy'} onClick={copy}>
                  {copied ? <IconCheck size={16} aria-hidden /> : <IconCopy size={16} aria-hidden />}
                </ActionIcon>
              )}
            </CopyButton>
          </Group>
          <Text size="sm">
            The role <b>check</b> asks and sends, <b>read</b> looks, <b>inbound</b> brings events, <b>admin</b> does
            everything. <Code>sendgate keys list</Code> shows them, <Code>sendgate keys revoke</Code> ends one.
          </Text>
        </Stack>
      </Paper>
    </Stack>
  );
}

function Elsewhere({ href, label, words }: { href: string; label: string; words: string }) {
  return (
    <div>
      <Anchor href={href} target="_blank" size="sm">
        {label} <IconExternalLink size={13} aria-label="(in a new tab)" />
      </Anchor>
      <Text size="xs" c="dimmed">
        {words}
      </Text>
    </div>
  );
}
