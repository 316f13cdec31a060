import { type Account, type Accounts, createAccounts } from '../../src/membership/accounts';
import { createMembers, type Members } from '../../src/membership/members';
import { connectPatiently, parseRedisUrl, type RedisClient } from '../../src/store/connection';
import { createKeys, type Keys } from '../../src/store/keys';
import { loadScripts } from '../../src/store/scripts';
import { uniqueWorkspace } from './redis';

export const ACTOR = { id: 'test', name: null };

/** Members and accounts of a workspace, on a real Redis, without HTTP. */
export interface TestMembership {
  members: Members;
  accounts: Accounts;
  redis: RedisClient;
  keys: Keys;
  /** The audit trail, oldest first. */
  audit(): Promise<{ type: string; target: string; before: unknown; after: unknown; actor: unknown; source: string }[]>;
  close(): void;
}

const scripts = loadScripts();

/** A connection for tests. */
export function connectTo(url: string): RedisClient {
  const redis = connectPatiently(parseRedisUrl(url), { name: 'test', commandTimeoutMs: 5_000, reconnectMs: 20 });
  // Without a listener every failed attempt would be printed.
  redis.on('error', () => undefined);
  return redis;
}

export function openMembership(url: string, workspace = uniqueWorkspace()): TestMembership {
  const redis = connectTo(url);
  const keys = createKeys(workspace);
  return {
    members: createMembers({ redis, scripts, keys }),
    accounts: createAccounts({ redis, scripts, keys }),
    redis,
    keys,
    async audit() {
      const entries = await redis.xrange(keys.audit, '-', '+');
      return entries.map(([, fields]) => {
        const event: Record<string, string> = {};
        for (let index = 0; index < fields.length; index += 2) event[fields[index]!] = fields[index + 1]!;
        const parsed = (text: string | undefined) => (text === '' || text === undefined ? null : JSON.parse(text));
        return {
          type: event.type!,
          target: event.target!,
          before: parsed(event.before),
          after: parsed(event.after),
          actor: parsed(event.actor),
          source: event.source!,
        };
      });
    },
    close: () => redis.disconnect(),
  };
}

/**
 * Reads the memberships among some users and accounts out of all three places that they are kept in, and throws when
 * those disagree. Each is `user/account`.
 */
export async function mirrored(
  { redis, keys }: Pick<TestMembership, 'redis' | 'keys'>,
  users: readonly string[],
  accounts: readonly string[],
): Promise<Set<string>> {
  const byUser = new Set<string>();
  const byProfile = new Set<string>();
  const byAccount = new Set<string>();
  for (const user of users) {
    for (const account of await redis.zrange(keys.userAccounts(user), '0', '-1')) byUser.add(`${user}/${account}`);
    for (const account of await redis.hkeys(keys.userProfiles(user))) byProfile.add(`${user}/${account}`);
  }
  const reads = redis.pipeline();
  for (const account of accounts) reads.zrange(keys.accountUsers(account), '0', '-1');
  const lists = (await reads.exec()) ?? [];
  accounts.forEach((account, index) => {
    const [error, list] = lists[index]!;
    if (error) throw error;
    for (const user of list as string[]) byAccount.add(`${user}/${account}`);
  });
  const sorted = [byUser, byProfile, byAccount].map((set) => JSON.stringify([...set].sort()));
  if (new Set(sorted).size !== 1) throw new Error(`the directions of a membership disagree: ${sorted.join(' ')}`);
  return byUser;
}

/** Every item of a list, read a page at a time; `between` runs after each page. */
export async function readAll<Item>(
  readPage: (after: string | null) => Promise<{ items: Item[]; next: string | null }>,
  between: () => Promise<void> = async () => undefined,
): Promise<Item[]> {
  const items: Item[] = [];
  let after: string | null = null;
  do {
    const page: { items: Item[]; next: string | null } = await readPage(after);
    items.push(...page.items);
    after = page.next;
    if (after !== null) await between();
  } while (after !== null);
  return items;
}

/** An account's settings with nothing in them but what is given. */
export function fieldsOf(fields: Partial<Account['fields']> = {}): Account['fields'] {
  return {
    name: null,
    timezone: null,
    billing_anchor: null,
    billing_months: null,
    properties: null,
    user_profile: null,
    brand_id: null,
    parent_tenant_id: null,
    default_preferences: null,
    ...fields,
  };
}
