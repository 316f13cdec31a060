/** The providers that there are. Each has a queue and an outbox of its own, also where it is not configured. */
export const PROVIDER_NAMES = ['log', 'webhook', 'vonage'] as const;
export type ProviderName = (typeof PROVIDER_NAMES)[number];

/** Whether there is a provider of that name. */
export function isProviderName(name: string): name is ProviderName {
  return PROVIDER_NAMES.some((known) => known === name);
}

/** Courier's channels, and the providers of its that people take for one. */
const CHANNELS = [
  ...['email', 'sms', 'push', 'inbox', 'direct_message', 'chat', 'in_app', 'web_push', 'banner', 'voice', 'whatsapp'],
  ...['slack', 'msteams', 'ms_teams', 'discord'],
];

/** What a message may be routed by: a channel, by Courier's name or one that has a provider of its own, or a provider. */
export function isRoute(name: string, { byChannel }: Routing): boolean {
  return CHANNELS.includes(name) || isProviderName(name) || Object.hasOwn(byChannel, name);
}

/** Those that there are, for people. */
export function routeWords({ byChannel }: Routing): string {
  const channels = [...new Set([...CHANNELS, ...Object.keys(byChannel)])];
  return `the channels are ${channels.join(', ')}; the providers ${PROVIDER_NAMES.join(', ')}`;
}

/** How a message is assigned to a provider. */
export interface Routing {
  /** The provider of a channel, where it has one of its own. */
  byChannel: Readonly<Record<string, ProviderName>>;
  /** The provider of everything else. */
  fallback: ProviderName;
}

/**
 * The provider of a message, by its channel: the one that is configured for that; else the one that the channel is called
 * after, for a sender may name either; else the one for everything.
 */
export function providerFor(channel: string | null, { byChannel, fallback }: Routing): ProviderName {
  if (channel === null) return fallback;
  if (Object.hasOwn(byChannel, channel)) return byChannel[channel]!;
  return isProviderName(channel) ? channel : fallback;
}
