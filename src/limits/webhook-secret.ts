/** How many bytes a secret has, by https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
const LEAST_BYTES = 24;
const MOST_BYTES = 64;

/** Whether a text is a secret of the Standard Webhooks scheme: `whsec_` and 24 to 64 bytes in base64. */
export function isWebhookSecret(text: string): boolean {
  const [, content] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  if (content === undefined) return false;
  const bytes = Buffer.from(content, 'base64');
  return bytes.toString('base64') === content && bytes.length >= LEAST_BYTES && bytes.length <= MOST_BYTES;
}
