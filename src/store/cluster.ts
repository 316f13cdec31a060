import { Cluster, type ClusterOptions } from 'ioredis';
import { type Address, type RedisOptions, SocketConnector } from './socket';

const CLOSED = 'Connection is closed.';

/**
 * Opens a connection to a Cluster. ioredis keeps to itself why it cannot use the nodes; here it becomes the Cluster's
 * error: put in the place of the closed connection of which ioredis tells when it reaches none (`lastNodeError`), or by
 * itself when a node gives addresses of others that cannot be reached.
 */
export function connectCluster(nodes: Address[], options: RedisOptions, clusterOptions: ClusterOptions): Cluster {
  let reason: Error | undefined;

  class NodeConnector extends SocketConnector {
    protected override onFailure(error: Error): void {
      reason = error;
    }
  }

  const cluster = new Cluster(nodes, {
    ...clusterOptions,
    redisOptions: { ...options, Connector: NodeConnector },
    // A certificate is for a host's name: resolved to an address, as ioredis does, it would not match.
    ...(options.tls === undefined ? {} : { dnsLookup: (host, answer) => answer(null, host) }),
  });
  cluster.on('error', (error: { lastNodeError?: Error }) => {
    if (reason !== undefined && error.lastNodeError?.message === CLOSED) error.lastNodeError = reason;
  });
  cluster.on('node error', (error: Error) => {
    if (cluster.status !== 'ready' && error.message !== CLOSED) cluster.emit('error', error);
  });
  cluster.on('ready', () => {
    reason = undefined;
  });
  return cluster;
}
