import type { AuditEvent } from '../api/audit';

/** One thing that a change changed. */
export interface FieldChange {
  field: string;
  before: string;
  after: string;
}

/** Always another, and news to nobody. */
const LEFT_OUT: ReadonlySet<string> = new Set(['updated_at', 'created_at']);

/** What differs between before and after, field by field; all of it when there was nothing before, or is nothing after. */
export function fieldChanges({ before, after }: Pick<AuditEvent, 'before' | 'after'>): FieldChange[] {
  const [old, now] = [fieldsOf(before), fieldsOf(after)];
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])];
  return names.flatMap((field) => {
    if (LEFT_OUT.has(field)) return [];
    const [was, is] = [textOf(old[field]), textOf(now[field])];
    return was === is ? [] : [{ field, before: was, after: is }];
  });
}

/** The same in one line: `max 50 → 60`. */
export function changeWords(event: Pick<AuditEvent, 'before' | 'after'>): string {
  if (event.before === null && event.after === null) return '';
  const changes = fieldChanges(event);
  if (event.before === null) return changes.map(({ field, after }) => `${field} ${after}`).join(', ');
  if (event.after === null) return '';
  return changes.map(({ field, before, after }) => `${field} ${before} → ${after}`).join(', ');
}

function fieldsOf(value: unknown): Record<string, unknown> {
  if (value === null || value === undefined) return {};
  return typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : { value };
}

function textOf(value: unknown): string {
  if (value === undefined) return '–';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
