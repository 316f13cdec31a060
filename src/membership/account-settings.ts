import type { KnownAccount } from '../limits/plan';
import type { AccountCalendar } from '../limits/settings';

/**
 * What this process knows of the settings of single accounts, by which it plans. It may be out of date: the decision's
 * script compares the revision, and says what is true instead.
 */
export interface AccountSettings {
  /** What is known of an account; undefined for one without settings, and for one that nothing is known of. */
  known(accountId: string): KnownAccount | undefined;
  /**
   * Takes over what Redis says of an account.
   *
   * The revision may be lower than the one that is known: then Redis was brought back from a backup, and what it says
   * now is what counts. An answer that was overtaken by a newer one on its way is put right by the next decision.
   *
   * @param revision 0 when the account has no settings
   * @param json the account's calendar, as `account_write.lua` keeps it; not read for revision 0
   */
  learn(accountId: string, revision: number, json: string): void;
}

/**
 * Makes the cache.
 * @param capacity how many accounts are remembered, those that were used last. Those beyond cost a decision two calls.
 */
export function createAccountSettings({ capacity }: { capacity: number }): AccountSettings {
  // A Map lists its entries in the order in which they were set: the first is the one not used for longest.
  const accounts = new Map<string, KnownAccount>();
  return {
    known(accountId) {
      const account = accounts.get(accountId);
      if (account !== undefined) {
        accounts.delete(accountId);
        accounts.set(accountId, account);
      }
      return account;
    },
    learn(accountId, revision, json) {
      accounts.delete(accountId);
      if (revision === 0) return;
      const { timezone, billing_anchor, billing_months } = JSON.parse(json) as AccountCalendar;
      accounts.set(accountId, { revision, calendar: { timezone, billing_anchor, billing_months } });
      if (accounts.size <= capacity) return;
      for (const longestUnused of accounts.keys()) {
        accounts.delete(longestUnused);
        return;
      }
    },
  };
}
