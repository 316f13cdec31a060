// Writes openapi.json from the schemas that check requests; with --check, fails when it differs.
// Runs on dist/: build first.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { allRoutes } = require('../dist/http/all-routes.js');
const { openApiText } = require('../dist/http/openapi.js');
const { version } = require('../package.json');

/** Stands for every service: routes are made with it, and none is called. */
const nothing = new Proxy(() => {}, {
  get: () => nothing,
  apply() {
    throw new Error('A route uses a service while it is made: it must do so only in its handler.');
  },
});

const path = new URL('../openapi.json', import.meta.url);
const wanted = openApiText(allRoutes(nothing), version);

if (process.argv.includes('--check')) {
  if (!existsSync(path) || readFileSync(path, 'utf8') !== wanted) {
    console.error('openapi.json does not say what the routes do: run `npm run build && npm run openapi` and commit it');
    process.exit(1);
  }
} else {
  writeFileSync(path, wanted);
}
