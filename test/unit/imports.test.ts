import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseSync } from '@swc/core';

const SRC = join(__dirname, '../../src');

/**
 * What each part of `src/` may import of the other parts; a part is a folder, or a file that stands at the top.
 * Type imports count: a part that knows another's types knows that part.
 */
const MAY_IMPORT: Record<string, readonly string[]> = {
  limits: [],
  store: ['limits'],
  membership: ['store', 'limits'],
  log: ['store', 'limits'],
  sends: ['store', 'limits', 'log', 'membership', 'gate'],
  inbound: ['store', 'limits', 'log', 'membership', 'sends'],
  alerts: ['store', 'limits', 'log', 'sends'],
  access: ['store', 'limits', 'log'],
  gate: ['store', 'limits', 'log', 'membership'],
  'limits-file': ['store', 'limits', 'log'],
  metrics: [],
  traffic: ['store', 'limits'],
  http: [
    ...[
      'limits',
      'store',
      'membership',
      'sends',
      'inbound',
      'log',
      'access',
      'gate',
      'limits-file',
      'traffic',
      'alerts',
    ],
    'metrics',
  ],
  healthcheck: [],
  config: ['healthcheck', 'limits', 'sends', 'store'],
  logger: ['config'],
  'private-redis': ['store'],
  lifecycle: ['logger'],
  version: [],
  tools: ['config', 'lifecycle', 'private-redis', 'access', 'limits', 'log', 'store'],
  compose: [
    ...[
      'lifecycle',
      'version',
      'logger',
      'private-redis',
      'config',
      'healthcheck',
      'limits',
      'store',
      'membership',
      'sends',
      'inbound',
      'log',
      'access',
      'gate',
      'limits-file',
      'traffic',
    ],
    ...['alerts', 'metrics', 'http'],
  ],
  cli: ['config', 'compose', 'tools', 'version', 'healthcheck', 'lifecycle', 'logger', 'access', 'limits-file', 'log'],
};

/** Packages that only some parts may know. */
const ONLY_IN: Record<string, readonly string[]> = {
  ioredis: ['store', 'membership', 'log', 'sends', 'alerts', 'private-redis'],
  bullmq: ['store', 'membership', 'log', 'sends', 'alerts', 'http'],
  express: ['http'],
  nodemailer: ['alerts'],
  commander: ['cli'],
  winston: ['logger'],
};

/** Folders are named after things in the product, never after kinds of syntax. */
const REFUSED_FOLDERS = ['utils', 'util', 'helpers', 'types', 'interfaces', 'classes', 'common', 'shared', 'lib'];

interface Source {
  /** Path below `src/`, such as `limits/plan.ts`. */
  path: string;
  /** Packages and relative modules, as written. */
  imports: string[];
  readsEnvironment: boolean;
}

/** As much of a syntax tree as is looked at here. */
interface Node {
  type?: string;
  value?: unknown;
  source?: Node | null;
  argument?: Node;
  expression?: Node;
  callee?: Node;
  arguments?: { expression: Node }[];
  object?: Node;
  property?: Node;
}

function readSource(path: string, code: string): Source {
  const source: Source = { path, imports: [], readsEnvironment: false };
  const add = (module: Node | undefined) => {
    if (module?.type !== 'StringLiteral') throw new Error(`${path} imports what is worked out only as it runs`);
    source.imports.push(String(module.value));
  };
  const visit = (node: Node): void => {
    const { type, callee, object, property } = node;
    if (type?.match(/^(Import|ExportNamed|ExportAll)Declaration$/) && node.source) add(node.source);
    if (type === 'TsImportType') add(node.argument);
    if (type === 'TsExternalModuleReference') add(node.expression);
    if (type === 'CallExpression' && (callee?.type === 'Import' || callee?.value === 'require')) {
      add(node.arguments?.[0]?.expression);
    }
    if (type === 'MemberExpression' && object?.value === 'process' && property?.value === 'env') {
      source.readsEnvironment = true;
    }
    for (const child of Object.values(node)) if (typeof child === 'object' && child !== null) visit(child);
  };
  visit(parseSync(code, { syntax: 'typescript', target: 'es2022' }) as Node);
  return source;
}

const paths = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
const sources = new Map(paths.map((path) => [path, readSource(path, readFileSync(join(SRC, path), 'utf8'))]));

const partOf = (path: string) => (path.split('/')[0] ?? path).replace(/\.ts$/, '');

/** The file below `src/` that a relative import names, or null for a package. */
function imported(from: string, module: string): string | null {
  if (!module.startsWith('.')) return null;
  return `${relative(SRC, join(SRC, dirname(from), module)).replace(/\.js$/, '')}.ts`;
}

function importedFiles({ path, imports }: Source): string[] {
  return imports.flatMap((module) => imported(path, module) ?? []).filter((file) => sources.has(file));
}

/** A chain of files that ends where it began, or null. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  const walk = (path: string, trail: string[]): string[] | null => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return null;
    for (const next of graph.get(path) ?? []) {
      const cycle = walk(next, [...trail, path]);
      if (cycle !== null) return cycle;
    }
    done.add(path);
    return null;
  };
  for (const path of graph.keys()) {
    const cycle = walk(path, []);
    if (cycle !== null) return cycle;
  }
  return null;
}

test('every way to import is seen, and so is the environment', () => {
  const { imports, readsEnvironment } = readSource(
    'sample.ts',
    `import a from 'a'; import type { B } from 'b'; import 'c'; export * from 'd'; export { e } from 'e';
     import f = require('f'); type G = import('g').G; const h = require('h'); const i = () => import('i');
     // import j from 'j'
     const env = () => process.env;`,
  );
  expect(imports.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']);
  expect(readsEnvironment).toBe(true);
  expect(readSource('sample.ts', "const text = 'process.env'").readsEnvironment).toBe(false);
});

test('every import of the sources leads to a file that is there', () => {
  expect(sources.size).toBeGreaterThan(5);
  const unresolved = [...sources.values()].flatMap(({ path, imports }) =>
    imports
      .filter((module) => module.startsWith('.') && !module.endsWith('.json'))
      .filter((module) => !sources.has(imported(path, module)!))
      .map((module) => `${path}: ${module}`),
  );
  expect(unresolved).toEqual([]);
});

test('a cycle is found, and files that only share what they import are none', () => {
  const diamond = [
    ['a', ['b', 'c']],
    ['b', ['d']],
    ['c', ['d']],
    ['d', []],
  ] as const;
  expect(findCycle(new Map<string, readonly string[]>(diamond))).toBeNull();
  expect(findCycle(new Map<string, readonly string[]>([...diamond, ['d', ['b']]]))).toEqual(['b', 'd', 'b']);
});

test('no file imports itself through others, types included', () => {
  expect(findCycle(new Map([...sources.values()].map((source) => [source.path, importedFiles(source)])))).toBeNull();
});

test('imports point one way: limits know nobody, the store knows limits, and only the command line knows compose', () => {
  const wrong = [...sources.values()].flatMap((source) => {
    const part = partOf(source.path);
    return importedFiles(source)
      .filter((file) => partOf(file) !== part && !MAY_IMPORT[part]?.includes(partOf(file)))
      .map((file) => `${source.path} may not import ${file}`);
  });
  expect(wrong).toEqual([]);
});

test('Redis, Express and the command line are each known only where they belong', () => {
  const wrong = [...sources.values()].flatMap(({ path, imports }) =>
    imports
      .map((module) => module.split('/')[0]!)
      .filter((name) => ONLY_IN[name] !== undefined && !ONLY_IN[name].includes(partOf(path)))
      .map((name) => `${path} may not import ${name}`),
  );
  expect(wrong).toEqual([]);
});

test('limits are pure: they reach no file, network, process or timer of the machine', () => {
  const wrong = [...sources.values()]
    .filter(({ path }) => partOf(path) === 'limits')
    .flatMap(({ path, imports }) => imports.filter((module) => module.startsWith('node:')).map((m) => `${path}: ${m}`));
  expect(wrong).toEqual([]);
});

test('only config.ts reads the environment, which cli.ts hands to it', () => {
  const readers = [...sources.values()].filter(({ readsEnvironment }) => readsEnvironment).map(({ path }) => path);
  expect(readers.filter((path) => path !== 'config.ts' && path !== 'cli.ts')).toEqual([]);
});

test('every part of the sources is one that the rules know', () => {
  expect([...new Set(paths.map(partOf))].filter((part) => MAY_IMPORT[part] === undefined)).toEqual([]);
});

test('no folder is named after a kind of syntax, and no file only passes others on', () => {
  const wrong = paths.filter(
    (path) =>
      path.split('/').some((name) => REFUSED_FOLDERS.includes(name.replace(/\.ts$/, ''))) || path.endsWith('index.ts'),
  );
  expect(wrong).toEqual([]);
});
