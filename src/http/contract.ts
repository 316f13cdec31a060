import type { z } from 'zod';
import type { Role } from '../access/api-keys';
import type { Actor } from '../store/actor';

export type { Role } from '../access/api-keys';

/** One call, after its key and its input have been checked. */
export interface Call<Params = unknown, Query = unknown, Body = unknown> {
  params: Params;
  query: Query;
  body: Body;
  actor: Actor;
  roles: readonly Role[];
  /** The address under which the caller reaches this product, as `http://host:port`, for links in answers. */
  origin: string;
  /** The path as it was called, without its query: an alias answers with links to itself. */
  path: string;
  /** A header's value, or undefined. */
  header(name: string): string | undefined;
}

/** An answer. A refusal is an answer too, made by `problem()`; an exception is a fault of ours. */
export interface Reply {
  status: number;
  /** Sent as JSON; as problem+json when it came from `problem()`. Absent: an empty body. */
  body?: unknown;
  /** Sent as it is, instead of `body`: with a `content-type` in `headers`. */
  text?: string;
  /** Names in lower case. `content-length`, `x-request-id` and what every answer has are added. */
  headers?: Record<string, string>;
}

/** What an answer of one status holds, for the OpenAPI document. */
export interface ReplyContract {
  description: string;
  schema?: z.ZodType;
  /** Of the content, where it is not JSON. */
  contentType?: string;
  /** Names of headers, and what they say. */
  headers?: Record<string, string>;
}

/** What a call is proven by, besides its key. */
export interface Proof {
  header: Call['header'];
  /**
   * The body as it came, without its Content-Encoding where that could be undone; empty when there was none. Null when it was
   * not read, because it is too large or of a kind that is not taken.
   */
  bytes: Uint8Array | null;
  /** The same, read as JSON; undefined when it is none. */
  body: unknown;
}

/** A route: its contract, from which the OpenAPI document is generated, and its handler. */
export interface Route {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** In OpenAPI's form: `/users/{user_id}/accounts`. */
  path: string;
  /** The same route in other words: `/users/{user_id}/tenants`. Listed in the document as deprecated: false, with its own operationId suffix. */
  aliases?: readonly string[];
  operationId: string;
  tag: string;
  summary: string;
  description?: string;
  /**
   * The role that may call it, `any` for every key, or null for everyone. `read` routes are closed to `check` keys and the
   * other way round.
   */
  role: Role | 'any' | null;
  /** Of an `any` route: whether who brings no key at all may call it too, with no roles. A wrong one is refused. */
  acceptsNobody?: boolean;
  params?: z.ZodType;
  query?: z.ZodType;
  /** A schema that takes undefined makes the body optional. */
  body?: z.ZodType;
  /** The most bytes of a body; absent: 1 MiB. */
  bodyMaxBytes?: number;
  /** Whether a body may also be what forms send: an object of texts. */
  bodyForms?: boolean;
  /**
   * Whether the body may come by any content type, and compressed with gzip: of a route that other people's programs call,
   * which say neither as they should.
   */
  bodyInAnyForm?: boolean;
  /** Whether the key may come as the user name of HTTP Basic too. */
  acceptsBasic?: boolean;
  /** Refuses a call without its proof, before anything is said about its body or the rest of its input. */
  refuseUnproven?(proof: Proof): Reply | null;
  /** A body that the route answers with success, for the OpenAPI document and whoever reads it. */
  bodyExample?: unknown;
  /** By status. The problems that every route may answer (400, 401, 403, 413, 415, 503) are added by the document. */
  replies: Record<number, ReplyContract>;
  handle(call: Call): Promise<Reply> | Reply;
}

/** Gives a route's handler the types of its schemas. */
export function route<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
  definition: Omit<Route, 'params' | 'query' | 'body' | 'handle'> & {
    params?: P;
    query?: Q;
    body?: B;
    handle(call: Call<z.output<P>, z.output<Q>, z.output<B>>): Promise<Reply> | Reply;
  },
): Route {
  return definition as Route;
}
