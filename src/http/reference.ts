import { join } from 'node:path';
import type { Express, Response } from 'express';

/** Where the page is. Relative links in it keep working behind a proxy that puts a prefix before every path. */
export const REFERENCE_PATH = '/docs/';

/** The files of the page: our own, and Swagger UI's, which the build copies beside them. Nothing else is served. */
export const REFERENCE_FILES = {
  own: ['index.html', 'page.js', 'page.css'],
  swaggerUi: ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'],
} as const;

/** Everything comes from here, and nothing is run that is written inside the page. Swagger UI's icons are data URLs. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** For how long a browser need not ask again whether a file has changed. */
const CACHE_MS = 3_600_000;

/**
 * Puts the API reference page into the app. It loads nothing from anywhere else.
 * @param folders where its files are, `own` and `swaggerUi`: one and the same folder once built
 */
export function mountReference(
  app: Express,
  folders: { own: string; swaggerUi: string } = {
    own: join(__dirname, 'reference'),
    swaggerUi: join(__dirname, 'reference'),
  },
): void {
  const redirectTo = (target: string) => (_request: unknown, response: Response) => {
    response.writeHead(302, { location: target, 'cache-control': 'no-store', 'content-length': '0' });
    response.end();
  };
  const serve = (root: string, file: string) => (_request: unknown, response: Response) => {
    response.set({
      'content-security-policy': PAGE_POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    const isPage = file === 'index.html';
    response.sendFile(file, isPage ? { root, cacheControl: false } : { root, maxAge: CACHE_MS });
    if (isPage) response.set('cache-control', 'no-cache');
  };
  app.get('/docs', redirectTo('docs/'));
  app.get(REFERENCE_PATH, serve(folders.own, 'index.html'));
  for (const file of REFERENCE_FILES.own) app.get(`${REFERENCE_PATH}${file}`, serve(folders.own, file));
  for (const file of REFERENCE_FILES.swaggerUi) app.get(`${REFERENCE_PATH}${file}`, serve(folders.swaggerUi, file));
}
