import type { Route } from './contract';

/** What the routes stand on. Each part is made at the composition root. */
// biome-ignore lint/suspicious/noEmptyInterface: filled by the owners of the routes, one field each
export interface Services {}

/**
 * Every route of the API, with its services. Making routes must not use the services, only keep them: the OpenAPI
 * document is made from routes whose services do nothing.
 */
export function allRoutes(_services: Services): Route[] {
  return [];
}
