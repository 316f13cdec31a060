import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { isJsonObject, jsonDepthProblem } from '../limits/json-object';

/** A header that proves who calls. */
export interface ProofHeader {
  name: string;
  value: string;
}

/** Where Segment puts its signature. */
export const SEGMENT_SIGNATURE = 'X-Signature';

/** Whether a text has the form of a signature. */
export function isSignature(text: string | undefined): text is string {
  return text !== undefined && /^[0-9a-f]{40}$/i.test(text);
}

/**
 * Whether Segment has signed a call: the signature is the HMAC-SHA1, in hex, of the body under the secret, and of several
 * events, in a list or a batch, that of the first one alone
 * (https://segment.com/docs/connections/destinations/catalog/actions-webhook/,
 * https://support.twilio.com/hc/en-us/articles/51193799782171). It is over the text, whatever it was compressed with on its
 * way.
 * @param bytes the body, uncompressed
 * @param body the same, read as JSON; undefined when it is none
 */
export function isSignedBySegment(
  secret: string,
  signature: string | undefined,
  bytes: Uint8Array,
  body: unknown,
): boolean {
  if (!isSignature(signature)) return false;
  const given = Buffer.from(signature, 'hex');
  const signs = (text: Uint8Array | string) => timingSafeEqual(createHmac('sha1', secret).update(text).digest(), given);
  if (signs(bytes)) return true;
  const isBatch = isJsonObject(body);
  const events = isBatch ? body.batch : body;
  if (!Array.isArray(events) || events.length === 0) return false;
  if (signs(firstElement(bytes, isBatch ? batchStart(bytes) : 0))) return true;
  // What it signs is what it makes of the event anew, which may differ from what was sent in blanks and escapes.
  return jsonDepthProblem(events[0]) === null && signs(JSON.stringify(events[0]));
}

/** Whether a header has the value that was agreed on. */
export function hasProof({ value }: ProofHeader, given: string | undefined): boolean {
  if (given === undefined) return false;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(value));
}

const [QUOTE, BACKSLASH, COLON, COMMA, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [...'"\\:,[]{}'].map(
  (character) => character.charCodeAt(0),
);

/** The bytes of the first element of the JSON list that begins at or after `from`: it is known to be right and not empty. */
export function firstElement(bytes: Uint8Array, from = 0): Uint8Array {
  const start = skipBlanks(bytes, bytes.indexOf(OPEN_LIST!, from) + 1);
  let end = endOf(bytes, start);
  while (isBlank(bytes[end - 1]!)) end -= 1;
  return bytes.subarray(start, end);
}

/** Where the `batch` of a JSON object begins, which is known to be right and to have one: of several the last, as it is read. */
function batchStart(bytes: Uint8Array): number {
  let found = 0;
  let at = bytes.indexOf(OPEN_OBJECT!);
  while (bytes[at] !== CLOSE_OBJECT && at < bytes.length) {
    const name = skipBlanks(bytes, at + 1);
    const nameEnd = endOf(bytes, name);
    const value = skipBlanks(bytes, nameEnd + 1);
    if (JSON.parse(Buffer.from(bytes.subarray(name, nameEnd)).toString()) === 'batch') found = value;
    at = endOf(bytes, value);
  }
  return found;
}

/** Where a value or a name ends that begins at `start`: at what stands behind it, blanks aside. */
function endOf(bytes: Uint8Array, start: number): number {
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
    else if (depth === 0 && (byte === COMMA || byte === COLON || byte === CLOSE_LIST || byte === CLOSE_OBJECT)) break;
    else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth -= 1;
  }
  return end;
}

function skipBlanks(bytes: Uint8Array, from: number): number {
  let at = from;
  while (isBlank(bytes[at]!)) at += 1;
  return at;
}

/** RFC 8259, section 2. */
function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}
