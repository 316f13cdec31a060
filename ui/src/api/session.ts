import { call } from './call';

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

export function fetchSession(signal?: AbortSignal): Promise<Session> {
  return call('GET', 'session', { signal });
}

/** Signs this browser in. @throws CallError with status 401 for a key that is not known */
export function signIn(key: string): Promise<Session> {
  return call('POST', 'session', { headers: { authorization: `Bearer ${key}` } });
}

export function signOut(): Promise<void> {
  return call('DELETE', 'session');
}
