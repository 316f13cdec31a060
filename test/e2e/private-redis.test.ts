import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import {
  type DataFolder,
  DataFolderError,
  findDataFolder,
  holdDataFolder,
  openDataFolder,
} from '../../src/private-redis/folder';
import { findRedisProgram, installWords, NoRedisProgramError } from '../../src/private-redis/program';
import { type PrivateRedis, PrivateRedisError, startPrivateRedis } from '../../src/private-redis/server';
import { connectPatiently } from '../../src/store/connection';

const program = findRedisProgram(process.env.PATH, process.platform);
const path = process.env.PATH!;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sg-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const events: string[] = [];
let onRestarted = (): void => undefined;
const observer = {
  died: (status: string) => void events.push(status),
  restarted: () => onRestarted(),
  tornTailStays: (reason: string) => void events.push(reason),
};

async function start(folder: DataFolder): Promise<PrivateRedis & { redis: Redis }> {
  const started = startPrivateRedis({ program, path, folder, observer, nowMs: () => performance.now() });
  await started.ready;
  const redis = connectPatiently(started.target, { name: 'test', commandTimeoutMs: 0, reconnectMs: 10 }) as Redis;
  redis.on('error', () => undefined);
  const stop = async () => {
    if (redis.status !== 'end') redis.disconnect();
    await started.stop();
  };
  cleanups.push(stop);
  return { ...started, stop, redis };
}

async function pidOf(redis: Redis): Promise<number> {
  return Number(/^process_id:(\d+)/m.exec(await redis.info('server'))![1]);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('a private Redis', () => {
  test('listens on a socket of this user alone, writes every command down and evicts nothing', async () => {
    const folder = openDataFolder(join(temporaryFolder(), 'data'));
    const { redis } = await start(folder);
    const config = (name: string) => redis.config('GET', name) as Promise<string[]>;
    expect(await config('port')).toEqual(['port', '0']);
    expect(await config('appendonly')).toEqual(['appendonly', 'yes']);
    expect(await config('maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
    expect(statSync(folder.data).mode & 0o777).toBe(0o700);
    expect(statSync(folder.redisSocket).mode & 0o777).toBe(0o700);
  });

  test('is gone after a stop, and has its data at the next start', async () => {
    const folder = openDataFolder(temporaryFolder());
    const first = await start(folder);
    await first.redis.set('a', '1');
    const pid = await pidOf(first.redis);
    await first.stop();
    expect(isAlive(pid)).toBe(false);
    const second = await start(folder);
    expect(await second.redis.get('a')).toBe('1');
  });

  test('is started again with its data when it is killed', async () => {
    const { redis } = await start(openDataFolder(temporaryFolder()));
    await redis.set('a', '1');
    const restarted = new Promise<void>((resolve) => {
      onRestarted = resolve;
    });
    const pid = await pidOf(redis);
    process.kill(pid, 'SIGKILL');
    await restarted;
    expect(events).toEqual(['ended with status 137']);
    expect(await redis.get('a')).toBe('1');
    expect(await pidOf(redis)).not.toBe(pid);
  });

  test('killed in the middle of writing, it forgets all of what it was writing: also at the start after the next', async () => {
    const folder = openDataFolder(temporaryFolder());
    const first = await start(folder);
    await first.redis.set('before', '1');
    const written = readdirSync(join(folder.data, 'appendonlydir')).find((name) => name.endsWith('.incr.aof'))!;
    // What a script writes is one transaction in the file.
    await first.redis.eval("redis.call('INCR', 'counted') redis.call('SET', 'decided', string.rep('x', 100))", 0);
    await first.stop();
    const file = join(folder.data, 'appendonlydir', written);
    truncateSync(file, statSync(file).size - 50);

    const second = await start(folder);
    expect(await second.redis.mget('before', 'counted', 'decided')).toEqual(['1', null, null]);
    await second.redis.eval("redis.call('SET', 'after', '1') redis.call('SET', 'later', '1')", 0);
    await second.stop();
    const third = await start(folder);
    expect(await third.redis.mget('before', 'counted', 'decided', 'after')).toEqual(['1', null, null, '1']);
    expect(events.filter((event) => !event.startsWith('ended'))).toEqual([]);
  });

  test('takes the place of one that was left behind, and keeps what that one had', async () => {
    const folder = openDataFolder(temporaryFolder());
    const leftOver = spawn(
      program,
      ['--port', '0', '--unixsocket', folder.redisSocket, '--dir', folder.data].concat([
        '--pidfile',
        join(folder.data, 'redis.pid'),
        '--appendonly',
        'yes',
        '--save',
        '',
      ]),
      { stdio: 'ignore' },
    );
    const ended = new Promise((resolve) => leftOver.once('exit', resolve));
    const target = { kind: 'standalone' as const, options: { path: folder.redisSocket } };
    const redis = connectPatiently(target, { name: 'test', commandTimeoutMs: 0, reconnectMs: 10 });
    redis.on('error', () => undefined);
    cleanups.push(() => redis.disconnect());
    await redis.set('a', '1');
    const next = await start(folder);
    await ended;
    expect(await next.redis.get('a')).toBe('1');
    expect(await pidOf(next.redis)).not.toBe(leftOver.pid);
  });

  test('leaves a process alone that merely has the id of one that was left behind', async () => {
    const folder = openDataFolder(temporaryFolder());
    const bystander = spawn('sleep', ['100']);
    cleanups.push(() => bystander.kill());
    writeFileSync(join(folder.data, 'redis.pid'), `${bystander.pid}\n`);
    await start(folder);
    expect(isAlive(bystander.pid!)).toBe(true);
  });

  test('that cannot start says so in its own words', async () => {
    const folder = openDataFolder(temporaryFolder());
    const broken = join(folder.data, 'redis-server');
    writeFileSync(broken, '#!/bin/sh\necho "Fatal: no good"\nexit 3\n');
    chmodSync(broken, 0o755);
    const { ready } = startPrivateRedis({ program: broken, path, folder, observer, nowMs: () => 0 });
    await expect(ready).rejects.toThrow(PrivateRedisError);
    await expect(ready).rejects.toThrow(/ended with status 3 before it answered:\nFatal: no good$/);
  });

  test('that is stopped while it starts is gone', async () => {
    const folder = openDataFolder(temporaryFolder());
    const starting = startPrivateRedis({ program, path, folder, observer, nowMs: () => 0 });
    await starting.stop();
    await expect(starting.ready).rejects.toThrow(PrivateRedisError);
    expect(existsSync(join(folder.data, 'redis.pid'))).toBe(false);
  });

  test('works in a folder whose path is too long for a socket', async () => {
    const long = join(temporaryFolder(), 'x'.repeat(120));
    const folder = openDataFolder(long);
    cleanups.push(() => rmSync(join(folder.redisSocket, '..'), { recursive: true, force: true }));
    const { redis } = await start(folder);
    expect(await redis.ping()).toBe('PONG');
    expect(findDataFolder(long)).toEqual(folder);
    expect(openDataFolder(long)).toEqual(folder);
  });
});

describe('a data folder', () => {
  test('is held by one process, whose words another gets to hear', async () => {
    const folder = openDataFolder(temporaryFolder());
    const held = await holdDataFolder(folder, 'process 42');
    cleanups.push(() => held.release());
    const second = holdDataFolder(folder, 'process 43');
    await expect(second).rejects.toThrow(DataFolderError);
    await expect(second).rejects.toThrow(`${folder.data} is held by another Sendgate (process 42)`);
  });

  test('is free again after a release, and leaves no socket behind', async () => {
    const folder = openDataFolder(temporaryFolder());
    (await holdDataFolder(folder, 'one')).release();
    expect(existsSync(folder.holderSocket)).toBe(false);
    (await holdDataFolder(folder, 'two')).release();
  });

  test('of a process that was killed is taken by exactly one of many', async () => {
    const folder = openDataFolder(temporaryFolder());
    await leaveDeadSocket(folder);
    const results = await Promise.allSettled(Array.from({ length: 8 }, (_, n) => holdDataFolder(folder, `${n}`)));
    const held = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    for (const one of held) cleanups.push(() => one.release());
    expect(held).toHaveLength(1);
  });

  test('that nobody made is not found, and not made by looking', () => {
    const folder = join(temporaryFolder(), 'none');
    expect(findDataFolder(folder)).toBeNull();
    expect(existsSync(folder)).toBe(false);
  });

  test('that cannot be made is refused with the name of its variable', () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    expect(() => openDataFolder(join(file, 'data'))).toThrow(DataFolderError);
    expect(() => openDataFolder(join(file, 'data'))).toThrow(/^SENDGATE_DATA_DIR: /);
    expect(readFileSync(file, 'utf8')).toBe('');
  });
});

/** Leaves what a killed process leaves: the file of a socket that nobody listens on. */
async function leaveDeadSocket(folder: DataFolder): Promise<void> {
  const server = createServer();
  const path = `${folder.holderSocket}.dead`;
  await new Promise<void>((resolve) => server.listen(path, resolve));
  linkSync(path, folder.holderSocket);
  await new Promise((resolve) => server.close(resolve));
  expect(existsSync(folder.holderSocket)).toBe(true);
}

describe('without a Redis on the PATH', () => {
  test('the error names the variable to set instead', () => {
    expect(() => findRedisProgram('/nowhere', 'linux')).toThrow(NoRedisProgramError);
    expect(() => findRedisProgram(undefined, 'linux')).toThrow(/REDIS_URL is not set.*redis-server or valkey-server/);
  });

  test.each([
    ['linux', 'ID=ubuntu\nID_LIKE=debian\n', '`sudo apt-get install redis-server`'],
    ['linux', 'NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n', '`sudo apt-get install redis-server`'],
    ['linux', 'ID="rocky"\nID_LIKE="rhel centos fedora"\n', '`sudo dnf install valkey`'],
    ['linux', 'ID=alpine\n', '`apk add valkey`'],
    ['darwin', '', '`brew install redis`'],
    ['linux', 'ID=unheard-of\n', 'https://redis.io/downloads'],
  ] as const)('a user of %s with %j is told the one command that installs it', (platform, release, words) => {
    expect(installWords(platform, release)).toContain(words);
  });
});
