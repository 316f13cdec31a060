/** How long a Redis may take to become ready on a busy machine before the test that wants it fails. */
export const START_TIMEOUT_MS = 30_000;

export interface RedisOptions {
  /** Write every command to disk, so that a killed Redis comes back with its data. Default false. */
  appendonly?: boolean;
  /** More arguments for redis-server, after the usual ones. */
  args?: string[];
  /** The port to take; by default one that is free. */
  port?: number;
  /** Files to put into its directory before it starts, by name: arguments may name them as they are. */
  files?: Record<string, string>;
  /** Start it as a Sentinel that watches nothing yet. */
  sentinel?: boolean;
}

/** What it logs once it takes connections: as a Redis, or as a Sentinel. */
export const READY_WORDS = /Ready to accept connections|Sentinel ID is/;
const SENTINEL_FILE = 'sentinel.conf';

/** The files that a server needs in its directory, by name. */
export function redisFiles({ sentinel = false, files = {} }: RedisOptions): [name: string, content: string][] {
  // A Sentinel writes down what it learns, and does not start without a file for that.
  return Object.entries(sentinel ? { [SENTINEL_FILE]: '', ...files } : files);
}

/** A Redis that one test has to itself, to break as it likes. */
export interface RedisServer {
  url: string;
  port: number;
  /** Ends it for good and removes its data. */
  stop(): Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again (killing it first if it runs) at the same port, with the same data directory. */
  restart(): Promise<void>;
  /** Stops it in its tracks: connections stay open and nothing answers. Nothing happens to one that is frozen. */
  freeze(): Promise<void>;
  /** Lets a frozen one go on from where it was. Nothing happens to one that is not frozen. */
  thaw(): Promise<void>;
}

/** The arguments of redis-server that all test servers share. Nothing is written to disk unless `appendonly`. */
export function redisArguments(options: RedisOptions & { port: number; bind: string; directory: string }): string[] {
  return [
    ...(options.sentinel ? [`${options.directory}/${SENTINEL_FILE}`, '--sentinel'] : []),
    ...['--port', String(options.port), '--bind', options.bind, '--protected-mode', 'no'],
    ...['--dir', options.directory, '--save', '', '--maxmemory-policy', 'noeviction'],
    ...['--appendonly', options.appendonly ? 'yes' : 'no', '--appendfsync', 'always'],
    ...(options.args ?? []),
  ];
}
