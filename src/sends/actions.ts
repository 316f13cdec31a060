import type { LoggedMessage, MessageLog } from '../log/messages';
import type { Actor } from '../store/actor';
import type { DecideSend } from './decide';
import type { SendStore } from './store';

/** What came of something that was to be done with a message, and the message then. */
export type ActionOutcome =
  | { kind: 'done'; message: LoggedMessage }
  /** Nothing was done; `why` is for the caller. */
  | { kind: 'refused'; message: LoggedMessage; why: string }
  | { kind: 'unknown' }
  /** Redis does not answer. */
  | { kind: 'unavailable' };

/** What people and programs do with messages that have been handed over. @throws whatever Redis fails with */
export interface SendActions {
  /** Stops a message that has not been sent, and gives back what it counted. */
  cancel(id: string, actor: Actor): Promise<ActionOutcome>;
  /** Has a throttled or failed message decided again, and sent if there is room. */
  retry(id: string, actor: Actor): Promise<ActionOutcome>;
}

const OF_A_CHECK = 'It is a check: its caller sends it, or does not.';

/** Makes the actions. */
export function createSendActions(deps: {
  store: Pick<SendStore, 'cancel'>;
  messageLog: Pick<MessageLog, 'get'>;
  decide: DecideSend;
}): SendActions {
  const { store, messageLog, decide } = deps;

  async function done(id: string): Promise<ActionOutcome> {
    const message = await messageLog.get(id);
    return message === null ? { kind: 'unknown' } : { kind: 'done', message };
  }

  return {
    async cancel(id, actor) {
      for (;;) {
        const message = await messageLog.get(id);
        if (message === null) return { kind: 'unknown' };
        const { send, recorded } = message;
        if (send === null) return { kind: 'refused', message, why: OF_A_CHECK };
        if (message.status === 'CANCELED') return { kind: 'done', message };
        const counted = send.counts === true ? { limits: recorded.map(({ limit }) => limit), message } : null;
        switch (await store.cancel(id, send.attempt, counted, actor)) {
          case 'canceled':
            return done(id);
          case 'sending':
            return {
              kind: 'refused',
              message,
              why: 'It is being sent at this moment. If that fails it can be canceled.',
            };
          case 'over': {
            const now = (await messageLog.get(id)) ?? message;
            return { kind: 'refused', message: now, why: `It is ${now.status}: there is nothing to stop any more.` };
          }
          // It has been decided, or tried, since it was read.
          case 'changed':
        }
      }
    },

    async retry(id, actor) {
      const message = await messageLog.get(id);
      if (message === null) return { kind: 'unknown' };
      const { send, status, user, account, topic, channel, cost } = message;
      if (send === null) return { kind: 'refused', message, why: OF_A_CHECK };
      const why = (now: string) =>
        `It is ${now}: only a message that was throttled, filtered or could not be delivered is sent again.`;
      if (status !== 'THROTTLED' && status !== 'UNDELIVERABLE' && status !== 'FILTERED') {
        return { kind: 'refused', message, why: why(status) };
      }
      const verdict = await decide({
        kind: 'again',
        id,
        message: { user, account, topic, channel },
        fresh: false,
        sole: false,
        cost,
        attempt: send.attempt,
        due: null,
        provider: send.provider,
        request: null,
        recipient: '',
        fields: [],
        idempotency: null,
        actor,
        only: '',
      });
      if (verdict.kind === 'unavailable') return { kind: 'unavailable' };
      if (verdict.kind !== 'over') return done(id);
      // Somebody else was faster.
      const now = (await messageLog.get(id)) ?? message;
      return { kind: 'refused', message: now, why: why(now.status) };
    },
  };
}
