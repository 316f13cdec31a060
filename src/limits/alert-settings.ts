import { z } from 'zod';
import { isWebhookSecret, WEBHOOK_SECRET_WORDS } from './webhook-secret';

/** What Sendgate tells of by itself. */
export const ALERT_TYPES = ['limit.threshold', 'limit.throttled', 'provider.stopped', 'redis.degraded'] as const;
export type AlertType = (typeof ALERT_TYPES)[number];

/** The most webhooks of a workspace: each alert is a request to each of them. */
const WEBHOOKS_MAX = 20;
const URL_MAX_CHARACTERS = 2_048;
/** The most thresholds of a limit. */
const THRESHOLDS_MAX = 10;

/** Parts of a max, in percent, rising. */
export const alertThresholdsSchema = z
  .array(z.int().min(1).max(100))
  .max(THRESHOLDS_MAX)
  .superRefine((thresholds, context) => {
    const repeated = thresholds.find((threshold, index) => thresholds.indexOf(threshold) !== index);
    if (repeated !== undefined) context.addIssue({ code: 'custom', message: `repeats ${repeated}` });
  })
  .transform((thresholds) => [...thresholds].sort((a, b) => a - b))
  .meta({ uniqueItems: true });

const webhookUrlSchema = z
  .string()
  .max(URL_MAX_CHARACTERS)
  .superRefine((text, context) => {
    const refuse = (message: string) => context.addIssue({ code: 'custom', message });
    if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
      return refuse('must be a URL that begins with https:// or http://');
    }
    const { username, password, hash } = new URL(text);
    // Whoever may read the settings sees the URL.
    if (username !== '' || password !== '') refuse('must not hold a user or a password: what is sent is signed');
    else if (hash !== '') refuse('must not have a part after #, which is never sent');
  })
  // In one spelling, so that the same receiver is not there twice.
  .transform((text) => new URL(text).href)
  .meta({ format: 'uri' });

/** A receiver of alerts, as a caller writes it. */
const alertWebhookSchema = z.strictObject({
  url: webhookUrlSchema.describe('Where alerts are posted to.'),
  secret: z
    .string()
    .refine(isWebhookSecret, { error: WEBHOOK_SECRET_WORDS })
    .optional()
    .describe(
      'What requests are signed with, by the Standard Webhooks scheme: `whsec_` and 24 to 64 bytes in base64, or those alone. It is never shown again. Left out, the one that this URL has stays.',
    )
    .meta({ writeOnly: true }),
  secret_fingerprint: z
    .unknown()
    .optional()
    .describe('In answers only: the beginning of the SHA-256 of the secret, in hexadecimal. Ignored in a request.')
    .meta({ readOnly: true }),
  events: z
    .array(z.enum(ALERT_TYPES))
    .min(1)
    .max(ALERT_TYPES.length)
    .nullish()
    .transform((events) => (events === null || events === undefined ? null : [...new Set(events)]))
    .describe('Which alerts are sent there; null for all.'),
});

/** The receivers of alerts, as a caller writes them. */
export const alertWebhooksSchema = z
  .array(alertWebhookSchema)
  .max(WEBHOOKS_MAX)
  .superRefine((webhooks, context) => {
    const seen = new Set<string>();
    webhooks.forEach(({ url }, index) => {
      if (seen.has(url)) context.addIssue({ code: 'custom', path: [index, 'url'], message: 'is there twice' });
      seen.add(url);
    });
  });
export type AlertWebhookInput = z.output<typeof alertWebhookSchema>;

/** A receiver of alerts, as it is kept. */
export interface AlertWebhook {
  url: string;
  secret: string;
  /** Which alerts it gets; null for all. */
  events: AlertType[] | null;
}

/** The least use that is a part of a max: the first that passes that threshold. @param percent from 1 to 100 */
export function thresholdUse(max: number, percent: number): number {
  // Exact: a max is at most 10^12, so the product is below 2^53.
  return Math.ceil((max * percent) / 100);
}

/**
 * Gives receivers the secrets that they had, where a request does not say them: what was read can be sent back changed.
 * @returns the receivers, or the index of one whose secret is not known
 */
export function withSecrets(
  webhooks: readonly AlertWebhookInput[],
  present: readonly AlertWebhook[],
): { webhooks: AlertWebhook[] } | { missing: number } {
  const kept: AlertWebhook[] = [];
  for (const [index, { url, secret, events }] of webhooks.entries()) {
    const known = secret ?? present.find((one) => one.url === url)?.secret;
    if (known === undefined) return { missing: index };
    kept.push({ url, secret: known, events });
  }
  return { webhooks: kept };
}
