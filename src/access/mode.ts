import { isIPv4 } from 'node:net';

/**
 * How a process lets callers in:
 *
 * - `keys`: whoever has a key
 * - `open`: everybody on this machine; there is no key yet
 * - `waiting`: nobody, because it is not known yet whether there are keys
 * - `refused`: there is no key, and the address is not loopback: the process must not serve
 */
export type AccessMode = 'keys' | 'open' | 'waiting' | 'refused';

/** What the mode follows from. */
export interface AccessFacts {
  /** The address that is listened on, as HOST gives it. */
  host: string;
  /** Whether there is a key from SENDGATE_API_KEY. */
  envKey: boolean;
  /** Whether the keys in Redis have been read. */
  keysKnown: boolean;
  /** The most keys in Redis that this process has seen: once there was one, it never opens again. */
  keyCount: number;
}

/** Decides how callers are let in. */
export function accessMode({ host, envKey, keysKnown, keyCount }: AccessFacts): AccessMode {
  if (envKey || keyCount > 0) return 'keys';
  // On loopback too: a Redis that is not there yet may well hold keys, which a restart must not do away with.
  if (!keysKnown) return 'waiting';
  return isLoopback(host) ? 'open' : 'refused';
}

/** What an operator should know about a mode that is not `keys`. */
export function accessModeWords(mode: Exclude<AccessMode, 'keys'>, host: string): string {
  switch (mode) {
    case 'open':
      return `There is no API key: everybody on this machine may do everything, and nobody else can connect (HOST is ${host}). Create a key with "sendgate keys create --role admin", or set SENDGATE_API_KEY.`;
    case 'waiting':
      return 'Redis has not answered yet, so it is not known which API keys there are: calls are answered 503 until it does.';
    case 'refused':
      return `There is no API key, and HOST is ${host}, which others can reach. Set SENDGATE_API_KEY, or create a key with "sendgate keys create --role admin", or set HOST to 127.0.0.1.`;
  }
}

/** Whether a name or address, as in HOST or in a URL, is this machine's own: localhost, 127.0.0.0/8 or ::1. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (name === 'localhost' || name === '::1') return true;
  return isIPv4(name) && name.startsWith('127.');
}

/** Whether a Host header (a name or address, and perhaps a port) names this machine itself. */
export function isLoopbackAuthority(authority: string): boolean {
  const match = /^(\[[^\]]*\]|[^:[\]]+)(?::\d*)?$/.exec(authority);
  return match !== null && isLoopback(match[1]!);
}
