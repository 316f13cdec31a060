import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector, type Cluster, type RedisOptions as LibraryOptions, type Redis } from 'ioredis';
import { IS_REPLICA } from './failure';

/** ioredis's options, with replies in the one shape that works with both protocols. */
export type RedisOptions = LibraryOptions & { replyMapping?: 'legacy' };

/** Where a server listens. */
export interface Address {
  host: string;
  port: number;
}

/** Opens a socket, over TLS when there are options for that. */
export function openSocket(address: Address | { path: string }, tls: LibraryOptions['tls']): Socket {
  const socket = tls === undefined ? connectPlain(address) : connectTls({ ...address, ...tls });
  // ioredis listens for one error of a socket. Over TLS a second may come, when it is closed while it is being opened,
  // and an error that nobody listens for ends the process.
  socket.on('error', () => undefined);
  return socket;
}

/** What ioredis opens its sockets with. */
export class SocketConnector extends AbstractConnector {
  private readonly options: LibraryOptions;
  /** Tells those who use the connection. */
  protected emit: (type: string, error: Error) => void = () => undefined;

  constructor(options: unknown) {
    const given = options as LibraryOptions;
    super(given.disconnectTimeout!);
    this.options = given;
  }

  override async connect(emit: (type: string, error: Error) => void): Promise<Socket> {
    this.connecting = true;
    this.emit = emit;
    const { path, host, port, tls } = this.options;
    this.stream = openSocket(path === undefined ? { host: host!, port: port! } : { path }, tls);
    this.stream.once('error', (error) => {
      this.firstError = error;
      this.onFailure(error);
    });
    return this.stream;
  }

  /** Told why a socket could not be used. */
  protected onFailure(_error: Error): void {}
}

/**
 * Leaves a server that calls itself a replica, which takes no writes. It is tried again until it is none any more, or
 * until its address leads to another one.
 */
export class WriterConnector extends SocketConnector {
  override check({ role }: { role?: string }): boolean {
    if (role !== 'slave') return true;
    this.emit('error', new Error(IS_REPLICA));
    return false;
  }
}

/** Does something to a connection, and to its duplicates, such as BullMQ makes. */
export function withDuplicates<C extends Redis | Cluster>(connection: C, prepare: (connection: C) => void): C {
  const duplicate = connection.duplicate.bind(connection) as (...args: unknown[]) => C;
  connection.duplicate = ((...args: unknown[]) => withDuplicates(duplicate(...args), prepare)) as C['duplicate'];
  prepare(connection);
  return connection;
}
