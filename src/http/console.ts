import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import compression from 'compression';
import express, { type Express } from 'express';

/** Where its scripts and styles are; their names change with what is in them. */
const FILES_PATH = '/console';
/** What stands in the page for the nonce of its styles. */
const NONCE_PLACE = '__NONCE__';
const NONCE_BYTES = 16;
const YEAR_SECONDS = 31_536_000;

/**
 * Everything comes from here, and nothing is run that is written inside the page. The components write a style sheet of
 * colours and sizes at run time: it carries the nonce, which is another one for each time that the page is served.
 */
function policy(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/**
 * Puts the console into the app, at `/`. What it shows it asks the API for, with the session of the browser.
 * @param folder what `vite build` made of ui/
 * @throws when it is not there
 */
export function mountConsole(app: Express, folder: string = join(__dirname, '../console')): void {
  const [before = '', ...after] = readFileSync(join(folder, 'index.html'), 'utf8').split(NONCE_PLACE);
  app.get('/', (_request, response) => {
    const nonce = randomBytes(NONCE_BYTES).toString('base64');
    response.set({
      'content-security-policy': policy(nonce),
      'cross-origin-opener-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      // One that was kept would have another nonce than its policy, and name files of another version.
      'cache-control': 'no-store',
    });
    response.type('html').send([before, ...after].join(nonce));
  });
  app.get('/favicon.svg', (_request, response) => {
    response.sendFile('favicon.svg', { root: folder, maxAge: '1h' });
  });
  app.use(
    FILES_PATH,
    compression(),
    express.static(join(folder, 'console'), {
      index: false,
      redirect: false,
      immutable: true,
      maxAge: YEAR_SECONDS * 1_000,
      setHeaders: (response) => response.setHeader('x-content-type-options', 'nosniff'),
    }),
  );
}
