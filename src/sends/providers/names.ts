/** The providers that there are. Each has a queue and an outbox of its own, also where it is not configured. */
export const PROVIDER_NAMES = ['log', 'webhook', 'vonage'] as const;
export type ProviderName = (typeof PROVIDER_NAMES)[number];

/** Whether there is a provider of that name. */
export function isProviderName(name: string): name is ProviderName {
  return PROVIDER_NAMES.some((known) => known === name);
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
