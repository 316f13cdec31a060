import { CallError } from '../api/call';

/**
 * What is wrong with which field of what was sent, in the words of the answer; the first of each. What is wrong within a
 * list says with which of its entries.
 */
export function refusedFields(error: unknown): Readonly<Record<string, string>> {
  const refused: Record<string, string> = {};
  if (!(error instanceof CallError)) return refused;
  for (const { path, message } of error.errors) {
    const [field = '', ...within] = path.split('.');
    const [index] = within;
    const words = index !== undefined && /^\d+$/.test(index) ? `Number ${Number(index) + 1} ${message}` : message;
    refused[field] ??= words;
  }
  return refused;
}

/** Whether everything that is wrong can be said beside one of these fields. */
export function isBesideFields(error: unknown, fields: readonly string[]): boolean {
  if (!(error instanceof CallError) || error.errors.length === 0) return false;
  return error.errors.every(({ path }) => fields.includes(path.split('.')[0] ?? ''));
}
