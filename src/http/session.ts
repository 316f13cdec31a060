import type { IncomingHttpHeaders } from 'node:http';

/** The cookie in which a browser keeps the API key that it signed in with. */
const COOKIE = 'sendgate_session';
/** How long a browser keeps it, in seconds: a working day. */
const MAX_AGE_SECONDS = 12 * 3_600;

/**
 * What a page of ours sends along when it changes something, and a page of another origin cannot send without being asked
 * first (https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html, custom
 * request headers): the cookie alone, which a browser sends by itself, lets nobody change anything. It is asked for
 * beside SameSite, which does not tell one subdomain from another.
 */
export const CONSOLE_HEADER = 'x-sendgate-console';

/**
 * Whether a browser says that a page of another site calls (https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header), which
 * no page can make it leave out. Origin and Host say less: a proxy in front changes the latter.
 */
export function isCrossSite(headers: IncomingHttpHeaders): boolean {
  return headers['sec-fetch-site'] === 'cross-site';
}

/** The key in a request's session cookie, or null. */
export function sessionKey(cookies: string | undefined): string | null {
  if (cookies === undefined) return null;
  for (const part of cookies.split(';')) {
    const [name = '', ...value] = part.split('=');
    if (name.trim() === COOKIE) return value.join('=').trim() || null;
  }
  return null;
}

/** Whether a method changes nothing. */
export function isSafe(method: string | undefined): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}

/**
 * The `Set-Cookie` that signs a browser in. No script can read it, and no other site has it sent.
 * @param key made of what RFC 6750 allows in a token, all of which may stand in a cookie (RFC 6265, section 4.1.1)
 * @param isSecure whether the page came by https: the cookie is then never sent otherwise
 */
export function signInCookie(key: string, isSecure: boolean): string {
  return `${COOKIE}=${key}; Path=/; Max-Age=${MAX_AGE_SECONDS}; ${attributes(isSecure)}`;
}

/** The `Set-Cookie` that signs it out. */
export function signOutCookie(isSecure: boolean): string {
  return `${COOKIE}=; Path=/; Max-Age=0; ${attributes(isSecure)}`;
}

function attributes(isSecure: boolean): string {
  return `HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`;
}
