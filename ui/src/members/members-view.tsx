import { Button, Drawer, Group, Paper, Text, Title } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { getRouteApi } from '@tanstack/react-router';
import { useCallback, useState } from 'react';
import { type Account, fetchAccounts } from '../api/accounts';
import { fetchAccountsOf, fetchUsersOf, type Membership } from '../api/members';
import { type FeedColumn, FeedTable } from '../feed/feed-table';
import { useMay } from '../frame/session';
import { useUnsaved } from '../frame/unsaved';
import { useEscape } from '../frame/use-escape';
import { anchorWords } from '../settings/calendar';
import { FilterField } from '../show/filter-field';
import { Foreign } from '../show/foreign';
import { ViewLink } from '../show/view-link';
import { AccountHead } from './account-head';
import { AddMember } from './add-member';
import { accountIdOf, accountsOfKey, userIdOf, usersOfKey } from './lists';
import { MembershipSide } from './membership-side';
import { jsonText } from './profile';
import { accountsWords, RemoveFromAll } from './remove-from-all';
import { type List, useList } from './use-list';

const route = getRouteApi('/members');

/** How much of a profile a line shows at most, in characters. */
const PROFILE_CHARACTERS = 300;

/** Which users are in which accounts. */
export function MembersView() {
  const { user, account } = route.useSearch();
  const navigate = route.useNavigate();
  const mayChange = useMay('admin');
  // What was begun for one address is not for another.
  const place = JSON.stringify([user, account]);
  const [addsAt, setAddsAt] = useState<string | null>(null);
  const add = () => setAddsAt(place);
  /** Leads to where a new member is shown, unless that is here. */
  function showAdded(userId: string, accountId: string): void {
    const isList = user !== undefined || account !== undefined;
    if (isList && (user ?? userId) === userId && (account ?? accountId) === accountId) return;
    // The form that it was written in has nothing to lose
    void navigate({ search: { user: userId }, ignoreBlocker: true });
  }
  return (
    <div className="page-fill">
      <div className="page-head">
        <Title order={1} size="h2">
          Members
        </Title>
        <Group gap="xs" align="flex-end" component="search">
          <FilterField
            aria-label="User"
            placeholder="User"
            w={180}
            size="xs"
            value={user}
            onFilter={(value) => void navigate({ search: (old) => ({ ...old, user: value }) })}
          />
          <FilterField
            aria-label="Account"
            placeholder="Account"
            w={180}
            size="xs"
            value={account}
            onFilter={(value) => void navigate({ search: (old) => ({ ...old, account: value }) })}
          />
          {mayChange && (
            <Button size="xs" leftSection={<IconPlus size={14} aria-hidden />} onClick={add}>
              Add a member
            </Button>
          )}
        </Group>
      </div>
      {user !== undefined && account !== undefined ? (
        <OneMembership key={place} user={user} account={account} onAdd={add} />
      ) : user !== undefined ? (
        <AccountsOf key={user} user={user} />
      ) : account !== undefined ? (
        <UsersOf key={account} account={account} />
      ) : (
        <KnownAccounts />
      )}
      {addsAt === place && (
        <AddMember user={user} account={account} onAdded={showAdded} onClose={() => setAddsAt(null)} />
      )}
    </div>
  );
}

const USER_COLUMNS: readonly FeedColumn<Membership>[] = [
  { id: 'user', header: 'User', cell: ({ user_id }) => <Opens text={user_id} /> },
  { id: 'profile', header: 'Profile', cell: ({ profile }) => <ProfileLine profile={profile} /> },
];
const ACCOUNT_COLUMNS: readonly FeedColumn<Membership>[] = [
  { id: 'account', header: 'Account', cell: ({ account_id }) => <Opens text={account_id} /> },
  { id: 'profile', header: 'Profile there', cell: ({ profile }) => <ProfileLine profile={profile} /> },
];

/** The users of an account. */
function UsersOf({ account }: { account: string }) {
  const list = useList<Membership>({
    key: usersOfKey(account),
    fetchPage: (cursor, limit, signal) => fetchUsersOf(account, cursor, limit, signal),
  });
  return (
    <>
      <div className="list-head">
        <Group gap="md" align="baseline" style={{ rowGap: 0 }}>
          <Title order={2} size="h4" maw="100%">
            <Foreign text={account} />
          </Title>
          <Total list={list} words={usersWords} />
          <ViewLink size="sm" to="/usage" search={{ account }}>
            Usage
          </ViewLink>
          <ViewLink size="sm" to="/logs" search={{ account }}>
            Logs
          </ViewLink>
        </Group>
        <AccountHead id={account} />
      </div>
      <MembershipTable
        list={list}
        columns={USER_COLUMNS}
        idOf={userIdOf}
        label="Users of the account"
        emptyWords="Nobody is in this account."
        endWords="These are all of its users."
      />
    </>
  );
}

/** The accounts of a user. */
function AccountsOf({ user }: { user: string }) {
  const list = useList<Membership>({
    key: accountsOfKey(user),
    fetchPage: (cursor, limit, signal) => fetchAccountsOf(user, cursor, limit, signal),
  });
  const mayChange = useMay('admin');
  const [isRemovalAsked, setRemovalAsked] = useState(false);
  return (
    <>
      <div className="list-head">
        <Group justify="space-between">
          <Group gap="md" align="baseline" style={{ rowGap: 0 }} miw={0}>
            <Title order={2} size="h4" maw="100%">
              <Foreign text={user} />
            </Title>
            <Total list={list} words={(count) => `in ${accountsWords(count)}`} />
            <ViewLink size="sm" to="/usage" search={{ user }}>
              Usage
            </ViewLink>
            <ViewLink size="sm" to="/logs" search={{ recipient: user }}>
              Logs
            </ViewLink>
          </Group>
          {mayChange && (
            <Button
              size="compact-sm"
              color="red"
              variant="light"
              disabled={list.total === 0}
              onClick={() => setRemovalAsked(true)}
            >
              Remove from all accounts
            </Button>
          )}
        </Group>
      </div>
      <MembershipTable
        list={list}
        columns={ACCOUNT_COLUMNS}
        idOf={accountIdOf}
        label="Accounts of the user"
        emptyWords="This user is in no account."
        endWords="These are all accounts of this user."
      />
      <RemoveFromAll userId={user} opened={isRemovalAsked} onClose={() => setRemovalAsked(false)} />
    </>
  );
}

/** A list of memberships; one that is opened is shown beside it. */
function MembershipTable({
  list,
  columns,
  idOf,
  ...words
}: {
  list: List<Membership>;
  columns: readonly FeedColumn<Membership>[];
  idOf: (membership: Membership) => string;
  label: string;
  emptyWords: string;
  endWords: string;
}) {
  const [opened, setOpened] = useState<Membership | null>(null);
  const [isDirty, setDirty] = useState(false);
  const { leave, question } = useUnsaved(isDirty);
  const close = useCallback(() => setOpened(null), []);
  const drawer = useEscape(opened === null ? null : () => leave(close));
  return (
    <>
      <FeedTable
        feed={list}
        columns={columns}
        idOf={idOf}
        open={setOpened}
        openId={opened === null ? undefined : idOf(opened)}
        {...words}
      />
      <Drawer
        opened={opened !== null}
        onClose={() => leave(close)}
        closeOnEscape={false}
        ref={drawer}
        position="right"
        size="32rem"
        title="Membership"
      >
        {opened !== null && (
          <MembershipSide
            key={JSON.stringify([opened.user_id, opened.account_id])}
            userId={opened.user_id}
            accountId={opened.account_id}
            listed={opened}
            onDirty={setDirty}
            onRemoved={close}
          />
        )}
      </Drawer>
      {question}
    </>
  );
}

/** One user in one account, when both are asked for. */
function OneMembership({ user, account, onAdd }: { user: string; account: string; onAdd: () => void }) {
  const [isDirty, setDirty] = useState(false);
  const { question } = useUnsaved(isDirty);
  return (
    <div className="page">
      <Paper withBorder p="lg" maw="48rem">
        <MembershipSide userId={user} accountId={account} onDirty={setDirty} onAdd={onAdd} />
      </Paper>
      {question}
    </div>
  );
}

const KNOWN_COLUMNS: readonly FeedColumn<Account>[] = [
  { id: 'account', header: 'Account', cell: ({ id }) => <Opens text={id} /> },
  { id: 'name', header: 'Name', cell: ({ name }) => <Foreign text={name} /> },
  { id: 'zone', header: 'Time zone', isWideOnly: true, cell: ({ timezone }) => <Foreign text={timezone} /> },
  {
    id: 'billing',
    header: 'Billing periods from',
    isWideOnly: true,
    cell: ({ billing_anchor }) => <Foreign text={billing_anchor === null ? null : anchorWords(billing_anchor)} />,
  },
];
const KNOWN_KEY = ['accounts'];
const accountId = ({ id }: Account) => id;

/** Where to begin, when nothing is asked for: the accounts that have settings. */
function KnownAccounts() {
  const navigate = route.useNavigate();
  const list = useList<Account>({ key: KNOWN_KEY, fetchPage: fetchAccounts });
  return (
    <>
      <div className="list-head">
        <Text size="sm" c="dimmed">
          Look for a user to see their accounts, for an account to see its users, or for both. These accounts have
          settings; one without any is found by its id.
        </Text>
      </div>
      <FeedTable
        feed={list}
        columns={KNOWN_COLUMNS}
        idOf={accountId}
        label="Accounts"
        emptyWords="No account has settings yet. An account need not be created: it exists once a user is added to it."
        endWords="These are all accounts that have settings."
        open={({ id }) => void navigate({ search: { account: id } })}
        openId={undefined}
      />
    </>
  );
}

/** How long a list is, and whether it is still what was read. */
function Total({ list, words }: { list: List<Membership>; words: (count: number) => string }) {
  const { total, isOutdated, readAgain } = list;
  return (
    <Text size="sm" c="dimmed" role="status">
      {total === null ? '' : words(total)}
      {isOutdated && (
        <>
          {' · changed since it was read '}
          <Button size="compact-xs" variant="default" onClick={readAgain}>
            Read it again
          </Button>
        </>
      )}
    </Text>
  );
}

function usersWords(count: number): string {
  return count === 1 ? '1 user' : `${count.toLocaleString()} users`;
}

function Opens({ text }: { text: string }) {
  return (
    <button type="button" className="open-row">
      <Foreign text={text} />
    </button>
  );
}

function ProfileLine({ profile }: Pick<Membership, 'profile'>) {
  if (profile === null) return <Foreign text={null} />;
  const text = jsonText(profile, 0);
  return <Foreign text={text.length <= PROFILE_CHARACTERS ? text : `${text.slice(0, PROFILE_CHARACTERS)}…`} />;
}
