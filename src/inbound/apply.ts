import { identifierProblem } from '../limits/identifier';
import { JSON_OBJECT_MAX_BYTES } from '../limits/json-object';
import { isStreamId } from '../log/stream';
import { withProperties } from '../membership/accounts';
import { PROFILE_MAX_BYTES, profileChanges } from '../membership/profiles';
import type { AcceptSend } from '../sends/accept';
import { hashOf, newRequestId, recipientMessageId } from '../sends/ids';
import type { Payload } from '../sends/request';
import { type Actor, AUDIT_MAX_EVENTS } from '../store/actor';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';
import type { EventProblem, InboundEvent } from './events';
import { createMapper, type MappedRecipient, type Mapping, recipientOf } from './mapping';
import type { Mappings } from './mappings';

/** What became of an event: it is done, now or before; or what is wrong with it. */
export type EventOutcome =
  | {
      kind: 'done';
      /** Its own message id, or the one that it was given. */
      messageId: string;
    }
  | { kind: 'refused'; problem: EventProblem };

/** What became of events, in their order. */
export type AppliedEvents =
  | { kind: 'applied'; outcomes: EventOutcome[] }
  /** Redis does not answer, or not fast enough. Some may have been done: who sends all again finds those done. */
  | { kind: 'unavailable' };

/**
 * Does what events ask for, each by itself and once. Identities and groups come first, so that what happened to a user is
 * decided with what the same call says of him.
 * @throws whatever Redis fails with beside decisions
 */
export type ApplyEvents = (events: readonly InboundEvent[], actor: Actor) => Promise<AppliedEvents>;

/** How many events one call of the script does: Redis is held for a millisecond or two. */
const EVENTS_PER_CALL = 50;
/** How many messages are decided at a time. */
const SENDS_AT_ONCE = 256;
/** How often a change of an account is worked out again, because others changed the account meanwhile. */
const ATTEMPTS_MAX = 20;
/** How long it may go on, in milliseconds: its sender waits for 5 seconds, and sends again what was not answered by then. */
const PATIENCE_MS = 4_000;
/** The shortest time for which it is noted that an event was done, in milliseconds: senders repeat for up to 12 hours. */
const NOTE_MS = 48 * 3_600_000;

/** What all events have for the body of a request to send: the same id is the same event, whatever else is in it. */
const BODY = 'event';
const NOTED_CONTENT = hashOf(JSON.stringify(BODY));

/** Where the replies of lua/inbound.lua stand for what. */
const REPLY = { done: 1, known: 2, tooLarge: 3, changed: 4 } as const;

type TrackEvent = Extract<InboundEvent, { type: 'track' }>;

const TOO_LARGE = `would make the properties of the account larger than ${JSON_OBJECT_MAX_BYTES} bytes of JSON`;

/** An event on its way through the script. */
interface Change {
  index: number;
  event: Extract<InboundEvent, { type: 'identify' | 'group' }> | TrackEvent;
  /** The id that it has in the log, if it is logged. */
  logId: string;
}

/** Makes what does events. */
export function createApplyEvents(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  mappings: Pick<Mappings, 'read'>;
  acceptSend: AcceptSend;
  /** The provider of their messages. */
  provider: string;
  /** How long a request to send is remembered, in milliseconds. */
  idempotencyTtlMs: number;
  randomBytes: (count: number) => Uint8Array;
  monotonicMs: () => number;
}): ApplyEvents {
  const { redis, scripts, keys, mappings, acceptSend, provider, idempotencyTtlMs, randomBytes, monotonicMs } = deps;
  const noteMs = Math.max(idempotencyTtlMs, NOTE_MS);

  /** Does some changes in one call of the script. Returns those that have to be worked out again. */
  async function change(
    changes: readonly Change[],
    actor: Actor,
    settle: (index: number, problem: EventProblem | null) => void,
  ): Promise<Change[]> {
    const accounts = await settingsOf(changes);
    const names = [keys.log, keys.audit, keys.accounts, keys.accountChildren, keys.accountRevision];
    const encoded: unknown[] = [];
    const asked: Change[] = [];
    for (const one of changes) {
      const { event, index, logId } = one;
      const note = event.messageId === null ? '' : `${event.messageId}\n${NOTED_CONTENT}\n`;
      const noteName = event.messageId === null ? [] : [keys.idempotencyKey(noteKey(event.messageId))];
      switch (event.type) {
        case 'identify':
          names.push(...noteName, keys.profile(event.user));
          encoded.push(['identify', note, event.user, profileChanges(event.traits)]);
          break;
        case 'group': {
          const { user, account, traits } = event;
          let before = '';
          let after = { settings: '', json: '', parent: '' };
          if (Object.keys(traits).length > 0) {
            before = accounts.get(account)!;
            const worked = withProperties(before, traits);
            if (worked === null) {
              const [wasDone] = await areDone([{ messageId: event.messageId, logId }]);
              if (!wasDone) settle(index, { path: 'traits', message: TOO_LARGE });
              continue;
            }
            after = worked;
            // The next event about that account follows this one.
            accounts.set(account, after.settings);
          }
          const [ofUser, profiles] = [keys.userAccounts(user), keys.userProfiles(user)];
          names.push(...noteName, ofUser, profiles, keys.accountUsers(account), keys.account(account));
          encoded.push(['group', note, user, account, before, after.settings, after.json, after.parent]);
          break;
        }
        case 'track': {
          names.push(...noteName);
          encoded.push(['unmapped', note, logId, event.user, groupOf(event.whole), event.name]);
          break;
        }
      }
      asked.push(one);
    }
    if (asked.length === 0) return [];
    const replies = (await runScript(redis, scripts.inbound, names, [
      noteMs,
      PROFILE_MAX_BYTES,
      JSON.stringify(actor),
      'inbound',
      AUDIT_MAX_EVENTS,
      JSON.stringify(encoded),
    ])) as number[];
    return asked.filter(({ index }, place) => {
      const reply = replies[place]!;
      if (reply === REPLY.changed) return true;
      settle(
        index,
        reply === REPLY.tooLarge
          ? { path: 'traits', message: `would make the profile larger than ${PROFILE_MAX_BYTES} bytes of JSON` }
          : null,
      );
      return false;
    });
  }

  /** The settings of the accounts whose properties events change, as they are kept; '' for none. */
  async function settingsOf(changes: readonly Change[]): Promise<Map<string, string>> {
    const ids = new Set<string>();
    for (const { event } of changes) {
      if (event.type === 'group' && Object.keys(event.traits).length > 0) ids.add(event.account);
    }
    const reads = redis.pipeline();
    for (const id of ids) reads.hget(keys.account(id), 'settings');
    const found = ids.size === 0 ? [] : ((await reads.exec()) ?? []);
    return new Map(
      [...ids].map((id, place) => {
        const [error, settings] = found[place]!;
        if (error) throw error;
        return [id, (settings as string | null) ?? ''];
      }),
    );
  }

  /** Which of some events have been done. */
  async function areDone(events: readonly { messageId: string | null; logId: string }[]): Promise<boolean[]> {
    if (events.length === 0) return [];
    const reads = redis.pipeline();
    // One without a message id has an id in the log that nothing else has.
    for (const { messageId, logId } of events) {
      reads.exists(messageId === null ? keys.send(logId) : keys.idempotencyKey(noteKey(messageId)), keys.send(logId));
    }
    return ((await reads.exec()) ?? []).map(([error, count]) => {
      if (error) throw error;
      return (count as number) > 0;
    });
  }

  function send(
    { messageId, name, properties }: TrackEvent,
    logId: string,
    mapping: Mapping,
    { user, account }: MappedRecipient,
  ) {
    const template = mapping.template ?? null;
    const payload: Payload = { template, content: null, data: properties, metadata: { event: name } };
    return acceptSend({
      recipients: [{ user, account, to: { user_id: user, ...(account === null ? {} : { account_id: account }) } }],
      payload: JSON.stringify(payload),
      template,
      topic: mapping.topic ?? null,
      channel: null,
      provider,
      event: name,
      traceId: null,
      tags: [],
      due: null,
      isPast: false,
      idempotencyKey: messageId === null ? null : noteText(messageId),
      body: BODY,
      requestId: logId,
    });
  }

  return async (events, actor) => {
    const giveUpMs = monotonicMs() + PATIENCE_MS;
    const isLate = () => monotonicMs() > giveUpMs;
    const outcomes: EventOutcome[] = [];
    const settle = (index: number, problem: EventProblem | null) => {
      if (problem !== null) outcomes[index] = { kind: 'refused', problem };
    };

    const changes: Change[] = [];
    const sends: (() => ReturnType<AcceptSend>)[] = [];
    const unmappable: { index: number; logId: string; messageId: string | null; problem: EventProblem }[] = [];
    const mapper = events.some(({ type }) => type === 'track') ? createMapper(await mappings.read()) : () => null;
    events.forEach((event, index) => {
      const id = event.messageId ?? newRequestId(randomBytes);
      outcomes.push({ kind: 'done', messageId: id });
      const logId = logIdOf(id);
      if (event.type === 'identify' || event.type === 'group') changes.push({ index, event, logId });
      if (event.type !== 'track') return;
      const mapping: Mapping | null = mapper(event.name);
      if (mapping === null) {
        changes.push({ index, event, logId });
        return;
      }
      const recipient = recipientOf(mapping, event.whole);
      if (!('path' in recipient)) sends.push(() => send(event, logId, mapping, recipient));
      else unmappable.push({ index, logId, messageId: event.messageId, problem: recipient });
    });

    // By other mappings they may have been done before: then they are answered as they were.
    const wereDone = await areDone(unmappable);
    unmappable.forEach(({ index, problem }, place) => {
      if (!wereDone[place]) settle(index, problem);
    });

    for (let start = 0; start < changes.length; start += EVENTS_PER_CALL) {
      let left = changes.slice(start, start + EVENTS_PER_CALL);
      for (let attempt = 0; left.length > 0; attempt += 1) {
        if (attempt === ATTEMPTS_MAX || isLate()) return { kind: 'unavailable' };
        left = await change(left, actor, settle);
      }
    }
    for (let start = 0; start < sends.length; start += SENDS_AT_ONCE) {
      if (isLate()) return { kind: 'unavailable' };
      const taken = await Promise.all(sends.slice(start, start + SENDS_AT_ONCE).map((one) => one()));
      for (const { kind } of taken) {
        if (kind === 'unavailable') return { kind };
        if (kind !== 'taken') throw new Error(`A message to one user, now, is ${kind}.`);
      }
    }
    return { kind: 'applied', outcomes };
  };
}

/** The id of a message in the log. */
function logIdOf(messageId: string): string {
  // In the log that form is a check's.
  return isStreamId(messageId) ? recipientMessageId('event', messageId) : messageId;
}

/** What an event is noted by: a text that no Idempotency-Key can be, for none has a line's end in it. */
function noteText(messageId: string): string {
  return `event\n${messageId}`;
}

function noteKey(messageId: string): string {
  return hashOf(noteText(messageId));
}

/** The account that an event names in its context, for the log. */
function groupOf({ context }: Record<string, unknown>): string {
  const groupId = (context as { groupId?: unknown } | null | undefined)?.groupId;
  return typeof groupId === 'string' && identifierProblem(groupId) === null ? groupId : '';
}
