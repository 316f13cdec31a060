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
  'All sentinels are unreachable',
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

/** Whether the error says that Redis did not answer, or answered that it cannot serve just now. */
export function isRedisUnavailable(error: unknown): boolean {
  return redisFailureReason(error) !== null;
}

/** What an error says of why Redis cannot be used; a Cluster's says it in an error inside. */
export function redisWords(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const inner = (error as { lastNodeError?: unknown }).lastNodeError;
  return inner instanceof Error ? inner.message : error.message || (error as NodeJS.ErrnoException).code || error.name;
}
