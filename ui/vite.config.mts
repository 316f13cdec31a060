import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, type Plugin } from 'vite';

/** The API that a console under development talks to. */
const API = process.env.SENDGATE_URL ?? 'http://127.0.0.1:8080';
const API_PATHS = '^/(?!src|node_modules|@|favicon|$|\\?)';

/** Packages of which everything is imported from an index, and where that is. */
const INDEXES: Readonly<Record<string, string>> = {
  '@mantine/core': 'esm/index.mjs',
  '@mantine/hooks': 'esm/index.mjs',
  '@tabler/icons-react': 'dist/esm/tabler-icons-react.mjs',
};

/** For this function a dialog would bring along the library that places menus; the other does the same. */
const MERGE_REFS = 'import { useMergeRefs } from "@floating-ui/react";';
const MERGED_REF =
  'import { useMergedRef } from "@mantine/hooks"; const useMergeRefs = (refs) => useMergedRef(...refs);';

/**
 * Imports what those packages have from where it is. By way of its index the frame, which imports a button, would depend on
 * every component that any view has, and all of them would be loaded with the first view.
 */
function withoutIndexes(): Plugin {
  const packages = Object.keys(INDEXES).join('|');
  const imports = new RegExp(String.raw`\bimport\s*\{([^}]*)\}\s*from\s*["'](${packages})["'];?`, 'g');
  const indexes = new Map<string, { path: string; places: Map<string, { name: string; from: string }> }>();

  function indexOf(name: string) {
    let index = indexes.get(name);
    if (index === undefined) {
      const path = join(import.meta.dirname, '../node_modules', name, INDEXES[name]!);
      const places = new Map<string, { name: string; from: string }>();
      const lines = readFileSync(path, 'utf8').matchAll(/^(?:import|export)\s*\{([^}]*)\}\s*from\s*["']([^"']+)["']/gm);
      for (const [, names = '', from = ''] of lines) {
        for (const { name, as } of namesOf(names)) places.set(as, { name, from });
      }
      index = { path, places };
      indexes.set(name, index);
    }
    return index;
  }

  return {
    name: 'without-indexes',
    apply: 'build',
    enforce: 'pre',
    async transform(code, id) {
      const given = id.endsWith('/ScrollArea/ScrollArea.mjs') ? code.replace(MERGE_REFS, MERGED_REF) : code;
      let changed = given;
      for (const [statement, names = '', from = ''] of given.matchAll(imports)) {
        const { path, places } = indexOf(from);
        const direct = await Promise.all(
          namesOf(names).map(async ({ name, as }) => {
            const place = places.get(name);
            // A type, which goes away.
            if (place === undefined) return `import { ${name} as ${as} } from '${from}';`;
            const resolved = await this.resolve(place.from, path);
            return `import { ${place.name} as ${as} } from ${JSON.stringify(resolved!.id)};`;
          }),
        );
        changed = changed.replace(statement, () => direct.join(' '));
      }
      return changed === code ? null : { code: changed, map: null };
    },
  };
}

/** The names in an import: `a, b as c, type D`, without the types. */
function namesOf(text: string): { name: string; as: string }[] {
  return text.split(',').flatMap((one) => {
    const [name = '', , as = name] = one.trim().split(/\s+/);
    return name === '' || name === 'type' ? [] : [{ name, as }];
  });
}

/** What the bundler knows of a module. */
interface Modules {
  getModuleInfo(id: string): { importedIds: string[] } | null;
}

/** What the frame is made of, and what many views show: one file each, where there would be twenty. */
function commonFiles() {
  let frame: Set<string> | undefined;
  return (id: string, modules: Modules): string | null => {
    if (frame === undefined) {
      frame = new Set([join(import.meta.dirname, 'src/main.tsx')]);
      // It grows while it is gone through.
      for (const one of frame)
        for (const imported of modules.getModuleInfo(one)?.importedIds ?? []) frame.add(imported);
    }
    if (frame.has(id)) return 'frame';
    return /\/ui\/src\/show\/(?:foreign|instant|status)\./.test(id) ? 'show' : null;
  };
}

export default defineConfig({
  root: import.meta.dirname,
  // Wherever a proxy puts the console, its files are beside it.
  base: './',
  plugins: [withoutIndexes()],
  build: {
    outDir: '../dist/console',
    assetsDir: 'console',
    emptyOutDir: true,
    target: 'es2022',
    // What a first visit loads is counted by it.
    manifest: 'manifest.json',
    license: { fileName: 'console/licenses.md' },
    modulePreload: { polyfill: false },
    // The first visit's is checked, in whole, by a test.
    chunkSizeWarningLimit: 1_000,
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ name: commonFiles(), debugName: 'common files' }] } },
      onwarn(warning, warn) {
        // "use client" is for those who render on a server.
        if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') warn(warning);
      },
    },
  },
  server: { proxy: { [API_PATHS]: { target: API, changeOrigin: false } } },
});
