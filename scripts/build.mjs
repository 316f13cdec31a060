// Builds dist/: the compiled sources, and the static files that the API serves from the package itself.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

rmSync('dist', { recursive: true, force: true });
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
chmodSync('dist/cli.js', 0o755);
copyReferencePage();
makeBoardPage();
await buildConsole();

/** The console, from ui/. */
async function buildConsole() {
  const { build } = await import('vite');
  await build({ configFile: 'ui/vite.config.mts', logLevel: 'warn' });
}

/** The page of the board of the queues: bull-board's own without the font that it would load from elsewhere. */
function makeBoardPage() {
  const require = createRequire(import.meta.url);
  const express = createRequire(require.resolve('@bull-board/express'));
  const ui = dirname(express.resolve('@bull-board/ui/package.json'));
  const page = readFileSync(join(ui, 'dist/index.ejs'), 'utf8').replace(/<link[^>]*href="https?:[^>]*>/g, '');
  if (/(?:src|href)="https?:/.test(page))
    throw new Error('The board of the queues would load something from elsewhere.');
  mkdirSync('dist/http/board', { recursive: true });
  writeFileSync('dist/http/board/index.ejs', page);
}

/** The API reference page: its own files, Swagger UI's, and the licenses that those come under. */
function copyReferencePage() {
  const require = createRequire(import.meta.url);
  const { REFERENCE_FILES } = require('../dist/http/reference.js');
  const swaggerUi = dirname(require.resolve('swagger-ui-dist/package.json'));
  const target = 'dist/http/reference';
  mkdirSync(target, { recursive: true });
  for (const file of REFERENCE_FILES.own) copyFileSync(join('src/http/reference', file), join(target, file));
  for (const file of REFERENCE_FILES.swaggerUi) copyFileSync(join(swaggerUi, file), join(target, file));
  copyFileSync(join(swaggerUi, 'LICENSE'), join(target, 'swagger-ui.LICENSE.txt'));
  copyFileSync(join(swaggerUi, 'NOTICE'), join(target, 'swagger-ui.NOTICE.txt'));
  const thirdParties = 'swagger-ui-bundle.js.LICENSE.txt';
  copyFileSync(join(swaggerUi, thirdParties), join(target, thirdParties));
}
