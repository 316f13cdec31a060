import { Cluster, type Redis } from 'ioredis';
import type { RedisClient } from './connection';

/** What matters of the servers behind a connection. */
export interface ServerFacts {
  /** Each server's version of Redis, or the one that a Valkey is compatible with: `7.2.4`. */
  versions: string[];
  /** Each server's maxmemory-policy. */
  policies: string[];
}

/** The oldest Redis that has all commands and options that the scripts and the queue use. */
export const OLDEST_VERSION = '6.2';

/** Asks each server that takes writes. @throws whatever Redis fails with */
export async function readServerFacts(redis: RedisClient): Promise<ServerFacts> {
  const servers: Redis[] = redis instanceof Cluster ? redis.nodes('master') : [redis];
  const texts = await Promise.all(servers.map((server) => server.info()));
  return {
    versions: texts.map((text) => field(text, 'redis_version')),
    policies: texts.map((text) => field(text, 'maxmemory_policy')),
  };
}

function field(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
}

/**
 * What an operator should know of these servers: `refusal` when Sendgate cannot work with them, `warning` when it can,
 * but may lose counters. What a server keeps to itself is not held against it.
 */
export function judgeServers({ versions, policies }: ServerFacts): { refusal: string | null; warning: string | null } {
  const old = versions.find((version) => version !== '' && isOlder(version, OLDEST_VERSION));
  const evicting = policies.find((policy) => policy !== '' && policy !== 'noeviction');
  return {
    refusal: old === undefined ? null : `Redis ${old} is too old: Sendgate needs ${OLDEST_VERSION} or newer.`,
    warning:
      evicting === undefined
        ? null
        : `Redis's maxmemory-policy is ${evicting}: when its memory is full it throws counters and queued work away, and more messages go out than the limits allow. Set it to noeviction.`,
  };
}

function isOlder(version: string, than: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = than.split('.').map(Number);
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}
