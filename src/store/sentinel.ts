import { Socket } from 'node:net';
import { AbstractConnector, type RedisOptions as LibraryOptions, Redis } from 'ioredis';
import { type Address, openSocket, type RedisOptions, SocketConnector, withDuplicates } from './socket';

/** What came of looking for the master. */
type Found = { master: Address; error?: never } | { master?: never; error: NodeJS.ErrnoException };

/** How long a Sentinel may take to say who the master is, in milliseconds. The next one is asked then. */
const ASK_TIMEOUT_MS = 1_000;
/** How soon a Sentinel that went away is listened to again, in milliseconds. */
const LISTEN_AGAIN_MS = 1_000;

/**
 * Opens a connection to the master that the Sentinels name, by the protocol of
 * https://redis.io/docs/latest/develop/reference/sentinel-clients/: they are asked one after the other, and a server
 * that does not call itself a master is left at once. So is one that the Sentinels say they have replaced
 * (`+switch-master`): a master that was replaced while it was well, or while they could not reach it, goes on as one for
 * ten seconds or more, and what is counted there meanwhile is lost.
 *
 * ioredis has a connector of its own for that. It is not used because an attempt of its may last for ever (when no
 * Sentinel answers it asks again without telling, and it waits for one that is frozen), because it never says why a
 * Sentinel cannot be used, and because its `failoverDetector` ends a connection for good when a message comes while it
 * is being made.
 *
 * @param options with `name` and `sentinels`
 */
export function connectBySentinel(options: RedisOptions): Redis {
  /** The one that is asked first comes first. */
  const sentinels = (options.sentinels as Address[]).slice();
  const move = (sentinel: Address, to: 'front' | 'back') => {
    sentinels.splice(sentinels.indexOf(sentinel), 1);
    sentinels.splice(to === 'front' ? 0 : sentinels.length, 0, sentinel);
  };

  async function findMaster(): Promise<Found> {
    const reasons: string[] = [];
    let code: string | undefined;
    for (const sentinel of sentinels.slice()) {
      const { master, error } = await askForMaster(sentinel, options);
      if (master !== undefined) {
        move(sentinel, 'front');
        return { master };
      }
      reasons.push(`${sentinel.host}:${sentinel.port}: ${error.message}`);
      code ??= error.code;
    }
    const error = new Error(`No Sentinel names the master ${options.name} (${reasons.join('; ')})`);
    return { error: code === undefined ? error : Object.assign(error, { code }) };
  }

  class MasterConnector extends AbstractConnector {
    private listeners: Redis[] = [];
    /** The server that this connection is, or is going to be, to. */
    private master: Address | undefined;
    /** The last that was replaced since the present connection began to be made. */
    private replaced: Address | undefined;
    /** Whether the last attempt led to a master. */
    private wellNamed = true;

    constructor() {
      super(options.disconnectTimeout!);
    }

    /** Resolves with a socket in any case: ioredis never tries again after a rejection, but after a close it does. */
    override async connect(): Promise<Socket> {
      this.connecting = true;
      delete this.firstError;
      this.master = undefined;
      this.replaced = undefined;
      if (this.listeners.length === 0) this.listeners = sentinels.map((sentinel) => this.listenTo(sentinel));
      // The Sentinel that named a server that is none, or is gone, may not have heard of a failover yet.
      if (!this.wellNamed) move(sentinels[0]!, 'back');
      this.wellNamed = false;

      const { master, error } = await findMaster();
      if (error !== undefined) this.firstError = error;
      if (master === undefined || !this.connecting || isSame(master, this.replaced)) return new Socket().destroy();
      this.master = master;
      this.stream = openSocket(master, options.tls);
      this.stream.once('error', (error) => {
        this.firstError = error;
      });
      return this.stream;
    }

    override check({ role }: { role?: string }): boolean {
      this.wellNamed = role === undefined || role === 'master';
      return this.wellNamed;
    }

    override disconnect(): void {
      super.disconnect();
      for (const listener of this.listeners.splice(0)) listener.disconnect();
    }

    private listenTo(sentinel: Address): Redis {
      const listener = connectToSentinel(sentinel, options, {
        retryStrategy: () => LISTEN_AGAIN_MS,
        maxRetriesPerRequest: null,
      });
      // That one Sentinel of several is away is for its operator; that none answers is said when the master is looked for.
      listener.on('error', () => undefined);
      listener.on('message', (_channel: string, message: string) => {
        const [name, host, port] = message.split(' ') as [string, string, string];
        if (name !== options.name) return;
        move(sentinel, 'front');
        this.replaced = { host, port: Number(port) };
        if (isSame(this.replaced, this.master)) this.stream.destroy();
      });
      // It waits for the Sentinel, is made again after an interruption, and fails when the listener is closed.
      listener.subscribe('+switch-master').catch(() => undefined);
      return listener;
    }
  }

  return withDuplicates(new Redis({ ...options, Connector: MasterConnector }), (redis) => {
    // The connector, which listens, is told of a disconnect, but not of a quit.
    redis.on('end', () => redis.disconnect());
  });
}

function isSame(one: Address, other: Address | undefined): boolean {
  return other !== undefined && one.host === other.host && one.port === other.port;
}

function connectToSentinel({ host, port }: Address, options: LibraryOptions, more: RedisOptions): Redis {
  const { sentinelUsername, sentinelPassword, sentinelTLS, connectionName, disconnectTimeout } = options;
  return new Redis({
    host,
    port,
    ...(sentinelUsername === undefined ? {} : { username: sentinelUsername }),
    ...(sentinelPassword === undefined ? {} : { password: sentinelPassword }),
    ...(sentinelTLS === undefined ? {} : { tls: sentinelTLS }),
    ...(connectionName === undefined ? {} : { connectionName }),
    disconnectTimeout: disconnectTimeout!,
    Connector: SocketConnector,
    connectTimeout: ASK_TIMEOUT_MS,
    // A Sentinel knows neither INFO's "loading" nor databases, and its answers are the same in RESP2.
    enableReadyCheck: false,
    protocol: 2,
    ...more,
  });
}

async function askForMaster(sentinel: Address, options: LibraryOptions): Promise<Found> {
  const redis = connectToSentinel(sentinel, options, { retryStrategy: () => null, commandTimeout: ASK_TIMEOUT_MS });
  // What the command fails with says less: that the connection is closed.
  let reason: Error | undefined;
  redis.on('error', (error) => {
    reason ??= error;
  });
  try {
    const reply = await redis.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', options.name!);
    if (reply === null) return { error: new Error('it knows no master of that name') };
    const [host, port] = reply as [string, string];
    return { master: { host, port: Number(port) } };
  } catch (error) {
    return { error: reason ?? (error as Error) };
  } finally {
    redis.disconnect();
  }
}
