import { z } from 'zod';
import { type Route, route } from '../contract';
import { openApiText } from '../openapi';

/** The route that serves the document of all routes, itself among them. */
export function openApiRoute(routes: readonly Route[], { version }: { version: string }): Route {
  let text: string | null = null;
  const own: Route = route({
    method: 'get',
    path: '/openapi.json',
    operationId: 'openapi',
    tag: 'Operations',
    summary: 'This document',
    role: null,
    replies: { 200: { description: 'OpenAPI 3.1.', schema: z.looseObject({ openapi: z.string() }) } },
    handle() {
      // Made when somebody asks: it takes some milliseconds that a start need not spend.
      text ??= openApiText([...routes, own], version);
      return { status: 200, text, headers: { 'content-type': 'application/json' } };
    },
  });
  return own;
}
