/** Who made a change, as the audit trail names them. */
export interface Actor {
  /** An API key's id; `env` for the key of SENDGATE_API_KEY; `local` for a call without a key on loopback; `cli`; `file`. */
  id: string;
  /** What a person called the key, if anything. */
  name: string | null;
}

/** How a change came in. */
export type Source = 'api' | 'cli' | 'file' | 'system' | 'inbound';

/** The most events that the audit trail keeps, about: the oldest go first. */
export const AUDIT_MAX_EVENTS = 100_000;
