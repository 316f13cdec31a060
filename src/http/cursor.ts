/** Longer than any cursor of ours: two ids of 256 characters, each escaped to 12 bytes, in base64. */
const CURSOR_MAX_CHARACTERS = 10_000;

/**
 * An opaque place in a list, safe in a query without escaping.
 * @param kind the list it belongs to, such as `users/ann/accounts`: in another list the cursor means nothing
 * @param position where in the list to go on
 */
export function encodeCursor(kind: string, position: string): string {
  return Buffer.from(JSON.stringify([kind, position]), 'utf8').toString('base64url');
}

/**
 * The position in a cursor, or null for anything that {@link encodeCursor} did not make for this list.
 * It is no secret and not signed: whoever may read the list may go on from anywhere in it.
 */
export function decodeCursor(kind: string, text: string): string | null {
  if (text.length > CURSOR_MAX_CHARACTERS) return null;
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return null;
  }
  if (!Array.isArray(content) || content.length !== 2) return null;
  const [madeFor, position] = content;
  if (madeFor !== kind || typeof position !== 'string' || !position.isWellFormed()) return null;
  // Only one text stands for a position: base64 and JSON would let many through.
  return encodeCursor(kind, position) === text ? position : null;
}
