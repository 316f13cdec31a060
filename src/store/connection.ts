import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { type Cluster, type ClusterOptions, Redis } from 'ioredis';
import { connectCluster } from './cluster';
import { isFromReplica } from './failure';
import { connectBySentinel } from './sentinel';
import { type Address, type RedisOptions, WriterConnector, withDuplicates } from './socket';

/** A connection to a Redis, a Sentinel group or a Cluster. */
export type RedisClient = Redis | Cluster;

/** Where Redis is, read from a URL. */
export type RedisTarget =
  | { kind: 'standalone'; options: RedisOptions }
  | { kind: 'sentinel'; options: RedisOptions }
  | { kind: 'cluster'; nodes: Address[]; options: RedisOptions };

const FORMS =
  'redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://';

/** The parameters, and the schemes that each is for. */
const PARAMETERS: Record<string, RegExp> = {
  db: /^(?:unix|rediss?)$/,
  tls_ca: /^rediss/,
  tls_cert: /^rediss/,
  tls_key: /^rediss/,
  tls_servername: /^rediss/,
  sentinel_username: /sentinel$/,
  sentinel_password: /sentinel$/,
};

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
  for (const name of parameters.keys()) {
    const schemes = PARAMETERS[name];
    if (schemes === undefined) throw new Error(`has a parameter that is not known: ${name}`);
    if (!schemes.test(scheme)) throw new Error(`has a parameter that means nothing with ${scheme}://: ${name}`);
  }
  if (scheme.startsWith('rediss')) options.tls = tlsOptions(parameters);

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

function parseHosts(text: string, defaultPort: number): Address[] {
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
    if (path === null) return undefined;
    try {
      return readFileSync(path);
    } catch (error) {
      throw new Error(`names a ${name} that cannot be read: ${(error as Error).message}`);
    }
  };
  const ca = read('tls_ca');
  const cert = read('tls_cert');
  const key = read('tls_key');
  const servername = parameters.get('tls_servername');
  if ((cert === undefined) !== (key === undefined)) throw new Error('must have tls_cert and tls_key together');
  try {
    // TLS itself takes a file without a certificate for one that trusts nobody more.
    if (ca !== undefined) new X509Certificate(ca);
  } catch {
    throw new Error('names a tls_ca that is not a certificate in PEM');
  }
  try {
    if (cert !== undefined && key !== undefined) createSecureContext({ cert, key });
  } catch {
    throw new Error('names a tls_cert and a tls_key that are not a certificate in PEM and its key');
  }
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

/** What both kinds of connection do. */
function commonOptions(target: RedisTarget, { name, reconnectMs }: ConnectionOptions): RedisOptions {
  return {
    ...target.options,
    connectionName: name,
    retryStrategy: () => reconnectMs,
    // A master that has become a replica: another connection finds the new one. The command is not sent again.
    reconnectOnError: isFromReplica,
    // How often a Redis that reads its data from disk is asked whether it is done, at most.
    maxLoadingRetryTime: reconnectMs,
    // A connection that is given up is given up now: what it still brings is of no use.
    disconnectTimeout: reconnectMs,
  };
}

function open(target: RedisTarget, options: RedisOptions, clusterOptions: ClusterOptions): RedisClient {
  switch (target.kind) {
    case 'standalone':
      return withDuplicates(new Redis({ ...options, Connector: WriterConnector }), endWhenTold);
    case 'sentinel':
      return withDuplicates(connectBySentinel(options), endWhenTold);
    case 'cluster':
      return withDuplicates(connectCluster(target.nodes, options, clusterOptions), endWhenTold);
  }
}

/**
 * Makes a connection that is told to disconnect while it waits to be made again end there and then: ioredis would only
 * give up waiting, and leave those who wait for its end, as BullMQ's worker does, without one.
 */
function endWhenTold(connection: RedisClient): void {
  const disconnect = connection.disconnect.bind(connection);
  connection.disconnect = (reconnect = false) => {
    // A connection that was never made is one that ioredis ends at once.
    if (!reconnect && connection.status === 'reconnecting') connection.status = 'wait';
    disconnect(reconnect);
  };
}

/**
 * Opens the connection of an API: it fails fast. Nothing is queued while Redis is away, and no command is ever sent
 * twice, because a check that is sent twice counts twice.
 */
export function connectFailingFast(target: RedisTarget, connection: ConnectionOptions): RedisClient {
  const { commandTimeoutMs, reconnectMs } = connection;
  const options: RedisOptions = {
    ...commonOptions(target, connection),
    commandTimeout: commandTimeoutMs,
    // A peer that is gone without a word is noticed here: what is on its way is given up, and a new connection tried.
    socketTimeout: commandTimeoutMs * 2,
    connectTimeout: Math.max(commandTimeoutMs, 1_000),
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // One answer at a time in the shape of RESP2: the replies of scripts are the same in both.
    protocol: 2,
  };
  return open(target, options, {
    enableOfflineQueue: false,
    clusterRetryStrategy: () => reconnectMs,
    // A connection that closed may have delivered its command: only redirections, which did nothing, are followed.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    slotsRefreshTimeout: Math.max(commandTimeoutMs, 1_000),
  });
}

/**
 * How long a worker's Redis may be silent after a command before it counts as gone, in milliseconds. BullMQ's commands
 * wait in Redis for at most ten seconds.
 */
const PATIENT_SOCKET_TIMEOUT_MS = 30_000;

/** Opens the connection of a worker: it waits for Redis as long as it takes. */
export function connectPatiently(target: RedisTarget, connection: ConnectionOptions): RedisClient {
  const { reconnectMs } = connection;
  const options: RedisOptions = {
    ...commonOptions(target, connection),
    socketTimeout: PATIENT_SOCKET_TIMEOUT_MS,
    maxRetriesPerRequest: null,
  };
  return open(target, options, { clusterRetryStrategy: () => reconnectMs });
}
