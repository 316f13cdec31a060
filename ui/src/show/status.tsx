import { Badge } from '@mantine/core';
import {
  IconBan,
  IconCheck,
  IconChecks,
  IconClock,
  IconFilter,
  IconHandStop,
  IconProgressCheck,
  type IconProps,
  IconRouteOff,
  IconSend,
  IconX,
} from '@tabler/icons-react';
import type { ComponentType } from 'react';
import type { Status } from '../api/messages';

/** A status in a word, a colour and a sign: none of them alone says it. */
export const STATUS_LOOKS: Record<Status, { label: string; color: string; icon: ComponentType<IconProps> }> = {
  ACCEPTED: { label: 'Accepted', color: 'teal', icon: IconCheck },
  ENQUEUED: { label: 'Enqueued', color: 'blue', icon: IconProgressCheck },
  DELAYED: { label: 'Delayed', color: 'violet', icon: IconClock },
  THROTTLED: { label: 'Throttled', color: 'orange', icon: IconHandStop },
  FILTERED: { label: 'Filtered', color: 'gray', icon: IconFilter },
  SENT: { label: 'Sent', color: 'teal', icon: IconSend },
  DELIVERED: { label: 'Delivered', color: 'green', icon: IconChecks },
  UNDELIVERABLE: { label: 'Undeliverable', color: 'red', icon: IconX },
  CANCELED: { label: 'Canceled', color: 'gray', icon: IconBan },
  UNMAPPED: { label: 'Unmapped', color: 'gray', icon: IconRouteOff },
};

/** The status of a message. */
export function StatusBadge({ status }: { status: Status }) {
  const look = STATUS_LOOKS[status] ?? { label: status, color: 'gray', icon: IconClock };
  const Icon = look.icon;
  return (
    <Badge
      color={look.color}
      variant="light"
      tt="none"
      leftSection={<Icon size={13} aria-hidden />}
      styles={{ label: { color: 'var(--mantine-color-text)' } }}
    >
      {look.label}
    </Badge>
  );
}
