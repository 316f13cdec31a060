import { identifierProblem } from '../limits/identifier';
import type { Actor } from '../store/actor';
import { type ApiKey, type ApiKeys, idInKey, ROLES, type Role } from './api-keys';

/** What a command wrote and how it ended. Both texts end in a newline, or are empty. */
export interface CommandOutcome {
  stdout: string;
  stderr: string;
  exitCode: number;
}

/** How a command ends that could not be done, and one that was used wrongly. */
const FAILED = 1;
const BAD_USAGE = 2;

const ACTOR: Actor = { id: 'cli', name: null };

/**
 * Creates a key. Only the key goes to stdout, so that `KEY=$(sendgate keys create --role check)` works; what a person
 * should know about it goes to stderr.
 * @param input.roles as the command line has them, each one role or several with commas: `['check,read']`
 */
export async function createKeyCommand(
  { apiKeys }: { apiKeys: Pick<ApiKeys, 'create'> },
  input: { name?: string | undefined; roles: readonly string[] },
): Promise<CommandOutcome> {
  const roles = parseRoles(input.roles);
  if (typeof roles === 'string') return failed(roles, BAD_USAGE);
  const nameProblem = input.name === undefined ? null : identifierProblem(input.name);
  if (nameProblem !== null) return failed(`The name ${nameProblem}.`, BAD_USAGE);
  const { key, apiKey } = await apiKeys.create(ACTOR, 'cli', input.name ?? null, roles);
  return {
    stdout: `${key}\n`,
    stderr:
      `Created the key ${apiKey.id}${apiKey.name === null ? '' : ` (${apiKey.name})`} with ${rolesInWords(apiKey.roles)}.\n` +
      'It is shown only now, and is valid everywhere within 5 seconds.\n',
    exitCode: 0,
  };
}

/** Lists the keys as a table, or as JSON for a program. What a key is made of is in neither. */
export async function listKeysCommand(
  { apiKeys }: { apiKeys: Pick<ApiKeys, 'list'> },
  input: { json?: boolean | undefined },
): Promise<CommandOutcome> {
  const found = await apiKeys.list();
  if (input.json) return { stdout: `${JSON.stringify(found, null, 2)}\n`, stderr: '', exitCode: 0 };
  if (found.length === 0) {
    return { stdout: '', stderr: 'There are no keys besides SENDGATE_API_KEY, if that is set.\n', exitCode: 0 };
  }
  return { stdout: keysTable(found), stderr: '', exitCode: 0 };
}

/** Revokes a key by its id, or by the key itself, which has its id in it. */
export async function revokeKeyCommand(
  { apiKeys }: { apiKeys: Pick<ApiKeys, 'revoke'> },
  input: { id: string },
): Promise<CommandOutcome> {
  const id = idInKey(input.id) ?? input.id;
  if (await apiKeys.revoke(ACTOR, 'cli', id)) {
    return {
      stdout: '',
      stderr: `Revoked the key ${id}. It is refused everywhere within 5 seconds.\n`,
      exitCode: 0,
    };
  }
  // It may be a whole key: it is not repeated.
  return failed('There is no key with this id. "sendgate keys list" shows the ids.');
}

/** The roles in texts such as `check,read`, without repetition and in a fixed order, or what is wrong with them. */
export function parseRoles(texts: readonly string[]): Role[] | string {
  const names = texts.flatMap((text) => text.split(',')).map((name) => name.trim());
  const unknown = names.find((name) => !ROLES.some((role) => role === name));
  if (unknown !== undefined) {
    return `There is no role ${JSON.stringify(unknown)}: the roles are ${ROLES.join(', ')}.`;
  }
  if (names.length === 0) return `Say what the key may do: --role ${ROLES.join(', --role ')}, or several with commas.`;
  return ROLES.filter((role) => names.includes(role));
}

function failed(words: string, exitCode = FAILED): CommandOutcome {
  return { stdout: '', stderr: `${words}\n`, exitCode };
}

function rolesInWords(roles: readonly Role[]): string {
  return `the ${roles.length === 1 ? 'role' : 'roles'} ${roles.join(', ')}`;
}

function keysTable(found: readonly ApiKey[]): string {
  const rows = [
    ['ID', 'NAME', 'ROLES', 'CREATED'],
    ...found.map(({ id, name, roles, created_at }) => [id, name ?? '', roles.join(','), created_at]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => `${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd())
    .map((line) => `${line}\n`)
    .join('');
}
