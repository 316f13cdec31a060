import { identifierProblem } from '../limits/identifier';
import { isJsonObject, type JsonObject } from '../limits/json-object';
import type { EventProblem } from './events';

/** Makes messages of the events of a name. */
export interface Mapping {
  /** A name, or a pattern of names: `*` is any run of characters, none included. */
  event: string;
  topic?: string | undefined;
  template?: string | undefined;
  /** Where in the event the recipient is; absent: {@link RECIPIENT_PATH}. */
  recipient?: string | undefined;
  /** Where in the event the account is; absent: {@link ACCOUNT_PATH}. */
  account?: string | undefined;
}

export const RECIPIENT_PATH = 'userId';
export const ACCOUNT_PATH = 'context.groupId';

/** The most mappings of a workspace. */
export const MAPPINGS_MAX = 1_000;

/** Whom a message goes to, and for which account. */
export interface MappedRecipient {
  user: string;
  account: string | null;
}

/** Makes what finds an event's mapping: the first that matches its name, in the order that they are in. */
export function createMapper(mappings: readonly Mapping[]): (name: string) => Mapping | null {
  // A batch has many events of few names.
  const found = new Map<string, Mapping | null>();
  return (name) => {
    let mapping = found.get(name);
    if (mapping === undefined) {
      mapping = mappings.find(({ event }) => matchesPattern(name, event)) ?? null;
      found.set(name, mapping);
    }
    return mapping;
  };
}

/**
 * Whether a text matches a pattern in which `*` is any run of characters. Each part between two stars is looked for once,
 * from left to right: the first place where it is is never worse than a later one.
 */
export function matchesPattern(text: string, pattern: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return text === pattern;
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let from = first.length;
  for (const part of rest) {
    const at = text.indexOf(part, from);
    if (at === -1 || at + part.length > end) return false;
    from = at + part.length;
  }
  return true;
}

/**
 * The names and places in lists of a path: `properties.products.0.id`, also written as in JSONPath,
 * `$.properties.products[0].id`.
 */
export function stepsOf(path: string): string[] {
  return path
    .replace(/^\$\./, '')
    .replace(/\[(\d+)\](?=[.[]|$)/g, '.$1')
    .split('.');
}

/** What is at a path, see {@link stepsOf}; undefined where it leads nowhere. */
export function valueAt(event: JsonObject, path: string): unknown {
  let value: unknown = event;
  for (const step of stepsOf(path)) {
    const holds = (isJsonObject(value) || Array.isArray(value)) && Object.hasOwn(value, step);
    if (!holds) return undefined;
    value = (value as JsonObject)[step];
  }
  return value;
}

/** Whom a mapped event's message goes to, or what is wrong with the event. */
export function recipientOf({ recipient, account }: Mapping, event: JsonObject): MappedRecipient | EventProblem {
  const userPath = recipient ?? RECIPIENT_PATH;
  const user = idAt(event, userPath);
  if (user === null) return { path: userPath, message: 'is missing: must be the recipient, a string' };
  if (typeof user === 'object') return user;
  const accountId = idAt(event, account ?? ACCOUNT_PATH);
  if (accountId !== null && typeof accountId === 'object') return accountId;
  return { user, account: accountId };
}

function idAt(event: JsonObject, path: string): string | null | EventProblem {
  const value = valueAt(event, path);
  if (value === undefined || value === null || value === '') return null;
  if (typeof value !== 'string') return { path, message: 'must be a string' };
  const problem = identifierProblem(value);
  return problem === null ? value : { path, message: problem };
}
