import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type ParsedNode,
  Parser,
  type Scalar,
  type YAMLMap,
  YAMLParseError,
} from 'yaml';

/** Where something stands in a file. Both count from 1; a column counts UTF-16 units. */
export interface Place {
  line: number;
  column: number;
}

/** The way to a value: names of fields and indexes of lists. */
export type Path = readonly PropertyKey[];

/** Something that is wrong at a place of a file. */
export interface FileProblem extends Place {
  /** The way to it, as `limits[2].max`; '' for the whole file. */
  path: string;
  message: string;
}

/** A problem in the form that editors and terminals make a link of: `limits.yaml:12:5: limits[2].max: must be a number`. */
export function problemText(file: string, { line, column, path, message }: FileProblem): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`;
}

/** What a YAML text holds, as plain values, and where it holds them. */
export interface YamlSource {
  /** Mappings are objects without a prototype. What an alias stands for is the same object wherever it stands. */
  value: unknown;
  /** Where the value at the path stands, or else the nearest one around it that is there. */
  placeOf(path: Path): Place;
  /** Where the name of the field at the path stands. */
  placeOfName(path: Path): Place;
}

/** The most problems that are told of one file: a file of something else altogether would have one in every line. */
export const PROBLEMS_MAX = 1_000;
/** How deep values may lie in each other. */
const DEPTH_MAX = 50;
/** How many words, signs, spaces and line ends a text may have: 10,000 limits with every field written out have 1.1 million. */
export const LEXEMES_MAX = 2_000_000;
/** How many values all aliases together may stand for: a few lines of aliases of aliases stand for billions. */
const ALIASED_VALUES_MAX = 100_000;
/** How much of a field's name is shown. */
const NAME_SHOWN_MAX = 64;
/** How much is shown of a message that may quote the file. */
const MESSAGE_MAX = 200;

/** For what the library says in its own terms. */
const WORDS: { [code: string]: string } = {
  MULTIPLE_DOCS: 'must be one document: this begins another',
  NON_STRING_KEY: 'the name of a field must be text',
};

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** A path as people write it: `limits[2].where.user`. */
export function pathText(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[\w-]+$/.test(String(part)) && String(part).length <= NAME_SHOWN_MAX) {
      text += text === '' ? String(part) : `.${String(part)}`;
    } else {
      const name = String(part);
      text += `[${JSON.stringify(cut(name, NAME_SHOWN_MAX))}]`;
    }
  }
  return text;
}

/**
 * The library's own way from a text to a document (`parseDocument`), but it stops where values lie too deep in each
 * other and where the text has more to it than any list of limits. Left to itself, a few megabytes of "[" take all the
 * memory there is, and a few of "a," a gigabyte or two.
 */
function compose(
  text: string,
  lines: LineCounter,
  lexemesMax: number,
): { document: Document.Parsed<ParsedNode>; next: YAMLParseError | null } | { stoppedAt: number; why: string } {
  const parser = new Parser(lines.addNewLine);
  let stopped: { stoppedAt: number; why: string } | null = null;
  function* tokens(): Generator<CST.Token, void> {
    lines.addNewLine(0);
    let lexemes = 0;
    for (const lexeme of new Lexer().lex(text)) {
      yield* parser.next(lexeme);
      lexemes += 1;
      if (parser.stack.length > DEPTH_MAX) stopped = { stoppedAt: parser.offset, why: 'is nested too deeply' };
      if (lexemes > lexemesMax) stopped = { stoppedAt: parser.offset, why: 'is too much for one file from here on' };
      if (stopped !== null) return;
    }
    yield* parser.end();
  }
  const composer = new Composer<ParsedNode>({
    schema: 'core',
    resolveKnownTags: false,
    merge: false,
    stringKeys: true,
    // Done by `readYaml`: the library compares every name with every other.
    uniqueKeys: false,
  });
  const [document, next] = composer.compose(tokens(), true, text.length);
  if (stopped !== null) return stopped;
  return {
    document: document!,
    next: next === undefined ? null : new YAMLParseError([next.range[0], next.range[1]], 'MULTIPLE_DOCS', ''),
  };
}

/**
 * Reads one YAML 1.2 document (core schema, whatever its %YAML directive says). Everything that YAML itself forbids is
 * a problem, and so are tags, names that are not text, the same name twice, aliases of nothing or of what they stand
 * in, and aliases that stand for more than 100,000 values in all. Merge keys (`<<`) are fields like any other.
 *
 * An empty document is a problem too.
 */
export function readYaml(text: string, lexemesMax = LEXEMES_MAX): YamlSource | { problems: FileProblem[] } {
  const lines = new LineCounter();
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const problemAt = (offset: number, path: Path, message: string): FileProblem => ({
    ...place(offset),
    path: pathText(path),
    message,
  });

  const composed = compose(text, lines, lexemesMax);
  if ('why' in composed) return { problems: [problemAt(composed.stoppedAt, [], composed.why)] };
  const { document, next } = composed;
  const complaints = [...document.errors, ...document.warnings];
  if (next !== null) complaints.push(next);
  if (complaints.length > 0) {
    return {
      problems: complaints
        .slice(0, PROBLEMS_MAX)
        .map(({ pos, code, message }) => problemAt(pos[0], [], WORDS[code] ?? cut(message, MESSAGE_MAX))),
    };
  }

  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) {
    return { problems: [problemAt(0, [], 'is empty: to have no limits at all, write `limits: []`')] };
  }

  const problems: FileProblem[] = [];
  const anchors = new Map<string, ParsedNode>();
  const read = new Map<ParsedNode, { value: unknown; values: number }>();
  const reading = new Set<ParsedNode>();
  let aliasedValues = 0;

  function readNode(node: ParsedNode | null, path: Path): { value: unknown; values: number } {
    if (node === null) return { value: null, values: 1 };
    if (path.length > DEPTH_MAX) {
      problems.push(problemAt(node.range[0], path, 'is nested too deeply'));
      return { value: null, values: 1 };
    }
    if (isAlias(node)) return readAlias(node, path);
    if (node.anchor !== undefined) anchors.set(node.anchor, node);
    reading.add(node);
    const result = isMap(node) ? readMap(node, path) : isSeq(node) ? readList(node.items, path) : readScalar(node);
    reading.delete(node);
    if (node.anchor !== undefined) read.set(node, result);
    return result;
  }

  function readScalar(node: ParsedNode): { value: unknown; values: number } {
    return { value: (node as Scalar).value, values: 1 };
  }

  function readList(items: ParsedNode[], path: Path): { value: unknown; values: number } {
    let values = 1;
    const value = items.map((item, index) => {
      const result = readNode(item, [...path, index]);
      values += result.values;
      return result.value;
    });
    return { value, values };
  }

  function readMap(map: YAMLMap.Parsed, path: Path): { value: unknown; values: number } {
    let values = 1;
    // Without a prototype, a field called __proto__ is one like any other.
    const value: Record<string, unknown> = Object.create(null);
    for (const { key, value: node } of map.items) {
      const name = String((key as Scalar).value);
      if (key.anchor !== undefined) {
        anchors.set(key.anchor, key);
        read.set(key, { value: name, values: 1 });
      }
      const result = readNode(node, [...path, name]);
      values += result.values;
      if (name in value) problems.push(problemAt(key.range![0], [...path, name], 'is there twice'));
      else value[name] = result.value;
    }
    return { value, values };
  }

  function readAlias(alias: ParsedNode & { source: string }, path: Path): { value: unknown; values: number } {
    const target = anchors.get(alias.source);
    const result = target === undefined ? undefined : read.get(target);
    if (result === undefined) {
      const why =
        target !== undefined && reading.has(target)
          ? `stands within what it stands for: *${alias.source}`
          : `there is no &${alias.source} before this *${alias.source}`;
      problems.push(problemAt(alias.range[0], path, why));
      return { value: null, values: 1 };
    }
    const hadRoom = aliasedValues <= ALIASED_VALUES_MAX;
    aliasedValues += result.values;
    if (aliasedValues > ALIASED_VALUES_MAX) {
      if (!hadRoom) return { value: null, values: 1 };
      const message = `is one alias too many: together they stand for more than ${ALIASED_VALUES_MAX} values`;
      problems.push(problemAt(alias.range[0], path, message));
      return { value: null, values: 1 };
    }
    return result;
  }

  const { value } = readNode(root, []);
  if (problems.length > 0) return { problems: problems.slice(0, PROBLEMS_MAX) };

  /** Pairs by name, made only for the mappings that places are asked in. */
  const pairs = new Map<YAMLMap.Parsed, Map<string, YAMLMap.Parsed['items'][number]>>();
  function pairOf(map: YAMLMap.Parsed, name: string): YAMLMap.Parsed['items'][number] | undefined {
    let byName = pairs.get(map);
    if (byName === undefined) {
      byName = new Map(map.items.map((pair) => [String((pair.key as Scalar).value), pair]));
      pairs.set(map, byName);
    }
    return byName.get(name);
  }

  /** The last node on the way, and whether it is the end of it. The way ends at an alias: that is what stands there. */
  function follow(path: Path): { node: ParsedNode; reached: boolean } {
    let node: ParsedNode = root!;
    for (const part of path) {
      const next: ParsedNode | null | undefined =
        isMap(node) && typeof part === 'string'
          ? pairOf(node as YAMLMap.Parsed, part)?.value
          : isSeq(node) && typeof part === 'number'
            ? (node.items[part] as ParsedNode | undefined)
            : undefined;
      if (next === null || next === undefined) return { node, reached: false };
      node = next;
    }
    return { node, reached: true };
  }

  return {
    value,
    placeOf: (path) => place(follow(path).node.range[0]),
    placeOfName(path) {
      const { node, reached } = follow(path.slice(0, -1));
      const pair = reached && isMap(node) ? pairOf(node as YAMLMap.Parsed, String(path[path.length - 1])) : undefined;
      return place((pair?.key ?? node).range![0]);
    },
  };
}
