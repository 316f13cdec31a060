import { readFileSync } from 'node:fs';
import { Cluster, type RedisOptions as LibraryOptions, Redis } from 'ioredis';

type RedisOptions = LibraryOptions & { replyMapping?: 'legacy' };

/** A connection to a Redis, a Sentinel group or a Cluster. */
export type RedisClient = Redis | Cluster;

/** Where Redis is, read from a URL. */
export type RedisTarget =
  | { kind: 'standalone'; options: RedisOptions }
  | { kind: 'sentinel'; options: RedisOptions }
  | { kind: 'cluster'; nodes: { host: string; port: number }[]; options: RedisOptions };

const FORMS =
  'redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://';

/**
 * Reads a Redis URL:
 *
 * - `redis://[user:password@]host[:port][/db]`, with `rediss://` for TLS
 * - `unix:///path/to/socket[?db=0]`
 * - `redis+sentinel://[user:password@]host[:port][,host[:port]...]/master-name[/db]`
 * - `redis+cluster://[user:password@]host[:port][,host[:port]...]`
 *
 * TLS takes `?tls_ca=/path`, `tls_cert`, `tls_key` and `tls_servername`; Sentinel `?sentinel_username=` and
 * `?sentinel_password=`.
 * @throws Error with words for the operator, which never repeat the password.
 */
export function parseRedisUrl(text: string): RedisTarget {
  const match = /^([a-z+]+):\/\/(?:([^@/]*)@)?([^/?]*)(\/[^?]*)?(?:\?(.*))?$/.exec(text);
  if (match === null) throw new Error(`must be a URL that begins with ${FORMS}`);
  const [, scheme = '', credentials, hosts = '', path = '', query = ''] = match;
  const parameters = new URLSearchParams(query);
  const options: RedisOptions = {};
  if (credentials !== undefined && credentials !== '') {
    const separator = credentials.indexOf(':');
    const username = decode(separator === -1 ? credentials : credentials.slice(0, separator), 'user name');
    if (username !== '') options.username = username;
    if (separator !== -1) options.password = decode(credentials.slice(separator + 1), 'password');
  }
  if (scheme.startsWith('rediss')) options.tls = tlsOptions(parameters);
  const known = new Set([
    'db',
    'tls_ca',
    'tls_cert',
    'tls_key',
    'tls_servername',
    'sentinel_username',
    'sentinel_password',
  ]);
  for (const name of parameters.keys()) {
    if (!known.has(name)) throw new Error(`has a parameter that is not known: ${name}`);
  }

  switch (scheme) {
    case 'unix':
      if (hosts !== '' || path === '') throw new Error('must be unix:///path/to/socket');
      return { kind: 'standalone', options: { ...options, path, ...database(parameters.get('db')) } };
    case 'redis':
    case 'rediss': {
      const [node, ...others] = parseHosts(hosts, 6379);
      if (node === undefined || others.length > 0) throw new Error('must name one host');
      return {
        kind: 'standalone',
        options: { ...options, ...node, ...database(path.slice(1) || parameters.get('db')) },
      };
    }
    case 'redis+sentinel':
    case 'rediss+sentinel': {
      const [name, db] = path.slice(1).split('/');
      if (name === undefined || name === '')
        throw new Error('must name the master: redis+sentinel://host:26379/mymaster');
      const sentinels = parseHosts(hosts, 26379);
      const sentinelUsername = parameters.get('sentinel_username');
      const sentinelPassword = parameters.get('sentinel_password');
      return {
        kind: 'sentinel',
        options: {
          ...options,
          ...database(db),
          sentinels,
          name,
          ...(sentinelUsername === null ? {} : { sentinelUsername }),
          ...(sentinelPassword === null ? {} : { sentinelPassword }),
          ...(options.tls === undefined ? {} : { sentinelTLS: options.tls, enableTLSForSentinelMode: true }),
        },
      };
    }
    case 'redis+cluster':
    case 'rediss+cluster':
      if (path !== '' && path !== '/' && path !== '/0')
        throw new Error('must not name a database: a Cluster has only one');
      return { kind: 'cluster', nodes: parseHosts(hosts, 6379), options };
    default:
      throw new Error(`must begin with ${FORMS}`);
  }
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`has a ${what} that is not percent-encoded`);
  }
}

function database(text: string | null | undefined): { db?: number } {
  if (text === null || text === undefined || text === '') return {};
  if (!/^\d{1,5}$/.test(text)) throw new Error('must name a database by its number');
  return { db: Number(text) };
}

function parseHosts(text: string, defaultPort: number): { host: string; port: number }[] {
  return text.split(',').map((part) => {
    const match = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(part);
    const port = Number(match?.[2] ?? defaultPort);
    if (match === null || port > 65_535) throw new Error('must name hosts as host:port, separated by commas');
    return { host: match[1]!.replace(/^\[|\]$/g, ''), port };
  });
}

function tlsOptions(parameters: URLSearchParams): NonNullable<RedisOptions['tls']> {
  const read = (name: string) => {
    const path = parameters.get(name);
    return path === null ? undefined : readFileSync(path);
  };
  const [ca, cert, key, servername] = [
    read('tls_ca'),
    read('tls_cert'),
    read('tls_key'),
    parameters.get('tls_servername'),
  ];
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(servername === null ? {} : { servername }),
  };
}

/** How a connection behaves towards a Redis that does not answer. */
export interface ConnectionOptions {
  /** Shown in CLIENT LIST. */
  name: string;
  /** How long a command may take before it fails, in milliseconds. */
  commandTimeoutMs: number;
  /** How long to wait before the connection is tried again, in milliseconds. */
  reconnectMs: number;
}

/**
 * Opens the connection of an API: it fails fast. Nothing is queued while Redis is away, and no command is ever sent
 * twice, because a check that is sent twice counts twice.
 */
export function connectFailingFast(
  target: RedisTarget,
  { name, commandTimeoutMs, reconnectMs }: ConnectionOptions,
): RedisClient {
  const common: RedisOptions = {
    ...target.options,
    connectionName: name,
    commandTimeout: commandTimeoutMs,
    // A peer that is gone without a word is noticed here: what is on its way is given up, and a new connection tried.
    socketTimeout: commandTimeoutMs * 2,
    connectTimeout: Math.max(commandTimeoutMs, 1_000),
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => reconnectMs,
    // A master that has become a replica: another connection finds the new one. The command is not sent again.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    // One answer at a time in the shape of RESP2: the replies of scripts are the same in both.
    protocol: 2,
  };
  if (target.kind === 'cluster') {
    return new Cluster(target.nodes, {
      redisOptions: common,
      enableOfflineQueue: false,
      clusterRetryStrategy: () => reconnectMs,
      // A connection that closed may have delivered its command: only redirections, which did nothing, are followed.
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      slotsRefreshTimeout: Math.max(commandTimeoutMs, 1_000),
    });
  }
  return new Redis({ ...common, enableOfflineQueue: false });
}

/** Opens the connection of a worker: it waits for Redis as long as it takes. */
export function connectPatiently(target: RedisTarget, { name, reconnectMs }: ConnectionOptions): RedisClient {
  const common: RedisOptions = {
    ...target.options,
    connectionName: name,
    maxRetriesPerRequest: null,
    retryStrategy: () => reconnectMs,
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  };
  if (target.kind === 'cluster') {
    return new Cluster(target.nodes, { redisOptions: common, clusterRetryStrategy: () => reconnectMs });
  }
  return new Redis(common);
}
