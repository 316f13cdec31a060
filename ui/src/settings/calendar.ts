import type { Months } from './months-field';

/** Zones that browsers list by the name that they once had. Anybody would look for the one they have now. */
const RENAMED: Readonly<Record<string, string>> = {
  'Africa/Asmera': 'Africa/Asmara',
  'America/Buenos_Aires': 'America/Argentina/Buenos_Aires',
  'America/Catamarca': 'America/Argentina/Catamarca',
  'America/Cordoba': 'America/Argentina/Cordoba',
  'America/Jujuy': 'America/Argentina/Jujuy',
  'America/Mendoza': 'America/Argentina/Mendoza',
  'America/Coral_Harbour': 'America/Atikokan',
  'America/Godthab': 'America/Nuuk',
  'America/Indianapolis': 'America/Indiana/Indianapolis',
  'America/Louisville': 'America/Kentucky/Louisville',
  'Asia/Calcutta': 'Asia/Kolkata',
  'Asia/Katmandu': 'Asia/Kathmandu',
  'Asia/Rangoon': 'Asia/Yangon',
  'Asia/Saigon': 'Asia/Ho_Chi_Minh',
  'Atlantic/Faeroe': 'Atlantic/Faroe',
  'Europe/Kiev': 'Europe/Kyiv',
  'Pacific/Enderbury': 'Pacific/Kanton',
  'Pacific/Ponape': 'Pacific/Pohnpei',
  'Pacific/Truk': 'Pacific/Chuuk',
};

/** The time zones that can be chosen: those that this browser knows. */
export function timeZones(): string[] {
  const known = Intl.supportedValuesOf('timeZone').map((zone) => {
    const name = RENAMED[zone];
    return name !== undefined && offsetWords(name) !== '' ? name : zone;
  });
  return ['UTC', ...[...new Set(known)].filter((zone) => zone !== 'UTC').sort()];
}

const offsets = new Map<string, string>();

/** How far a zone is from UTC at present: `UTC−05:00`. Empty for one that this browser does not know. */
export function offsetWords(zone: string): string {
  let words = offsets.get(zone);
  if (words === undefined) {
    words = partOf(zone, { timeZoneName: 'longOffset' }, 'timeZoneName').replace('GMT', 'UTC').replace('-', '−');
    offsets.set(zone, words);
  }
  return words;
}

/** What a clock shows there: `Thu 04:12`. Empty for a zone that this browser does not know. */
export function clockWords(zone: string, nowMs: number): string {
  try {
    const format = { timeZone: zone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
    return new Intl.DateTimeFormat('en', format).format(nowMs).replace(',', '');
  } catch {
    return '';
  }
}

function partOf(zone: string, format: Intl.DateTimeFormatOptions, type: Intl.DateTimeFormatPartTypes): string {
  try {
    const parts = new Intl.DateTimeFormat('en', { timeZone: zone, ...format }).formatToParts();
    return parts.find((part) => part.type === type)?.value ?? '';
  } catch {
    return '';
  }
}

/** What a local date-time of a setting is in a browser's field: with seconds, so that the same one is the same text. */
export function withSeconds(local: string): string {
  return /T\d{2}:\d{2}$/.test(local) ? `${local}:00` : local;
}

/** A local date-time, for a sentence. */
export function anchorWords(local: string): string {
  return withSeconds(local).replace('T', ' ');
}

/** A number of months, for a sentence. */
export function monthsWords(months: number): string {
  return months === 1 ? 'a month' : `${months.toLocaleString()} months`;
}

/** A weekday as a word. */
export function capitalized(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}

/** A change of what decides when windows begin and end. */
export interface CalendarChange {
  timezone?: string | null;
  week_start?: string;
  billing_anchor?: string | null;
  billing_months?: Months | null;
}

/**
 * Which counters a change begins empty, a sentence for each reason.
 * @param of whose calendar it is: what an account says itself is not changed by its workspace
 */
export function emptyCounterWords(change: CalendarChange, of: 'workspace' | 'account'): string[] {
  const words: string[] = [];
  const elsewhere = of === 'workspace' ? ', except for accounts with a time zone of their own' : '';
  const anchored = of === 'workspace' ? ', except for accounts with billing periods of their own' : '';
  if (change.timezone !== undefined) {
    words.push(
      `Another time zone: every day, week, month and billing period that begins or ends at another moment there begins with an empty counter${elsewhere}.`,
    );
  }
  if (change.week_start !== undefined) {
    words.push(
      `Another start of the week: weeks begin on ${capitalized(change.week_start)}, and this week’s counters begin empty.`,
    );
  }
  if (change.billing_anchor !== undefined || change.billing_months !== undefined) {
    words.push(
      `Other billing periods: where the present one begins or ends at another moment, its counters begin empty${anchored}.`,
    );
  }
  return words;
}
