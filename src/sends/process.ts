import { type Backoff, pauseMs } from './backoff';
import type { Delivery, DeliveryOutcome, JsonObject, Provider, ProviderCode } from './providers/provider';
import type { Payload } from './request';
import { type AttemptOutcome, type BegunAttempt, type SendStore, stopReasonOf } from './store';

/**
 * What one attempt came to: `skipped` is one that was not, or no longer, to be made; `stopped` one that met a provider that
 * takes no messages.
 */
export type AttemptEnd = 'skipped' | 'sent' | 'retry' | 'failed' | 'stopped';

/** A provider that takes no messages, as it is told once in each pause. */
export interface StoppedProvider {
  provider: string;
  /** The provider's code, and why and what to do, in words. */
  code: string;
  error: string;
  /** Since when, without a message having been sent in between, and when it is tried again, in epoch milliseconds. */
  sinceMs: number;
  untilMs: number;
}

/** Told of deliveries, for the metrics and the statistics. Must be cheap. */
export interface DeliveryObserver {
  /** One attempt was made. */
  delivered(provider: string, end: Exclude<AttemptEnd, 'skipped'>): void;
  /** One attempt was begun that had been begun before. */
  redelivered(provider: string): void;
  /** How long it took from the decision until it was sent, in seconds. */
  sentAfter(provider: string, seconds: number): void;
  /** A message was given up for good. An attempt that failed may have come too late for that. */
  gaveUp(): void;
  /** A provider takes no messages, and is left alone by all workers. Told by one of them, once in each pause. */
  stopped(stop: StoppedProvider): void;
}

/** Makes one attempt of a message, whatever has become of it since it was queued. */
export type ProcessAttempt = (id: string, attempt: number, signal: AbortSignal) => Promise<AttemptEnd>;

/**
 * Makes what makes attempts.
 * @param deps.triesMax how often a message is tried before it is given up
 * @param deps.refundFailed whether a message that failed gives back what it counted
 * @param deps.stopMs how long a provider is left alone that takes no messages, in milliseconds
 * @param deps.holdQueue has no attempts of a provider begun by any worker for so long, in milliseconds
 * @throws what is made throws whatever Redis fails with
 */
export function createProcessAttempt(deps: {
  store: Pick<SendStore, 'begin' | 'finish'>;
  providers: ReadonlyMap<string, Provider>;
  backoff: Backoff;
  triesMax: number;
  refundFailed: boolean;
  stopMs: number;
  holdQueue: (provider: string, ms: number) => Promise<void>;
  /** Redis's time, in epoch milliseconds. */
  nowMs: () => number;
  monotonicMs: () => number;
  random: () => number;
  observer: DeliveryObserver;
}): ProcessAttempt {
  const { store, providers, backoff, triesMax, refundFailed, stopMs, holdQueue } = deps;
  const { nowMs, monotonicMs, random, observer } = deps;

  return async (id, attempt, signal) => {
    const begun = await store.begin(id, attempt);
    if (begun === null) return 'skipped';
    if (begun.again) observer.redelivered(begun.provider);
    const startedMs = monotonicMs();
    const delivered = await deliver(id, begun, signal);
    const outcome = outcomeOf(begun, delivered, Math.round(monotonicMs() - startedMs));
    observer.delivered(begun.provider, outcome.kind);
    const finished = await store.finish(id, attempt, begun, outcome);
    if (finished === null) return outcome.kind;
    if (outcome.kind === 'sent') {
      observer.sentAfter(begun.provider, Math.max(0, finished.nowMs - begun.decidedMs) / 1_000);
    }
    if (finished.status === 'UNDELIVERABLE') observer.gaveUp();
    const stopReason = stopReasonOf(outcome);
    if (stopReason !== undefined && finished.stop !== null) {
      const { sinceMs, untilMs, isFirst } = finished.stop;
      const { code, error } = stopReason;
      if (isFirst) observer.stopped({ provider: begun.provider, code: code.code, error, sinceMs, untilMs });
      // Also after others have: the one that was first may have died before it did.
      if (untilMs > finished.nowMs) await holdQueue(begun.provider, untilMs - finished.nowMs);
    }
    return outcome.kind;
  };

  async function deliver(id: string, begun: BegunAttempt, signal: AbortSignal): Promise<DeliveryOutcome> {
    const provider = providers.get(begun.provider);
    if (provider === undefined) throw new Error(`No provider ${begun.provider} is configured in this worker.`);
    return provider.deliver(deliveryOf(id, begun), signal);
  }

  function outcomeOf(begun: BegunAttempt, delivered: DeliveryOutcome, tookMs: number): AttemptOutcome {
    const tries = begun.tries + 1;
    const { response } = delivered;
    const code = 'code' in delivered ? delivered.code : undefined;
    const detail = { provider: begun.provider, try: tries, took_ms: tookMs, response, ...codeInWords(code) };
    if (delivered.kind === 'sent') {
      const { reference, receipts = [] } = delivered;
      return {
        kind: 'sent',
        detail: { ...detail, reference },
        reference,
        // What receipts come for may yet turn out to have failed, and be sent again.
        keepPayload: receipts.length > 0,
        receipts,
        refund: refundFailed,
      };
    }
    const { error } = delivered;
    if (delivered.kind === 'stopped') {
      return { kind: 'stopped', detail: { ...detail, error }, error, code: delivered.code, pauseMs: stopMs };
    }
    if (delivered.kind === 'failed') {
      const { partly, stopped } = delivered;
      const refund = refundFailed && partly === undefined;
      return {
        kind: 'failed',
        detail: { ...detail, error },
        error,
        reason: 'PROVIDER_ERROR',
        refund,
        code,
        partly,
        stop: stopped && { ...stopped, pauseMs: stopMs },
      };
    }
    if (tries >= triesMax) {
      const words = `${error} (given up after ${tries} ${tries === 1 ? 'try' : 'tries'})`;
      return {
        kind: 'failed',
        detail: { ...detail, error },
        error: words,
        reason: 'FAILED',
        refund: refundFailed,
        code,
      };
    }
    // What the provider asks for is kept to; without that, it is not asked again sooner than it should be.
    const waitMs = Math.max(delivered.retryAfterMs ?? 0, pauseMs(tries, backoff, random()));
    const dueMs = Math.ceil(nowMs() + waitMs);
    return { kind: 'retry', detail: { ...detail, error, next_try: dueMs }, error, dueMs, code };
  }
}

function codeInWords(code: ProviderCode | undefined): JsonObject {
  return code === undefined ? {} : { code: code.code, meaning: code.meaning, what_to_do: code.whatToDo };
}

function deliveryOf(messageId: string, { payload, recipient, message, takenMs }: BegunAttempt): Delivery {
  const { template, content, data, metadata } = JSON.parse(payload) as Payload;
  return {
    messageId,
    takenMs,
    userId: message.user,
    accountId: message.account,
    topicId: message.topic,
    channel: message.channel,
    to: JSON.parse(recipient) as JsonObject,
    template,
    content,
    data,
    metadata,
  };
}
