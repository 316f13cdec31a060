// Writes docs/configuration.md from the table that reads the environment; with --check, fails when it differs.
// Runs on dist/: build first.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { configurationDocument } = createRequire(import.meta.url)('../dist/config.js');
const path = new URL('../docs/configuration.md', import.meta.url);
const wanted = configurationDocument();

if (process.argv.includes('--check')) {
  if (readFileSync(path, 'utf8') !== wanted) {
    console.error('docs/configuration.md does not say what src/config.ts does: run `npm run docs` and commit it');
    process.exit(1);
  }
} else {
  writeFileSync(path, wanted);
}
