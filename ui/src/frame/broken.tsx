import { Button, Group, Text, Title } from '@mantine/core';
import { useRouter } from '@tanstack/react-router';
import { useEffect } from 'react';
import { RECOVERY_MS } from './queries';

/** A view that could not be shown: its files could not be had, or it failed. */
export function Broken({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  const router = useRouter();
  const isMissing = error instanceof ViewMissing;
  useEffect(() => {
    if (!isMissing) return;
    // A browser remembers that a file could not be had. Once Sendgate answers, the page begins anew.
    const timer = setInterval(async () => {
      try {
        if ((await fetch('healthz', { cache: 'no-store' })).ok) window.location.reload();
      } catch {
        // Not yet.
      }
    }, RECOVERY_MS);
    return () => clearInterval(timer);
  }, [isMissing]);
  return (
    <div className="page" role="alert">
      <Title order={1} size="h2">
        {isMissing ? 'Sendgate does not answer' : 'This view failed'}
      </Title>
      <Text>
        {isMissing
          ? 'This part of the console could not be loaded. It is tried again by itself.'
          : 'That is a fault of the console. The others work on.'}
      </Text>
      <Text size="sm" c="dimmed" className="foreign">
        {error instanceof Error ? error.message : String(error)}
      </Text>
      <Group>
        <Button
          onClick={() => {
            onRetry();
            void router.invalidate();
          }}
        >
          Try again
        </Button>
      </Group>
    </div>
  );
}

/** The files of a view could not be had. */
class ViewMissing extends Error {
  override name = 'ViewMissing';
}

/**
 * Loads a view. That its files cannot be had is told in words that the router does not know: it would load the whole page
 * again, and while Sendgate is gone there is none.
 */
export async function loaded<View>(load: () => Promise<View>): Promise<View> {
  try {
    return await load();
  } catch (error) {
    // Browsers say it in words of their own.
    const isMissing = error instanceof TypeError && /import|module/i.test(error.message);
    throw isMissing ? new ViewMissing('Its files could not be had.', { cause: error }) : error;
  }
}
