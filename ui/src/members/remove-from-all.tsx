import { Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery } from '@tanstack/react-query';
import { fetchAccountsOf, removeFromAll } from '../api/members';
import { Confirm } from '../frame/confirm';
import { live } from '../frame/queries';
import { Answered } from '../frame/trouble';
import { visible } from '../show/foreign';
import { Listed } from '../usage/usage-words';
import { useLists } from './lists';

/** How many accounts are named. */
const NAMED = 5;

/** Asks before a user is taken out of every account, and says which these are. */
export function RemoveFromAll({ userId, opened, onClose }: { userId: string; opened: boolean; onClose: () => void }) {
  const lists = useLists();
  const query = useQuery({
    queryKey: ['count', 'named', userId],
    queryFn: ({ signal }) => fetchAccountsOf(userId, null, NAMED, signal),
    enabled: opened,
    // Not what it was when it was asked before.
    gcTime: 0,
    staleTime: 0,
    ...live,
  });
  const total = query.data?.total;

  async function remove(): Promise<void> {
    try {
      await removeFromAll(userId);
    } finally {
      // Cut off half-way, some are gone.
      await lists.removedFromAll(userId);
    }
    notifications.show({ color: 'teal', message: `Removed from ${accountsWords(total ?? 0)}.` });
  }

  return (
    <Confirm
      opened={opened}
      title="Remove from all accounts?"
      confirmLabel={total === undefined || total === 0 ? 'Remove' : `Remove from ${accountsWords(total)}`}
      danger
      isReady={total !== undefined && total > 0}
      onConfirm={remove}
      onClose={onClose}
    >
      <Answered query={query} lines={2}>
        {({ total: count, items }) => (
          <Stack gap="sm">
            <Text size="sm" className="foreign">
              <b>
                <bdi>{visible(userId)}</bdi>
              </b>{' '}
              is in {accountsWords(count)}
              {items.length > 0 && ': '}
              <Listed
                items={[
                  ...items.map(({ account_id }) => <bdi key={account_id}>{visible(account_id)}</bdi>),
                  ...(count > items.length ? [`${(count - items.length).toLocaleString()} more`] : []),
                ]}
              />
              .
            </Text>
            {count > 0 && (
              <Text size="sm">
                The user is taken out of all of them, and the profiles there are lost. What was sent, and what was
                counted, stays as it is.
              </Text>
            )}
          </Stack>
        )}
      </Answered>
    </Confirm>
  );
}

/** How many accounts that are. */
export function accountsWords(count: number): string {
  return count === 0 ? 'no account' : count === 1 ? '1 account' : `${count.toLocaleString()} accounts`;
}
