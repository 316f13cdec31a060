import { useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, useContext, useEffect, useState } from 'react';
import { CallError, whenSignedOut } from '../api/call';
import { fetchSession, may, type Role, type Session } from '../api/session';
import { againAfterMs, LIVE_MS } from './queries';

export const SESSION_KEY = ['session'];

const SessionContext = createContext<{ session: Session; signedInMs: number } | null>(null);
export const SessionProvider = SessionContext.Provider;

/** Who is signed in. Only below {@link SessionProvider}. */
export function useSession(): Session {
  return useContext(SessionContext)!.session;
}

/** When somebody last signed in on this page: changes when a session that ended is begun again. */
export function useSignedInMs(): number {
  return useContext(SessionContext)!.signedInMs;
}

/** Whether the one who is signed in may do what needs a role. */
export function useMay(role: Role): boolean {
  return may(useSession(), role);
}

/** The session of this browser, as far as it is known. */
export interface SessionState {
  /** Who is, or was, signed in. */
  session: Session | null;
  signedInMs: number;
  /** Whether somebody has to sign in: for the first time, or because the session ended. */
  mustSignIn: boolean;
  /** Why it is not known. */
  error: unknown;
  refetch: () => void;
  signedIn: (session: Session) => void;
}

/** Asks who is signed in, and notices when that ends. */
export function useSessionState(): SessionState {
  const queries = useQueryClient();
  const [hasEnded, setEnded] = useState(false);
  const [signedInMs, setSignedInMs] = useState(0);
  const query = useQuery({
    queryKey: SESSION_KEY,
    queryFn: ({ signal }) => fetchSession(signal),
    refetchInterval: ({ state: { error } }) => (isSignedOut(error) ? false : againAfterMs(error, LIVE_MS)),
  });
  useEffect(() => {
    whenSignedOut(() => setEnded(true));
    return () => whenSignedOut(() => undefined);
  }, []);
  return {
    session: query.data ?? null,
    signedInMs,
    mustSignIn: hasEnded || isSignedOut(query.error),
    error: isSignedOut(query.error) ? null : query.error,
    refetch: () => void query.refetch(),
    signedIn(session) {
      queries.setQueryData(SESSION_KEY, session);
      setEnded(false);
      setSignedInMs(Date.now());
      // What failed for want of a session is asked for again; what somebody typed stays where it is. A list that is being read
      // keeps its place.
      void queries.invalidateQueries({
        predicate: ({ queryKey, state }) => queryKey[0] !== 'feed' || state.data === undefined,
      });
    },
  };
}

function isSignedOut(error: unknown): boolean {
  return error instanceof CallError && error.status === 401;
}
