import { z } from 'zod';
import { identifierSchema } from '../limits/identifier';
import { type JsonObject, jsonDepthProblem } from '../limits/json-object';
import { instantSchema } from '../limits/limit';
import { isProviderName, PROVIDER_NAMES } from '../sends/providers/names';
import { RECIPIENTS_MAX } from '../sends/request';
import { jsonObjectSchema } from './json-object';

/** The longest that a message may be delayed, in milliseconds: 365 days. */
export const DELAY_MAX_MS = 365 * 86_400_000;
/** The most bytes of JSON of a message's content, and of all that the messages of a request share. */
const CONTENT_MAX_BYTES = 262_144;
export const PAYLOAD_MAX_BYTES = 524_288;
/** The most tags of a message. */
const TAGS_MAX = 20;

/** An optional field of a request: null says the same as leaving it out. */
function optional<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform((value) => value ?? null);
}

/** Ways to name recipients that are Courier's, and that are not known here. */
const FOREIGN_RECIPIENTS = ['list_id', 'list_pattern', 'audience_id', 'slack', 'ms_teams', 'pagerduty', 'webhook'];

/** Not made null where they are absent: a recipient goes on as its sender wrote it. */
const contextSchema = z
  .looseObject({ account_id: identifierSchema.nullish(), tenant_id: identifierSchema.nullish() })
  .superRefine(({ account_id: account, tenant_id: tenant }, context) => {
    if (isNamed(account) && isNamed(tenant) && account !== tenant) {
      context.addIssue({ code: 'custom', path: ['tenant_id'], message: 'must be the same as account_id' });
    }
  });

/** One recipient: a user, or with an account alone everybody who is in it. What else it holds is kept. */
const recipientSchema = z
  .looseObject({
    // Not made null where they are absent: a recipient goes on as its sender wrote it.
    user_id: identifierSchema.nullish().describe('The recipient.'),
    account_id: identifierSchema.nullish().describe('The account that it is sent for; alone, every member of it.'),
    tenant_id: identifierSchema.nullish().describe('The same as account_id.'),
    context: contextSchema.nullish().describe('Its account_id or tenant_id is the same as account_id.'),
    email: z.string().max(1_000).nullish(),
    phone_number: z.string().max(100).nullish(),
    data: jsonObjectSchema.nullish().describe('What is known of the recipient, for the template.'),
  })
  .superRefine((to, context) => {
    const { user_id: user, account_id: account, tenant_id: tenant } = to;
    const issue = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
    if (isNamed(account) && isNamed(tenant) && account !== tenant) issue('tenant_id', 'must be the same as account_id');
    if (isNamed(user)) return;
    const foreign = FOREIGN_RECIPIENTS.find((field) => isNamed(to[field]));
    if (foreign !== undefined) issue(foreign, 'is no recipient here: name a user_id, or an account_id');
    else if (!isNamed(account) && !isNamed(tenant)) issue('user_id', 'is missing: must be a string');
  });

function isNamed(value: unknown): boolean {
  return value !== undefined && value !== null;
}

const delaySchema = z
  .looseObject({
    duration: optional(z.int().min(0).max(DELAY_MAX_MS)).describe('In milliseconds, at most 365 days.'),
    until: optional(instantSchema).describe('An instant, RFC 3339 with an offset, at most 365 days from now.'),
  })
  .superRefine(({ duration, until }, context) => {
    if (duration !== null && until !== null) {
      context.addIssue({ code: 'custom', path: ['until'], message: 'must not be given together with duration' });
    }
  });

const metadataSchema = z
  .looseObject({
    // Not made null where they are absent: it goes on as its sender wrote it.
    event: identifierSchema.nullish().describe('What brought it about.'),
    tags: z.array(identifierSchema).max(TAGS_MAX).nullish().describe('What it can be found by.'),
    trace_id: identifierSchema.nullish().describe('What it can be found by.'),
  })
  .superRefine(({ tags }, context) => {
    const comma = tags?.findIndex((tag) => tag.includes(',')) ?? -1;
    if (comma !== -1) {
      // A comma separates tags where messages are looked for.
      context.addIssue({ code: 'custom', path: ['tags', comma], message: 'must not contain a comma' });
    }
  });

const providersSchema = z.record(z.string(), z.unknown()).superRefine((providers, context) => {
  for (const name of Object.keys(providers)) {
    if (isProviderName(name)) continue;
    context.addIssue({
      code: 'custom',
      path: [name],
      message: `is not a provider here: ${PROVIDER_NAMES.join(', ')} are`,
    });
  }
});

/** A handed-over send, in Courier's message shape. What it knows besides is ignored. */
export const sendBodySchema = z.looseObject({
  message: z
    .looseObject({
      to: z
        .union([recipientSchema, z.array(recipientSchema).min(1).max(RECIPIENTS_MAX)])
        .describe('One recipient, or several: each is a message, decided by itself.'),
      template: optional(identifierSchema).describe('Which template the provider fills in.'),
      content: z.unknown().optional().describe('What it says, for the provider.'),
      data: optional(jsonObjectSchema).describe('What the template is filled in with.'),
      context: optional(contextSchema).describe(
        'Its account_id or tenant_id is the account of recipients that name none.',
      ),
      preferences: optional(z.looseObject({ subscription_topic_id: optional(identifierSchema) })).describe(
        'Its subscription_topic_id is the topic.',
      ),
      delay: optional(delaySchema).describe('When it is decided and sent.'),
      routing: optional(z.looseObject({ channels: optional(z.array(z.unknown()).max(100)) })).describe(
        "Its first channel is the channel, for limits by channel and for the choice of the provider: one of Courier's, one of SENDGATE_CHANNEL_PROVIDERS, or the name of a provider.",
      ),
      providers: optional(providersSchema).describe('Settings of providers; all of them must be known here.'),
      metadata: optional(metadataSchema),
    })
    .superRefine(({ content }, context) => {
      const problem = payloadProblem(content);
      if (problem !== null) context.addIssue({ code: 'custom', path: ['content'], message: problem });
    }),
});
export type SendBody = z.output<typeof sendBodySchema>;

function payloadProblem(content: unknown): string | null {
  if (content === undefined || content === null) return null;
  if ((typeof content !== 'object' && typeof content !== 'string') || Array.isArray(content)) {
    return 'must be an object or a string';
  }
  // First: JSON.stringify would run out of stack on what is nested deeper than that.
  const problem = jsonDepthProblem(content);
  if (problem !== null) return problem;
  const size = Buffer.byteLength(JSON.stringify(content));
  return size > CONTENT_MAX_BYTES ? `must be at most ${CONTENT_MAX_BYTES.toLocaleString('en')} bytes of JSON` : null;
}

/** The first channel that a routing names, however deep; null when it names none. */
export function firstChannel(routing: SendBody['message']['routing']): string | null | { problem: string } {
  let [first] = routing?.channels ?? [];
  // Courier nests routings: each level is one of ours to look into.
  for (let depth = 0; depth < 10; depth += 1) {
    if (first === undefined || first === null) return null;
    if (typeof first === 'string') {
      const read = identifierSchema.safeParse(first);
      return read.success ? first : { problem: read.error.issues[0]!.message };
    }
    if (typeof first !== 'object' || !Array.isArray((first as JsonObject).channels)) break;
    [first] = (first as { channels: unknown[] }).channels;
  }
  return { problem: 'must be the name of a channel or provider, or a routing of its own' };
}
