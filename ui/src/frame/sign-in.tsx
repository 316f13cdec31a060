import { Anchor, Button, Center, Modal, Paper, PasswordInput, Stack, Text, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { CallError } from '../api/call';
import { type Session, signIn } from '../api/session';
import { Trouble } from './trouble';

/** The page of who is not signed in. */
export function SignInPage({ onSignedIn }: { onSignedIn: (session: Session) => void }) {
  return (
    <Center component="main" mih="100dvh" p="md">
      <Paper withBorder p="xl" w="100%" maw={420}>
        <Stack>
          <Title order={1} size="h2">
            Sendgate
          </Title>
          <Text size="sm" c="dimmed">
            See what was throttled, and why. Sign in with an API key: one with the role read looks, one with the role
            admin also changes.
          </Text>
          <SignInForm onSignedIn={onSignedIn} />
          <Text size="sm" c="dimmed">
            A key is made by <code>sendgate keys create --role read</code>; SENDGATE_API_KEY is one too. Programs use
            the{' '}
            <Anchor underline="always" href="docs/">
              API
            </Anchor>
            .
          </Text>
        </Stack>
      </Paper>
    </Center>
  );
}

/** Asks somebody whose session has ended to sign in again, over the view: nothing that was typed there is lost. */
export function SignInAgain({ onSignedIn }: { onSignedIn: (session: Session) => void }) {
  return (
    <Modal opened onClose={() => undefined} withCloseButton={false} title="Your session has ended">
      <Stack>
        <Text size="sm">Sign in again to go on. What you have typed is kept.</Text>
        <SignInForm onSignedIn={onSignedIn} />
      </Stack>
    </Modal>
  );
}

function SignInForm({ onSignedIn }: { onSignedIn: (session: Session) => void }) {
  const [key, setKey] = useState('');
  const signingIn = useMutation({ mutationFn: signIn, onSuccess: onSignedIn });
  const { error } = signingIn;
  const isWrong = error instanceof CallError && error.status === 401;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        signingIn.mutate(key.trim());
      }}
    >
      <Stack>
        <PasswordInput
          label="API key"
          name="key"
          autoComplete="current-password"
          required
          data-autofocus
          autoFocus
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
          error={isWrong ? 'This key is not known here. It may have been revoked.' : null}
          visibilityToggleButtonProps={{ 'aria-label': 'Show the key' }}
        />
        {!isWrong && <Trouble error={error} />}
        <Button type="submit" loading={signingIn.isPending} fullWidth>
          Sign in
        </Button>
      </Stack>
    </form>
  );
}
