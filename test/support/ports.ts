import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// Below the range that systems hand out to outgoing connections (from 32768 on Linux): a server that is killed and
// started again on its port must not find there a client that reconnected to itself. A Redis Cluster node also takes
// its port + 10000, so ports from 10000 to 19999 leave those of the cluster bus alone.
const FIRST_PORT = 10_000;
const LAST_PORT = 19_999;
/** What jest's workers share the ports out among: between the look at one and its use no other worker may take it. */
const SHARES = 4;
/** Nor may who asks twice before using the first be given the same. */
const given = new Set<number>();

/** A loopback port below 20000 that nobody listens on, with port + 10000 free too. Another program may still take it. */
export async function freePort(): Promise<number> {
  const share = Number(process.env.JEST_WORKER_ID ?? 0) % SHARES;
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = FIRST_PORT + share + SHARES * randomInt((LAST_PORT + 1 - FIRST_PORT) / SHARES);
    if (given.has(port)) continue;
    given.add(port);
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port;
  }
  throw new Error(`no free port found between ${FIRST_PORT} and ${LAST_PORT}`);
}

/** Whether nobody listens on a port, at any address of this host. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    // All addresses, as a container's published port takes them all.
    server.listen({ port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
