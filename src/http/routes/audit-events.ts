import { z } from 'zod';
import { identifierSchema } from '../../limits/identifier';
import type { AuditTrail, RecordedChange } from '../../log/audit';
import { isStreamId } from '../../log/stream';
import { type Route, route } from '../contract';
import { decodeCursor, encodeCursor } from '../cursor';
import { problemSchema } from '../decision-schemas';
import { listQueryFields } from '../list';
import { pagingSchema } from '../paging';
import { invalidInput, problem } from '../problem';

const CURSOR_KIND = 'audit-events';

const auditEventSchema = z
  .object({
    auditEventId: z.string(),
    actor: z.object({
      id: z
        .string()
        .describe('The id of an API key; env for SENDGATE_API_KEY; local for a call without a key; cli; file.'),
      name: z.string().nullable().describe('What a person called the key.'),
    }),
    target: z.string().describe('What was changed, such as limit:user-daily.'),
    source: z.string().describe('How the change came in: api, cli, file or system.'),
    timestamp: z.iso.datetime(),
    type: z.string().describe('What was done, such as limit.updated.'),
    before: z.unknown().describe('What it was before; null when it was not there.'),
    after: z.unknown().describe('What it was afterwards; null when it is no longer there.'),
  })
  .meta({ id: 'AuditEvent' });

/** The routes of the audit trail, in the words of Courier's: https://www.courier.com/docs/reference/audit-events */
export function auditEventRoutes({ auditTrail }: { auditTrail: AuditTrail }): Route[] {
  return [
    route({
      method: 'get',
      path: '/audit-events',
      operationId: 'listAuditEvents',
      tag: 'Audit',
      summary: 'Who changed what',
      description: 'The newest first. Following the cursor shows each event once, whatever is written meanwhile.',
      role: 'read',
      query: z.strictObject(listQueryFields),
      replies: {
        200: {
          description: 'A page of events.',
          schema: z.object({ paging: pagingSchema, results: z.array(auditEventSchema) }),
        },
      },
      async handle({ query }) {
        const after = query.cursor === undefined ? null : decodeCursor(CURSOR_KIND, query.cursor);
        if (query.cursor !== undefined && (after === null || !isStreamId(after))) {
          return invalidInput([{ path: 'cursor', message: 'must be a cursor from this list' }]);
        }
        const { changes, more } = await auditTrail.page(after, query.limit);
        const cursor = more ? encodeCursor(CURSOR_KIND, changes.at(-1)!.id) : null;
        return { status: 200, body: { paging: { cursor, more }, results: changes.map(auditEvent) } };
      },
    }),
    route({
      method: 'get',
      path: '/audit-events/{audit_event_id}',
      operationId: 'getAuditEvent',
      tag: 'Audit',
      summary: 'One change',
      role: 'read',
      params: z.strictObject({ audit_event_id: identifierSchema }),
      replies: {
        200: { description: 'The event.', schema: auditEventSchema },
        404: { description: 'There is no such event, or it was too long ago.', schema: problemSchema },
      },
      async handle({ params }) {
        const change = await auditTrail.get(params.audit_event_id);
        if (change === null) {
          return problem(404, 'Unknown audit event', 'There is no audit event with this id, or it was too long ago.');
        }
        return { status: 200, body: auditEvent(change) };
      },
    }),
  ];
}

function auditEvent({ id, actor, target, source, atMs, type, before, after }: RecordedChange) {
  return {
    auditEventId: id,
    actor: { id: actor.id, name: actor.name },
    target,
    source,
    timestamp: new Date(atMs).toISOString(),
    type,
    before,
    after,
  };
}
