import type { Decision } from '../limits/decision';
import type { Message } from '../limits/limit';

/** One message that asks whether it may go out now. */
export interface CheckRequest {
  message: Message;
  /** The id under which an accepted verdict is remembered; null remembers nothing. */
  messageId: string | null;
  cost: number;
  /** Only asks: counts nothing. */
  dry: boolean;
  /** The instant to ask for instead of now, in epoch milliseconds. Only with `dry`. */
  atMs: number | null;
}

/** What a check is answered. */
export type CheckOutcome =
  | { kind: 'decided'; decision: Decision }
  /** The message id was accepted with other content. */
  | { kind: 'conflict' }
  /** Redis does not answer, and what applies to the message may not pass without it. */
  | { kind: 'unavailable' };
