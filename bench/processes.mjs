import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './redis.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const API_KEY = 'a-key-for-measurements-only';
/** Every server is sent the same requests, whether or not it looks at the key. */
const headers = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' };

function start(node, script, args, env) {
  const child = spawn(node, ['--require', here('report-cpu.cjs'), here(script), ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const ask = async (question) => {
    child.send(question);
    return (await once(child, 'message'))[0];
  };
  return {
    child,
    /** CPU time used so far, by user and system, in microseconds. */
    async cpuMicros() {
      const { user, system } = (await ask('cpu')).cpu;
      return user + system;
    },
    async stop() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** Starts one of bench/servers. */
export async function startServer(node, script, args = [], env = {}) {
  const server = start(node, `servers/${script}`, args, env);
  const [{ port }] = await once(server.child, 'message');
  return { ...server, url: `http://127.0.0.1:${port}` };
}

/** Starts Sendgate's API as an operator would, with an API key, and puts limits in force. */
export async function startSendgate(node, { redisUrl, workspace, limits, env = {} }) {
  const port = await freePort();
  const server = start(node, '../dist/cli.js', ['api'], {
    REDIS_URL: redisUrl,
    PORT: String(port),
    SENDGATE_WORKSPACE: workspace,
    SENDGATE_API_KEY: API_KEY,
    // A machine that stalls for a moment must not fill the figures with answers given without Redis.
    SENDGATE_CHECK_TIMEOUT_MS: '5000',
    ...env,
  });
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    if (server.child.exitCode !== null) throw new Error('Sendgate ended at its start.');
    const response = await fetch(`${url}/readyz`).catch(() => null);
    if (response?.status === 200) break;
    await delay(50);
  }
  const sendgate = {
    ...server,
    url,
    async post(path, body) {
      const response = await fetch(url + path, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
      return response.json();
    },
  };
  sendgate.get = async (path) => {
    const response = await fetch(url + path, { headers });
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  for (const limit of limits) await sendgate.post('/limits', limit);
  return sendgate;
}

/** Starts the load generator. */
export function startLoadGenerator() {
  const { child, stop } = start(process.execPath, 'load.mjs', [], {});
  return {
    stop,
    /** Sends a load for some seconds over so many connections. @throws Error when anything was not answered 2xx */
    async run({ server, path = '/check', load, connections, seconds }) {
      child.send({ url: server.url + path, headers, load, connections, seconds });
      const [result] = await once(child, 'message');
      if (result.failed > 0 || result.answered === 0) {
        throw new Error(`${path}: ${result.answered} answered, ${result.failed} failed`);
      }
      return result;
    },
  };
}
