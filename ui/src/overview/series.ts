import type { IconProps } from '@tabler/icons-react';
import type { ComponentType } from 'react';
import type { Counts, Outcome } from '../api/overview';
import { STATUS_LOOKS } from '../show/status';

/** What is drawn over time, in one colour. */
export interface Series {
  outcome: Exclude<Outcome, 'degraded'>;
  label: string;
  icon: ComponentType<IconProps>;
  /** Whether it is drawn below the line: what failed was accepted before, and is counted there already. */
  isBelow: boolean;
}

/** From the line up, then down. Their colours are in overview.css, by the name of the outcome. */
export const SERIES: readonly Series[] = [
  { outcome: 'accepted', ...looks('ACCEPTED'), isBelow: false },
  { outcome: 'throttled', ...looks('THROTTLED'), isBelow: false },
  { outcome: 'filtered', ...looks('FILTERED'), isBelow: false },
  { outcome: 'failed', ...looks('UNDELIVERABLE'), label: 'Failed', isBelow: true },
];

function looks(status: keyof typeof STATUS_LOOKS) {
  const { label, icon } = STATUS_LOOKS[status];
  return { label, icon };
}

/** Those worth showing: what is filtered, few workspaces have. */
export function seriesOf(totals: Counts): Series[] {
  return SERIES.filter(({ outcome }) => outcome !== 'filtered' || totals.filtered > 0);
}

/** How many messages were decided. */
export function decided({ accepted, throttled, filtered }: Counts): number {
  return accepted + throttled + filtered;
}

const PERCENT = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 1 });
/** What a share is at least, to be told in digits. */
const LEAST_SHARE = 0.001;

/** A part of a whole, in percent; a dash for a part of nothing. */
export function shareWords(part: number, whole: number): string {
  if (whole === 0) return '–';
  const share = part / whole;
  return share > 0 && share < LEAST_SHARE ? `<${PERCENT.format(LEAST_SHARE)}` : PERCENT.format(share);
}
