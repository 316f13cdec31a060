import { identifierProblem } from '../limits/identifier';
import { isJsonObject, type JsonObject, jsonObjectProblem } from '../limits/json-object';

/** The products whose calls come in. */
export const INBOUND_SOURCES = ['segment', 'rudderstack'] as const;
export type InboundSource = (typeof INBOUND_SOURCES)[number];

/** The calls of their specification: https://segment.com/docs/connections/spec/ */
export const EVENT_TYPES = ['identify', 'group', 'track', 'page', 'screen', 'alias'] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** An event that can be done. */
export type InboundEvent = {
  /** What its sender knows it by: the same again does nothing. Null: it is done each time. */
  messageId: string | null;
  /** Its `userId`, else its `anonymousId`. */
  user: string;
} & (
  | { type: 'identify'; traits: JsonObject }
  | { type: 'group'; account: string; traits: JsonObject }
  /** `whole` is the event as it came, for the paths of mappings. */
  | { type: 'track'; name: string; properties: JsonObject | null; whole: JsonObject }
  | { type: 'page' | 'screen' | 'alias' }
);

/** One thing that is wrong with an event. */
export interface EventProblem {
  /** The field, '' for the event as a whole. */
  path: string;
  /** What is expected there. */
  message: string;
}

/** The most events of a call. */
export const EVENTS_MAX = 5_000;

/** What a body holds: one event, or several. */
export type InboundBody =
  | { kind: 'one'; event: unknown }
  | { kind: 'several'; events: readonly unknown[] }
  | { kind: 'refused'; path: string; message: string };

/** Tells the three forms of a body apart: an event, a list of events, or `{batch: [...]}`. */
export function readBody(body: unknown): InboundBody {
  if (Array.isArray(body)) return { kind: 'several', events: body };
  if (!isJsonObject(body)) {
    return { kind: 'refused', path: '', message: 'must be an event, a list of events, or {"batch": [...]}' };
  }
  if (Array.isArray(body.batch)) return { kind: 'several', events: body.batch };
  if (body.batch === undefined || body.type !== undefined) return { kind: 'one', event: body };
  return { kind: 'refused', path: 'batch', message: 'must be a list' };
}

/**
 * Reads one event. What it holds beside what is used here is left alone.
 * @param pathType the type that the path of the call says, for an event that does not say its own
 */
export function readEvent(
  value: unknown,
  pathType: EventType | null = null,
): InboundEvent | { problems: EventProblem[] } {
  if (!isJsonObject(value)) return { problems: [{ path: '', message: 'must be an object' }] };
  const problems: EventProblem[] = [];
  const wrong = (path: string, message: string) => {
    problems.push({ path, message });
  };

  const type = eventTypeOf(value, pathType);
  if (type === null) {
    wrong('type', `${isGiven(value.type) ? '' : 'is missing: '}must be one of ${EVENT_TYPES.join(', ')}`);
  }

  const messageId = optionalId(value, 'messageId', wrong);
  const userId = optionalId(value, 'userId', wrong);
  const anonymousId = optionalId(value, 'anonymousId', wrong);
  const user = userId ?? anonymousId;
  if (user === null && problems.every(({ path }) => path !== 'userId' && path !== 'anonymousId')) {
    wrong('userId', 'is missing: must be a string, or there must be an anonymousId');
  }
  if (value.context !== undefined && value.context !== null && !isJsonObject(value.context)) {
    wrong('context', 'must be an object');
  }

  switch (type) {
    case 'identify': {
      // RudderStack's SDKs for browsers have the traits in the context only.
      const within = isJsonObject(value.context) ? value.context.traits : undefined;
      const traits = isGiven(value.traits)
        ? optionalObject(value.traits, 'traits', wrong)
        : optionalObject(within, 'context.traits', wrong);
      if (problems.length > 0) break;
      return { type, messageId, user: user!, traits: traits ?? {} };
    }
    case 'group': {
      const account = optionalId(value, 'groupId', wrong);
      if (account === null && problems.every(({ path }) => path !== 'groupId')) {
        wrong('groupId', 'is missing: must be a string');
      }
      const traits = optionalObject(value.traits, 'traits', wrong);
      if (problems.length > 0) break;
      return { type, messageId, user: user!, account: account!, traits: traits ?? {} };
    }
    case 'track': {
      const name = optionalId(value, 'event', wrong);
      if (name === null && problems.every(({ path }) => path !== 'event')) {
        wrong('event', 'is missing: must be the name of what happened');
      }
      const properties = optionalObject(value.properties, 'properties', wrong);
      if (problems.length > 0) break;
      return { type, messageId, user: user!, name: name!, properties, whole: value };
    }
    case 'page':
    case 'screen':
    case 'alias':
      if (problems.length > 0) break;
      return { type, messageId, user: user! };
  }
  return { problems };
}

/** The type of an event, however wrong the rest of it is; null where it says none that there is. */
export function eventTypeOf(value: unknown, pathType: EventType | null): EventType | null {
  const type = isJsonObject(value) ? (value.type ?? pathType) : null;
  return EVENT_TYPES.find((one) => one === type) ?? null;
}

/** Absent, null and empty are the same: SDKs send all three for an id that there is not. */
function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

function optionalId(event: JsonObject, field: string, wrong: (path: string, message: string) => void): string | null {
  const value = event[field];
  if (!isGiven(value)) return null;
  if (typeof value !== 'string') {
    wrong(field, 'must be a string');
    return null;
  }
  const problem = identifierProblem(value);
  if (problem !== null) wrong(field, problem);
  return value;
}

function optionalObject(
  value: unknown,
  path: string,
  wrong: (path: string, message: string) => void,
): JsonObject | null {
  if (value === undefined || value === null) return null;
  const problem = jsonObjectProblem(value);
  if (problem === null) return value as JsonObject;
  wrong(path, problem);
  return null;
}
