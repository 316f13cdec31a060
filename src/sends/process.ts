import { type Backoff, pauseMs } from './backoff';
import type { Delivery, DeliveryOutcome, JsonObject, Provider } from './providers/provider';
import type { Payload } from './request';
import type { AttemptOutcome, BegunAttempt, SendStore } from './store';

/** What one attempt came to: `skipped` is one that was not, or no longer, to be made. */
export type AttemptEnd = 'skipped' | 'sent' | 'retry' | 'failed';

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
}

/** Makes one attempt of a message, whatever has become of it since it was queued. */
export type ProcessAttempt = (id: string, attempt: number, signal: AbortSignal) => Promise<AttemptEnd>;

/**
 * Makes what makes attempts.
 * @param deps.triesMax how often a message is tried before it is given up
 * @param deps.refundFailed whether a message that failed gives back what it counted
 * @throws what is made throws whatever Redis fails with
 */
export function createProcessAttempt(deps: {
  store: Pick<SendStore, 'begin' | 'finish'>;
  providers: ReadonlyMap<string, Provider>;
  backoff: Backoff;
  triesMax: number;
  refundFailed: boolean;
  /** Redis's time, in epoch milliseconds. */
  nowMs: () => number;
  monotonicMs: () => number;
  random: () => number;
  observer: DeliveryObserver;
}): ProcessAttempt {
  const { store, providers, backoff, triesMax, refundFailed, nowMs, monotonicMs, random, observer } = deps;

  return async (id, attempt, signal) => {
    const begun = await store.begin(id, attempt);
    if (begun === null) return 'skipped';
    if (begun.again) observer.redelivered(begun.provider);
    const startedMs = monotonicMs();
    const delivered = await deliver(id, begun, signal);
    const outcome = outcomeOf(begun, delivered, Math.round(monotonicMs() - startedMs));
    observer.delivered(begun.provider, outcome.kind);
    const finished = await store.finish(id, attempt, begun, outcome);
    if (finished?.status === 'SENT') {
      observer.sentAfter(begun.provider, Math.max(0, finished.nowMs - begun.decidedMs) / 1_000);
    }
    if (finished?.status === 'UNDELIVERABLE') observer.gaveUp();
    return outcome.kind;
  };

  async function deliver(id: string, begun: BegunAttempt, signal: AbortSignal): Promise<DeliveryOutcome> {
    const provider = providers.get(begun.provider);
    if (provider === undefined) throw new Error(`No provider ${begun.provider} is configured in this worker.`);
    return provider.deliver(deliveryOf(id, begun), signal);
  }

  function outcomeOf(begun: BegunAttempt, delivered: DeliveryOutcome, tookMs: number): AttemptOutcome {
    const tries = begun.tries + 1;
    const detail = { provider: begun.provider, try: tries, took_ms: tookMs, response: delivered.response };
    if (delivered.kind === 'sent') {
      const { reference } = delivered;
      return { kind: 'sent', detail: { ...detail, reference }, reference, keepPayload: false };
    }
    const { error } = delivered;
    if (delivered.kind === 'failed') {
      return { kind: 'failed', detail: { ...detail, error }, error, reason: 'PROVIDER_ERROR', refund: refundFailed };
    }
    if (tries >= triesMax) {
      const words = `${error} (given up after ${tries} ${tries === 1 ? 'try' : 'tries'})`;
      return { kind: 'failed', detail: { ...detail, error }, error: words, reason: 'FAILED', refund: refundFailed };
    }
    // What the provider asks for is kept to; without that, it is not asked again sooner than it should be.
    const waitMs = Math.max(delivered.retryAfterMs ?? 0, pauseMs(tries, backoff, random()));
    const dueMs = Math.ceil(nowMs() + waitMs);
    return { kind: 'retry', detail: { ...detail, error, next_try: dueMs }, error, dueMs };
  }
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
