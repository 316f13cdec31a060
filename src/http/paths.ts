import type { Route } from './contract';

/** All paths of an app, for requests that none of its routes answers. */
export interface Paths {
  /** The methods that a path has, for an `Allow` header; null when there is no such path. */
  allowed(path: string): string | null;
  /** The name of the parameter in a path that is not percent-encoded UTF-8; null when there is none. */
  malformedParameter(path: string): string | null;
}

interface Template {
  pattern: RegExp;
  parameters: string[];
  method: string;
}

/** Learns the paths of routes. */
export function createPaths(routes: readonly Route[]): Paths {
  const templates = routes.flatMap(({ method, path, aliases = [] }) =>
    [path, ...aliases].map((template) => templateOf(template, method)),
  );
  return {
    allowed(path) {
      const methods = new Set(templates.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method));
      if (methods.size === 0) return null;
      if (methods.has('GET')) methods.add('HEAD');
      methods.add('OPTIONS');
      return [...methods].sort().join(', ');
    },
    malformedParameter(path) {
      for (const { pattern, parameters } of templates) {
        const values = pattern.exec(path)?.slice(1) ?? [];
        const index = values.findIndex((value) => !isPercentEncoded(value));
        if (index !== -1) return parameters[index]!;
      }
      return null;
    },
  };
}

function templateOf(path: string, method: string): Template {
  const parameters: string[] = [];
  const segments = path.split('/').map((segment) => {
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    if (name === undefined) return segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    parameters.push(name);
    return '([^/]+)';
  });
  return { pattern: new RegExp(`^${segments.join('/')}$`), parameters, method: method.toUpperCase() };
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false; // How decodeURIComponent says that a text is not percent-encoded UTF-8.
  }
}
