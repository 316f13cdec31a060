import { once, setMaxListeners } from 'node:events';
import type { LookupFunction } from 'node:net';
import { type Dispatcher, Pool } from 'undici';

/** As much of an answer's body is read: a connection whose answer ends within that can be used again. */
const READ_BODY_BYTES = 65_536;
/** As much of an answer's body is kept, in characters (Unicode code points). */
const KEPT_BODY_CHARACTERS = 1_000;
/** The longest that the other end may ask to be left alone for, in milliseconds. */
const LONGEST_RETRY_AFTER_MS = 24 * 3_600_000;
/** How long calls that are under way may go on after a close, in milliseconds. */
const CLOSE_MS = 1_000;

/** What was answered. */
export interface HttpAnswer {
  status: number;
  headers: Dispatcher.ResponseData['headers'];
  /** The body, or as much of it as came, up to 64 KiB. */
  body: string;
  /** When its head came, in epoch milliseconds. */
  arrivedMs: number;
}

/** A server that is called over HTTP. */
export interface HttpCaller {
  /**
   * Makes one call.
   * @param signal aborted when it has to end now
   * @param check looks at whether the call may be made, once it is known that it would be
   * @returns the answer as soon as its head is there, whatever becomes of the body; or what went wrong: `words` hold no
   *   more of the URL than its host
   */
  call(
    request: Omit<Dispatcher.RequestOptions, 'origin'>,
    signal: AbortSignal,
    check?: () => void,
  ): Promise<{ answer: HttpAnswer } | { error: Error; words: string }>;
  /** Lets calls that are under way go on for a second. */
  close(): Promise<void>;
}

/**
 * Makes what calls a server.
 * @param url of http or https
 * @param timeoutMs how long a call may take, from looking up the name to the end of the body
 * @param nowMs the time of day, in milliseconds since 1970
 * @param lookup asks the DNS; the system does, when it is not given
 * @param ca certificates in PEM that an https server's is checked against, instead of the usual ones
 */
export function createHttpCaller(deps: {
  url: URL;
  timeoutMs: number;
  nowMs: () => number;
  lookup?: LookupFunction | undefined;
  ca?: string | undefined;
}): HttpCaller {
  const { url, timeoutMs, nowMs, lookup, ca } = deps;
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // As many as there are attempts and connections.
  let closed: Promise<void> | undefined;
  // Without a bound of its own: there are as many connections as attempts at once, and those the caller bounds. In a
  // queue here an attempt would spend its time without the receiver having any part in it.
  const pool = new Pool(url.origin, {
    // Here the call's own timeout rules, which undici's, exact to half a second, would only blur.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: {
      timeout: timeoutMs,
      // Undici keeps no hold of a socket that is still connecting.
      signal: closing.signal,
      ...(lookup === undefined ? {} : { lookup }),
      ...(ca === undefined ? {} : { ca }),
    },
  });

  /** @param cut aborted when the call is over, with an error that says why */
  async function exchange(
    request: Omit<Dispatcher.RequestOptions, 'origin'>,
    cut: AbortSignal,
    check: (() => void) | undefined,
  ): ReturnType<HttpCaller['call']> {
    let response: Dispatcher.ResponseData;
    try {
      cut.throwIfAborted();
      check?.();
      // A request that still waits for its connection is not told of an abort by undici: it only never leaves.
      const cutOff = once(cut, 'abort').then(() => Promise.reject(cut.reason));
      response = await Promise.race([pool.request({ ...request, signal: cut }), cutOff]);
    } catch (error) {
      const words = cut.aborted ? (cut.reason as Error).message : `${url.host}: ${wordsOf(error as Error)}`;
      return { error: error as Error, words };
    }
    const { statusCode: status, headers, body } = response;
    const arrivedMs = nowMs();
    return { answer: { status, headers, arrivedMs, body: await readBeginning(body) } };
  }

  return {
    async call(request, signal, check) {
      const cut = new AbortController();
      const stop = () => cut.abort(new Error('The attempt was broken off because this process stops.'));
      if (signal.aborted || closed !== undefined) stop();
      const stops = [signal, closing.signal];
      for (const each of stops) each.addEventListener('abort', stop);
      const timer = setTimeout(
        () => cut.abort(new Error(`${url.host} did not answer within ${timeoutMs} ms`)),
        timeoutMs,
      );
      try {
        return await exchange(request, cut.signal, check);
      } finally {
        clearTimeout(timer);
        for (const each of stops) each.removeEventListener('abort', stop);
      }
    },
    close() {
      closed ??= closePool(pool, closing);
      return closed;
    },
  };
}

async function closePool(pool: Pool, closing: AbortController): Promise<void> {
  const timer = setTimeout(() => {
    closing.abort();
    void pool.destroy();
  }, CLOSE_MS);
  await pool.close();
  clearTimeout(timer);
}

/** `Sun, 06 Nov 1994 08:49:37 GMT`: the form in which dates are written since 1999 (RFC 9110, section 5.6.7). */
const HTTP_DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** How long the `Retry-After` of an answer asks to wait, in milliseconds, a day at most; null when it cannot be read. */
export function retryAfterMs({ headers, arrivedMs }: Pick<HttpAnswer, 'headers' | 'arrivedMs'>): number | null {
  const value = headers['retry-after'];
  if (typeof value !== 'string') return null;
  // Not by Date.parse alone, to which nearly any text with a number is a date.
  const dateMs = HTTP_DATE.test(value) ? Date.parse(value) : Number.NaN;
  const waitMs = /^\d+$/.test(value) ? Number(value) * 1_000 : dateMs - arrivedMs;
  return Number.isNaN(waitMs) ? null : Math.min(Math.max(waitMs, 0), LONGEST_RETRY_AFTER_MS);
}

/** As much of a body as is kept. */
export function keptBody(text: string): string {
  return [...text.slice(0, 2 * KEPT_BODY_CHARACTERS)].slice(0, KEPT_BODY_CHARACTERS).join('');
}

/** The beginning of a body, or of what came of it before it broke off. */
async function readBeginning(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      bytes += chunk.length;
      // Which closes the connection: nobody reads the rest.
      if (bytes >= READ_BODY_BYTES) break;
    }
  } catch {
    // It broke off, or took too long. The status has come all the same.
  }
  // As a stream, which leaves out a character that is cut in two at the end.
  return new TextDecoder().decode(Buffer.concat(chunks), { stream: true });
}

/** What went wrong with a connection, in words. None holds more of the URL than its host. */
function wordsOf(error: Error): string {
  // Several addresses were tried: then each says what happened, and the whole says nothing.
  if ('errors' in error) return (error as AggregateError).errors.map(wordsOf).join('; ');
  return error.message || error.name;
}
