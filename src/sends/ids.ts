import { createHash } from 'node:crypto';

/** The length of an id: 16 bytes in base 36. */
const ID_CHARACTERS = 25;
const ID_BYTES = 16;

/** How many random bytes are drawn at once. */
const POOL_BYTES = 4_096;

/**
 * The same source, asked for many bytes at once: each call to it costs as much as the rest of making an id. No byte is given
 * out twice.
 */
export function pooledRandomBytes(randomBytes: (count: number) => Uint8Array): (count: number) => Uint8Array {
  let pool: Uint8Array = new Uint8Array(0);
  let used = 0;
  return (count) => {
    if (used + count > pool.length) {
      pool = randomBytes(Math.max(count, POOL_BYTES));
      used = 0;
    }
    used += count;
    return pool.subarray(used - count, used);
  };
}

/** A new request's id. @param randomBytes a source of unpredictable bytes */
export function newRequestId(randomBytes: (count: number) => Uint8Array): string {
  return idOf(randomBytes(ID_BYTES));
}

/**
 * The id of a recipient's message: it follows from the request and the recipient, so that a request that is made again
 * under the same id goes on where it stopped.
 * @param recipient a text that no other recipient of the request has
 */
export function recipientMessageId(requestId: string, recipient: string): string {
  return idOf(createHash('sha256').update(`${requestId}\n${recipient}`).digest().subarray(0, ID_BYTES));
}

/** What an idempotency key is known by. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

/** What the content of a request is known by: the order of an object's members is no part of it. */
export function contentHashOf(content: unknown): string {
  return hashOf(
    JSON.stringify(content, (_key, value: unknown) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
        : value,
    ),
  );
}

function idOf(bytes: Uint8Array): string {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
    .toString(36)
    .padStart(ID_CHARACTERS, '0');
}
