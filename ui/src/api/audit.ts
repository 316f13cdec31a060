import { call, segment } from './call';
import { type Page, pageOf } from './messages';

/** A change that somebody made. */
export interface AuditEvent {
  auditEventId: string;
  actor: { id: string; name: string | null };
  target: string;
  source: string;
  timestamp: string;
  type: string;
  before: unknown;
  after: unknown;
}

export async function fetchAuditEvents(
  cursor: string | null,
  limit: number,
  signal?: AbortSignal,
): Promise<Page<AuditEvent>> {
  return pageOf(await call('GET', 'audit-events', { query: { limit, cursor: cursor ?? undefined }, signal }));
}

/** One change. @throws CallError, with status 404 when it is not kept, or no longer */
export function fetchAuditEvent(id: string, signal?: AbortSignal): Promise<AuditEvent> {
  return call('GET', `audit-events/${segment(id)}`, { signal });
}
