import { Skeleton, Text } from '@mantine/core';
import { IconPercentage } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { Counts, Overview } from '../api/overview';
import { decided, SERIES, shareWords } from './series';

/** The numbers of the whole range. */
export function Totals({ overview }: { overview: Overview | undefined }) {
  const totals = overview?.totals;
  return (
    <dl className="totals" aria-label="Totals">
      {SERIES.map(({ outcome, label, icon: Icon }) =>
        // They have a place in the plot.
        outcome === 'filtered' ? null : (
          <Total
            key={outcome}
            outcome={outcome}
            label={label}
            icon={<Icon size={16} aria-hidden />}
            value={totals?.[outcome].toLocaleString()}
          >
            {totals && noteOf(outcome, totals)}
          </Total>
        ),
      )}
      <Total
        outcome="share"
        label="Share throttled"
        icon={<IconPercentage size={16} aria-hidden />}
        value={totals && shareWords(totals.throttled, decided(totals))}
      >
        {totals && `of ${decided(totals).toLocaleString()} decided`}
      </Total>
    </dl>
  );
}

function Total({
  outcome,
  label,
  icon,
  value,
  children,
}: {
  outcome: string;
  label: string;
  icon: React.ReactNode;
  /** Undefined while it is waited for. */
  value: string | undefined;
  children: React.ReactNode;
}) {
  return (
    <div className="total" data-outcome={outcome}>
      <dt className="total-label">
        {icon}
        {label}
      </dt>
      <dd className="total-value">{value ?? <Skeleton height="1.3em" width="5rem" />}</dd>
      <Text component="dd" size="xs" c="dimmed" mih="1.2rem">
        {children}
      </Text>
    </div>
  );
}

function noteOf(outcome: 'accepted' | 'throttled' | 'failed', totals: Counts): React.ReactNode {
  if (outcome === 'accepted') return 'within every limit';
  if (outcome === 'throttled') {
    if (totals.throttled === 0) return 'none was over a limit';
    return (
      <Link to="/logs" search={{ status: 'THROTTLED' }}>
        Show these messages
      </Link>
    );
  }
  if (totals.failed === 0) return 'none was undeliverable';
  return (
    <Link to="/logs" search={{ status: 'UNDELIVERABLE' }}>
      Show these messages
    </Link>
  );
}
