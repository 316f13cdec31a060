import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { jsonDepthProblem } from '../limits/json-object';

/** A header that proves who calls. */
export interface ProofHeader {
  name: string;
  value: string;
}

/** Where Segment puts its signature. */
export const SEGMENT_SIGNATURE = 'X-Signature';

/**
 * Whether Segment has signed a call: the signature is the HMAC-SHA1, in hex, of the body under the secret, and of a list of
 * events that of its first one alone (https://segment.com/docs/connections/destinations/catalog/actions-webhook/,
 * https://support.twilio.com/hc/en-us/articles/51193799782171). It is over the text, whatever it was compressed with on its
 * way.
 * @param bytes the body, uncompressed
 * @param body the same, read as JSON
 */
export function isSignedBySegment(
  secret: string,
  signature: string | undefined,
  bytes: Uint8Array,
  body: unknown,
): boolean {
  if (signature === undefined || !/^[0-9a-f]{40}$/i.test(signature)) return false;
  const given = Buffer.from(signature, 'hex');
  const signs = (text: Uint8Array | string) => timingSafeEqual(createHmac('sha1', secret).update(text).digest(), given);
  if (signs(bytes)) return true;
  if (!Array.isArray(body) || body.length === 0) return false;
  if (signs(firstElement(bytes))) return true;
  // What it signs is what it makes of the event anew, which may differ from what was sent in blanks and escapes.
  return jsonDepthProblem(body[0]) === null && signs(JSON.stringify(body[0]));
}

/** Whether a header has the value that was agreed on. */
export function hasProof({ value }: ProofHeader, given: string | undefined): boolean {
  if (given === undefined) return false;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(value));
}

const [QUOTE, BACKSLASH, COMMA, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [...'"\\,[]{}'].map((character) =>
  character.charCodeAt(0),
);

/** The bytes of the first element of a JSON list, which is known to be right and not to be empty. */
export function firstElement(bytes: Uint8Array): Uint8Array {
  let start = bytes.indexOf(OPEN_LIST!) + 1;
  while (isBlank(bytes[start]!)) start += 1;
  let depth = 0;
  let inText = false;
  let end = start;
  for (; end < bytes.length; end += 1) {
    const byte = bytes[end];
    if (inText) {
      if (byte === BACKSLASH) end += 1;
      else if (byte === QUOTE) inText = false;
    } else if (byte === QUOTE) inText = true;
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) depth += 1;
    else if (depth === 0 && (byte === COMMA || byte === CLOSE_LIST)) break;
    else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth -= 1;
  }
  while (isBlank(bytes[end - 1]!)) end -= 1;
  return bytes.subarray(start, end);
}

/** RFC 8259, section 2. */
function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}
