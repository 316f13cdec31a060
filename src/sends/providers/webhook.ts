import { once, setMaxListeners } from 'node:events';
import { unescape as decodeLeniently } from 'node:querystring';
import { Webhook } from 'standardwebhooks';
import { type Dispatcher, Pool } from 'undici';
import type { Delivery, DeliveryOutcome, Provider, ProviderResponse } from './provider';
import { createTargetLookup, type Resolve, refusePrivateHost, TargetRefusedError } from './targets';

/** As much of an answer's body is kept, in characters (Unicode code points). */
const KEPT_BODY_CHARACTERS = 1_000;
/** As much of it is read: a connection whose answer ends within that can be used again. */
const READ_BODY_BYTES = 65_536;
/** The longest that a receiver may ask to be left alone for, in milliseconds. */
const LONGEST_RETRY_AFTER_MS = 24 * 3_600_000;
/** As much of where a redirect leads is told, in characters. */
const LOCATION_CHARACTERS = 500;
/** How long attempts that are under way may go on after a close, in milliseconds. */
const CLOSE_MS = 1_000;

/** What it takes to reach an HTTP endpoint. */
export interface WebhookTargetDeps {
  /** Of http or https. Its user and password, if it has them, are sent as basic authentication. */
  url: URL;
  /** `whsec_` and base64; null: nothing is signed. */
  secret: string | null;
  /** How long one attempt may take, from looking up the name to the end of the body. */
  timeoutMs: number;
  /** Whether the URL may lead to addresses that are not public. */
  allowPrivateTargets: boolean;
  /** The time of day, in milliseconds since 1970. */
  nowMs: () => number;
  /** Asks the DNS; the system does, when it is not given. */
  lookup?: Resolve;
  /**
   * Certificates in PEM that an https server's is checked against, instead of the usual ones. For tests: an operator has
   * NODE_EXTRA_CA_CERTS.
   */
  ca?: string;
}

/** An HTTP endpoint that takes Standard Webhooks. */
export interface WebhookTarget {
  /**
   * Makes one attempt. Never throws for anything that the other end does: that is an outcome.
   * @param id what is sent, and signed, as `webhook-id`: visible ASCII without a `.`
   * @param body JSON
   * @param signal aborted when the attempt has to end now
   */
  post(id: string, body: string, signal: AbortSignal): Promise<DeliveryOutcome>;
  /** Closes what it keeps open. */
  close(): Promise<void>;
}

/**
 * Hands messages to an HTTP endpoint of the operator's own, as Standard Webhooks
 * (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
 *
 * `webhook-id` is the message id, with everything percent-encoded that a header cannot carry (whatever is not visible
 * ASCII), `%` itself, so that no two ids become one, and `.`, which the specification forbids in ids because it parts what
 * is signed. That text is also what is signed, so receivers' libraries verify it as it comes; the id as the sender
 * wrote it is `data.message_id`.
 *
 * @throws Error when the secret or the URL cannot be used; its message holds neither
 */
export function createWebhookProvider(deps: WebhookTargetDeps): Provider {
  const target = createWebhookTarget(deps);
  return {
    name: 'webhook',
    deliver: (delivery, signal) =>
      target.post(headerTextOf(delivery.messageId), JSON.stringify(payloadOf(delivery)), signal),
    close: target.close,
  };
}

/**
 * Reaches an HTTP endpoint that takes Standard Webhooks.
 *
 * The status decides, as soon as it is there. However large, slow or broken the body that follows is, a message that was
 * taken is never sent again for it. That includes an attempt that is aborted while it reads the body.
 *
 * @throws Error when the secret or the URL cannot be used; its message holds neither
 */
export function createWebhookTarget(deps: WebhookTargetDeps): WebhookTarget {
  const { url, secret, timeoutMs, allowPrivateTargets, nowMs, lookup, ca } = deps;
  const webhook = secret === null ? null : new Webhook(secret);
  const authorization = basicAuthorization(url);
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // As many as there are attempts and connections.
  let closed: Promise<void> | undefined;
  // Without a bound of its own: there are as many connections as attempts at once, and those the caller bounds. In a
  // queue here an attempt would spend its time without the receiver having any part in it.
  const pool = new Pool(url.origin, {
    // Here the attempt's own timeout rules, which undici's, exact to half a second, would only blur.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: {
      lookup: createTargetLookup(allowPrivateTargets, lookup),
      timeout: timeoutMs,
      // Undici keeps no hold of a socket that is still connecting.
      signal: closing.signal,
      ...(ca === undefined ? {} : { ca }),
    },
  });

  function requestOf(id: string, body: string): Dispatcher.RequestOptions {
    const sentAt = new Date(nowMs());
    return {
      path: url.pathname + url.search,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'sendgate',
        ...(authorization === null ? {} : { authorization }),
        'webhook-id': id,
        'webhook-timestamp': `${Math.floor(sentAt.getTime() / 1_000)}`,
        ...(webhook === null ? {} : { 'webhook-signature': webhook.sign(id, sentAt, body) }),
      },
      body,
    };
  }

  /** @param cut aborted when the attempt is over, with an error that says why */
  async function attempt(request: Dispatcher.RequestOptions, cut: AbortSignal): Promise<DeliveryOutcome> {
    let answer: Dispatcher.ResponseData;
    try {
      cut.throwIfAborted();
      if (!allowPrivateTargets) refusePrivateHost(url.hostname);
      // A request that still waits for its connection is not told of an abort by undici: it only never leaves.
      const cutOff = once(cut, 'abort').then(() => Promise.reject(cut.reason));
      answer = await Promise.race([pool.request({ ...request, signal: cut }), cutOff]);
    } catch (error) {
      if (error instanceof TargetRefusedError) return { kind: 'failed', error: error.message, response: null };
      const words = cut.aborted ? (cut.reason as Error).message : `${url.host}: ${wordsOf(error as Error)}`;
      return { kind: 'retry', error: words, response: null, retryAfterMs: null };
    }
    const { statusCode: status, headers, body } = answer;
    const arrivedMs = nowMs();
    return outcomeOf(url, headers, arrivedMs, { status, body: await readBeginning(body) });
  }

  return {
    async post(id, body, signal) {
      const request = requestOf(id, body);
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
        return await attempt(request, cut.signal);
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

/** The `authorization` for the user and password of a URL, or null when it has none. */
function basicAuthorization({ username, password }: URL): string | null {
  if (username === '' && password === '') return null;
  // Not by decodeURIComponent, which throws at a percent sign that stands for itself.
  return `Basic ${Buffer.from(`${decodeLeniently(username)}:${decodeLeniently(password)}`).toString('base64')}`;
}

/** What of a message id is sent, and signed, as `webhook-id`. `decodeURIComponent` gives the id back. */
function headerTextOf(messageId: string): string {
  return messageId
    .toWellFormed()
    .replace(/[^!-~]|%/gu, encodeURIComponent)
    .replaceAll('.', '%2E');
}

function payloadOf(delivery: Delivery) {
  return {
    type: 'message.send',
    // Of what is told, and so the same in every attempt; `webhook-timestamp` is the attempt's.
    timestamp: new Date(delivery.takenMs).toISOString(),
    data: {
      message_id: delivery.messageId,
      user_id: delivery.userId,
      account_id: delivery.accountId,
      topic_id: delivery.topicId,
      to: delivery.to,
      template: delivery.template,
      content: delivery.content ?? null,
      data: delivery.data,
      metadata: delivery.metadata,
    },
  };
}

function outcomeOf(
  url: URL,
  headers: Dispatcher.ResponseData['headers'],
  arrivedMs: number,
  response: ProviderResponse & { status: number },
): DeliveryOutcome {
  const { status } = response;
  if (status >= 200 && status < 300) return { kind: 'sent', reference: null, response };
  const error = `${url.host} answered ${status}`;
  if (status < 400) {
    return {
      kind: 'failed',
      error: `${error}: redirects are not followed${leadingTo(headers.location, url)}`,
      response,
    };
  }
  // What is above 599 is no status, and counts as an error of the server (RFC 9110, section 15).
  if (status >= 500 || status === 408 || status === 425 || status === 429) {
    const obeyed = status === 429 || status === 503;
    return {
      kind: 'retry',
      error,
      response,
      retryAfterMs: obeyed ? retryAfterMs(headers['retry-after'], arrivedMs) : null,
    };
  }
  return { kind: 'failed', error, response };
}

/** Where a redirect leads, in words, without what may be secret: a receiver that adds a slash repeats our own URL. */
function leadingTo(location: string | string[] | undefined, url: URL): string {
  if (typeof location !== 'string' || !URL.canParse(location, url.href)) return '';
  const target = new URL(location, url);
  target.username = '';
  target.password = '';
  target.search = '';
  target.hash = '';
  return ` (to ${target.href.slice(0, LOCATION_CHARACTERS)})`;
}

/** `Sun, 06 Nov 1994 08:49:37 GMT`: the form in which dates are written since 1999 (RFC 9110, section 5.6.7). */
const HTTP_DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** How long a `Retry-After` asks to wait, in milliseconds, or null when it cannot be read. */
function retryAfterMs(value: string | string[] | undefined, arrivedMs: number): number | null {
  if (typeof value !== 'string') return null;
  // Not by Date.parse alone, to which nearly any text with a number is a date.
  const dateMs = HTTP_DATE.test(value) ? Date.parse(value) : Number.NaN;
  const waitMs = /^\d+$/.test(value) ? Number(value) * 1_000 : dateMs - arrivedMs;
  return Number.isNaN(waitMs) ? null : Math.min(Math.max(waitMs, 0), LONGEST_RETRY_AFTER_MS);
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
    // It broke off, or took too long. The status has decided.
  }
  // As a stream, which leaves out a character that is cut in two at the end.
  const text = new TextDecoder().decode(Buffer.concat(chunks), { stream: true });
  return [...text.slice(0, 2 * KEPT_BODY_CHARACTERS)].slice(0, KEPT_BODY_CHARACTERS).join('');
}

/** What went wrong with a connection, in words. None holds more of the URL than its host. */
function wordsOf(error: Error): string {
  // Several addresses were tried: then each says what happened, and the whole says nothing.
  if ('errors' in error) return (error as AggregateError).errors.map(wordsOf).join('; ');
  return error.message || error.name;
}
