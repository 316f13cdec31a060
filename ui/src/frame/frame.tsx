import { ActionIcon, Burger, Drawer, Group, NavLink, Stack, Text, Title } from '@mantine/core';
import { useDisclosure, useMediaQuery } from '@mantine/hooks';
import {
  IconApi,
  IconBell,
  IconChartBar,
  IconGauge,
  IconHistory,
  IconLogout,
  IconMessages,
  IconSettings,
  IconShield,
  IconUsers,
} from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { Link, Outlet, useRouterState } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { may, type Session, signOut } from '../api/session';
import { useReadiness } from './readiness';
import { SessionProvider, type SessionState, useSession, useSessionState } from './session';
import { SignInAgain, SignInPage } from './sign-in';
import { WIDE } from './theme';
import { Trouble, Waiting } from './trouble';

const VIEWS = [
  { to: '/overview', label: 'Overview', icon: IconChartBar },
  { to: '/logs', label: 'Logs', icon: IconMessages },
  { to: '/limits', label: 'Limits', icon: IconShield },
  { to: '/usage', label: 'Usage', icon: IconGauge },
  { to: '/members', label: 'Members', icon: IconUsers },
  { to: '/alerts', label: 'Alerts', icon: IconBell },
  { to: '/audit', label: 'Audit trail', icon: IconHistory },
  { to: '/settings', label: 'Settings', icon: IconSettings },
] as const;

/** Around every view: who is signed in, and the way to the others. */
export function Frame() {
  const state = useSessionState();
  if (state.session === null) return <Outside state={state} />;
  return (
    <SessionProvider value={{ session: state.session, signedInMs: state.signedInMs }}>
      <Inside state={state} session={state.session} />
    </SessionProvider>
  );
}

function Outside({ state }: { state: SessionState }) {
  useTitle('Sign in');
  if (state.mustSignIn) return <SignInPage onSignedIn={state.signedIn} />;
  return (
    <main className="page">
      <Title order={1} size="h2">
        Sendgate
      </Title>
      <Trouble error={state.error} onRetry={state.refetch} />
      {state.error === null && <Waiting />}
    </main>
  );
}

function Inside({ state, session }: { state: SessionState; session: Session }) {
  const isWide = useMediaQuery(WIDE, undefined, { getInitialValueInEffect: false });
  const [isOpen, drawer] = useDisclosure(false);
  const path = useRouterState({ select: ({ location }) => location.pathname });
  const view = VIEWS.find(({ to }) => path.startsWith(to));
  const content = useRef<HTMLElement>(null);
  useTitle(view?.label ?? 'Not found');
  // Another view begins at its top; the keyboard goes on there.
  const shown = useRef(path);
  useEffect(() => {
    drawer.close();
    if (shown.current === path) return;
    shown.current = path;
    content.current?.focus();
  }, [path, drawer.close]);

  return (
    <>
      <button type="button" className="skip-link" onClick={() => content.current?.focus()}>
        Skip to the content
      </button>
      <div className="frame">
        {isWide ? (
          <div className="frame-side">
            <Side />
          </div>
        ) : (
          <Drawer opened={isOpen} onClose={drawer.close} size="16rem" title="Sendgate" padding={0}>
            <Side />
          </Drawer>
        )}
        <div className="frame-main">
          {!isWide && (
            <header className="frame-top">
              <Burger opened={isOpen} onClick={drawer.toggle} size="sm" aria-label="Show the views" />
              <Text fw={600}>{view?.label ?? 'Sendgate'}</Text>
            </header>
          )}
          <RedisNotice />
          <main className="frame-content" id="content" ref={content} tabIndex={-1} key={view?.to}>
            {may(session, 'read') ? <Outlet /> : <NothingToSee />}
          </main>
        </div>
      </div>
      {state.mustSignIn && <SignInAgain onSignedIn={state.signedIn} />}
    </>
  );
}

function Side() {
  const session = useSession();
  const leaving = useMutation({
    mutationFn: signOut,
    // Nothing that this key was shown stays in the page.
    onSuccess: () => window.location.reload(),
  });
  const isOpen = session.actor.id === 'local';
  return (
    <Stack justify="space-between" flex={1} gap={0} h="100%">
      <nav aria-label="Views">
        <Text fw={700} size="lg" px="md" pt="md" pb="xs" visibleFrom="sm">
          Sendgate
        </Text>
        {(may(session, 'read') ? VIEWS : []).map(({ to, label, icon: Icon }) => (
          <Link key={to} to={to} className="side-link" activeOptions={{ includeSearch: false }}>
            {({ isActive }) => (
              <NavLink
                component="span"
                label={label}
                active={isActive}
                variant="light"
                leftSection={<Icon size={18} aria-hidden />}
                px="md"
              />
            )}
          </Link>
        ))}
        <NavLink
          href="docs/"
          target="_blank"
          label="API reference"
          leftSection={<IconApi size={18} aria-hidden />}
          px="md"
        />
      </nav>
      <Group justify="space-between" wrap="nowrap" p="md" gap="xs">
        <Stack gap={0} miw={0}>
          <Text size="sm" fw={500} truncate title={session.workspace}>
            {session.workspace}
          </Text>
          <Text size="xs" c="dimmed" truncate title={session.actor.id}>
            {isOpen ? 'without a key' : (session.actor.name ?? session.actor.id)} · {session.roles.join(', ')}
          </Text>
        </Stack>
        {!isOpen && (
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label="Sign out"
            title="Sign out"
            loading={leaving.isPending}
            onClick={() => leaving.mutate()}
          >
            <IconLogout size={18} aria-hidden />
          </ActionIcon>
        )}
      </Group>
    </Stack>
  );
}

/** Says over every view when Sendgate cannot reach its Redis, or cannot be reached itself. */
function RedisNotice() {
  const { data, error, refetch } = useReadiness();
  if (error !== null) {
    return (
      <div style={{ padding: 'var(--mantine-spacing-xs)' }}>
        <Trouble error={error} onRetry={() => void refetch()} />
      </div>
    );
  }
  if (data === undefined || data.redis) return null;
  return (
    <Text role="alert" size="sm" px="md" py="xs" bg="var(--mantine-color-yellow-light)">
      <b>Redis does not answer.</b> Checks are answered as each limit’s “when Redis is down” says, and sends are
      refused. This page goes on by itself once it is back.
    </Text>
  );
}

function NothingToSee() {
  return (
    <div className="page">
      <Title order={1} size="h2">
        Nothing to see with this key
      </Title>
      <Text>This key may only ask and send. Sign in with one that has the role read or admin.</Text>
    </div>
  );
}

/** The view at an address that there is none at. */
export function NotFound() {
  return (
    <div className="page">
      <Title order={1} size="h2">
        Not found
      </Title>
      <Text>
        There is no such view. <Link to="/logs">Go to the logs</Link>.
      </Text>
    </div>
  );
}

function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Sendgate`;
  }, [title]);
}
