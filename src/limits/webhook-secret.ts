/** How many bytes a secret has, by https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
const LEAST_BYTES = 24;
const MOST_BYTES = 64;

/** What is expected of one, for whoever wrote another. */
export const WEBHOOK_SECRET_WORDS = 'must be whsec_ and 24 to 64 bytes in base64, or those alone';

/**
 * Whether a text is a secret of the Standard Webhooks scheme: 24 to 64 bytes in base64, with `whsec_` before them or, as its
 * libraries take them too, without.
 */
export function isWebhookSecret(text: string): boolean {
  const [, content] = /^(?:whsec_)?([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  if (content === undefined) return false;
  const bytes = Buffer.from(content, 'base64');
  return bytes.toString('base64') === content && bytes.length >= LEAST_BYTES && bytes.length <= MOST_BYTES;
}
