/**
 * First words of error replies by which a Redis says that it cannot do what it otherwise would, now:
 *
 * - LOADING: it reads its data from disk after a start.
 * - READONLY: it is a replica; a failover is on its way, or REDIS_URL points to the wrong node.
 * - MASTERDOWN: it is a replica that lost its master.
 * - CLUSTERDOWN, TRYAGAIN: some slots are served by nobody, or are on the move.
 * - OOM: its memory is full (maxmemory with noeviction, which Sendgate needs). Give it more.
 * - MISCONF: it cannot save to disk and refuses writes until it can.
 * - NOREPLICAS: fewer replicas follow it than min-replicas-to-write asks for.
 * - BUSY: another script holds it.
 */
const SERVER_WORDS = 'LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|OOM|MISCONF|NOREPLICAS|BUSY';
/** Before Redis 7 an error inside a script came with the script's name in front. */
const SERVER_REPLY = new RegExp(
  `^(?:(?:${SERVER_WORDS}) |ERR max number of clients|ERR Error running script .*: -?(?:${SERVER_WORDS}) )`,
);

/** The same of READONLY and MASTERDOWN: a replica says so. */
const REPLICA_REPLY = /^(?:READONLY|MASTERDOWN) |^ERR Error running script .*: -?(?:READONLY|MASTERDOWN) /;

/** What a connection says of a server that it does not use because it is a replica. */
export const IS_REPLICA = 'Redis is a replica, which takes no writes';

/** Names of ioredis's error classes, not checked by `instanceof`: there may be two copies of a class. */
const NAMES = new Set(['MaxRetriesPerRequestError', 'ClusterAllFailedError']);

/** ioredis throws these with nothing but words to tell them by. */
const MESSAGES = [
  'Connection is closed.',
  'Command aborted due to connection close',
  "Stream isn't writeable and enableOfflineQueue options is false",
  "Cluster isn't ready and enableOfflineQueue options is false",
  'Cluster is disconnect', // "ed." or "ing."
  'Cluster is ended.',
  'Node is disconnected',
  'None of startup nodes is available',
  'No Sentinel names the master',
  IS_REPLICA,
  'Too many Cluster redirections',
  'connect ETIMEDOUT',
];

/** Sockets' and resolvers' error codes. */
const CODES = /^(?:ECONN[A-Z]+|ETIMEDOUT|EPIPE|EHOSTUNREACH|EHOSTDOWN|ENETUNREACH|ENETDOWN|ENOTFOUND|EAI_[A-Z]+)$/;

/**
 * Why a Redis could not be used, in a few words for the operator and fit for a metric's label; null for every other
 * error, which is a fault of ours.
 */
export function redisFailureReason(error: unknown): 'timeout' | 'unreachable' | 'refused' | null {
  if (typeof error !== 'object' || error === null) return null;
  const { name, message, code } = error as { name?: unknown; message?: unknown; code?: unknown };
  if (typeof message !== 'string') return null;
  if (message === 'Command timed out' || message.startsWith('Socket timeout.')) return 'timeout';
  if (SERVER_REPLY.test(message)) return 'refused';
  if (typeof name === 'string' && NAMES.has(name)) return 'unreachable';
  if (typeof code === 'string' && CODES.test(code)) return 'unreachable';
  return MESSAGES.some((words) => message.startsWith(words)) ? 'unreachable' : null;
}

/** Whether the error is the reply of a server that is a replica, and so did nothing. */
export function isFromReplica(error: Error): boolean {
  return REPLICA_REPLY.test(error.message);
}

/** Whether the error says that Redis did not answer, or answered that it cannot serve just now. */
export function isRedisUnavailable(error: unknown): boolean {
  return redisFailureReason(error) !== null;
}

/** How OpenSSL and Node say that they do not believe a certificate. */
const DISTRUST =
  /^(?:UNABLE_TO_(?:GET_ISSUER_CERT|GET_ISSUER_CERT_LOCALLY|VERIFY_LEAF_SIGNATURE)|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|CERT_[A-Z_]+|INVALID_CA|INVALID_PURPOSE)$/;

/**
 * What the operator has to mend when an error says that waiting for Redis will not help: the secrets and certificates
 * by which Redis and Sendgate know each other. Null for every other error.
 */
export function redisAdvice(error: unknown): string | null {
  const words = redisWords(error);
  if (words === null) return null;
  if (/\bNOAUTH\b/.test(words)) return 'it asks for a password, and REDIS_URL gives none.';
  if (/\bWRONGPASS\b/.test(words)) return 'it refuses the user name or the password in REDIS_URL.';
  if (words === IS_REPLICA) return 'it is a replica. REDIS_URL must lead to its master, or name its Sentinels.';
  const { code = '' } = innerError(error as object);
  if (DISTRUST.test(code)) {
    return 'its certificate is not trusted. Name the authority that signed it with tls_ca in REDIS_URL.';
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return 'its certificate is for another name. Give that with tls_servername in REDIS_URL, or connect by it.';
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) {
    return 'it and Sendgate do not come to terms over TLS. REDIS_URL begins with rediss only where Redis speaks TLS, and may have to give tls_cert and tls_key.';
  }
  return null;
}

/** What an error says of why Redis cannot be used; a Cluster's says it in an error inside. */
export function redisWords(error: unknown): string | null {
  if (typeof error !== 'object' || error === null) return null;
  const { message, name, code } = innerError(error);
  return message || code || name || null;
}

function innerError(error: object): Partial<NodeJS.ErrnoException> {
  const { lastNodeError } = error as { lastNodeError?: object };
  return lastNodeError ?? error;
}
