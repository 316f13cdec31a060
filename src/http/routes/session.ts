import { z } from 'zod';
import { ROLES } from '../../access/api-keys';
import { LOCAL } from '../auth';
import { type Call, type Reply, type Route, route } from '../contract';
import { signInCookie, signOutCookie } from '../session';

const sessionSchema = z
  .object({
    actor: z.object({ id: z.string(), name: z.string().nullable() }).describe('Whose key it is.'),
    roles: z.array(z.enum(ROLES)).describe('What it may do.'),
    workspace: z.string(),
    version: z.string().describe('Of Sendgate.'),
  })
  .meta({ id: 'Session' });

const noSessionSchema = z
  .object({ actor: z.null(), roles: z.array(z.enum(ROLES)).max(0) })
  .describe('Nobody is signed in.')
  .meta({ id: 'NoSession' });
const NO_SESSION: Reply = { status: 200, body: { actor: null, roles: [] } };

/** The routes by which a browser signs in and out. */
export function sessionRoutes(services: { workspace: string; version: string }): Route[] {
  const { workspace, version } = services;
  const session = ({ actor, roles }: Call): Reply => ({ status: 200, body: { actor, roles, workspace, version } });
  return [
    route({
      method: 'get',
      path: '/session',
      operationId: 'getSession',
      tag: 'Session',
      summary: 'Who calls, and what they may do',
      description:
        'Without a key and without a session `actor` is null: a page asks this before anybody has signed in. A key that is not known, or is no longer, is a 401.',
      role: 'any',
      acceptsNobody: true,
      replies: { 200: { description: 'The caller.', schema: z.union([sessionSchema, noSessionSchema]) } },
      handle: (call) => (call.roles.length === 0 ? NO_SESSION : session(call)),
    }),
    route({
      method: 'post',
      path: '/session',
      operationId: 'signIn',
      tag: 'Session',
      summary: 'Sign a browser in',
      description:
        'With the key in `Authorization: Bearer`, as in any call. The browser keeps it in a cookie that no script reads and no other site has sent; calls that change something then also need the header `X-Sendgate-Console: 1`.',
      role: 'any',
      replies: {
        200: { description: 'Signed in.', schema: sessionSchema, headers: { 'Set-Cookie': 'The session.' } },
      },
      handle(call) {
        const reply = session(call);
        const [, key] = /^bearer +([-\w.~+/]+=*)$/i.exec(call.header('authorization') ?? '') ?? [];
        // While there is no key nobody looks at what is sent as one.
        const isKey = key !== undefined && call.actor.id !== LOCAL.actor.id;
        return !isKey ? reply : { ...reply, headers: { 'set-cookie': signInCookie(key, isSecure(call)) } };
      },
    }),
    route({
      method: 'delete',
      path: '/session',
      operationId: 'signOut',
      tag: 'Session',
      summary: 'Sign a browser out',
      role: null,
      replies: { 204: { description: 'Signed out.', headers: { 'Set-Cookie': 'No session any more.' } } },
      handle: (call) => ({ status: 204, headers: { 'set-cookie': signOutCookie(isSecure(call)) } }),
    }),
  ];
}

/** Whether the page that calls came by https, as the browser says: a proxy may have taken that off on the way. */
function isSecure(call: Call): boolean {
  return call.header('origin')?.startsWith('https://') ?? false;
}
