import { type Actor, AUDIT_MAX_EVENTS, type Source } from '../store/actor';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';
import { type IdPage, type Page, type PageRequest, readIds } from './paging';

/** What an account knows of one of its users: any JSON object. */
export type Profile = Record<string, unknown>;

/** A user's place in an account. */
export interface Membership {
  userId: string;
  accountId: string;
  profile: Profile | null;
}

/** A membership to write. A profile that is undefined leaves the one that is there. */
export interface MembershipWrite {
  accountId: string;
  profile?: Profile | null | undefined;
}

/** Who is in which account. Every change is one script, or a row of them, that changes both directions together. */
export interface Members {
  /**
   * Adds a user to accounts, all or none; where the user is already, the profile is replaced.
   * @param writes 1 to {@link ACCOUNTS_MAX}, each of another account
   */
  add(userId: string, writes: readonly MembershipWrite[], actor: Actor, source: Source): Promise<void>;
  /** The membership, or null when there is none. */
  find(userId: string, accountId: string): Promise<Membership | null>;
  /** A page of the user's accounts. */
  accountsOf(userId: string, page: PageRequest): Promise<Page<Membership>>;
  /** A page of the account's users. */
  usersOf(accountId: string, page: PageRequest): Promise<Page<Membership>>;
  /** In how many accounts the user is. */
  countAccountsOf(userId: string): Promise<number>;
  /** How many users are in the account. */
  countUsersOf(accountId: string): Promise<number>;
  /** The ids of the account's users, in the order of their bytes, at most so many. */
  userIdsOf(accountId: string, most: number): Promise<string[]>;
  /** Removes one membership; false when there was none. */
  remove(userId: string, accountId: string, actor: Actor, source: Source): Promise<boolean>;
  /**
   * Removes a user from every account that the user was in when this began, a few at a time, and returns how many
   * those were. What was cut off half-way, by a crash or by Redis, is finished by calling it again.
   */
  removeFromAll(userId: string, actor: Actor, source: Source): Promise<number>;
  /** Removes every user that was in the account when this began, likewise. */
  removeAllOf(accountId: string, actor: Actor, source: Source): Promise<number>;
}

/** The most accounts that a user is added to at once. Adding so many holds Redis for about 5 ms, because it is all or nothing. */
export const ACCOUNTS_MAX = 1_000;
/** A call that changes more memberships than this has one audit event for all of a kind instead of one for each. */
export const EVENTS_EACH_MAX = 20;
/** How many memberships one step of a long removal takes away: about 0.4 ms of Redis. */
const REMOVAL_CHUNK = 100;

/** How many ids are read at once: Redis is held for well under a millisecond. */
const IDS_PER_READ = 1_000;

const KEEP_PROFILE = '-';
const NO_PROFILE = '';

export function createMembers(deps: { redis: RedisClient; scripts: Scripts; keys: Keys }): Members {
  const { redis, scripts, keys } = deps;

  async function removeChunk(
    memberships: readonly { userId: string; accountId: string }[],
    allOf: 'user' | 'account' | '',
    actor: Actor,
    source: Source,
  ): Promise<number> {
    return (await runScript(
      redis,
      scripts.member_remove,
      [
        keys.audit,
        ...memberships.flatMap(({ userId, accountId }) => [
          keys.userAccounts(userId),
          keys.userProfiles(userId),
          keys.accountUsers(accountId),
        ]),
      ],
      [
        JSON.stringify(actor),
        source,
        AUDIT_MAX_EVENTS,
        allOf,
        ...memberships.flatMap(({ userId, accountId }) => [userId, accountId]),
      ],
    )) as number;
  }

  /**
   * Walks a list once from its first id to the one that was its last at the beginning, so that it ends however many
   * are added meanwhile. Each step removes whole memberships: a walk that breaks off leaves no half one.
   */
  async function removeAlong(listKey: string, removeIds: (ids: string[]) => Promise<number>): Promise<number> {
    const [last] = await redis.zrange(listKey, '+', '-', 'BYLEX', 'REV', 'LIMIT', 0, 1);
    if (last === undefined) return 0;
    let removed = 0;
    let from = '-';
    for (;;) {
      const ids = await redis.zrange(listKey, from, `[${last}`, 'BYLEX', 'LIMIT', 0, REMOVAL_CHUNK);
      const reached = ids.at(-1);
      if (reached === undefined) return removed;
      removed += await removeIds(ids);
      from = `(${reached}`;
    }
  }

  return {
    async add(userId, writes, actor, source) {
      await runScript(
        redis,
        scripts.member_add,
        [
          keys.userAccounts(userId),
          keys.userProfiles(userId),
          keys.audit,
          ...writes.map(({ accountId }) => keys.accountUsers(accountId)),
        ],
        [
          userId,
          JSON.stringify(actor),
          source,
          AUDIT_MAX_EVENTS,
          EVENTS_EACH_MAX,
          ...writes.flatMap(({ accountId, profile }) => [accountId, encodeProfile(profile)]),
        ],
      );
    },

    async find(userId, accountId) {
      const profile = await redis.hget(keys.userProfiles(userId), accountId);
      return profile === null ? null : { userId, accountId, profile: decodeProfile(profile) };
    },

    async accountsOf(userId, page) {
      const { ids, next } = await readIds(redis, keys.userAccounts(userId), page);
      if (ids.length === 0) return { items: [], next };
      const profiles = await redis.hmget(keys.userProfiles(userId), ...ids);
      return {
        items: ids.flatMap((accountId, index) => membershipWith(userId, accountId, profiles[index])),
        next,
      };
    },

    async usersOf(accountId, page) {
      const { ids, next } = await readIds(redis, keys.accountUsers(accountId), page);
      const reads = redis.pipeline();
      for (const userId of ids) reads.hget(keys.userProfiles(userId), accountId);
      const profiles = (await reads.exec()) ?? [];
      return {
        items: ids.flatMap((userId, index) => {
          const [error, profile] = profiles[index] ?? [null, null];
          if (error) throw error;
          return membershipWith(userId, accountId, profile as string | null);
        }),
        next,
      };
    },

    countAccountsOf: (userId) => redis.zcard(keys.userAccounts(userId)),

    countUsersOf: (accountId) => redis.zcard(keys.accountUsers(accountId)),

    async userIdsOf(accountId, most) {
      const users: string[] = [];
      let after: string | null = null;
      do {
        const page: IdPage = await readIds(redis, keys.accountUsers(accountId), {
          after,
          limit: Math.min(IDS_PER_READ, most - users.length),
        });
        users.push(...page.ids);
        after = page.next;
      } while (after !== null && users.length < most);
      return users;
    },

    async remove(userId, accountId, actor, source) {
      return (await removeChunk([{ userId, accountId }], '', actor, source)) === 1;
    },

    removeFromAll: (userId, actor, source) =>
      removeAlong(keys.userAccounts(userId), (accountIds) =>
        removeChunk(
          accountIds.map((accountId) => ({ userId, accountId })),
          'user',
          actor,
          source,
        ),
      ),

    removeAllOf: (accountId, actor, source) =>
      removeAlong(keys.accountUsers(accountId), (userIds) =>
        removeChunk(
          userIds.map((userId) => ({ userId, accountId })),
          'account',
          actor,
          source,
        ),
      ),
  };
}

/** None when the membership was removed after its id was read. */
function membershipWith(userId: string, accountId: string, profile: string | null | undefined): Membership[] {
  return typeof profile === 'string' ? [{ userId, accountId, profile: decodeProfile(profile) }] : [];
}

function encodeProfile(profile: Profile | null | undefined): string {
  if (profile === undefined) return KEEP_PROFILE;
  return profile === null ? NO_PROFILE : JSON.stringify(profile);
}

function decodeProfile(text: string): Profile | null {
  return text === NO_PROFILE ? null : JSON.parse(text);
}
