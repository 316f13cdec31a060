import { createCalendarCache } from '../limits/calendar';
import type { Logger } from '../logger';
import { type AccountSettings, createAccountSettings } from '../membership/account-settings';
import { type ConfigurationStore, createConfigurationStore } from '../store/configuration';
import type { RedisClient } from '../store/connection';
import { redisFailureReason } from '../store/failure';
import type { Keys } from '../store/keys';
import type { Scripts } from '../store/scripts';
import { monotonicMs, occasionally, repeat } from './timing';

/** The most accounts whose settings, and the most calendars, that are kept in memory. */
const ACCOUNTS_KNOWN = 100_000;
const CALENDARS_KNOWN = 10_000;

/**
 * How often a process looks whether limits and settings have changed, in milliseconds. Decisions do not rely on it: what else
 * goes by the settings, the alert that Redis is away before all, does, in a process that decides nothing.
 */
const REFRESH_EVERY_MS = 2_000;

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

/** Begins to read what has changed of it, while Redis answers: one command that reads a version. Returns what stops it. */
export function keepRefreshed(
  configuration: Pick<ConfigurationStore, 'refresh'>,
  answers: () => boolean,
  logger: Logger,
): () => void {
  const failed = occasionally(monotonicMs, (error, unwritten) => {
    if (redisFailureReason(error) === null) logger.error('The settings could not be read.', { error, unwritten });
  });
  return repeat(REFRESH_EVERY_MS, answers, () => configuration.refresh(), failed);
}
