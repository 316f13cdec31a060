import { unescape as decodeLeniently } from 'node:querystring';
import { Webhook } from 'standardwebhooks';
import type { Dispatcher } from 'undici';
import { createHttpCaller, type HttpAnswer, keptBody, retryAfterMs } from './http-caller';
import type { Delivery, DeliveryOutcome, Provider } from './provider';
import { createTargetLookup, type Resolve, refusePrivateHost, TargetRefusedError } from './targets';

/** As much of where a redirect leads is told, in characters. */
const LOCATION_CHARACTERS = 500;
/** As much of what an answer says. All that is kept of it is in the message's history. */
const SAYING_CHARACTERS = 200;

/** What it takes to reach an HTTP endpoint. */
export interface WebhookTargetDeps {
  /** Of http or https. Its user and password, if it has them, are sent as basic authentication. */
  url: URL;
  /** In base64, with `whsec_` before it or without; null: nothing is signed. */
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
    async deliver(delivery, signal) {
      const outcome = await target.post(headerTextOf(delivery.messageId), JSON.stringify(payloadOf(delivery)), signal);
      if (outcome.kind === 'sent' || outcome.response === null || isRedirect(outcome.response.status)) return outcome;
      // Here, and not for every target: what that of an alert says is not for whoever may choose it.
      return { ...outcome, error: `${outcome.error}${saying(outcome.response.body)}` };
    },
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
  const caller = createHttpCaller({
    ...{ url, timeoutMs, nowMs, ca },
    lookup: createTargetLookup(allowPrivateTargets, lookup),
  });

  function requestOf(id: string, body: string): Omit<Dispatcher.RequestOptions, 'origin'> {
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

  return {
    async post(id, body, signal) {
      const called = await caller.call(requestOf(id, body), signal, () => {
        if (!allowPrivateTargets) refusePrivateHost(url.hostname);
      });
      if ('answer' in called) return outcomeOf(url, called.answer);
      const { error, words } = called;
      if (error instanceof TargetRefusedError) return { kind: 'failed', error: error.message, response: null };
      return { kind: 'retry', error: words, response: null, retryAfterMs: null };
    },
    close: caller.close,
  };
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

function outcomeOf(url: URL, answer: HttpAnswer): DeliveryOutcome {
  const { status, headers, body } = answer;
  const response = { status, body: keptBody(body) };
  if (status >= 200 && status < 300) return { kind: 'sent', reference: null, response };
  const error = `${url.host} answered ${status}`;
  if (isRedirect(status)) {
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
      retryAfterMs: obeyed ? retryAfterMs(answer) : null,
    };
  }
  return { kind: 'failed', error, response };
}

/** What is below 400 and no success leads elsewhere, if anywhere. */
function isRedirect(status: number | null): boolean {
  return status !== null && status < 400;
}

/** What an answer says, in one line. Of a page for people it would be the beginning of its head. */
function saying(body: string): string {
  const text = body.replace(/[\s\p{Cc}]+/gu, ' ').trim();
  if (text === '' || text.startsWith('<')) return '';
  return `: ${text.length <= SAYING_CHARACTERS ? text : `${text.slice(0, SAYING_CHARACTERS - 1)}…`}`.toWellFormed();
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
