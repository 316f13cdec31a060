import { CallError, call } from './call';

/** What a key may do: `check` asks and sends, `read` looks, `admin` may do everything. */
export type Role = 'check' | 'read' | 'inbound' | 'admin';

/** Who is signed in. */
export interface Session {
  actor: { id: string; name: string | null };
  roles: Role[];
  workspace: string;
  version: string;
}

/** Whether a caller may do what needs a role. */
export function may(session: Session | undefined, role: Role): boolean {
  return session !== undefined && (session.roles.includes(role) || session.roles.includes('admin'));
}

/** @throws CallError with status 401 when nobody is */
export async function fetchSession(signal?: AbortSignal): Promise<Session> {
  const session = await call<Session | { actor: null }>('GET', 'session', { signal });
  if (session.actor === null) throw new CallError(401, 'Not signed in', 'Nobody is signed in here.');
  return session as Session;
}

/** Signs this browser in. @throws CallError with status 401 for a key that is not known */
export function signIn(key: string): Promise<Session> {
  return call('POST', 'session', { headers: { authorization: `Bearer ${key}` } });
}

export function signOut(): Promise<void> {
  return call('DELETE', 'session');
}
