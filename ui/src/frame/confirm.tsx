import { Button, Group, Modal, Stack } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { Trouble } from './trouble';

/** Asks before something is done, does it, and says what went wrong with it. It closes once it is done. */
export function Confirm({
  opened,
  title,
  confirmLabel,
  dismissLabel = 'Cancel',
  danger = false,
  isReady = true,
  onConfirm,
  onClose,
  children,
}: {
  opened: boolean;
  title: string;
  confirmLabel: string;
  /** For what is itself called to cancel. */
  dismissLabel?: string;
  danger?: boolean;
  /** Whether what is asked about is known, and can be done. */
  isReady?: boolean;
  onConfirm: () => Promise<unknown>;
  onClose: () => void;
  children: React.ReactNode;
}) {
  const doing = useMutation({ mutationFn: onConfirm, onSuccess: onClose });
  const close = () => {
    if (doing.isPending) return;
    doing.reset();
    onClose();
  };
  return (
    <Modal opened={opened} onClose={close} title={title}>
      <Stack>
        <div className="foreign">{children}</div>
        <Trouble error={doing.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={close} disabled={doing.isPending} data-autofocus>
            {dismissLabel}
          </Button>
          <Button
            color={danger ? 'red.9' : undefined}
            loading={doing.isPending}
            disabled={!isReady}
            onClick={() => doing.mutate()}
          >
            {confirmLabel}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
