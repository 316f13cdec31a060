import { z } from 'zod';
import { type AlertWebhook, alertThresholdsSchema, alertWebhooksSchema } from './alert-settings';
import { isLocalDateTime, isTimeZone, WEEKDAYS } from './calendar';
import { identifierSchema } from './identifier';

export const timezoneSchema = z
  .string()
  .refine(isTimeZone, { error: 'must be an IANA time zone, such as America/New_York' });

/** A local date-time without an offset: which instant it is depends on the zone it is read in. */
export const billingAnchorSchema = z
  .string()
  .refine(isLocalDateTime, { error: 'must be a local date-time without an offset, such as 2024-01-31T15:00:00' });

export const billingMonthsSchema = z.int().min(1).max(120);

const settingsFields = {
  timezone: timezoneSchema.describe('The IANA time zone in which windows are computed.'),
  week_start: z.enum(WEEKDAYS).describe('The first day of a week.'),
  billing_anchor: billingAnchorSchema.describe('Where billing periods are counted from, as a local date-time.'),
  billing_months: billingMonthsSchema.describe('The length of a billing period, in months.'),
  exempt_topics: z
    .array(identifierSchema)
    .max(1_000)
    .describe('Topics that count toward the limits but are never throttled.'),
  require_membership: z.boolean().describe('Whether a message for an account that its user is not in is filtered.'),
  log_checks: z.enum(['throttled', 'all']).describe('Whether accepted checks are logged too.'),
  alert_thresholds: alertThresholdsSchema.describe(
    'Parts of a max, in percent: when the use of a limit passes one, there is an alert. A limit may have its own.',
  ),
};

/** What applies to a whole workspace. */
export interface Settings extends z.output<z.ZodObject<typeof settingsFields>> {
  alert_webhooks: AlertWebhook[];
}

/** A change of settings in a limits file: only what it names changes. Secrets do not belong into a file. */
export const fileSettingsSchema = z.strictObject(settingsFields).partial();

/** A change of settings: only what it names changes. */
export const settingsPatchSchema = z
  .strictObject({
    ...settingsFields,
    alert_webhooks: alertWebhooksSchema.describe('Who is told of alerts. The list takes the place of the one before.'),
  })
  .partial();

/** The fields of answers that hold nothing but what was written. */
export const plainSettingsFields = settingsFields;

export const DEFAULT_SETTINGS: Settings = {
  timezone: 'UTC',
  week_start: 'sunday',
  // The first of a month at midnight; which month does not matter while a period is one month long.
  billing_anchor: '1970-01-01T00:00:00',
  billing_months: 1,
  exempt_topics: [],
  require_membership: false,
  log_checks: 'throttled',
  alert_thresholds: [80, 100],
  alert_webhooks: [],
};

/** What an account says of its calendar; null takes the workspace's. */
export interface AccountCalendar {
  timezone: string | null;
  billing_anchor: string | null;
  billing_months: number | null;
}
