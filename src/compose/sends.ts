import { type Config, configuredProviders } from '../config';
import type { VonageReceipts } from '../http/routes/receipts';
import type { MessageLog } from '../log/messages';
import type { Logger } from '../logger';
import type { Members } from '../membership/members';
import type { Profiles } from '../membership/profiles';
import type { Metrics } from '../metrics/metrics';
import { createDecideSend, type DecideSend } from '../sends/decide';
import type { DepthWatch } from '../sends/depths';
import { createLogProvider } from '../sends/providers/log';
import { PROVIDER_NAMES } from '../sends/providers/names';
import type { Provider } from '../sends/providers/provider';
import { createVonageProvider } from '../sends/providers/vonage';
import { createWebhookProvider } from '../sends/providers/webhook';
import { openQueues, type Queues } from '../sends/queue';
import { createRecordReceipt } from '../sends/receipts';
import { createSendStore, type SendStore } from '../sends/store';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import type { Scripts } from '../store/scripts';
import type { TrafficTally } from '../traffic/tally';
import type { DecidingDeps } from './gate';
import { monotonicMs } from './timing';

/** Of how many users it is remembered which their only account is. */
const USERS_KNOWN = 100_000;
/** How long a decision about a handed-over send may take at least, in milliseconds: nobody waits in a hot path for it. */
const SEND_TIMEOUT_MS = 1_000;

/** How many messages wait to be delivered; null when that is not known. */
export function queueDepth(depths: DepthWatch): number | null {
  return depths.last()?.reduce((sum, { outbox, waiting, delayed }) => sum + outbox + waiting + delayed, 0) ?? null;
}

/** What decides messages that are handed over, and keeps their state. */
export function composeSends(deps: DecidingDeps): { store: SendStore; decide: DecideSend } {
  const { config, metrics, tally, fault } = deps;
  const store = createSendStore({
    ...deps,
    idempotencyTtlMs: config.idempotencyTtlSeconds * 1_000,
    logMaxAgeMs: config.logMaxAgeSeconds * 1_000,
    holdMaxMs: config.deferMaxAgeSeconds * 1_000,
    monotonicMs,
  });
  const { replanned, called, tooLate } = metrics;
  const decide = createDecideSend({
    ...deps,
    store,
    observer: {
      ...{ replanned, called, tooLate, fault },
      sendDecided(kind, message, throttledBy) {
        metrics.sends.sendDecided(kind);
        tally.sendDecided(kind, message, throttledBy);
      },
    },
    timeoutMs: Math.max(config.checkTimeoutMs, SEND_TIMEOUT_MS),
    usersKnown: USERS_KNOWN,
  });
  return { store, decide };
}

/** The queues of the providers. */
export function composeQueues(
  config: Config,
  redis: RedisClient,
  keys: Keys,
  onTrouble: (error: unknown) => void,
): Queues {
  return openQueues({ redis, keys, providers: PROVIDER_NAMES, keepJobs: config.queueKeepJobs, onTrouble });
}

/** The phone number that a user is known by, in an account or, for null, in none; or null. */
type PhoneOf = (userId: string, accountId: string | null) => Promise<string | null>;

/** The fields of a profile that it may be in: by Courier's name, or by that of Segment's traits. */
const PHONE_FIELDS = ['phone_number', 'phone'];

/** What is known of the user in the account comes before what is known of the user. */
export function composePhoneOf(profiles: Pick<Profiles, 'read'>, members: Pick<Members, 'find'>): PhoneOf {
  return async (userId, accountId) => {
    const membership = accountId === null ? null : await members.find(userId, accountId);
    return numberIn(membership?.profile) ?? numberIn(await profiles.read(userId));
  };
}

function numberIn(profile: Readonly<Record<string, unknown>> | null | undefined): string | null {
  const number = PHONE_FIELDS.map((field) => profile?.[field]).find(
    (value) => typeof value === 'string' && value !== '',
  );
  return (number as string | undefined) ?? null;
}

/** The rates of providers that have one: so many attempts a second are begun by all workers together. */
export function providerRates({ providerRates: rates, vonageRate }: Config): Record<string, number> {
  return { ...rates, vonage: vonageRate };
}

/** What delivers, for each provider that is configured. */
export function composeProviders(config: Config, logger: Logger, phoneOf: PhoneOf): Map<string, Provider> {
  const { webhookUrl: url, webhookSecret: secret, webhookTimeoutMs: timeoutMs, allowPrivateTargets } = config;
  const providers = [createLogProvider((message) => logger.info('A message would be sent.', { sent: message }))];
  if (url !== null) {
    providers.push(createWebhookProvider({ url, secret, timeoutMs, allowPrivateTargets, nowMs: Date.now }));
  }
  const { vonageUrl, vonageApiKey: apiKey, vonageApiSecret: apiSecret, vonageFrom: from, vonageTimeoutMs } = config;
  if (apiKey !== null && apiSecret !== null && from !== null) {
    const account = { url: vonageUrl, apiKey, apiSecret, from, timeoutMs: vonageTimeoutMs };
    providers.push(createVonageProvider({ ...account, phoneOf, nowMs: Date.now }));
  }
  return new Map(providers.map((provider) => [provider.name, provider]));
}

/** What takes delivery receipts from Vonage; null when it is not configured. */
export function composeVonageReceipts(deps: {
  config: Config;
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  messageLog: Pick<MessageLog, 'get'>;
  metrics: Metrics;
  tally: TrafficTally;
}): VonageReceipts | null {
  const { config, redis, scripts, keys, messageLog, metrics, tally } = deps;
  if (!configuredProviders(config).includes('vonage')) return null;
  const {
    vonageSignatureSecret: secret,
    vonageSignatureMethod: method,
    vonageSignatureAgeSeconds,
    refundFailed,
  } = config;
  return {
    record: createRecordReceipt({
      ...{ redis, scripts, keys, messageLog, refundFailed },
      observer: { received: metrics.sends.received, gaveUp: tally.sendFailed },
    }),
    signature: secret === null ? null : { secret, method, maxAgeMs: vonageSignatureAgeSeconds * 1_000 },
  };
}
