import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { fetchMembership, type Membership, putMembership } from '../api/members';
import { Trouble } from '../frame/trouble';
import { useUnsaved } from '../frame/unsaved';
import { isBesideFields, refusedFields } from '../settings/refusal';
import { visible } from '../show/foreign';
import { idProblem } from './identifier';
import { membershipKey, useLists } from './lists';
import { jsonText, readProfile } from './profile';
import { ProfileField } from './profile-field';

/** How long after the last key it is looked whether the user is there already, in milliseconds. */
const TYPING_MS = 400;

/** Puts a user into an account. */
export function AddMember({
  user = '',
  account = '',
  onAdded,
  onClose,
}: {
  /** What it begins with. */
  user?: string | undefined;
  account?: string | undefined;
  /** Told who is in what by now. */
  onAdded: (userId: string, accountId: string) => void;
  onClose: () => void;
}) {
  const [userId, setUserId] = useState(user);
  const [accountId, setAccountId] = useState(account);
  const [text, setText] = useState('');
  const { leave, isAsking, question } = useUnsaved(userId !== user || accountId !== account || text !== '');
  const lists = useLists();
  const [isTried, setTried] = useState(false);

  const read = text.trim() === '' ? { profile: undefined } : readProfile(text);
  const problems = { user_id: idProblem(userId), account_id: idProblem(accountId) };
  const isRight = problems.user_id === null && problems.account_id === null && 'profile' in read;
  const saving = useMutation({
    mutationFn: async (write: Parameters<typeof putMembership>[0]) => {
      const before = await fetchMembership(write.user_id, write.account_id);
      await putMembership(write);
      return before === null;
    },
    async onSuccess(isNew, { user_id, account_id }) {
      await lists.written(user_id, account_id, isNew);
      notifications.show({
        color: 'teal',
        message: isNew
          ? 'Added to the account.'
          : 'The user was in the account already, and has the profile that you gave.',
      });
      onClose();
      onAdded(user_id, account_id);
    },
  });
  const refused = refusedFields(saving.error);
  const { variables: sent } = saving;
  const fieldError = (field: 'user_id' | 'account_id', id: string) => {
    // Who has not typed yet is not told off for it.
    const problem = id === '' && !isTried ? null : problems[field];
    return problem ?? (sent?.[field] === id ? refused[field] : undefined);
  };
  return (
    <>
      <Modal
        opened
        onClose={() => {
          if (!saving.isPending) leave(onClose);
        }}
        closeOnEscape={!isAsking}
        title="Add a user to an account"
        size="lg"
      >
        <form
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            setTried(true);
            if (isRight && !saving.isPending) {
              saving.mutate({ user_id: userId, account_id: accountId, profile: read.profile });
            }
          }}
        >
          <Stack gap="sm">
            <IdField
              label="User"
              value={userId}
              onChange={setUserId}
              error={fieldError('user_id', userId)}
              isFirst={user === ''}
            />
            <IdField
              label="Account"
              value={accountId}
              onChange={setAccountId}
              error={fieldError('account_id', accountId)}
              isFirst={user !== '' && account === ''}
            />
            <ProfileField
              label="Profile, if there is one"
              description="A JSON object: what the account knows of the user. Left empty, a profile that is there stays."
              text={text}
              onChange={setText}
              mayBeEmpty
              error={
                sent !== undefined && sent.profile !== undefined && isSameProfile(read, sent.profile)
                  ? refused.profile
                  : undefined
              }
              autoFocus={user !== '' && account !== ''}
            />
            {problems.user_id === null && problems.account_id === null && (
              <AlreadyThere userId={userId} accountId={accountId} hasProfile={text.trim() !== ''} />
            )}
            {!isBesideFields(saving.error, ['user_id', 'account_id', 'profile']) && <Trouble error={saving.error} />}
            <Group justify="flex-end" gap="xs">
              <Button variant="default" onClick={onClose} disabled={saving.isPending}>
                Cancel
              </Button>
              <Button type="submit" disabled={isTried && !isRight} loading={saving.isPending}>
                Add
              </Button>
            </Group>
          </Stack>
        </form>
      </Modal>
      {question}
    </>
  );
}

function isSameProfile(
  read: ReturnType<typeof readProfile> | { profile: undefined },
  sent: Membership['profile'],
): boolean {
  return 'profile' in read && read.profile !== undefined && jsonText(read.profile) === jsonText(sent);
}

function IdField({
  label,
  value,
  onChange,
  error,
  isFirst,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  error: string | null | undefined;
  isFirst: boolean;
}) {
  return (
    <TextInput
      label={label}
      required
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      // Often pasted so, and never seen.
      description={value === value.trim() ? undefined : 'It begins or ends with a blank, which is a part of the id.'}
      error={error}
      spellCheck={false}
      autoComplete="off"
      {...(isFirst ? { 'data-autofocus': true } : {})}
    />
  );
}

/** Says before it is saved that the user is in the account already. */
function AlreadyThere({ userId, accountId, hasProfile }: { userId: string; accountId: string; hasProfile: boolean }) {
  const [[user, account]] = useDebouncedValue([userId, accountId] as const, TYPING_MS);
  const { data } = useQuery({
    queryKey: membershipKey(user, account),
    queryFn: ({ signal }) => fetchMembership(user, account, signal),
    enabled: idProblem(user) === null && idProblem(account) === null,
    refetchInterval: false,
  });
  const isThere = data !== undefined && data !== null && data.user_id === userId && data.account_id === accountId;
  return (
    <div role="status">
      {isThere && (
        <Text size="sm" className="foreign">
          <bdi>{visible(userId)}</bdi> is in <bdi>{visible(accountId)}</bdi> already.{' '}
          {hasProfile ? 'This profile takes the place of the one that is there.' : 'Nothing changes without a profile.'}
        </Text>
      )}
    </div>
  );
}
