import { join } from 'node:path';
import type { Queue } from 'bullmq';
import type { Express, NextFunction, Request, RequestHandler, Response } from 'express';
import type { Authenticate } from './auth';
import type { Reply } from './contract';
import { problem, withHeaders } from './problem';

/** Where the board is. */
export const BOARD_PATH = '/queues';

/** Everything comes from here. The board's page has styles inside, and draws small images itself. */
const BOARD_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * Puts the board of the queues (https://github.com/felixmosh/bull-board) into the app, for admins. A browser asks for the
 * key: as the user name, or as the password, of HTTP Basic.
 *
 * It shows and changes nothing: a job that was removed there would leave a message behind that is queued for ever.
 *
 * @param deps.views the folder of its page, made by the build: bull-board's own without the font that it loads from
 *   elsewhere
 */
export function mountBoard(
  app: Express,
  deps: { queues: () => Iterable<Queue>; authenticate: Authenticate; views?: string },
): void {
  const { queues, authenticate, views = join(__dirname, 'board') } = deps;
  let board: RequestHandler | undefined;

  app.use(BOARD_PATH, async (request: Request, response: Response, next: NextFunction) => {
    try {
      const caller = await authenticate(request, { basic: 'either' });
      if ('status' in caller) {
        write(response, caller);
        return;
      }
      if (!caller.roles.includes('admin')) {
        write(response, problem(403, 'Forbidden', 'This page needs an API key with the role admin.'));
        return;
      }
      response.set({
        'content-security-policy': BOARD_POLICY,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-store',
      });
      board ??= createBoard([...queues()], views);
      board(request, response, next);
    } catch (error) {
      next(error);
    }
  });
}

/** Loaded when somebody looks for the first time: it takes a while, and nearly no process needs it. */
function createBoard(queues: readonly Queue[], views: string): RequestHandler {
  const { createBullBoard } = require('@bull-board/api') as typeof import('@bull-board/api');
  const { BullMQAdapter } = require('@bull-board/api/bullMQAdapter') as typeof import('@bull-board/api/bullMQAdapter');
  const { ExpressAdapter } = require('@bull-board/express') as typeof import('@bull-board/express');
  const serverAdapter = new ExpressAdapter();
  serverAdapter.setBasePath(BOARD_PATH);
  createBullBoard({
    queues: queues.map((queue) => new BullMQAdapter(queue, { readOnlyMode: true })),
    serverAdapter,
    options: { uiConfig: { boardTitle: 'Sendgate queues' } },
  });
  serverAdapter.setViewsPath(views);
  return serverAdapter.getRouter() as RequestHandler;
}

function write(response: Response, reply: Reply): void {
  const challenged = reply.status === 401 ? withHeaders(reply, { 'www-authenticate': CHALLENGE }) : reply;
  response.writeHead(challenged.status, { 'cache-control': 'no-store', ...challenged.headers });
  response.end(JSON.stringify(challenged.body));
}

const CHALLENGE = 'Basic realm="Sendgate queues: the API key as the password", charset="UTF-8"';
