import { z } from 'zod';
import { DEFAULT_HOST, DEFAULT_PORT } from './healthcheck';
import { isWebhookSecret, WEBHOOK_SECRET_WORDS } from './limits/webhook-secret';
import { isProviderName, PROVIDER_NAMES, type ProviderName, type Routing } from './sends/providers/names';
import { VONAGE_SIGNATURE_METHODS, type VonageSignatureMethod } from './sends/providers/vonage-signature';
import { parseRedisUrl, type RedisTarget } from './store/connection';

/** One variable of the environment: how it is read, and what the documentation says of it. */
interface Setting<T, Default extends string | null> {
  /** The variable's name. */
  name: string;
  group:
    | 'Listening'
    | 'Redis'
    | 'Access'
    | 'Limits and checks'
    | 'Sends'
    | 'Webhook'
    | 'Vonage'
    | 'Events'
    | 'Alerts'
    | 'Logs'
    | 'Processes';
  /** What a value looks like, for the documentation. */
  type: string;
  /** What holds when it is not set, as it would be written; null: nothing. */
  default: Default;
  /** The unit of the value, or null when it has none. */
  unit: string | null;
  description: string;
  /** Never repeated in an error: it is, or holds, a password. */
  secret: boolean;
  schema: z.ZodType<T, string>;
}

/** Gives a setting the types of its schema and its default. */
function setting<T, Default extends string | null>(
  definition: Omit<Setting<T, Default>, 'secret' | 'unit'> & { secret?: boolean; unit?: string },
): Setting<T, Default> {
  return { secret: false, unit: null, ...definition };
}

const text = z.string();

function wholeNumber(least: number, most: number): z.ZodType<number, string> {
  const words = `must be a whole number from ${least} to ${most}`;
  return text
    .regex(/^\d{1,15}$/, { error: words })
    .transform(Number)
    .refine((value) => value >= least && value <= most, { error: words });
}

const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** A span of time, in seconds: `86400` (seconds), or a whole number and one of s, m, h, d, w. */
function duration(leastSeconds: number, mostSeconds: number): z.ZodType<number, string> {
  return text.transform((value, context) => {
    const [, digits, unit = 's'] = /^(\d{1,12})([smhdw])?$/.exec(value) ?? [];
    const seconds = digits === undefined ? Number.NaN : Number(digits) * UNIT_SECONDS[unit]!;
    if (seconds >= leastSeconds && seconds <= mostSeconds) return seconds;
    const words = Number.isNaN(seconds)
      ? 'must be a number of seconds, or a number with s, m, h, d or w, such as 24h'
      : `must be from ${durationText(leastSeconds)} to ${durationText(mostSeconds)}`;
    context.addIssue({ code: 'custom', message: words });
    return z.NEVER;
  });
}

function durationText(seconds: number): string {
  const [unit, size] = Object.entries(UNIT_SECONDS)
    .reverse()
    .find(([name, size]) => name !== 'w' && seconds % size === 0)!;
  return `${seconds / size}${unit}`;
}

const redisUrl: z.ZodType<{ url: string; target: RedisTarget }, string> = text.transform((url, context) => {
  try {
    return { url, target: parseRedisUrl(url) };
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
    return z.NEVER;
  }
});

const yesOrNo: z.ZodType<boolean, string> = z
  .enum(['true', 'false'], { error: 'must be true or false' })
  .transform((value) => value === 'true');

const providerName: z.ZodType<ProviderName, string> = z.enum(PROVIDER_NAMES, {
  error: `must be one of ${PROVIDER_NAMES.join(', ')}`,
});

/** Pairs of a name and a value, `a=1,b=2`. */
function pairs<T>(
  readValue: (name: string, value: string) => T | { problem: string },
): z.ZodType<Record<string, T>, string> {
  return text.transform((list, context) => {
    const read: Record<string, T> = Object.create(null);
    const refuse = (message: string) => {
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    };
    for (const part of list.split(',')) {
      const [, name, value] = /^\s*([^=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(part) ?? [];
      if (name === undefined) return refuse('must be pairs such as a=1,b=2');
      if (Object.hasOwn(read, name)) return refuse(`names ${JSON.stringify(name)} twice`);
      const known = readValue(name, value!);
      if (typeof known === 'object' && known !== null && 'problem' in known) return refuse(known.problem as string);
      read[name] = known as T;
    }
    return read;
  });
}

const channelProviders = pairs<ProviderName>((channel, provider) =>
  isProviderName(provider)
    ? provider
    : {
        problem: `gives ${JSON.stringify(channel)} the provider ${JSON.stringify(provider)}, which is none of ${PROVIDER_NAMES.join(', ')}`,
      },
);

const providerRates = pairs<number>((provider, rate) => {
  if (!isProviderName(provider)) {
    return { problem: `names ${JSON.stringify(provider)}, which is none of ${PROVIDER_NAMES.join(', ')}` };
  }
  const perSecond = ratePerSecondOf(rate);
  return perSecond > 0 ? perSecond : { problem: `gives ${provider} a rate that is not a number above 0` };
});

/** A rate above 0, also one below 1; else 0. */
function ratePerSecondOf(rate: string): number {
  return /^\d{1,6}(?:\.\d{1,3})?$/.test(rate) ? Number(rate) : 0;
}

const ratePerSecond: z.ZodType<number, string> = text
  .transform(ratePerSecondOf)
  .refine((rate) => rate > 0, { error: 'must be a number above 0' });

/** What goes into a form, and is none of what somebody pastes along with it by mistake. */
const credential = text.regex(/^[\x21-\x7e]{1,256}$/, {
  error: 'must be 1 to 256 printable characters of ASCII without blanks',
});

const webUrl: z.ZodType<URL, string> = text
  .refine((value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol), {
    error: 'must be a URL that begins with https:// or http://',
  })
  .transform((value) => new URL(value));

/** A header and its value, `Name: value`. */
const proofHeader: z.ZodType<{ name: string; value: string }, string> = text.transform((line, context) => {
  // RFC 9110, sections 5.1 and 5.5, without what stands for bytes beyond ASCII.
  const [, name, value] =
    /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)[ \t]*$/.exec(line) ?? [];
  const refuse = (message: string) => {
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  };
  if (name === undefined) return refuse('must be a header and its value, such as X-Sendgate-Proof: a long secret');
  if (name.toLowerCase() === 'authorization')
    return refuse('must not be the Authorization header, which has the API key');
  return { name, value: value! };
});

const SMTP_WORDS = 'must be a URL that begins with smtp:// or smtps:// and names a host';

/** A server for mail, without anything beside where it is and who we are there. */
const smtpUrl: z.ZodType<string, string> = text.refine(
  (value) => {
    if (!URL.canParse(value)) return false;
    const { protocol, hostname, search, hash } = new URL(value);
    // Its parameters would set anything of the library that reads it.
    return /^smtps?:$/.test(protocol) && hostname !== '' && search === '' && hash === '';
  },
  { error: SMTP_WORDS },
);

/** An address of mail, alone: what most of the world has. RFC 5321, section 4.1.2, without quoted names and comments. */
const ADDRESS = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/;

const mailAddress: z.ZodType<string, string> = text.regex(ADDRESS, {
  error: 'must be an address such as sendgate@example.com',
});

const mailAddresses: z.ZodType<string[], string> = text.transform((list, context) => {
  const addresses = list.split(',').map((part) => part.trim());
  const wrong = addresses.find((address) => !ADDRESS.test(address));
  if (wrong === undefined) return [...new Set(addresses)];
  const message = `must be addresses such as ops@example.com,oncall@example.com: ${JSON.stringify(wrong)} is none`;
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** An API key shorter than this can be guessed. */
const SHORT_KEY_CHARACTERS = 16;

const SETTINGS = {
  host: setting({
    name: 'HOST',
    group: 'Listening',
    type: 'address or host name',
    default: DEFAULT_HOST,
    description:
      'The address that the API listens on. Without any API key it must be a loopback address. `0.0.0.0` or `::` listens on all.',
    schema: text.regex(/^[A-Za-z0-9._:%-]{1,255}$/, {
      error: 'must be an IP address or a host name, without a port and without brackets',
    }),
  }),
  port: setting({
    name: 'PORT',
    group: 'Listening',
    type: 'port',
    default: DEFAULT_PORT,
    description: 'The port that the API listens on. `0` takes any free one and says which.',
    schema: wholeNumber(0, 65_535),
  }),
  workerPort: setting({
    name: 'SENDGATE_WORKER_PORT',
    group: 'Listening',
    type: 'port',
    default: null,
    description:
      'The port, on `HOST`, where `sendgate worker` answers `/healthz`, `/readyz` and `/metrics`. Not set, it serves no HTTP. `sendgate up` does not use it: its API answers for both.',
    schema: wholeNumber(0, 65_535),
  }),
  redis: setting({
    name: 'REDIS_URL',
    group: 'Redis',
    type: 'URL',
    default: null,
    description:
      'Where Redis is, see [the forms](running.md#redis-by-url). Not set, `sendgate up` starts a private one, and `sendgate keys` and `sendgate limits` find it; `sendgate api` and `sendgate worker` need it.',
    secret: true,
    schema: redisUrl,
  }),
  dataDir: setting({
    name: 'SENDGATE_DATA_DIR',
    group: 'Redis',
    type: 'path',
    default: '.data',
    description: 'Where the private Redis of `sendgate up` keeps its data.',
    schema: text,
  }),
  workspace: setting({
    name: 'SENDGATE_WORKSPACE',
    group: 'Redis',
    type: 'name',
    default: 'default',
    description:
      'The workspace that this process serves: its own limits, counters, members, log and API keys. Many may share a Redis.',
    schema: text.regex(/^[A-Za-z0-9._-]{1,64}$/, { error: 'must be 1 to 64 of A-Z a-z 0-9 . _ -' }),
  }),
  apiKey: setting({
    name: 'SENDGATE_API_KEY',
    group: 'Access',
    type: 'secret',
    default: null,
    description:
      'The first key: it may do everything. Callers send it as `Authorization: Bearer …`. Make a long random one, such as `openssl rand -hex 32`.',
    secret: true,
    // What an Authorization header can carry: RFC 6750, section 2.1.
    schema: text.regex(/^(?=.{1,256}$)[A-Za-z0-9._~+/-]+=*$/, {
      error: 'must be 1 to 256 of A-Z a-z 0-9 . _ ~ + / -, with = at the end only, so that a header can carry it',
    }),
  }),
  limitsFile: setting({
    name: 'SENDGATE_LIMITS_FILE',
    group: 'Limits and checks',
    type: 'path',
    default: null,
    description: 'A YAML file of limits, applied at the start and again whenever it changes.',
    schema: text,
  }),
  checkTimeoutMs: setting({
    name: 'SENDGATE_CHECK_TIMEOUT_MS',
    group: 'Limits and checks',
    type: 'whole number',
    default: '250',
    unit: 'milliseconds',
    description:
      'How long a check may take, whatever Redis does. Past it, it is answered by the `on_redis_down` of its limits.',
    schema: wholeNumber(10, 60_000),
  }),
  replicas: setting({
    name: 'SENDGATE_REPLICAS',
    group: 'Limits and checks',
    type: 'whole number',
    default: '1',
    description:
      'How many API processes serve this workspace: while Redis is away, each passes that share of a limit whose `on_redis_down` is `local`.',
    schema: wholeNumber(1, 100_000),
  }),
  idempotencyTtlSeconds: setting({
    name: 'SENDGATE_IDEMPOTENCY_TTL',
    group: 'Limits and checks',
    type: 'duration',
    default: '24h',
    description: 'How long the verdict of a `message_id` is kept, so that a check may be repeated or released.',
    schema: duration(1, 90 * 86_400),
  }),
  provider: setting({
    name: 'SENDGATE_PROVIDER',
    group: 'Sends',
    type: PROVIDER_NAMES.map((name) => `\`${name}\``).join(', '),
    default: 'log',
    description: 'What delivers handed-over sends. `log` only writes them into the log of the worker.',
    schema: providerName,
  }),
  channelProviders: setting({
    name: 'SENDGATE_CHANNEL_PROVIDERS',
    group: 'Sends',
    type: 'pairs of channel and provider',
    default: null,
    description:
      'Providers of channels that have one of their own: `email=webhook,sms=log`. A message goes by the first channel of its `routing`. Not named here, `sms` goes by `vonage` where that is configured.',
    schema: channelProviders,
  }),
  concurrency: setting({
    name: 'SENDGATE_CONCURRENCY',
    group: 'Sends',
    type: 'whole number',
    default: '16',
    description: 'How many deliveries of each provider a worker makes at once.',
    schema: wholeNumber(1, 10_000),
  }),
  providerRates: setting({
    name: 'SENDGATE_PROVIDER_RATES',
    group: 'Sends',
    type: 'pairs of provider and rate',
    default: null,
    description:
      'How many deliveries a second a provider is given at most, by all workers together: `webhook=50`. A rate may be below 1. (`vonage` has `SENDGATE_VONAGE_RATE`.)',
    schema: providerRates,
  }),
  tries: setting({
    name: 'SENDGATE_TRIES',
    group: 'Sends',
    type: 'whole number',
    default: '8',
    description: 'How often it is tried to deliver a message before it is `UNDELIVERABLE`.',
    schema: wholeNumber(1, 100),
  }),
  retryFirstMs: setting({
    name: 'SENDGATE_RETRY_FIRST_MS',
    group: 'Sends',
    type: 'whole number',
    default: '1000',
    unit: 'milliseconds',
    description:
      'About how long after the first try the second is made. Each next pause is twice as long, with jitter.',
    schema: wholeNumber(1, 3_600_000),
  }),
  retryMaxMs: setting({
    name: 'SENDGATE_RETRY_MAX_MS',
    group: 'Sends',
    type: 'whole number',
    default: '300000',
    unit: 'milliseconds',
    description: 'The longest pause between two tries, unless the provider asks for a longer one.',
    schema: wholeNumber(1, 86_400_000),
  }),
  refundFailed: setting({
    name: 'SENDGATE_REFUND_FAILED',
    group: 'Sends',
    type: '`true`, `false`',
    default: 'true',
    description: 'Whether a message that could not be delivered gives back what it counted.',
    schema: yesOrNo,
  }),
  deferMaxAgeSeconds: setting({
    name: 'SENDGATE_DEFER_MAX_AGE',
    group: 'Sends',
    type: 'duration',
    default: '7d',
    description:
      'How long a message is held for want of room, by limits whose `on_exceeded` is `defer`. After that it is `THROTTLED`.',
    schema: duration(1, 366 * 86_400),
  }),
  queueMaxDepth: setting({
    name: 'SENDGATE_QUEUE_MAX_DEPTH',
    group: 'Sends',
    type: 'whole number',
    default: '10000',
    unit: 'messages',
    description:
      "How many messages may wait in a provider's queue. More stay in the outbox, and come into the queue as it drains.",
    schema: wholeNumber(1, 10_000_000),
  }),
  queueKeepJobs: setting({
    name: 'SENDGATE_QUEUE_KEEP_JOBS',
    group: 'Sends',
    type: 'whole number',
    default: '100',
    description: 'How many finished jobs each queue keeps, for whoever looks at the board of the queues.',
    schema: wholeNumber(0, 1_000_000),
  }),
  webhookUrl: setting({
    name: 'SENDGATE_WEBHOOK_URL',
    group: 'Webhook',
    type: 'URL',
    default: null,
    description: 'Where the provider `webhook` posts messages to.',
    secret: true,
    schema: webUrl,
  }),
  webhookSecret: setting({
    name: 'SENDGATE_WEBHOOK_SECRET',
    group: 'Webhook',
    type: 'secret',
    default: null,
    description:
      'What its requests are signed with, by the Standard Webhooks scheme: `whsec_` and 24 to 64 bytes in base64, such as `whsec_$(openssl rand -base64 32)`, or those alone. Not set, they are not signed.',
    secret: true,
    schema: text.refine(isWebhookSecret, { error: WEBHOOK_SECRET_WORDS }),
  }),
  webhookTimeoutMs: setting({
    name: 'SENDGATE_WEBHOOK_TIMEOUT_MS',
    group: 'Webhook',
    type: 'whole number',
    default: '10000',
    unit: 'milliseconds',
    description: 'How long a request may take until the head of its answer is there.',
    schema: wholeNumber(10, 600_000),
  }),
  allowPrivateTargets: setting({
    name: 'SENDGATE_ALLOW_PRIVATE_TARGETS',
    group: 'Webhook',
    type: '`true`, `false`',
    default: 'false',
    description:
      'Whether requests, those of alerts included, may go to private, loopback and link-local addresses, such as those of a service beside this one.',
    schema: yesOrNo,
  }),
  vonageApiKey: setting({
    name: 'SENDGATE_VONAGE_API_KEY',
    group: 'Vonage',
    type: 'text',
    default: null,
    description:
      'The API key of the account at Vonage that SMS are sent by. With it, its secret and a sender, the channel `sms` goes by the provider `vonage`. See [vonage.md](vonage.md).',
    secret: true,
    schema: credential,
  }),
  vonageApiSecret: setting({
    name: 'SENDGATE_VONAGE_API_SECRET',
    group: 'Vonage',
    type: 'secret',
    default: null,
    description: 'The secret of that key.',
    secret: true,
    schema: credential,
  }),
  vonageFrom: setting({
    name: 'SENDGATE_VONAGE_FROM',
    group: 'Vonage',
    type: 'number or name',
    default: null,
    description:
      'Whom SMS come from: a number of the account, with its country code, or a name of up to 11 characters where the country of the recipient allows one.',
    schema: text.regex(/^(?:\+?\d{3,15}|(?=.*[^\d ])[\x20-\x7e]{1,11})$/, {
      error: 'must be a number of 3 to 15 digits, or a name of 1 to 11 characters of ASCII',
    }),
  }),
  vonageUrl: setting({
    name: 'SENDGATE_VONAGE_URL',
    group: 'Vonage',
    type: 'URL',
    default: 'https://rest.nexmo.com',
    description: "Where Vonage's SMS API is: `/sms/json` is added to it. It may be an address of a private network.",
    schema: webUrl,
  }),
  vonageTimeoutMs: setting({
    name: 'SENDGATE_VONAGE_TIMEOUT_MS',
    group: 'Vonage',
    type: 'whole number',
    default: '10000',
    unit: 'milliseconds',
    description:
      'How long a request may take. After that nobody knows whether Vonage took the message, and it is tried again: a shorter time may send more of them twice.',
    schema: wholeNumber(10, 600_000),
  }),
  vonageRate: setting({
    name: 'SENDGATE_VONAGE_RATE',
    group: 'Vonage',
    type: 'number',
    default: '30',
    unit: 'requests a second',
    description:
      'How many requests are made at most, by all workers together, in any second. 30 is what Vonage lets a key make unless it has agreed to something else.',
    schema: ratePerSecond,
  }),
  vonagePauseSeconds: setting({
    name: 'SENDGATE_VONAGE_PAUSE',
    group: 'Vonage',
    type: 'duration',
    default: '60s',
    description:
      'How long Vonage is left alone when it says that the account may not send: for want of credit, say. Messages wait meanwhile.',
    schema: duration(1, 86_400),
  }),
  vonageSignatureSecret: setting({
    name: 'SENDGATE_VONAGE_SIGNATURE_SECRET',
    group: 'Vonage',
    type: 'secret',
    default: null,
    description:
      'What Vonage signs delivery receipts with. With it, a receipt that is not signed, or wrongly, or too long ago, is a 401. Not set, anybody who knows the id of a message at Vonage can say that it was delivered.',
    secret: true,
    schema: credential,
  }),
  vonageSignatureMethod: setting({
    name: 'SENDGATE_VONAGE_SIGNATURE_METHOD',
    group: 'Vonage',
    type: VONAGE_SIGNATURE_METHODS.map((name) => `\`${name}\``).join(', '),
    default: 'md5hash',
    description:
      "How it signs them, as the account's settings say. `md5hash` is what accounts begin with; `sha256` is safer.",
    schema: z.enum(VONAGE_SIGNATURE_METHODS, {
      error: `must be one of ${VONAGE_SIGNATURE_METHODS.join(', ')}`,
    }) as z.ZodType<VonageSignatureMethod, string>,
  }),
  vonageSignatureAgeSeconds: setting({
    name: 'SENDGATE_VONAGE_SIGNATURE_AGE',
    group: 'Vonage',
    type: 'duration',
    default: '5m',
    description:
      'How far the time that a receipt was signed at may be from now, either way. Vonage repeats for a day what was not answered; where it does not sign that anew, `24h` takes the receipts that came while Sendgate was down.',
    schema: duration(1, 7 * 86_400),
  }),
  segmentSecret: setting({
    name: 'SENDGATE_SEGMENT_SECRET',
    group: 'Events',
    type: 'secret',
    default: null,
    description:
      "The shared secret of Segment's webhook destination. With it, `POST /inbound/segment` takes only calls that are signed (`X-Signature`).",
    secret: true,
    schema: text,
  }),
  rudderstackHeader: setting({
    name: 'SENDGATE_RUDDERSTACK_HEADER',
    group: 'Events',
    type: '`Name: value`',
    default: null,
    description:
      "A header of RudderStack's webhook destination. With it, `POST /inbound/rudderstack` takes only calls that have it, with this value.",
    secret: true,
    schema: proofHeader,
  }),
  smtpUrl: setting({
    name: 'SENDGATE_SMTP_URL',
    group: 'Alerts',
    type: 'URL',
    default: null,
    description:
      'The server that alerts are mailed through: `smtp://user:password@mail.example.com:587`, or `smtps://` for TLS from the start. Not set, there are no mails. With it, the two below must be set.',
    secret: true,
    schema: smtpUrl,
  }),
  alertMailFrom: setting({
    name: 'SENDGATE_ALERT_MAIL_FROM',
    group: 'Alerts',
    type: 'address',
    default: null,
    description: 'Whom mails about alerts come from.',
    schema: mailAddress,
  }),
  alertMailTo: setting({
    name: 'SENDGATE_ALERT_MAIL_TO',
    group: 'Alerts',
    type: 'addresses',
    default: null,
    description: 'The administrators whom alerts are mailed to: `ops@example.com,oncall@example.com`.',
    schema: mailAddresses,
  }),
  logLevel: setting({
    name: 'SENDGATE_LOG_LEVEL',
    group: 'Logs',
    type: LOG_LEVELS.map((level) => `\`${level}\``).join(', '),
    default: 'info',
    description: 'How much the process writes about itself. Single requests are written at `debug` only.',
    schema: z.enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(', ')}` }),
  }),
  logMaxMessages: setting({
    name: 'SENDGATE_LOG_MAX_ENTRIES',
    group: 'Logs',
    type: 'whole number',
    default: '1000000',
    unit: 'messages',
    description:
      'How many messages the message log in Redis keeps; the oldest go first, once a minute. A message that is still to be sent stays.',
    schema: wholeNumber(1, 1_000_000_000),
  }),
  logMaxAgeSeconds: setting({
    name: 'SENDGATE_LOG_MAX_AGE',
    group: 'Logs',
    type: 'duration',
    default: '30d',
    description: 'How long the message log in Redis keeps a message. One that is still to be sent stays.',
    schema: duration(60, 3_660 * 86_400),
  }),
  auditMaxAgeSeconds: setting({
    name: 'SENDGATE_AUDIT_MAX_AGE',
    group: 'Logs',
    type: 'duration',
    default: '365d',
    description: 'How long the audit trail keeps an event. The worker removes older ones.',
    schema: duration(60, 3_660 * 86_400),
  }),
  shutdownTimeoutMs: setting({
    name: 'SENDGATE_SHUTDOWN_TIMEOUT_MS',
    group: 'Processes',
    type: 'whole number',
    default: '10000',
    unit: 'milliseconds',
    description:
      'How long a stop may take, from the signal to the end. What is not done by then is cut off. Give the platform that sends the signal a little more.',
    schema: wholeNumber(100, 600_000),
  }),
};

/** The whole configuration of a process, by the keys of the table above. */
export type Config = {
  -readonly [K in keyof typeof SETTINGS]: (typeof SETTINGS)[K] extends Setting<infer T, infer Default>
    ? Default extends null
      ? T | null
      : T
    : never;
};

/** Everything that is wrong with an environment. Each line names its variable; none holds a secret. */
export interface ConfigErrors {
  errors: string[];
}

/** A configuration that can be used, and what about it its operator should know. */
export interface ConfigRead {
  config: Config;
  /** Never holds a secret. */
  warnings: string[];
}

/**
 * Reads the environment. An empty variable counts as not set.
 *
 * A variable that begins with SENDGATE_ and is not known is a warning, not an error: container platforms set variables
 * of their own, named after their services (SENDGATE_PORT, SENDGATE_SERVICE_HOST).
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): ConfigRead | ConfigErrors {
  const errors: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, { name, default: fallback, schema, secret }] of Object.entries<Setting<unknown, string | null>>(
    SETTINGS,
  )) {
    const given = env[name] || fallback;
    if (given === null) {
      values[key] = null;
      continue;
    }
    const read = schema.safeParse(given);
    if (read.success) values[key] = read.data;
    else errors.push(`${name} ${read.error.issues[0]!.message}${secret ? '' : `, but is ${JSON.stringify(given)}`}`);
  }
  if (errors.length > 0) return { errors };
  const config = values as Config;
  const contradictions = contradictionsIn(config);
  if (contradictions.length > 0) return { errors: contradictions };
  return { config, warnings: [...unknownVariables(env), ...weaknesses(config)] };
}

/** Whether messages can go by each provider, and if not, what is missing for it. */
const PROVIDER_NEEDS: Record<ProviderName, (config: Config) => string[]> = {
  log: () => [],
  webhook: ({ webhookUrl }) => (webhookUrl === null ? ['SENDGATE_WEBHOOK_URL'] : []),
  vonage: ({ vonageApiKey, vonageApiSecret, vonageFrom }) => [
    ...(vonageApiKey === null ? ['SENDGATE_VONAGE_API_KEY'] : []),
    ...(vonageApiSecret === null ? ['SENDGATE_VONAGE_API_SECRET'] : []),
    ...(vonageFrom === null ? ['SENDGATE_VONAGE_FROM'] : []),
  ],
};

/** The providers that a configuration lets messages go through. */
export function configuredProviders(config: Config): ProviderName[] {
  return PROVIDER_NAMES.filter((name) => PROVIDER_NEEDS[name](config).length === 0);
}

/** By which provider each channel goes, and everything else. */
export function routingOf(config: Config): Routing {
  const sms = PROVIDER_NEEDS.vonage(config).length === 0 ? { sms: 'vonage' as const } : {};
  return { byChannel: { ...sms, ...config.channelProviders }, fallback: config.provider };
}

/** What is right by itself, and wrong together. */
function contradictionsIn(config: Config): string[] {
  const { provider, channelProviders, retryFirstMs, retryMaxMs } = config;
  const errors: string[] = [];
  const needs = (name: string, used: ProviderName) => {
    const missing = PROVIDER_NEEDS[used](config);
    if (missing.length > 0) errors.push(`${name} uses ${used}, so ${missing.join(' and ')} must be set`);
  };
  needs('SENDGATE_PROVIDER', provider);
  for (const used of new Set(Object.values(channelProviders ?? {}))) needs('SENDGATE_CHANNEL_PROVIDERS', used);
  const missing = PROVIDER_NEEDS.vonage(config);
  const { vonageApiKey, vonageApiSecret, vonageFrom, vonageSignatureSecret } = config;
  const isBegun = [vonageApiKey, vonageApiSecret, vonageFrom, vonageSignatureSecret].some((value) => value !== null);
  if (isBegun && missing.length > 0 && errors.every((error) => !error.includes(' uses vonage'))) {
    errors.push(`${missing.join(' and ')} must be set, as other settings of Vonage are`);
  }
  if (config.providerRates !== null && Object.hasOwn(config.providerRates, 'vonage')) {
    errors.push('SENDGATE_PROVIDER_RATES must not name vonage: its rate is SENDGATE_VONAGE_RATE');
  }
  const mail = {
    SENDGATE_SMTP_URL: config.smtpUrl,
    SENDGATE_ALERT_MAIL_FROM: config.alertMailFrom,
    SENDGATE_ALERT_MAIL_TO: config.alertMailTo,
  };
  const [mailSet, mailMissing] = [true, false].map((isSet) =>
    Object.entries(mail).flatMap(([name, value]) => ((value !== null) === isSet ? [name] : [])),
  ) as [string[], string[]];
  if (mailSet.length > 0 && mailMissing.length > 0) {
    const words = `${mailSet[0]} is set, so ${mailMissing.join(' and ')} must be set`;
    errors.push(`${words}: alerts are mailed with all three, or not`);
  }
  if (retryMaxMs < retryFirstMs) {
    errors.push(
      `SENDGATE_RETRY_MAX_MS must be at least SENDGATE_RETRY_FIRST_MS, ${retryFirstMs}, but is "${retryMaxMs}"`,
    );
  }
  return errors;
}

function unknownVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = Object.values(SETTINGS).map(({ name }) => name);
  return Object.keys(env)
    .filter((name) => name.startsWith('SENDGATE_') && !known.includes(name))
    .map((name) => {
      const nearest = known
        .map((candidate) => ({ candidate, edits: editDistance(name, candidate) }))
        .sort((a, b) => a.edits - b.edits)[0]!;
      const meant = nearest.edits <= 3 ? `; did you mean ${nearest.candidate}?` : '';
      return `${name} is not a setting of Sendgate and does nothing${meant}`;
    });
}

function weaknesses({ apiKey, vonageApiKey, vonageSignatureSecret }: Config): string[] {
  const warnings: string[] = [];
  if (apiKey !== null && apiKey.length < SHORT_KEY_CHARACTERS) {
    warnings.push(`SENDGATE_API_KEY has fewer than ${SHORT_KEY_CHARACTERS} characters: a short key can be guessed`);
  }
  if (vonageApiKey !== null && vonageSignatureSecret === null) {
    warnings.push('SENDGATE_VONAGE_SIGNATURE_SECRET is not set: delivery receipts are believed whoever sends them');
  }
  return warnings;
}

/** How many letters must be put in, left out or changed to make one name the other (Wagner and Fischer, 1974). */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const change = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(change, previous[column]! + 1, current[column - 1]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}

/** docs/configuration.md, whole. */
export function configurationDocument(): string {
  const settings = Object.values<Setting<unknown, string | null>>(SETTINGS);
  const groups = [...new Set(settings.map(({ group }) => group))];
  const lines = [
    '<!-- Generated from src/config.ts by `npm run docs`. Change it there. -->',
    '',
    '# Configuration',
    '',
    'Sendgate is configured by its environment alone. It reads all of it at the start, lists everything that is wrong at',
    'once on standard error, each with the name of its variable, and ends with exit code 2. An empty variable counts as',
    'not set. A variable that begins with `SENDGATE_` and is none of these is only warned of, with the name that was',
    'probably meant: container platforms set some of their own.',
    '',
    'A *duration* is a whole number of seconds (`86400`), or a whole number and a unit: `s`, `m`, `h`, `d` or `w` (`24h`).',
  ];
  for (const group of groups) {
    lines.push('', `## ${group}`, '', '| variable | value | default | meaning |', '|---|---|---|---|');
    for (const { name, type, default: fallback, unit, description } of settings.filter((one) => one.group === group)) {
      const value = unit === null ? type : `${type}, in ${unit}`;
      lines.push(`| \`${name}\` | ${value} | ${fallback === null ? 'none' : `\`${fallback}\``} | ${description} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}
