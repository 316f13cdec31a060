import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** How Vonage signs, as its dashboard names it: a hash of the text with the secret behind it, or an HMAC. */
export const VONAGE_SIGNATURE_METHODS = ['md5hash', 'md5', 'sha1', 'sha256', 'sha512'] as const;
export type VonageSignatureMethod = (typeof VONAGE_SIGNATURE_METHODS)[number];

/**
 * The signature of parameters, in hex
 * (https://developer.vonage.com/en/getting-started/concepts/signing-messages#manually-generate-a-signature): of all but
 * `sig`, sorted by name, with `&` and `=` in values made `_`.
 */
export function vonageSignature(
  params: Readonly<Record<string, string>>,
  secret: string,
  method: VonageSignatureMethod,
): string {
  const text = Object.keys(params)
    .filter((name) => name !== 'sig')
    .sort()
    .map((name) => `&${name}=${params[name]!.replace(/[&=]/g, '_')}`)
    .join('');
  return method === 'md5hash'
    ? createHash('md5').update(`${text}${secret}`).digest('hex')
    : createHmac(method, secret).update(text).digest('hex');
}

/** What is wrong with the signature of parameters, or null: then whoever knows the secret signed them, not long ago. */
export type SignatureFault = 'missing' | 'wrong' | 'old';

/**
 * Looks at the `sig` of parameters, and at how far their `timestamp`, in seconds since 1970, is from now.
 * @param maxAgeMs how far it may be, either way, in milliseconds
 */
export function vonageSignatureFault(
  params: Readonly<Record<string, string>>,
  expected: { secret: string; method: VonageSignatureMethod; maxAgeMs: number },
  nowMs: number,
): SignatureFault | null {
  const { sig, timestamp } = params;
  if (sig === undefined || timestamp === undefined) return 'missing';
  const right = Buffer.from(vonageSignature(params, expected.secret, expected.method));
  // HMACs come in capitals.
  const given = Buffer.from(sig.toLowerCase());
  if (given.length !== right.length || !timingSafeEqual(given, right)) return 'wrong';
  const signedMs = /^\d{1,12}$/.test(timestamp) ? Number(timestamp) * 1_000 : Number.NaN;
  return Math.abs(nowMs - signedMs) <= expected.maxAgeMs ? null : 'old';
}
