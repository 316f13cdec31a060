import type { RequestListener } from 'node:http';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { Reply, Route } from './contract';
import { createPaths, type Paths } from './paths';
import { createPipeline, type Endpoint, type PipelineDeps, pathOf } from './pipeline';
import { invalidInput, problem, withHeaders } from './problem';

export interface AppDeps extends PipelineDeps {
  routes: readonly Route[];
  /** Puts pages that are not part of the API into the Express app. */
  mountPages?: ((app: Express) => void) | undefined;
}

/**
 * Makes the app that answers every request.
 *
 * Paths without parameters, `/check` before all, are found in a table; all others, and whatever no route answers, by
 * Express, which knows those of the table too. Both ways lead into the same pipeline: the table only spares what
 * Express does before a route runs, which costs a sixth of a bare request.
 */
export function createApp(deps: AppDeps): RequestListener {
  const pipeline = createPipeline(deps);
  const paths = createPaths(deps.routes);
  const table = new Map<string, Map<string, Endpoint>>();

  const app = express();
  app.disable('x-powered-by');
  app.set('query parser', false);
  // What a proxy says of a caller is believed nowhere.
  app.set('trust proxy', false);
  // One path, one name. With a loose slash DELETE /users/ann/accounts/, from a caller who left an id empty, would be
  // DELETE /users/ann/accounts, and remove ann from every account.
  app.enable('strict routing');
  app.enable('case sensitive routing');

  for (const route of deps.routes) {
    const endpoint = pipeline.endpoint(route);
    for (const path of [route.path, ...(route.aliases ?? [])]) {
      if (!path.includes('{')) addTo(table, path, route.method.toUpperCase(), endpoint);
      app[route.method](path.replace(/\{(\w+)\}/g, ':$1'), (request: Request, response: Response) =>
        pipeline.serve(endpoint, request, response, request.params),
      );
    }
  }
  deps.mountPages?.(app);

  const elsewhere = pipeline.endpoint(ELSEWHERE);
  app.use((request: Request, response: Response) =>
    pipeline.answer(elsewhere, request, response, unmatched(paths, request.method, pathOf(request.url))),
  );
  app.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
    // How Express's router says that a parameter of a path is not percent-encoded.
    if ((error as Error | null)?.name !== 'URIError') pipeline.fail(elsewhere, request, response, error);
    else pipeline.answer(elsewhere, request, response, malformed(paths, pathOf(request.url)));
  });

  return (request, response) => {
    const endpoint = table.get(pathOf(request.url!))?.get(request.method!);
    if (endpoint === undefined) app(request, response);
    else pipeline.serve(endpoint, request, response, {});
  };
}

/** Stands in the metrics and the log for every request that no route answers. */
const ELSEWHERE: Route = {
  method: 'get',
  path: 'elsewhere',
  operationId: 'elsewhere',
  tag: '',
  summary: '',
  role: null,
  replies: {},
  handle: () => ({ status: 404 }),
};

function addTo(table: Map<string, Map<string, Endpoint>>, path: string, method: string, endpoint: Endpoint): void {
  const methods = table.get(path) ?? new Map<string, Endpoint>();
  table.set(path, methods.set(method, endpoint));
}

function unmatched(paths: Paths, method: string, path: string): Reply {
  const allow = paths.allowed(path);
  if (allow === null) {
    return problem(404, 'Not found', 'There is nothing at this path. GET /openapi.json lists what there is.');
  }
  if (method === 'OPTIONS') return { status: 204, headers: { allow } };
  return withHeaders(problem(405, 'Method not allowed', `This path answers ${allow}.`), { allow });
}

function malformed(paths: Paths, path: string): Reply {
  const name = paths.malformedParameter(path) ?? '';
  return invalidInput([{ path: name, message: 'must be percent-encoded UTF-8' }]);
}
