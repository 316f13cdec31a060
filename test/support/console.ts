import { setTimeout as delay } from 'node:timers/promises';
import { sharedRedisUrl, uniqueWorkspace } from './redis';
import { runSendgate, type Sendgate, startSendgate } from './sendgate';

/** The admin key that {@link startConsoleServer} sets. */
export const CONSOLE_KEY = 'console-admin-key-0123456789';

/** What is answered to a call. */
export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it and compare
  body: any;
}

/** A whole Sendgate as a process of its own, with a console. */
export interface ConsoleServer {
  readonly url: string;
  readonly sendgate: Sendgate;
  /** Calls it as a service does, and expects that it takes the call. */
  call(method: string, path: string, body?: unknown): Promise<Answer>;
  /** Makes a key with a role, as an operator does. */
  createKey(role: string): Promise<string>;
}

/** Starts API, worker and console. It is ended by `endAllSendgates`. */
export async function startConsoleServer(env: Record<string, string> = {}): Promise<ConsoleServer> {
  const environment = {
    REDIS_URL: sharedRedisUrl(),
    PORT: '0',
    SENDGATE_WORKSPACE: uniqueWorkspace(),
    SENDGATE_API_KEY: CONSOLE_KEY,
    // A browser beside it takes what it needs of the machine.
    SENDGATE_CHECK_TIMEOUT_MS: '5000',
    ...env,
  };
  const sendgate = startSendgate(['up'], environment);
  const url = await sendgate.ready();
  return {
    url,
    sendgate,
    async createKey(role) {
      const { code, stdout, stderr } = await runSendgate(['keys', 'create', '--role', role], environment);
      if (code !== 0) throw new Error(stderr);
      const key = stdout.trim();
      // It is known everywhere within 5 seconds; who asks more often with one that is not is slowed down.
      const isRefused = async () =>
        [401, 429].includes((await fetch(`${url}/limits`, { headers: { authorization: `Bearer ${key}` } })).status);
      while (await isRefused()) await delay(1_000);
      return key;
    },
    async call(method, path, body) {
      const response = await fetch(url + path, {
        method,
        headers: { authorization: `Bearer ${CONSOLE_KEY}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return { status: response.status, body: text === '' ? null : JSON.parse(text) };
    },
  };
}
