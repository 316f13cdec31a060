import { Button, Group, Stack, Table, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useLayoutEffect, useState } from 'react';
import { fetchMembership, type Membership, putMembership, removeMembership } from '../api/members';
import { Confirm } from '../frame/confirm';
import { live } from '../frame/queries';
import { useMay } from '../frame/session';
import { Answered, Trouble } from '../frame/trouble';
import { isBesideFields, refusedFields } from '../settings/refusal';
import { Foreign, visible } from '../show/foreign';
import { ViewLink } from '../show/view-link';
import { membershipKey, useLists } from './lists';
import { jsonText, readProfile } from './profile';
import { ProfileField } from './profile-field';

/** One user in one account: the profile there, and what can be done about it. */
export function MembershipSide({
  userId,
  accountId,
  listed,
  onDirty,
  onRemoved,
  onAdd,
}: {
  userId: string;
  accountId: string;
  /** The membership as a list has it. */
  listed?: Membership | undefined;
  /** Told whether something is typed that is not saved. */
  onDirty: (isDirty: boolean) => void;
  onRemoved?: () => void;
  /** Puts the user into the account, who is not in it. */
  onAdd?: () => void;
}) {
  const query = useQuery({
    queryKey: membershipKey(userId, accountId),
    queryFn: ({ signal }) => fetchMembership(userId, accountId, signal),
    ...(listed === undefined ? {} : { initialData: listed }),
    ...live,
  });
  const mayChange = useMay('admin');
  const lists = useLists();
  const [isEdited, setEdited] = useState(false);
  const [isRemovalAsked, setRemovalAsked] = useState(false);
  const { data: membership } = query;

  async function remove(): Promise<void> {
    await removeMembership(userId, accountId);
    lists.removed(userId, accountId);
    notifications.show({ color: 'teal', message: 'Removed from the account.' });
    onRemoved?.();
  }

  return (
    <Stack gap="md">
      <Table variant="vertical" layout="fixed" fz="sm" withRowBorders={false} verticalSpacing={4} horizontalSpacing={0}>
        <Table.Tbody>
          <Table.Tr>
            <Table.Th w="5rem" c="dimmed" fw={500} bg="transparent">
              User
            </Table.Th>
            <Table.Td>
              <ViewLink size="sm" to="/members" search={{ user: userId }} title="The accounts of this user">
                <Foreign text={userId} />
              </ViewLink>
            </Table.Td>
          </Table.Tr>
          <Table.Tr>
            <Table.Th c="dimmed" fw={500} bg="transparent">
              Account
            </Table.Th>
            <Table.Td>
              <ViewLink size="sm" to="/members" search={{ account: accountId }} title="The users of this account">
                <Foreign text={accountId} />
              </ViewLink>
            </Table.Td>
          </Table.Tr>
          <Table.Tr>
            <Table.Th c="dimmed" fw={500} bg="transparent">
              Messages
            </Table.Th>
            <Table.Td>
              <Group gap="md">
                <ViewLink size="sm" to="/usage" search={{ user: userId, account: accountId }}>
                  Usage
                </ViewLink>
                <ViewLink size="sm" to="/logs" search={{ recipient: userId, account: accountId }}>
                  Logs
                </ViewLink>
              </Group>
            </Table.Td>
          </Table.Tr>
        </Table.Tbody>
      </Table>
      <Answered query={query}>
        {(present) =>
          isEdited ? (
            <ProfileForm
              userId={userId}
              accountId={accountId}
              present={present}
              onDirty={onDirty}
              onClose={() => setEdited(false)}
            />
          ) : present === null ? (
            <NotIn userId={userId} accountId={accountId} onAdd={mayChange ? onAdd : undefined} />
          ) : (
            <>
              <Text size="sm" fw={500}>
                Profile
              </Text>
              {present.profile === null ? (
                <Text size="sm" c="dimmed">
                  None.
                </Text>
              ) : (
                // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
                <pre className="raw" dir="ltr" tabIndex={0}>
                  {jsonText(present.profile)}
                </pre>
              )}
            </>
          )
        }
      </Answered>
      {mayChange && !isEdited && membership !== undefined && membership !== null && (
        <Group justify="space-between">
          <Button size="xs" variant="default" onClick={() => setEdited(true)}>
            Edit the profile
          </Button>
          <Button size="xs" color="red" variant="light" onClick={() => setRemovalAsked(true)}>
            Remove from the account
          </Button>
        </Group>
      )}
      <Confirm
        opened={isRemovalAsked}
        title="Remove from the account?"
        confirmLabel="Remove"
        danger
        onConfirm={remove}
        onClose={() => setRemovalAsked(false)}
      >
        <Text size="sm">
          <b>
            <bdi>{visible(userId)}</bdi>
          </b>{' '}
          is taken out of{' '}
          <b>
            <bdi>{visible(accountId)}</bdi>
          </b>
          . {membership?.profile ? 'The profile there is lost. ' : ''}What was sent, and what was counted, stays as it
          is.
        </Text>
      </Confirm>
    </Stack>
  );
}

function NotIn({ userId, accountId, onAdd }: { userId: string; accountId: string; onAdd: (() => void) | undefined }) {
  return (
    <Stack gap="sm" align="flex-start">
      <Text size="sm" className="foreign">
        <bdi>{visible(userId)}</bdi> is not in <bdi>{visible(accountId)}</bdi>.
      </Text>
      {onAdd !== undefined && (
        <Button size="xs" onClick={onAdd}>
          Add to the account
        </Button>
      )}
    </Stack>
  );
}

/** Edits a profile. What is typed stays, whatever becomes of the membership meanwhile. */
function ProfileForm({
  userId,
  accountId,
  present,
  onDirty,
  onClose,
}: {
  userId: string;
  accountId: string;
  /** The membership as it is by now; null when the user is no longer in the account. */
  present: Membership | null;
  onDirty: (isDirty: boolean) => void;
  onClose: () => void;
}) {
  const lists = useLists();
  const now = jsonText(present?.profile ?? null);
  const [began, setBegan] = useState(now);
  const [text, setText] = useState(now);
  const isDirty = text !== began;
  // Told in the same turn: a key that follows at once may close what this stands in
  useLayoutEffect(() => {
    onDirty(isDirty);
    return () => onDirty(false);
  }, [isDirty, onDirty]);

  const read = readProfile(text);
  const saving = useMutation({
    mutationFn: putMembership,
    async onSuccess() {
      onDirty(false);
      await lists.written(userId, accountId, present === null);
      notifications.show({ color: 'teal', message: 'The profile is saved.' });
      onClose();
    },
  });
  const isBeside = isBesideFields(saving.error, ['profile']);
  const refused =
    saving.variables !== undefined &&
    'profile' in read &&
    jsonText(saving.variables.profile) === jsonText(read.profile);
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if ('profile' in read && !saving.isPending) {
          saving.mutate({ user_id: userId, account_id: accountId, profile: read.profile });
        }
      }}
    >
      <Stack gap="sm">
        <ProfileField
          description="A JSON object, or null for none. It takes the place of the one that is there."
          text={text}
          onChange={setText}
          error={refused ? refusedFields(saving.error).profile : undefined}
          autoFocus
        />
        <div role="status">
          {present === null ? (
            <Text size="sm">The user was taken out of the account meanwhile. Saving puts the user back.</Text>
          ) : (
            now !== began &&
            now !== text && (
              <Stack gap="xs" align="flex-start">
                <Text size="sm">
                  Somebody else has changed this profile meanwhile. Saving puts yours in the place of this one:
                </Text>
                {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
                <pre className="raw" dir="ltr" tabIndex={0} style={{ maxHeight: '10rem', width: '100%' }}>
                  {now}
                </pre>
                <Button
                  size="compact-xs"
                  variant="default"
                  onClick={() => {
                    setText(now);
                    setBegan(now);
                  }}
                >
                  Take theirs
                </Button>
              </Stack>
            )
          )}
        </div>
        {!isBeside && <Trouble error={saving.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose} disabled={saving.isPending}>
            Cancel
          </Button>
          <Button
            type="submit"
            disabled={'problem' in read || (!isDirty && present !== null)}
            loading={saving.isPending}
          >
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
