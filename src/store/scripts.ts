import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RedisClient } from './connection';

/** One Lua script: an atomic operation. */
export interface Script {
  readonly name: string;
  readonly source: string;
  /** What EVALSHA calls it by: the SHA-1 of the source. */
  readonly sha: string;
}

/** The scripts of `lua/`, by file name without its ending. */
export type Scripts = Readonly<Record<ScriptName, Script>>;

export const SCRIPT_NAMES = [
  'take',
  'release',
  'reset',
  'config_read',
  'config_write',
  'key_write',
  'member_add',
  'member_remove',
  'account_write',
  'profile_write',
  'mappings_write',
  'inbound',
  'log_index',
  'log_page',
  'log_replay',
  'log_trim',
  'send',
  'send_begin',
  'send_finish',
  'send_cancel',
  'send_receipt',
  'hold_next',
  'traffic_add',
  'alert_add',
  'alert_mail_claim',
  'alert_mail_release',
] as const;
export type ScriptName = (typeof SCRIPT_NAMES)[number];

/** `lua/` stands beside both `src/` and `dist/`. */
const LUA_FOLDER = join(__dirname, '..', '..', 'lua');

/**
 * Reads all scripts, and what they include, from the folder.
 * @throws Error when a script or an include is missing: the package is broken.
 */
export function loadScripts(folder: string = LUA_FOLDER): Scripts {
  const lib = new Map(
    readdirSync(join(folder, 'lib')).map((file) => [
      `lib/${file.replace(/\.lua$/, '')}`,
      readFileSync(join(folder, 'lib', file), 'utf8'),
    ]),
  );
  const include = (name: string) => {
    const text = lib.get(name);
    if (text === undefined) throw new Error(`lua: there is no ${name} to include`);
    return text;
  };
  const load = (name: ScriptName): Script => {
    const source = readFileSync(join(folder, `${name}.lua`), 'utf8').replace(
      /^-- @include (\S+)$/gm,
      (_line, included: string) => include(included),
    );
    return { name, source, sha: createHash('sha1').update(source).digest('hex') };
  };
  return Object.fromEntries(SCRIPT_NAMES.map((name) => [name, load(name)])) as Scripts;
}

/**
 * Runs a script by its hash, and by its source where Redis does not know it (after SCRIPT FLUSH, a restart, or on a
 * new node). NOSCRIPT means that nothing ran, so the second call never does a thing twice.
 */
export async function runScript(
  redis: RedisClient,
  script: Script,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await redis.evalsha(script.sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('NOSCRIPT')) {
      return await redis.eval(script.source, keys.length, ...keys, ...args);
    }
    throw error;
  }
}
