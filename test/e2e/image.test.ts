import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ifKilled } from '../support/if-killed';
import { freePort } from '../support/ports';
import { dockerAnswers } from '../support/redis';

const ROOT = join(__dirname, '../..');
const BUILD_AND_START_MS = 15 * 60_000;

/** Both are around: the plugin of today, and the program before it. */
function composeCommand(): string[] {
  try {
    execFileSync('docker', ['compose', 'version'], { stdio: 'ignore' });
    return ['docker', 'compose'];
  } catch {
    return ['docker-compose'];
  }
}

async function run([program, ...args]: string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const { stdout } = await promisify(execFile)(program!, args, { cwd: ROOT, env, maxBuffer: 64 * 2 ** 20 });
  return stdout.trim();
}

interface Container {
  Id: string;
  State: { ExitCode: number; OOMKilled: boolean; Health: { Status: string; Log: { Output: string }[] } };
  HostConfig: { PortBindings: Record<string, { HostIp: string }[]> };
}

const engine = dockerAnswers();
const suite = engine ? describe : describe.skip;

suite(`the image and docker-compose.yml${engine ? '' : ' (skipped: no Docker engine answers)'}`, () => {
  const project = `sendgate-test-${randomBytes(4).toString('hex')}`;
  const image = `sendgate:${project}`;
  const key = randomBytes(24).toString('hex');
  let url: string;
  let compose: (...args: string[]) => Promise<string>;
  let tearDown: () => Promise<void>;

  async function inspect(service: string): Promise<Container> {
    const [container] = JSON.parse(await run(['docker', 'inspect', await compose('ps', '-q', service)])) as Container[];
    return container!;
  }

  /** Docker tells of health only to those who ask. */
  async function untilHealthy(service: string, withinMs = 90_000): Promise<void> {
    const giveUpAt = Date.now() + withinMs;
    for (;;) {
      const { Health: health } = (await inspect(service)).State;
      if (health.Status === 'healthy') return;
      if (Date.now() > giveUpAt) {
        const logs = await compose('logs', '--no-color', '--tail', '50', service);
        throw new Error(`${service} is ${health.Status}: ${health.Log.at(-1)?.Output}\n${logs}`);
      }
      await delay(250);
    }
  }

  const exec = (service: string, ...command: string[]) => compose('exec', '-T', service, ...command);

  const call = (method: string, path: string, body?: unknown) =>
    fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  /** Asks under an id until Redis decides: what it may have counted too late for an answer it does not count again. */
  async function check(message_id: string): Promise<{ decision: string }> {
    const answer = await call('POST', '/check', { user_id: 'ann', message_id });
    return answer.status === 503 ? check(message_id) : ((await answer.json()) as { decision: string });
  }

  beforeAll(async () => {
    const env: NodeJS.ProcessEnv = { ...process.env, SENDGATE_API_KEY: key, SENDGATE_IMAGE: image };
    const command = [...composeCommand(), '--project-name', project, '--file', join(ROOT, 'docker-compose.yml')];
    compose = (...args) => run([...command, ...args], env);
    const down = [...command, 'down', '--volumes', '--timeout', '1'];
    const callOff = ifKilled(down, env);
    tearDown = async () => {
      await run(down, env);
      await run(['docker', 'image', 'rm', '--force', image]);
      callOff();
    };
    await compose('build');
    // Minutes may have passed: one that was free before may not be now.
    const port = await freePort();
    env.SENDGATE_PORT = String(port);
    url = `http://127.0.0.1:${port}`;
    await compose('up', '--detach', '--no-build');
    await Promise.all(['redis', 'api', 'worker'].map((service) => untilHealthy(service)));
  }, BUILD_AND_START_MS);

  afterAll(() => tearDown(), 120_000);

  test('counts through the published port, for callers with the key of .env, and on loopback only', async () => {
    expect((await fetch(`${url}/limits`)).status).toBe(401);
    const limit = { id: 'once', per: ['user'], period: 'month', max: 1 };
    expect((await call('POST', '/limits', limit)).status).toBe(201);
    expect((await check('first')).decision).toBe('accepted');
    expect((await check('second')).decision).toBe('throttled');
    const { HostConfig: host } = await inspect('api');
    expect(Object.values(host.PortBindings).flat()).toEqual([expect.objectContaining({ HostIp: '127.0.0.1' })]);
  });

  test('delivers what the API is handed over by the worker, and shows the queues to an admin', async () => {
    const sent = await call('POST', '/send', { message: { to: { user_id: 'bob' }, template: 'hello' } });
    expect(sent.status).toBe(202);
    const { requestId } = (await sent.json()) as { requestId: string };
    const giveUpAt = Date.now() + 30_000;
    let status: string | undefined;
    while (status !== 'SENT' && Date.now() < giveUpAt) {
      status = ((await (await call('GET', `/messages/${requestId}`)).json()) as { status: string }).status;
      await delay(50);
    }
    expect(status).toBe('SENT');
    expect(await compose('logs', 'worker')).toContain(requestId);
    const board = await call('GET', '/queues');
    expect(board.status).toBe(200);
    const page = await board.text();
    expect(page).toContain('Sendgate queues');
    // Nothing is loaded from elsewhere, and what it loads is there.
    expect(page).not.toMatch(/(?:src|href)="https?:/);
    for (const [, path] of page.matchAll(/(?:src|href)="(static\/[^"]+)"/g)) {
      expect((await call('GET', `/queues/${path}`)).status).toBe(200);
    }
  }, 60_000);

  test('serves the console with all of its files', async () => {
    const page = await (await fetch(`${url}/`)).text();
    const files = [...page.matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map(([, path]) => path);
    expect(files.length).toBeGreaterThan(2);
    for (const path of files) expect((await fetch(`${url}/${path}`)).status).toBe(200);
    // Who is not signed in is asked for a key.
    expect(await (await fetch(`${url}/session`)).json()).toEqual({ actor: null, roles: [] });
  });

  test.each(['api', 'worker'])('%s runs as an ordinary user under an init', async (service) => {
    expect(Number(await exec(service, 'id', '-u'))).toBeGreaterThan(0);
    expect(await exec(service, 'cat', '/proc/1/comm')).toBe('tini');
  });

  test('the image holds what production needs and nothing of the checkout besides', async () => {
    const names = (await exec('api', 'ls', '-A', '/app')).split(/\s+/);
    expect(names.toSorted()).toEqual(
      ['LICENSE', 'dist', 'lua', 'node_modules', 'openapi.json', 'package.json'].toSorted(),
    );
    const packages = (await exec('api', 'ls', '/app/node_modules')).split(/\s+/);
    expect(packages).toContain('express');
    expect(packages).not.toContain('typescript');
  });

  test('what was counted outlives a Redis that is killed', async () => {
    await compose('kill', '-s', 'SIGKILL', 'redis');
    await compose('up', '--detach', '--no-build', 'redis');
    await untilHealthy('redis');
    const giveUpAt = Date.now() + 30_000;
    while ((await call('GET', '/readyz')).status !== 200 && Date.now() < giveUpAt) await delay(100);
    expect((await call('GET', '/readyz')).status).toBe(200);
    expect((await check('third')).decision).toBe('throttled');
  }, 120_000);

  test.each(['api', 'worker'])(
    '%s stops by itself when it is told to',
    async (service) => {
      const { Id: id } = await inspect(service);
      await compose('stop', service);
      const [container] = JSON.parse(await run(['docker', 'inspect', id])) as Container[];
      // 137 would be a SIGKILL, at the end of the time it was given.
      expect([0, 143]).toContain(container!.State.ExitCode);
      expect(container!.State.OOMKilled).toBe(false);
    },
    60_000,
  );
});
