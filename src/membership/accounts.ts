import { JSON_OBJECT_MAX_BYTES, type JsonObject } from '../limits/json-object';
import type { AccountCalendar } from '../limits/settings';
import { type Actor, AUDIT_MAX_EVENTS, type Source } from '../store/actor';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';
import { type Page, type PageRequest, readIds } from './paging';

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

/** An account's settings as the scripts take them: see lua/account_write.lua. */
export interface EncodedAccount {
  settings: string;
  json: string;
  parent: string;
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
      const { settings, json, parent } = encodeAccount(fields);
      const [revision, createdMs, updatedMs] = await write(accountId, settings, json, parent, actor, source);
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

/** The most characters of an account's name. */
export const ACCOUNT_NAME_MAX_CHARACTERS = 256;

const NO_FIELDS: AccountFields = {
  name: null,
  timezone: null,
  billing_anchor: null,
  billing_months: null,
  properties: null,
  user_profile: null,
  brand_id: null,
  parent_tenant_id: null,
  default_preferences: null,
};

/**
 * An account's settings with more properties: one that is there gets the new value as a whole, one whose value is null
 * goes. A `name` among them is the account's name too.
 * @param stored the settings as they are kept, '' for none
 * @returns null when the properties would be larger than any may be
 */
export function withProperties(stored: string, properties: JsonObject): EncodedAccount | null {
  const fields: AccountFields = stored === '' ? { ...NO_FIELDS } : JSON.parse(stored);
  // A list of pairs, in which `__proto__` is a name like any other.
  const merged = new Map(Object.entries(fields.properties ?? {}));
  for (const [name, value] of Object.entries(properties)) {
    if (value === null) merged.delete(name);
    else merged.set(name, value);
  }
  fields.properties = Object.fromEntries(merged);
  if (Buffer.byteLength(JSON.stringify(fields.properties)) > JSON_OBJECT_MAX_BYTES) return null;
  const { name } = properties;
  if (typeof name === 'string' && name !== '' && name.length <= ACCOUNT_NAME_MAX_CHARACTERS) fields.name = name;
  return encodeAccount(fields);
}

function encodeAccount(fields: AccountFields): EncodedAccount {
  const { timezone, billing_anchor, billing_months } = fields;
  const calendar: AccountCalendar = { timezone, billing_anchor, billing_months };
  return {
    settings: JSON.stringify(fields),
    json: JSON.stringify(calendar),
    parent: fields.parent_tenant_id ?? '',
  };
}

const STORED_FIELDS = ['settings', 'created_ms', 'updated_ms'] as const;

function decodeAccount(id: string, stored: readonly (string | null)[]): Account | null {
  const [settings, createdMs, updatedMs] = stored;
  if (typeof settings !== 'string') return null;
  return { id, fields: JSON.parse(settings), createdMs: Number(createdMs), updatedMs: Number(updatedMs) };
}
