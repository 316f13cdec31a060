import type { AccountCalendar } from '../limits/settings';
import { type Actor, AUDIT_MAX_EVENTS, type Source } from '../store/actor';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';
import { type Page, type PageRequest, readIds } from './paging';

type JsonObject = Record<string, unknown>;

/** What is said of an account; null is none, and for the calendar what the workspace says. */
export interface AccountFields extends AccountCalendar {
  name: string | null;
  properties: JsonObject | null;
  user_profile: JsonObject | null;
  brand_id: string | null;
  parent_tenant_id: string | null;
  default_preferences: JsonObject | null;
}

/** An account's settings, as they are kept. */
export interface Account {
  id: string;
  fields: AccountFields;
  /** In epoch milliseconds of Redis's clock. */
  createdMs: number;
  updatedMs: number;
}

/** The revision of an account's settings and the JSON that decisions are made by: what the gate learns. */
export interface AccountRevision {
  revision: number;
  json: string;
}

/** The accounts that have settings. A user may also be in an account that has none. */
export interface Accounts {
  /** Replaces an account's settings. With the settings that are there already, nothing changes. */
  put(
    accountId: string,
    fields: AccountFields,
    actor: Actor,
    source: Source,
  ): Promise<{ account: Account; current: AccountRevision }>;
  find(accountId: string): Promise<Account | null>;
  /** A page of the accounts, or of those that name a certain parent. */
  list(page: PageRequest, parentId?: string): Promise<Page<Account>>;
  /** Removes an account's settings, and not its members. Nothing happens when there are none. */
  remove(accountId: string, actor: Actor, source: Source): Promise<void>;
}

/** Accounts without settings have this revision. */
export const NO_REVISION = 0;

export function createAccounts(deps: { redis: RedisClient; scripts: Scripts; keys: Keys }): Accounts {
  const { redis, scripts, keys } = deps;

  async function write(
    accountId: string,
    settings: string,
    json: string,
    parentId: string,
    actor: Actor,
    source: Source,
  ): Promise<[revision: number, createdMs: number, updatedMs: number]> {
    return (await runScript(
      redis,
      scripts.account_write,
      [keys.account(accountId), keys.accounts, keys.accountChildren, keys.accountRevision, keys.audit],
      [accountId, settings, json, parentId, JSON.stringify(actor), source, AUDIT_MAX_EVENTS],
    )) as [number, number, number];
  }

  return {
    async put(accountId, fields, actor, source) {
      const { timezone, billing_anchor, billing_months } = fields;
      const calendar: AccountCalendar = { timezone, billing_anchor, billing_months };
      const json = JSON.stringify(calendar);
      const [revision, createdMs, updatedMs] = await write(
        accountId,
        JSON.stringify(fields),
        json,
        fields.parent_tenant_id ?? '',
        actor,
        source,
      );
      return { account: { id: accountId, fields, createdMs, updatedMs }, current: { revision, json } };
    },

    async find(accountId) {
      return decodeAccount(accountId, await redis.hmget(keys.account(accountId), ...STORED_FIELDS));
    },

    async list(page, parentId) {
      const { ids, next } = await (parentId === undefined
        ? readIds(redis, keys.accounts, page)
        : readIds(redis, keys.accountChildren, page, `${parentId}\n`));
      const reads = redis.pipeline();
      for (const id of ids) reads.hmget(keys.account(id), ...STORED_FIELDS);
      const stored = (await reads.exec()) ?? [];
      return {
        items: ids.flatMap((id, index) => {
          const [error, values] = stored[index] ?? [null, []];
          if (error) throw error;
          const account = decodeAccount(id, values as (string | null)[]);
          // One that was removed, or moved to another parent, after its id was read.
          if (account === null || (parentId !== undefined && account.fields.parent_tenant_id !== parentId)) return [];
          return account;
        }),
        next,
      };
    },

    async remove(accountId, actor, source) {
      await write(accountId, '', '', '', actor, source);
    },
  };
}

const STORED_FIELDS = ['settings', 'created_ms', 'updated_ms'] as const;

function decodeAccount(id: string, stored: readonly (string | null)[]): Account | null {
  const [settings, createdMs, updatedMs] = stored;
  if (typeof settings !== 'string') return null;
  return { id, fields: JSON.parse(settings), createdMs: Number(createdMs), updatedMs: Number(updatedMs) };
}
