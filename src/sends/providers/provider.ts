/** An object of the sender's own. */
export type JsonObject = Record<string, unknown>;

/** One message, as a provider delivers it. The same message may come again: under the same id. */
export interface Delivery {
  /** Stable over all attempts. */
  messageId: string;
  /** When it was handed over, in epoch milliseconds. */
  takenMs: number;
  userId: string;
  accountId: string | null;
  topicId: string | null;
  channel: string | null;
  /** The recipient, as the sender wrote it. */
  to: JsonObject;
  template: string | null;
  content: unknown;
  data: JsonObject | null;
  metadata: JsonObject | null;
}

/** What a code of a provider says, for whoever asks why a message did not arrive. */
export interface ProviderCode {
  /** As the provider writes it. */
  code: string;
  meaning: string;
  /** What to do about it. */
  whatToDo: string;
}

/** What became of one attempt. The texts are for whoever asks later why a message did not arrive. */
export type DeliveryOutcome =
  /**
   * The provider took it. `reference` is the provider's own id of it, if it has one; `receipts` are the ids under which
   * it will say later what became of it, one for each part.
   */
  | { kind: 'sent'; reference: string | null; response: ProviderResponse | null; receipts?: readonly string[] }
  /** It may go better later. `retryAfterMs` is what the provider asked for, or null. */
  | {
      kind: 'retry';
      error: string;
      response: ProviderResponse | null;
      retryAfterMs: number | null;
      code?: ProviderCode;
    }
  /**
   * It never will. With `partly`, some of it was sent all the same: what it counted is not given back. With `stopped`, no
   * other message would go either: the provider is stopped for a while.
   */
  | {
      kind: 'failed';
      error: string;
      response: ProviderResponse | null;
      code?: ProviderCode;
      partly?: { reference: string | null; receipts: readonly string[] };
      stopped?: { error: string; code: ProviderCode };
    }
  /** No message would go: the provider is stopped for a while, and this was no try. */
  | { kind: 'stopped'; error: string; response: ProviderResponse | null; code: ProviderCode };

/** What a provider says later of a message that it took, or of one part of it. */
export interface ProviderReceipt {
  provider: string;
  /** Its own id of it: one of the `receipts` of the outcome. */
  reference: string;
  /** How far it has come: the last two are final. */
  stage: 'accepted' | 'buffered' | 'unknown' | 'delivered' | 'failed';
  /** For the log. */
  detail: JsonObject;
  /** What went wrong, in words, when it failed. */
  error: string | null;
  code: ProviderCode | null;
}

/** What a provider said. */
export interface ProviderResponse {
  /** The status of HTTP, where it was that. */
  status: number | null;
  /** The beginning of its words. */
  body: string;
}

/** A way for messages to leave. */
export interface Provider {
  readonly name: string;
  /**
   * Makes one attempt. Never throws for anything that the other end does: that is an outcome.
   * @param signal aborted when the attempt has to end now, because the process does: the outcome is then `retry`, unless
   *   it is known already
   */
  deliver(delivery: Delivery, signal: AbortSignal): Promise<DeliveryOutcome>;
  /** Closes what it keeps open. */
  close(): Promise<void>;
}
