import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useBlocker } from '@tanstack/react-router';
import { useCallback, useState } from 'react';

/**
 * Keeps what was typed from being lost without a word: before the view, the page or what it stands in is left, it asks.
 * @returns what closes, after asking where that is needed; whether it asks; and the question, to be shown
 */
export function useUnsaved(isDirty: boolean): {
  leave: (then: () => void) => void;
  isAsking: boolean;
  question: React.ReactNode;
} {
  const blocker = useBlocker({
    shouldBlockFn: useCallback(() => isDirty, [isDirty]),
    enableBeforeUnload: isDirty,
    disabled: !isDirty,
    withResolver: true,
  });
  const [then, setThen] = useState<(() => void) | null>(null);
  const isBlocked = blocker.status === 'blocked';
  const isAsking = isBlocked || then !== null;
  const stay = () => {
    blocker.reset?.();
    setThen(null);
  };
  const go = () => {
    blocker.proceed?.();
    then?.();
    setThen(null);
  };
  return {
    leave: (action) => (isDirty ? setThen(() => action) : action()),
    isAsking,
    question: (
      <Modal opened={isAsking} onClose={stay} title="Leave without saving?">
        <Stack>
          <Text>What you changed here is not saved, and is lost if you leave.</Text>
          <Group justify="flex-end">
            <Button variant="default" onClick={stay} data-autofocus>
              Stay
            </Button>
            <Button color="red.9" onClick={go}>
              Leave
            </Button>
          </Group>
        </Stack>
      </Modal>
    ),
  };
}
