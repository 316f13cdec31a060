import type { Window } from '../limits/calendar';
import { DIMENSION_BIT, DIMENSIONS, type Dimension, dimensionMask, type Message, type Period } from '../limits/limit';
import type { PlannedCounter } from '../limits/plan';

/**
 * The names of a workspace's keys. All carry the hash tag `{workspace}`, so that one script may touch any of them in a
 * Redis Cluster. A workspace's name holds only `A-Za-z0-9._-`; every other name is escaped.
 */
export interface Keys {
  readonly workspace: string;
  readonly prefix: string;
  /** Hash: version and floor of the configuration. */
  readonly config: string;
  /** Hash: a limit's id, or "@settings", to its JSON. */
  readonly configItems: string;
  /** Sorted set: those ids, by the version of their last change. */
  readonly configChanges: string;
  /** Sorted set: the ids that were removed last. */
  readonly configRemoved: string;
  /** Stream: what happened to messages. */
  readonly log: string;
  /** Stream: a row of the log for each message, by number. */
  readonly logRows: string;
  /** Stream: what else happened that counts, by number with the rows. Named so by lua/lib/log.lua too. */
  readonly logMarks: string;
  /** Hash: how far the log has got. Named so by lua/lib/log.lua too. */
  readonly logMeta: string;
  /** Sorted set: what the rows with a value are about, by their number. Named so by lua/lib/log.lua too. */
  logIndex(kind: LogIndexKind, value: string): string;
  /** String: the newest row about a check with that message id. Always with a TTL. */
  loggedCheck(messageId: string): string;
  /** String: what the log keeps of limits, by its hash. Always with a TTL. */
  loggedLimits(hash: string): string;
  /** Hash: the state of a handed-over send. Named so by lua/lib/send.lua too. */
  send(messageId: string): string;
  /** Hash: what the messages of a request are sent with. */
  payload(requestId: string): string;
  /** String: the request that an idempotency key was used for. Always with a TTL. */
  idempotencyKey(hash: string): string;
  /** String: the message that a provider's id of a part stands for. Named so by lua/lib/receipt.lua too. Always with a TTL. */
  providerPart(provider: string, part: string): string;
  /** Stream: accepted attempts that a relay has not yet moved into their provider's queue. */
  outbox(provider: string): string;
  /** Sorted set: messages that are decided once they are due, by when. */
  readonly due: string;
  /** Sorted set: counters that messages wait for room in, by when to look again. */
  readonly holds: string;
  /** Sorted set: the messages that wait for room in a counter, by since when; its name as in `holds`. */
  held(counter: string): string;
  /** String: who looks after those that wait. Always with a TTL. */
  readonly holder: string;
  /** Stream: the audit trail. */
  readonly audit: string;
  /** Hash: the SHA-256 of an API key to its JSON. */
  readonly apiKeys: string;
  /** Hash: `last`, raised with every change of the API keys. No string: each of those has a TTL. */
  readonly apiKeysRevision: string;
  /** Sorted set, all of score 0: the ids of the accounts that have settings. */
  readonly accounts: string;
  /** Hash: `last`, the last revision given to an account's settings. Never reused, also not after a removal. */
  readonly accountRevision: string;
  /** Sorted set, all of score 0: a parent account's id, a newline, and the id of an account that names it. */
  readonly accountChildren: string;
  /** Hash: revision and json of one account's settings. */
  account(accountId: string): string;
  /** Hash: what is known of a user, by field; see lua/lib/profile.lua. */
  profile(userId: string): string;
  /** Hash: mappings, which events of a customer data platform become messages, as JSON. */
  readonly inbound: string;
  /** Hash: an account's id to the user's profile in it, as JSON. */
  userProfiles(userId: string): string;
  /** Sorted set, all of score 0: the ids of the user's accounts. */
  userAccounts(userId: string): string;
  /** Sorted set, all of score 0: the ids of the account's users. */
  accountUsers(accountId: string): string;
  /** String: what was decided for a message id. Always with a TTL. */
  message(messageId: string): string;
  /** The part of a counter's name before the values it counts: the same for all messages of a shape. */
  counterPrefix(counter: Omit<PlannedCounter, 'per'>): string;
  /** The rest of that name. */
  counterValues(perMask: number, message: Message): string;
  /** String: a counter. Always with a TTL. */
  counterName(per: readonly Dimension[], period: Period, window: Window, message: Message): string;
  /** String: when a counter was last reset, given the counter's name. */
  counterReset(counterKey: string): string;
  /** Hash: how many messages of a stretch of time were accepted, throttled and so on, by point. Always with a TTL. */
  traffic(level: string, startMs: number): string;
  /** Sorted set: whom or what messages of that time were throttled by, by how many. Always with a TTL. */
  trafficTop(level: string, startMs: number, kind: string): string;
  /** String: which part of what it has counted a process has added last. Always with a TTL. */
  trafficMark(processId: string): string;
  /** Stream: the alerts. Named so by lua/lib/alerts.lua too. */
  readonly alerts: string;
  /** String: that there was an alert of something, so that there is no second. Always with a TTL. */
  alertMark(what: string): string;
  /** Hash: what became of one alert, by whom it was for. Always with a TTL. */
  alertDeliveries(alertId: string): string;
  /** Hash: the last delivery to each receiver of alerts. Always with a TTL. */
  readonly alertReceivers: string;
  /** Hash: the last mail about something, and what has happened since. Always with a TTL. */
  alertMail(subject: string): string;
  /** The prefix that BullMQ gives to its keys. */
  readonly queuePrefix: string;
}

/** What rows of the log are found by: status, user, account, topic, tag, trace id. */
export type LogIndexKind = 's' | 'u' | 'a' | 't' | 'g' | 'r' | 'q';

const PERIOD_LETTERS: Record<Period, string> = { hour: 'h', day: 'd', week: 'w', month: 'm', billing_period: 'b' };

/** Makes a value safe between colons in a key's name. */
export function escapeKeyPart(value: string): string {
  // Colons would let two pairs of values share a name; braces are escaped so that nobody mistakes them for a hash tag.
  return /[%:{}]/.test(value) ? value.replace(/[%:{}]/g, (character) => encodeKeyCharacter(character)) : value;
}

function encodeKeyCharacter(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** The key names of a workspace, whose name the configuration has checked. */
export function createKeys(workspace: string): Keys {
  const prefix = `sg:{${workspace}}:`;
  // Base 36 keeps names short: they are most of what a counter costs in memory.
  const counterPrefix = ({ perMask, period, window }: Omit<PlannedCounter, 'per'>) =>
    `${prefix}c:${PERIOD_LETTERS[period]}${perMask.toString(16)}:${window.startMs.toString(36)}:${window.endMs.toString(36)}:`;
  return {
    workspace,
    prefix,
    config: `${prefix}config`,
    configItems: `${prefix}config:items`,
    configChanges: `${prefix}config:changes`,
    configRemoved: `${prefix}config:removed`,
    log: `${prefix}log`,
    logRows: `${prefix}l:rows`,
    logMarks: `${prefix}l:marks`,
    logMeta: `${prefix}l:meta`,
    logIndex: (kind, value) => `${prefix}l:${kind}:${escapeKeyPart(value)}`,
    loggedCheck: (messageId) => `${prefix}l:c:${escapeKeyPart(messageId)}`,
    loggedLimits: (hash) => `${prefix}l:x:${hash}`,
    send: (messageId) => `${prefix}s:${escapeKeyPart(messageId)}`,
    payload: (requestId) => `${prefix}p:${escapeKeyPart(requestId)}`,
    idempotencyKey: (hash) => `${prefix}i:${hash}`,
    providerPart: (provider, part) => `${prefix}pp:${escapeKeyPart(provider)}:${escapeKeyPart(part)}`,
    outbox: (provider) => `${prefix}outbox:${provider}`,
    due: `${prefix}due`,
    holds: `${prefix}holds`,
    held: (counter) => `${prefix}h:${counter}`,
    holder: `${prefix}holder`,
    audit: `${prefix}audit`,
    apiKeys: `${prefix}keys`,
    apiKeysRevision: `${prefix}keys:revision`,
    accounts: `${prefix}accounts`,
    accountRevision: `${prefix}accounts:revision`,
    accountChildren: `${prefix}accounts:children`,
    account: (accountId) => `${prefix}a:${escapeKeyPart(accountId)}`,
    profile: (userId) => `${prefix}pr:${escapeKeyPart(userId)}`,
    inbound: `${prefix}inbound`,
    userProfiles: (userId) => `${prefix}up:${escapeKeyPart(userId)}`,
    userAccounts: (userId) => `${prefix}ua:${escapeKeyPart(userId)}`,
    accountUsers: (accountId) => `${prefix}au:${escapeKeyPart(accountId)}`,
    message: (messageId) => `${prefix}m:${escapeKeyPart(messageId)}`,
    counterPrefix,
    counterValues,
    counterName: (per, period, window, message) => {
      const perMask = dimensionMask(per);
      return counterPrefix({ perMask, period, window }) + counterValues(perMask, message);
    },
    counterReset: (counterKey) => `${prefix}r:${counterKey.slice(prefix.length + 2)}`,
    traffic: (level, startMs) => `${prefix}t:${level}:${startMs.toString(36)}`,
    trafficTop: (level, startMs, kind) => `${prefix}t:${level}:${startMs.toString(36)}:${kind}`,
    trafficMark: (processId) => `${prefix}t:by:${processId}`,
    alerts: `${prefix}alerts`,
    alertMark: (what) => `${prefix}n:${what}`,
    alertDeliveries: (alertId) => `${prefix}n:d:${alertId}`,
    alertReceivers: `${prefix}n:receivers`,
    alertMail: (subject) => `${prefix}n:m:${escapeKeyPart(subject)}`,
    queuePrefix: `${prefix}q`,
  };
}

function counterValues(perMask: number, message: Message): string {
  let values = '';
  for (const dimension of DIMENSIONS) {
    if (perMask & DIMENSION_BIT[dimension]) {
      const value = escapeKeyPart(message[dimension] ?? '');
      values = values === '' ? value : `${values}:${value}`;
    }
  }
  return values;
}
