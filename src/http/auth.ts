import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Caller, KeyRing } from '../access/key-ring';
import { accessMode, isLoopbackAuthority } from '../access/mode';
import type { Reply } from './contract';
import { problem, withHeaders } from './problem';
import { CONSOLE_HEADER, isCrossSite, isSafe, sessionKey } from './session';

/** What is looked at of a request. Express's is one. */
export type AuthenticatedRequest = Pick<IncomingMessage, 'headers' | 'rawHeaders' | 'method'> & {
  socket: { remoteAddress?: string | undefined };
};

/** Says who calls, or refuses: with a 401, a 403 (open mode), a 429 (too many wrong keys) or a 503 (not known). */
export type Authenticate = (
  request: AuthenticatedRequest,
  accepts?: {
    /** Also the key in HTTP Basic (RFC 7617): as the user name, or as either of user name and password. */
    basic: BasicPart;
  },
) => Caller | Reply | Promise<Reply>;

/** In which part of HTTP Basic's credentials a key may be. */
type BasicPart = 'user' | 'either';

/** Wrong keys that one network may send within {@link WRONG_KEYS_SECONDS}; then it is told to wait as long. */
export const WRONG_KEYS_MAX = 10;
export const WRONG_KEYS_SECONDS = 60;

/**
 * Networks are told apart by a bucket of their hash, so that no number of addresses takes more memory than this many
 * records. Two that share one share only how soon their wrong keys are answered 429 instead of 401.
 */
const NETWORK_BUCKETS = 4_096;

/** RFC 6750, section 2.1; its case does not matter (RFC 9110, section 11.1). */
const SCHEME = 'bearer ';
/** RFC 7617, section 2. */
const BASIC_SCHEME = 'basic ';

/** Who calls while there is no key at all. */
export const LOCAL: Caller = { actor: { id: 'local', name: null }, roles: ['admin'] };

/** How soon a process that waits for its keys, or cannot read them, should be asked again, in seconds. */
const WAITING_RETRY_SECONDS = 2;

/**
 * Makes the check of who calls.
 *
 * Wrong keys are slowed, right ones never: the limiter is asked only after a key was found to be wrong. It keeps noise
 * out of the log and spares the CPU; what keeps keys from being guessed is their length.
 *
 * @param deps.host the address that is listened on: see {@link accessMode}
 */
export function createAuthenticate(deps: { ring: KeyRing; host: string }): Authenticate {
  const { ring, host } = deps;
  const wrongKeys = new RateLimiterMemory({
    keyPrefix: '',
    points: WRONG_KEYS_MAX,
    duration: WRONG_KEYS_SECONDS,
    blockDuration: WRONG_KEYS_SECONDS,
  });

  async function refuseWrongKey(request: AuthenticatedRequest): Promise<Reply> {
    try {
      await wrongKeys.consume(networkBucket(request.socket.remoteAddress ?? ''));
    } catch (outcome) {
      if (!(outcome instanceof RateLimiterRes)) throw outcome;
      const retryAfterSeconds = Math.max(1, Math.ceil(outcome.msBeforeNext / 1000));
      const detail = `Too many wrong API keys came from this address. Try again in ${retryAfterSeconds} s, or at once with a right one.`;
      return withHeaders(problem(429, 'Too many wrong API keys', detail), { 'retry-after': `${retryAfterSeconds}` });
    }
    return unauthorized('Bearer error="invalid_token"', 'The API key is not known: it is misspelt or was revoked.');
  }

  function checkKey(request: AuthenticatedRequest, basic: BasicPart | null): Caller | Reply | Promise<Reply> {
    const token = (basic === null ? null : basicToken(request, basic)) ?? cookieToken(request) ?? bearerToken(request);
    if (typeof token !== 'string') return token;
    return ring.lookup(token) ?? (ring.mayBeUnread(token) ? notReady(UNREAD_WORDS) : refuseWrongKey(request));
  }

  /** Whether keys are asked for: once they are, they always are. */
  let locked = false;
  return (request, accepts) => {
    const basic = accepts?.basic ?? null;
    if (locked) return checkKey(request, basic);
    switch (accessMode({ host, ...ring.access() })) {
      case 'keys':
        locked = true;
        return checkKey(request, basic);
      case 'open':
        return refuseFromElsewhere(request) ?? LOCAL;
      // A process that finds out that it must not serve ends. Until it has, it knows no more callers than one that waits.
      case 'waiting':
      case 'refused':
        return notReady('It is not known yet which API keys there are. Try again in a moment.');
    }
  };
}

/**
 * What is said of a key that may have been created since the keys were last read. Nobody gets in by it, so there is nothing to
 * be gained by guessing; and senders that drop what is answered 401 keep it.
 */
const UNREAD_WORDS =
  'The API key is not among those that are known here, and Redis cannot be asked for new ones now. Try again in a moment.';

function notReady(detail: string): Reply {
  return withHeaders(problem(503, 'Not ready', detail), { 'retry-after': `${WAITING_RETRY_SECONDS}` });
}

/** The key in a request's HTTP Basic credentials, or null when it has none. */
function basicToken(request: AuthenticatedRequest, part: BasicPart): string | Reply | null {
  const { authorization = '' } = request.headers;
  if (authorization.slice(0, BASIC_SCHEME.length).toLowerCase() !== BASIC_SCHEME) return null;
  const credentials = Buffer.from(authorization.slice(BASIC_SCHEME.length).trim(), 'base64').toString('utf8');
  const colon = credentials.indexOf(':');
  if (colon === -1) return null;
  if (hasSeveralKeys(request)) return severalKeys();
  const user = credentials.slice(0, colon);
  return (part === 'either' && credentials.slice(colon + 1)) || user || null;
}

/**
 * The key in the session cookie of a request without other credentials, or null when there is none. A request that would
 * change something must say that it comes from a page of ours, and its browser must not say otherwise.
 */
function cookieToken({ headers, method }: AuthenticatedRequest): string | Reply | null {
  if (headers.authorization !== undefined) return null;
  const key = sessionKey(headers.cookie);
  if (key === null || isSafe(method)) return key;
  const rule = 'A call with the session of a browser that changes something must';
  if (isCrossSite(headers)) return problem(403, 'Forbidden', `${rule} not come from a page of another site.`);
  if (headers[CONSOLE_HEADER] !== undefined) return key;
  return problem(403, 'Forbidden', `${rule} have the header X-Sendgate-Console.`);
}

/** Whether a request says nothing of who calls. */
export function bringsNoKey({ headers }: Pick<AuthenticatedRequest, 'headers'>): boolean {
  return headers.authorization === undefined && sessionKey(headers.cookie) === null;
}

/** Node keeps the first of several headers. Something in front may have looked at another one, so none is believed. */
function hasSeveralKeys({ rawHeaders }: AuthenticatedRequest): boolean {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.length === 13 && name.toLowerCase() === 'authorization') count += 1;
  }
  return count > 1;
}

function severalKeys(): Reply {
  return unauthorized('Bearer', 'There must be one Authorization header, not several.');
}

/** The bearer token of a request, or why there is none. */
function bearerToken(request: AuthenticatedRequest): string | Reply {
  const { authorization } = request.headers;
  if (authorization === undefined) {
    return unauthorized('Bearer', 'Send an API key: Authorization: Bearer <key>.');
  }
  if (hasSeveralKeys(request)) return severalKeys();
  const token = authorization.slice(SCHEME.length).trim();
  if (token === '' || authorization.slice(0, SCHEME.length).toLowerCase() !== SCHEME) {
    return unauthorized('Bearer', 'The Authorization header must be of the form: Bearer <key>.');
  }
  return token;
}

function unauthorized(challenge: string, detail: string): Reply {
  return withHeaders(problem(401, 'Unauthorized', detail), { 'www-authenticate': challenge });
}

/**
 * Without keys, what protects the gate is that only this machine can connect. A browser on it runs other people's
 * pages: one of them may reach the gate under a name of its own that it has pointed at 127.0.0.1 (DNS rebinding), which
 * the Host header gives away, or send what needs no permission across origins, which Origin gives away.
 */
function refuseFromElsewhere({ headers }: AuthenticatedRequest): Reply | null {
  const { host, origin } = headers;
  if (host === undefined || !isLoopbackAuthority(host)) {
    return problem(
      403,
      'Forbidden',
      'While there is no API key, this must be called as localhost, 127.0.0.1 or [::1], because another name in the Host header may be a web page’s. Create a key to call it by other names: sendgate keys create --role admin.',
    );
  }
  if (origin !== undefined && !isLoopbackAuthority(origin.replace(/^https?:\/\//, ''))) {
    return problem(
      403,
      'Forbidden',
      'While there is no API key, this cannot be called from a web page of another origin. Create a key first: sendgate keys create --role admin.',
    );
  }
  return null;
}

/**
 * The bucket of the network that an address belongs to: an IPv4 address by itself, of IPv6 the /64, which is what one
 * customer gets at least.
 */
function networkBucket(address: string): string {
  return `${Number.parseInt(hash('sha256', networkOf(address), 'hex').slice(0, 8), 16) % NETWORK_BUCKETS}`;
}

/** The network that wrong keys are counted by. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  // Only after "::" do groups stand further right than they seem to, behind as many zeros as make eight.
  const groups = tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill('0'), ...right];
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}
