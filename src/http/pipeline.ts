import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from '../access/key-ring';
import type { Metrics, RouteMeter } from '../metrics/metrics';
import type { Actor } from '../store/actor';
import { redisFailureReason } from '../store/failure';
import { type Authenticate, bringsNoKey } from './auth';
import { BODY_MAX_BYTES, type Body, readJsonBody } from './body';
import type { Call, Reply, Role, Route } from './contract';
import { type InputError, invalidInput, problem, withHeaders } from './problem';
import { compile, parseQuery, type Validated, validate } from './validate';

/** Where the app writes what happened. */
export interface AppLog {
  debug(message: string, fields: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
  error(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export interface PipelineDeps {
  authenticate: Authenticate;
  log: AppLog;
  /** Whether each request is written, at debug. */
  logRequests: boolean;
  metrics: Metrics;
  /** The id of a request whose caller has given it none: 1 to 128 of `A-Za-z0-9._-`. */
  newRequestId: () => string;
  /** A clock that never jumps, in milliseconds. */
  monotonicMs: () => number;
}

/** A route with what was worked out for it once. */
export interface Endpoint {
  route: Route;
  bodyMaxBytes: number;
  bodyOptional: boolean;
  /** What becomes of a request without any query. */
  emptyQuery: Validated;
  meter: RouteMeter;
}

/** What happens to a request once it is known which route it is for: authenticate, read, validate, handle, write. */
export interface Pipeline {
  endpoint(route: Route): Endpoint;
  /** Answers a request by its route. `params` are percent-decoded. */
  serve(endpoint: Endpoint, request: IncomingMessage, response: ServerResponse, params: object): void;
  /** Answers a request that has no route, or whose route could not be found. */
  answer(endpoint: Endpoint, request: IncomingMessage, response: ServerResponse, reply: Reply): void;
  /** Answers a request that met a fault on the way to its route. */
  fail(endpoint: Endpoint, request: IncomingMessage, response: ServerResponse, error: unknown): void;
}

/** Lines that are written per second at most while request after request is answered 5xx. */
const WARNINGS_PER_SECOND = 10;
/** How soon a caller should come back when Redis did not answer, in seconds. */
const RETRY_AFTER_SECONDS = '1';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
const AUTHORITY = /^[A-Za-z0-9._:[\]-]{1,255}$/;
const NOBODY: Actor = { id: 'nobody', name: null };
const WITH_BASIC = { basic: 'user' } as const;
const NOTHING: Validated = { value: Object.freeze({}) };

/** One request on its way, which is also what its handler sees of it. */
class Exchange implements Call {
  query: unknown = undefined;
  body: unknown = undefined;
  actor = NOBODY;
  roles: readonly Role[] = [];

  constructor(
    readonly endpoint: Endpoint,
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    public params: unknown,
    readonly requestId: string,
    readonly startedMs: number,
  ) {}

  get origin(): string {
    const { host } = this.request.headers;
    if (host !== undefined && AUTHORITY.test(host)) return `http://${host}`;
    const { localAddress = '127.0.0.1', localPort } = this.request.socket;
    return `http://${localAddress.includes(':') ? `[${localAddress}]` : localAddress}:${localPort}`;
  }

  get path(): string {
    return pathOf(this.request.url!);
  }

  // A getter, so that it still works taken out of the call.
  get header(): (name: string) => string | undefined {
    return (name) => {
      const value = this.request.headers[name.toLowerCase()];
      return Array.isArray(value) ? value.join(', ') : value;
    };
  }
}

/** The part of a request's target before `?`. */
export function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end === -1 ? url : url.slice(0, end);
}

export function createPipeline(deps: PipelineDeps): Pipeline {
  const { authenticate, log, logRequests, metrics, newRequestId, monotonicMs } = deps;
  const warnings = { second: 0, written: 0, suppressed: 0 };

  function begin(endpoint: Endpoint, request: IncomingMessage, response: ServerResponse, params: unknown): Exchange {
    const given = request.headers['x-request-id'];
    const requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : newRequestId();
    return new Exchange(endpoint, request, response, params, requestId, monotonicMs());
  }

  function serve(exchange: Exchange): void {
    if (exchange.endpoint.route.role === null) {
      read(exchange);
      return;
    }
    try {
      const { acceptsBasic } = exchange.endpoint.route;
      const caller = authenticate(exchange.request, acceptsBasic === true ? WITH_BASIC : undefined);
      if (caller instanceof Promise) settle(exchange, caller);
      else admit(exchange, exchange.endpoint.route.role, caller);
    } catch (error) {
      fail(exchange, error);
    }
  }

  function admit(exchange: Exchange, role: Role | 'any', caller: Caller | Reply): void {
    if ('status' in caller) {
      const { route } = exchange.endpoint;
      const isNobody = caller.status === 401 && bringsNoKey(exchange.request);
      if (isNobody && route.acceptsNobody === true) read(exchange);
      else send(exchange, caller);
      return;
    }
    exchange.actor = caller.actor;
    exchange.roles = caller.roles;
    if (role === 'any' || caller.roles.includes(role) || caller.roles.includes('admin')) {
      read(exchange);
      return;
    }
    const detail = `This call needs an API key with the role ${role}${role === 'admin' ? '' : ' or admin'}.`;
    send(exchange, problem(403, 'Forbidden', detail));
  }

  function read(exchange: Exchange): void {
    const { route, bodyMaxBytes } = exchange.endpoint;
    if (route.body === undefined) judge(exchange);
    else {
      const { bodyForms, bodyInAnyForm } = route;
      const taken = { forms: bodyForms, anyForm: bodyInAnyForm };
      readJsonBody(exchange.request, bodyMaxBytes, (body) => receive(exchange, body), taken);
    }
  }

  function receive(exchange: Exchange, body: Body): void {
    const unproven = refuseUnproven(exchange, body);
    if (unproven !== null) {
      send(exchange, unproven);
    } else if ('refused' in body) {
      send(exchange, body.refused);
    } else if (body.value === undefined && !exchange.endpoint.bodyOptional) {
      send(exchange, invalidInput([{ path: '', message: 'is missing: must be JSON' }]));
    } else {
      exchange.body = body.value;
      judge(exchange);
    }
  }

  function refuseUnproven({ endpoint, header }: Exchange, body: Body): Reply | null {
    const { route } = endpoint;
    if (route.refuseUnproven === undefined) return null;
    return route.refuseUnproven({ header, bytes: body.bytes, body: 'value' in body ? body.value : undefined });
  }

  function judge(exchange: Exchange): void {
    try {
      const errors = inputErrors(exchange);
      if (errors !== null) {
        send(exchange, invalidInput(errors));
        return;
      }
      const reply = exchange.endpoint.route.handle(exchange);
      if (reply instanceof Promise) settle(exchange, reply);
      else send(exchange, reply);
    } catch (error) {
      fail(exchange, error);
    }
  }

  function settle(exchange: Exchange, reply: Promise<Reply>): void {
    reply.then(
      (settled) => send(exchange, settled),
      (error) => fail(exchange, error),
    );
  }

  /** Answers for an exception. A Redis that is away is no fault of ours; everything else is. */
  function fail(exchange: Exchange, error: unknown): void {
    const reason = redisFailureReason(error);
    if (reason !== null) {
      const detail = 'Nothing can be read or written now. Try again in a moment.';
      const reply = problem(503, 'Redis does not answer', detail, { degraded: true });
      send(exchange, withHeaders(reply, { 'retry-after': RETRY_AFTER_SECONDS }), { reason, error });
      return;
    }
    log.error('A request met a fault', { ...lineOf(exchange), error });
    if (exchange.response.headersSent) {
      // Half an answer has gone out: a connection that breaks off says that better than anything that could follow.
      exchange.response.destroy();
      return;
    }
    const detail = 'Something is wrong in Sendgate itself. Its log says what, under the request_id.';
    finish(exchange, problem(500, 'Internal error', detail, { request_id: exchange.requestId }));
  }

  /** @param cause what else an operator should know of an answer of 5xx */
  function send(exchange: Exchange, reply: Reply, cause?: Readonly<Record<string, unknown>>): void {
    try {
      finish(exchange, reply);
    } catch (error) {
      fail(exchange, error);
      return;
    }
    if (reply.status >= 500) warn(exchange, reply.status, cause);
  }

  function finish(exchange: Exchange, reply: Reply): void {
    write(exchange, reply);
    const durationMs = monotonicMs() - exchange.startedMs;
    exchange.endpoint.meter.finished(reply.status, durationMs / 1_000);
    if (logRequests) {
      log.debug('Request', { ...lineOf(exchange), path: exchange.path, status: reply.status, duration_ms: durationMs });
    }
  }

  /** An outage answers thousands of requests a second: the first few lines of each second say all there is to say. */
  function warn(exchange: Exchange, status: number, cause: Readonly<Record<string, unknown>> | undefined): void {
    const second = Math.floor(monotonicMs() / 1_000);
    if (second !== warnings.second) Object.assign(warnings, { second, written: 0 });
    if (warnings.written >= WARNINGS_PER_SECOND) {
      warnings.suppressed += 1;
      return;
    }
    const { suppressed } = warnings;
    warnings.suppressed = 0;
    warnings.written += 1;
    log.warn('A request was not served', {
      ...lineOf(exchange),
      status,
      ...cause,
      ...(suppressed === 0 ? {} : { lines_left_out_before: suppressed }),
    });
  }

  return {
    endpoint: (route) => ({
      route: withCompiledSchemas(route),
      bodyMaxBytes: route.bodyMaxBytes ?? BODY_MAX_BYTES,
      bodyOptional: route.body?.safeParse(undefined).success ?? false,
      emptyQuery: route.query === undefined ? NOTHING : validate(route.query, {}, 'query'),
      meter: metrics.route(route.method, route.path),
    }),
    serve: (endpoint, request, response, params) => serve(begin(endpoint, request, response, params)),
    answer: (endpoint, request, response, reply) => send(begin(endpoint, request, response, {}), reply),
    fail: (endpoint, request, response, error) => fail(begin(endpoint, request, response, {}), error),
  };
}

function lineOf({ requestId, request, endpoint, actor }: Exchange) {
  return { request_id: requestId, method: request.method, route: endpoint.route.path, actor: actor.id };
}

function withCompiledSchemas(route: Route): Route {
  const compiled = { ...route };
  if (route.params !== undefined) compiled.params = compile(route.params);
  if (route.query !== undefined) compiled.query = compile(route.query);
  if (route.body !== undefined) compiled.body = compile(route.body);
  return compiled;
}

/** Puts validated input into the exchange. Returns everything that is wrong with it, or null. */
function inputErrors(exchange: Exchange): InputError[] | null {
  const { route, emptyQuery } = exchange.endpoint;
  let errors: InputError[] | null = null;

  const take = (validated: Validated): unknown => {
    if ('value' in validated) return validated.value;
    errors = [...(errors ?? []), ...validated.errors];
    return undefined;
  };

  if (route.params !== undefined) exchange.params = take(validate(route.params, exchange.params, 'params'));
  const url = exchange.request.url!;
  const path = pathOf(url);
  exchange.query = take(path === url ? emptyQuery : queryOf(route, url.slice(path.length + 1)));
  if (route.body !== undefined) exchange.body = take(validate(route.body, exchange.body, 'body'));
  return errors;
}

function queryOf({ query: schema }: Route, text: string): Validated {
  const query = parseQuery(text);
  if ('errors' in query) return query;
  if (schema !== undefined) return validate(schema, query.value, 'query');
  const [first] = Object.keys(query.value as object);
  return first === undefined ? NOTHING : { errors: [{ path: first, message: 'is not a known parameter' }] };
}

function write({ response, requestId }: Exchange, { status, body, text, headers }: Reply): void {
  const content = text ?? (body === undefined ? undefined : JSON.stringify(body));
  // In one list, and the content's length with it, Node sends head and content as one piece.
  const lines = ['x-request-id', requestId, 'x-content-type-options', 'nosniff'];
  let typed = false;
  let cached = false;
  for (const name in headers) {
    lines.push(name, headers[name]!);
    if (name === 'content-type') typed = true;
    else if (name === 'cache-control') cached = true;
  }
  if (!cached) lines.push('cache-control', 'no-store');
  if (content !== undefined) {
    if (!typed) lines.push('content-type', 'application/json');
    lines.push('content-length', `${Buffer.byteLength(content)}`);
  } else if (status !== 204 && status !== 304) {
    lines.push('content-length', '0');
  }
  response.writeHead(status, lines);
  response.end(content);
}
