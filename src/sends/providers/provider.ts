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

/** What became of one attempt. The texts are for whoever asks later why a message did not arrive. */
export type DeliveryOutcome =
  /** The provider took it. `reference` is the provider's own id of it, if it has one. */
  | { kind: 'sent'; reference: string | null; response: ProviderResponse | null }
  /** It may go better later. `retryAfterMs` is what the provider asked for, or null. */
  | { kind: 'retry'; error: string; response: ProviderResponse | null; retryAfterMs: number | null }
  /** It never will. */
  | { kind: 'failed'; error: string; response: ProviderResponse | null };

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
