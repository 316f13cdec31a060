import { Button, Group, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { type Account, fetchAccount } from '../api/accounts';
import { fetchSettings } from '../api/settings';
import { live } from '../frame/queries';
import { useMay } from '../frame/session';
import { Trouble } from '../frame/trouble';
import { anchorWords, monthsWords } from '../settings/calendar';
import { Foreign } from '../show/foreign';
import { ViewLink } from '../show/view-link';
import { AccountForm } from './account-form';
import { accountKey } from './lists';

/** What an account says of itself, and what it takes from its workspace. */
export function AccountHead({ id }: { id: string }) {
  const query = useQuery({
    queryKey: accountKey(id),
    queryFn: ({ signal }) => fetchAccount(id, signal),
    ...live,
  });
  const workspace = useQuery({ queryKey: ['settings'], queryFn: ({ signal }) => fetchSettings(signal), ...live });
  const mayChange = useMay('admin');
  const [isEdited, setEdited] = useState(false);
  const account = query.data;
  const own = (value: string | null | undefined, ofWorkspace: string | undefined) =>
    value ?? (ofWorkspace === undefined ? undefined : `${ofWorkspace}, the workspace’s`);
  return (
    <>
      <Trouble error={query.error} onRetry={() => void query.refetch()} />
      {account !== undefined && (
        <Group gap="xl" align="flex-end" style={{ rowGap: 'var(--mantine-spacing-xs)' }}>
          {account !== null && account.name !== null && <Fact label="Name" text={account.name} />}
          <Fact label="Time zone" text={own(account?.timezone, workspace.data?.timezone)} />
          <Fact
            label="Billing periods"
            text={own(
              account?.billing_anchor == null && account?.billing_months == null ? null : billingWords(account),
              workspace.data && billingWords(workspace.data),
            )}
          />
          {account?.parent_tenant_id != null && (
            <Fact
              label="Part of"
              text={account.parent_tenant_id}
              shown={
                <ViewLink size="sm" to="/members" search={{ account: account.parent_tenant_id }}>
                  <Foreign text={account.parent_tenant_id} />
                </ViewLink>
              }
            />
          )}
          {mayChange && (
            <Button size="compact-sm" variant="default" onClick={() => setEdited(true)}>
              {account === null ? 'Give it settings' : 'Edit the settings'}
            </Button>
          )}
        </Group>
      )}
      {isEdited && account !== undefined && <AccountForm id={id} account={account} onClose={() => setEdited(false)} />}
    </>
  );
}

function Fact({ label, text, shown }: { label: string; text: string | undefined; shown?: React.ReactNode }) {
  if (text === undefined) return null;
  return (
    <Stack gap={0} miw={0} maw="22rem">
      <Text size="xs" c="dimmed">
        {label}
      </Text>
      <Text size="sm" component="div">
        {shown ?? <Foreign text={text} />}
      </Text>
    </Stack>
  );
}

function billingWords({ billing_anchor, billing_months }: Pick<Account, 'billing_anchor' | 'billing_months'>): string {
  const length = billing_months === null ? '' : monthsWords(billing_months);
  const from = billing_anchor === null ? '' : `from ${anchorWords(billing_anchor)}`;
  return [length, from].filter((words) => words !== '').join(' ');
}
