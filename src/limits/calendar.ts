import type { Period } from './limit';
import type { Settings, Weekday } from './settings';

/** One concrete run of a period, as real instants in epoch milliseconds: `[startMs, endMs)`. */
export interface Window {
  startMs: number;
  endMs: number;
}

/** Everything that decides where windows begin and end. */
export interface CalendarRules {
  timezone: string;
  week_start: Weekday;
  billing_anchor: string;
  billing_months: number;
}

/** Works out windows under one set of rules. */
export interface Calendar {
  readonly rules: CalendarRules;
  /** The one window of `period` that holds the instant, in epoch milliseconds. Remembered, so that it costs a look-up. */
  windowAt(period: Period, instantMs: number): Window;
}

export declare function isTimeZone(value: string): boolean;
export declare function isLocalDateTime(value: string): boolean;
export declare function calendarFor(rules: CalendarRules): Calendar;
export type { Settings };
