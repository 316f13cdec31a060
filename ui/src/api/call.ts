/** What is wrong with one field of a request. */
export interface FieldError {
  /** Such as `max`, or `where.user`. */
  path: string;
  message: string;
}

/** Why a call did not give what was asked for. */
export class CallError extends Error {
  /** The HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly title: string;
  /** What is wrong with which field, for a 400. */
  readonly errors: readonly FieldError[];
  /** The whole problem. */
  readonly body: Readonly<Record<string, unknown>>;

  constructor(status: number, title: string, detail: string, body: Record<string, unknown> = {}) {
    super(detail);
    this.status = status;
    this.title = title;
    this.errors = Array.isArray(body.errors) ? (body.errors as FieldError[]) : [];
    this.body = body;
  }

  /** Whether it may pass by itself: nobody answered, or one that cannot at the moment. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>;

export interface CallOptions {
  query?: Query | undefined;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** An answer, with the headers that came with it. */
export interface Answer<Body> {
  body: Body;
  headers: Headers;
}

/** After how many milliseconds an answer is no longer waited for: a large list on a busy Redis takes a second or two. */
const TIMEOUT_MS = 20_000;

/** Told when the session has ended. */
let onSignedOut: () => void = () => undefined;
/** Says whom to tell when a call is refused for want of a session. */
export function whenSignedOut(tell: () => void): void {
  onSignedOut = tell;
}

/**
 * Calls the API.
 * @param path such as `limits/user-daily`, made with {@link segment} where it holds what somebody typed
 * @throws CallError
 */
export async function callWithHeaders<Body>(
  method: string,
  path: string,
  { query, body, headers, signal }: CallOptions = {},
): Promise<Answer<Body>> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response: Response;
  let text: string;
  try {
    response = await fetch(path + queryText(query), {
      method,
      headers: {
        accept: 'application/json',
        // No other site may send it: see "session" in docs/access.md.
        'x-sendgate-console': '1',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
      credentials: 'same-origin',
      cache: 'no-store',
      redirect: 'error',
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (timeout.aborted) {
      throw new CallError(0, 'Sendgate is slow', `There was no answer within ${TIMEOUT_MS / 1_000} seconds.`);
    }
    throw new CallError(
      0,
      'Sendgate does not answer',
      'It may be starting again, or this browser has lost the network.',
    );
  }
  const value = parse(text);
  if (response.ok) return { body: value as Body, headers: response.headers };
  if (response.status === 401) onSignedOut();
  throw errorOf(response.status, value);
}

/** The same, for the body alone. @throws CallError */
export async function call<Body>(method: string, path: string, options?: CallOptions): Promise<Body> {
  return (await callWithHeaders<Body>(method, path, options)).body;
}

/**
 * A part of a path. @throws CallError for what a browser would take for a step in the path, however it is written
 */
export function segment(text: string): string {
  if (text === '.' || text === '..') {
    throw new CallError(400, 'Not for a browser', `A browser cannot ask for the id “${text}”. Ask for it with curl.`);
  }
  return encodeURIComponent(text);
}

function queryText(query: Query | undefined): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined || value === '') continue;
    for (const one of typeof value === 'object' ? value : [value]) parameters.append(name, String(one));
  }
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // A proxy's page, perhaps.
    return undefined;
  }
}

function errorOf(status: number, value: unknown): CallError {
  const body = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const title = typeof body.title === 'string' ? body.title : 'Sendgate cannot answer';
  const detail = typeof body.detail === 'string' ? body.detail : `The answer was a ${status}.`;
  return new CallError(status, title, detail, body);
}
