import type { Actor } from '../store/actor';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { entriesBefore, entryMs, entryWithId, isStreamId, type StreamEntry } from './stream';

/** A change that somebody made, as lua/lib/audit.lua wrote it down. */
export interface RecordedChange {
  /** The stream entry's id. */
  id: string;
  atMs: number;
  actor: Actor;
  source: string;
  /** What happened, such as `limit.updated`. */
  type: string;
  /** To what, such as `limit:user-daily`. */
  target: string;
  /** What it was before and after; null for not there. */
  before: unknown;
  after: unknown;
}

/** Some changes, the newest first, and whether there are older ones. */
export interface ChangesPage {
  changes: RecordedChange[];
  more: boolean;
}

/** The audit trail of a workspace. */
export interface AuditTrail {
  /** Changes older than the one with id `beforeId`, or the newest for null. @throws whatever Redis fails with */
  page(beforeId: string | null, most: number): Promise<ChangesPage>;
  /** The change with that id, or null. @throws whatever Redis fails with */
  get(id: string): Promise<RecordedChange | null>;
}

/** Reads the audit trail. */
export function createAuditTrail({ redis, keys }: { redis: RedisClient; keys: Keys }): AuditTrail {
  return {
    async page(beforeId, most) {
      const entries = await entriesBefore(redis, keys.audit, beforeId, most + 1);
      return { changes: entries.slice(0, most).map(recordedChange), more: entries.length > most };
    },
    async get(id) {
      const entry = isStreamId(id) ? await entryWithId(redis, keys.audit, id) : null;
      return entry === null ? null : recordedChange(entry);
    },
  };
}

function recordedChange({ id, fields }: StreamEntry): RecordedChange {
  const { actor = '', source = '', type = '', target = '', before = '', after = '' } = fields;
  return {
    id,
    atMs: entryMs(id),
    actor: JSON.parse(actor) as Actor,
    source,
    type,
    target,
    before: before === '' ? null : JSON.parse(before),
    after: after === '' ? null : JSON.parse(after),
  };
}
