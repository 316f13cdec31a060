import { request } from 'node:http';

// Containers run this every few seconds: it reads the two variables it needs by itself, because the whole
// configuration's schemas take longer to load than the rest of the program.

/** Where the API listens unless told otherwise. */
export const DEFAULT_HOST = '127.0.0.1';
export const DEFAULT_PORT = '8080';

/** How long the process may take to say that it is alive, in milliseconds. */
const ANSWER_TIMEOUT_MS = 2_000;

/** Where a process on this machine reaches one that listens on `host`. */
export function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

/** A host as it stands in a URL. */
export function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/**
 * Asks the process that this environment describes whether it is alive.
 * @param port where it listens, if not at the environment's PORT
 * @returns what is wrong, or null when it is alive
 */
export function healthcheck(env: NodeJS.ProcessEnv, port: string | undefined): Promise<string | null> {
  const host = reachableHost(env.HOST || DEFAULT_HOST);
  const chosenPort = port || env.PORT || DEFAULT_PORT;
  const url = `http://${urlHost(host)}:${chosenPort}/healthz`;
  return new Promise((resolve) => {
    if (!/^\d{1,5}$/.test(chosenPort) || Number(chosenPort) > 65_535) {
      resolve(`the port must be a number from 1 to 65535, not ${chosenPort}`);
      return;
    }
    const asked = request(url, { agent: false, timeout: ANSWER_TIMEOUT_MS }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? null : `${url} answered ${response.statusCode}`);
    });
    asked.once('timeout', () => asked.destroy(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)));
    asked.once('error', (error) => resolve(`${url}: ${error.message}`));
    asked.end();
  });
}
