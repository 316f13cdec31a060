const THRESHOLDS_MAX = 10;

/** Thresholds of alerts, as they are typed: `80, 100`; `none` where there are none. */
export function thresholdText(thresholds: readonly number[]): string {
  return thresholds.length === 0 ? 'none' : thresholds.join(', ');
}

/** The thresholds that a text names, rising; null when it names none that can be. */
export function thresholdsOf(text: string): number[] | null {
  if (text.trim().toLowerCase() === 'none') return [];
  const parts = text
    .split(/[\s,;%]+/)
    .filter((part) => part !== '')
    .map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : Number.NaN));
  if (parts.length === 0 || parts.length > THRESHOLDS_MAX || new Set(parts).size < parts.length) return null;
  return parts.every((part) => part >= 1 && part <= 100) ? parts.sort((a, b) => a - b) : null;
}

/** The same in words: `at 80 % and 100 %`. */
export function thresholdWords(thresholds: readonly number[]): string {
  if (thresholds.length === 0) return 'none';
  const parts = thresholds.map((threshold) => `${threshold} %`);
  return parts.length === 1 ? parts[0]! : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}
