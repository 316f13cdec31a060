import { call } from './call';

/** What makes messages of events. */
export interface Mapping {
  /** A name, or a pattern of names. */
  event: string;
  topic?: string;
  template?: string;
  /** Where in the event they are. */
  recipient?: string;
  account?: string;
}

/** In the order in which they are looked through. */
export async function fetchMappings(signal?: AbortSignal): Promise<Mapping[]> {
  const { mappings } = await call<{ mappings: Mapping[] }>('GET', 'inbound/mappings', { signal });
  return mappings;
}

/** Puts them in the place of all that there are. */
export async function putMappings(mappings: readonly Mapping[]): Promise<Mapping[]> {
  const saved = await call<{ mappings: Mapping[] }>('PUT', 'inbound/mappings', { body: { mappings } });
  return saved.mappings;
}
