import { Skeleton, Text, Title } from '@mantine/core';
import { IconAlertTriangle, IconCircleCheck, IconCircleX, IconHelpCircle } from '@tabler/icons-react';

const SIGNS = {
  good: IconCircleCheck,
  warning: IconAlertTriangle,
  bad: IconCircleX,
  unknown: IconHelpCircle,
};

/** Whether something is well: in a sign and words, with a colour besides. */
export function Health({
  title,
  state,
  words,
  detail,
  children,
}: {
  title: string;
  /** Undefined while it is waited for. */
  state: keyof typeof SIGNS | undefined;
  words: string;
  detail: string;
  children?: React.ReactNode;
}) {
  const Sign = SIGNS[state ?? 'unknown'];
  return (
    <section className="card health" aria-label={title}>
      <Title order={2} size="h5">
        {title}
      </Title>
      {state === undefined ? (
        <Skeleton height="2.6rem" />
      ) : (
        <div className="health-words" data-state={state} role="status">
          <Sign size={20} aria-hidden />
          <div>
            <Text fw={600} size="sm">
              {words}
            </Text>
            <Text size="xs" c="dimmed">
              {detail}
            </Text>
          </div>
        </div>
      )}
      {children && (
        <Text component="div" size="xs">
          {children}
        </Text>
      )}
    </section>
  );
}
