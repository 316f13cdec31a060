import { createCalendarCache } from '../limits/calendar';
import { type AccountSettings, createAccountSettings } from '../membership/account-settings';
import { type ConfigurationStore, createConfigurationStore } from '../store/configuration';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import type { Scripts } from '../store/scripts';

/** The most accounts whose settings, and the most calendars, that are kept in memory. */
const ACCOUNTS_KNOWN = 100_000;
const CALENDARS_KNOWN = 10_000;

/** What is kept in memory of what decisions rely on: limits, settings, and those of accounts. */
export function composeConfiguration(deps: { redis: RedisClient; scripts: Scripts; keys: Keys }): {
  configuration: ConfigurationStore;
  accounts: AccountSettings;
} {
  const calendars = createCalendarCache(CALENDARS_KNOWN);
  return {
    configuration: createConfigurationStore({ ...deps, calendarFor: calendars.for.bind(calendars) }),
    accounts: createAccountSettings({ capacity: ACCOUNTS_KNOWN }),
  };
}
