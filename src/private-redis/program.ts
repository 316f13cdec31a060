import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

/** There is no Redis to start; the message is for the operator. */
export class NoRedisProgramError extends Error {}

/** Both speak the same protocol and take the same arguments. */
const PROGRAMS = ['redis-server', 'valkey-server'];

/**
 * Finds the program of a Redis on a PATH.
 * @param path the PATH of the environment
 * @param platform as of `process.platform`
 * @throws NoRedisProgramError with the command that installs one
 */
export function findRedisProgram(path: string | undefined, platform: NodeJS.Platform): string {
  for (const name of PROGRAMS) {
    for (const folder of (path ?? '').split(delimiter)) {
      // A relative entry would mean another program in each folder that Sendgate is started from.
      if (isAbsolute(folder) && isExecutable(join(folder, name))) return join(folder, name);
    }
  }
  throw new NoRedisProgramError(
    `REDIS_URL is not set, and there is no ${PROGRAMS.join(' or ')} on the PATH to start a private Redis with. ${installWords(platform, readRelease())}, or set REDIS_URL.`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function readRelease(): string {
  try {
    return readFileSync('/etc/os-release', 'utf8');
  } catch {
    return '';
  }
}

/**
 * How to install a Redis on this system.
 * @param release the text of /etc/os-release, as of os-release(5); '' where there is none
 */
export function installWords(platform: NodeJS.Platform, release: string): string {
  if (platform === 'darwin') return 'Install one with `brew install redis`';
  const systems = [...release.matchAll(/^(?:ID|ID_LIKE)="?([^"\n]*)"?$/gm)].flatMap((match) => match[1]!.split(' '));
  const commands: Record<string, string> = {
    debian: 'sudo apt-get install redis-server',
    ubuntu: 'sudo apt-get install redis-server',
    alpine: 'apk add valkey',
    fedora: 'sudo dnf install valkey',
    rhel: 'sudo dnf install valkey',
    arch: 'sudo pacman -S valkey',
    suse: 'sudo zypper install valkey',
  };
  const command = systems.map((system) => commands[system]).find((found) => found !== undefined);
  return command === undefined
    ? 'Install Redis (https://redis.io/downloads) or Valkey (https://valkey.io)'
    : `Install one with \`${command}\``;
}
