import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ParsedFile, parseLimitsFile } from '../../src/limits-file/parse';
import { type LimitsFileWatch, type LimitsFileWatchDeps, watchLimitsFile } from '../../src/limits-file/watch';
import { startTestGate, type TestGate } from '../support/gate';
import { sharedRedisUrl, startRedis, uniqueWorkspace } from '../support/redis';

/** One line of the log: its level, its first words, and what is worth comparing of the rest. */
type Said = [level: string, words: string, fields: Record<string, unknown>];

/** A log whose lines are waited for. */
function createLog() {
  const said: Said[] = [];
  let read = 0;
  let wake: () => void = () => undefined;
  const write = (level: string) => (message: string, fields: Record<string, unknown>) => {
    said.push([level, message, fields]);
    wake();
  };
  return {
    said,
    log: { info: write('info'), warn: write('warn'), error: write('error') },
    /** The next line that has not been waited for. */
    async next(): Promise<Said> {
      while (said.length <= read) await new Promise<void>((resolve) => (wake = resolve));
      read += 1;
      return said[read - 1]!;
    },
  };
}

const IN_FORCE = 'The limits file is in force.';
const BAD = 'The limits file is not valid: what is in force stays.';
const GONE = 'The limits file cannot be read: there is no such file. What is in force stays.';
const BACK = 'The limits file can be read again.';
const REFUSED = 'The limits file is refused: what is in force stays.';
const AWAY = 'Redis does not answer: what the limits file says is brought into force when it does.';
/** So seldom that what a test sees was told by the file system. */
const NEVER_MS = 3_600_000;

const limitsText = (max: number, id = 'a') => `limits: [{ id: ${id}, per: [user], period: day, max: ${max} }]\n`;

let folder: string;
let path: string;
let t: TestGate;
let journal: ReturnType<typeof createLog>;
let watches: LimitsFileWatch[];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sendgate-'));
  path = join(folder, 'limits.yaml');
  journal = createLog();
  watches = [];
  t = await startTestGate({ url: sharedRedisUrl(), workspace: uniqueWorkspace() });
});
afterEach(async () => {
  await Promise.all(watches.map((watch) => watch.stop()));
  t.close();
  rmSync(folder, { recursive: true });
});

function start(deps: Partial<LimitsFileWatchDeps> = {}): LimitsFileWatch {
  const watch = watchLimitsFile({
    ...{ path, configuration: t.configuration, nowMs: t.clock.nowMs, log: journal.log, settleMs: 20, pollMs: NEVER_MS },
    parse: async (bytes): Promise<ParsedFile> => parseLimitsFile(bytes),
    ...deps,
  });
  watches.push(watch);
  return watch;
}

/** What is in force, as other processes see it. */
async function maxima(): Promise<Record<string, number | null>> {
  await t.configuration.refresh();
  const { limits } = t.configuration.planner()!.configuration;
  return Object.fromEntries([...limits.values()].map(({ id, max }) => [id, max]));
}

const counts = (created: number, updated: number, removed: number, unchanged: number) =>
  expect.objectContaining({ file: path, created, updated, removed, unchanged });

test('a file is applied at the start, and again when it is edited in place', async () => {
  writeFileSync(path, limitsText(1));
  expect(await start().first).toBe('applied');
  expect(await journal.next()).toEqual(['info', IN_FORCE, counts(1, 0, 0, 0)]);
  expect(await maxima()).toEqual({ a: 1 });
  writeFileSync(path, limitsText(2));
  expect(await journal.next()).toEqual(['info', IN_FORCE, counts(0, 1, 0, 0)]);
  expect(await maxima()).toEqual({ a: 2 });
});

test('a file is applied when another takes its place, as editors save', async () => {
  writeFileSync(path, limitsText(1));
  start();
  await journal.next();
  for (const max of [2, 3]) {
    writeFileSync(`${path}~`, limitsText(max));
    renameSync(`${path}~`, path);
    expect(await journal.next()).toEqual(['info', IN_FORCE, counts(0, 1, 0, 0)]);
    expect(await maxima()).toEqual({ a: max });
  }
});

test('a file is applied when the folder behind it is swapped, as Kubernetes updates a ConfigMap', async () => {
  const publish = (version: string, text: string) => {
    mkdirSync(join(folder, `..${version}`));
    writeFileSync(join(folder, `..${version}`, 'limits.yaml'), text);
    symlinkSync(`..${version}`, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  };
  publish('2026_01', limitsText(1));
  symlinkSync(join('..data', 'limits.yaml'), path);
  start();
  await journal.next();
  publish('2026_02', limitsText(2));
  rmSync(join(folder, '..2026_01'), { recursive: true });
  expect(await journal.next()).toEqual(['info', IN_FORCE, counts(0, 1, 0, 0)]);
  expect(await maxima()).toEqual({ a: 2 });
});

test('a change that the file system keeps to itself is found by looking', async () => {
  // Nothing happens in the folder that is watched when a file of another one changes.
  const elsewhere = mkdtempSync(join(tmpdir(), 'sendgate-'));
  try {
    writeFileSync(join(elsewhere, 'limits'), limitsText(1));
    symlinkSync(join(elsewhere, 'limits'), path);
    start({ pollMs: 10 });
    await journal.next();
    writeFileSync(join(elsewhere, 'limits'), limitsText(2));
    expect(await journal.next()).toEqual(['info', IN_FORCE, counts(0, 1, 0, 0)]);
    expect(await maxima()).toEqual({ a: 2 });
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
});

test('a bad file changes nothing, says the line once, and a good one is applied after it', async () => {
  writeFileSync(path, limitsText(1));
  start({ pollMs: 5 });
  await journal.next();
  writeFileSync(path, 'limits:\n  - id: a\n    per: user\n');
  const problems = [`${path}:2:5: limits[0].period: is missing`, `${path}:2:5: limits[0].max: is missing`];
  expect(await journal.next()).toEqual([
    'error',
    BAD,
    { file: path, problems: [...problems, `${path}:3:10: limits[0].per: must be a list`], problem_count: 3 },
  ]);
  expect(await maxima()).toEqual({ a: 1 });
  writeFileSync(path, limitsText(1));
  expect(await journal.next()).toEqual(['info', IN_FORCE, counts(0, 0, 0, 1)]);
  writeFileSync(path, limitsText(3));
  expect(await journal.next()).toEqual(['info', IN_FORCE, counts(0, 1, 0, 0)]);
  expect(journal.said).toHaveLength(4);
});

test('a file that goes away takes nothing with it, and is applied when it is back with something new', async () => {
  writeFileSync(path, limitsText(1));
  start({ pollMs: 5 });
  await journal.next();
  unlinkSync(path);
  expect(await journal.next()).toEqual(['error', GONE, { file: path }]);
  expect(await maxima()).toEqual({ a: 1 });
  writeFileSync(path, limitsText(1));
  expect(await journal.next()).toEqual(['info', BACK, { file: path }]);
  unlinkSync(path);
  expect(await journal.next()).toEqual(['error', GONE, { file: path }]);
  writeFileSync(path, limitsText(2));
  expect(await journal.next()).toEqual(['info', BACK, { file: path }]);
  expect(await journal.next()).toEqual(['info', IN_FORCE, counts(0, 1, 0, 0)]);
});

test('its whole folder may go away and come back', async () => {
  const inner = join(folder, 'inner');
  const innerPath = join(inner, 'limits.yaml');
  mkdirSync(inner);
  writeFileSync(innerPath, limitsText(1));
  start({ path: innerPath, pollMs: 5 });
  await journal.next();
  rmSync(inner, { recursive: true });
  expect((await journal.next())[1]).toBe(GONE);
  mkdirSync(inner);
  writeFileSync(innerPath, limitsText(2));
  expect((await journal.next())[1]).toBe(BACK);
  expect((await journal.next())[1]).toBe(IN_FORCE);
  expect(await maxima()).toEqual({ a: 2 });
});

test.each([
  ['bad', 'limits:', BAD],
  ['unreadable', null, GONE],
])('a file that is %s at the start is told as such, and may become a good one', async (outcome, text, words) => {
  if (text !== null) writeFileSync(path, text);
  expect(await start().first).toBe(outcome);
  expect((await journal.next())[1]).toBe(words);
  writeFileSync(path, limitsText(1));
  if (text === null) expect((await journal.next())[1]).toBe(BACK);
  expect(await journal.next()).toEqual(['info', IN_FORCE, counts(1, 0, 0, 0)]);
});

test('a file that is still being written is not applied half', async () => {
  writeFileSync(path, limitsText(1));
  const parsed: string[] = [];
  const parse = async (bytes: Uint8Array): Promise<ParsedFile> => {
    parsed.push(Buffer.from(bytes).toString());
    return parseLimitsFile(bytes);
  };
  // Far longer than the writes below take.
  start({ parse, settleMs: 500 });
  await journal.next();
  const half = 'limits:\n  - { id: a, per: [user], period: day, max: 2 }\n';
  const whole = `${half}  - { id: b, per: [], period: day, max: 2 }\n`;
  writeFileSync(path, half);
  await new Promise(setImmediate);
  writeFileSync(path, whole);
  expect(await journal.next()).toEqual(['info', IN_FORCE, counts(1, 1, 0, 0)]);
  expect(parsed).toEqual([limitsText(1), whole]);
});

test('a refused file is tried again when what stands in its way has gone', async () => {
  await t.limit({ id: 'mine', per: ['user'], period: 'day', max: 9 });
  writeFileSync(path, limitsText(1));
  let tries = 0;
  const change: typeof t.configuration.change = (...args) => {
    tries += 1;
    return t.configuration.change(...args);
  };
  expect(await start({ configuration: { ...t.configuration, change }, pollMs: 5 }).first).toBe('refused');
  const [level, words, fields] = await journal.next();
  expect([level, words]).toEqual(['error', REFUSED]);
  expect(fields).toMatchObject({ problems: [expect.stringContaining(`${path}:1:10: limits[0]: "a"`)] });
  // What is in the way still is said once, however often it is looked at.
  await t.limit({ id: 'other', per: ['topic'], period: 'day', max: 9 });
  while (tries < 2) await new Promise(setImmediate);
  await t.remove('mine');
  expect(await journal.next()).toEqual(['info', IN_FORCE, counts(1, 0, 0, 0)]);
  expect(await maxima()).toEqual({ a: 1, other: 9 });
  expect(journal.said).toHaveLength(2);
});

test('two processes with different copies each apply theirs once, and do not fight', async () => {
  const other = { path: join(folder, 'other.yaml'), journal: createLog() };
  writeFileSync(path, limitsText(1));
  writeFileSync(other.path, limitsText(2));
  start({ pollMs: 5 });
  expect((await journal.next())[1]).toBe(IN_FORCE);
  let looks = 0;
  const refresh = async () => {
    looks += 1;
    await t.configuration.refresh();
  };
  start({
    ...{ path: other.path, log: other.journal.log, pollMs: 5 },
    configuration: { ...t.configuration, refresh },
  });
  expect((await other.journal.next())[1]).toBe(IN_FORCE);
  while (looks < 5) await new Promise(setImmediate);
  expect(await maxima()).toEqual({ a: 2 });
  expect([journal.said.length, other.journal.said.length]).toEqual([1, 1]);
});

test('what Redis has lost is applied again', async () => {
  writeFileSync(path, limitsText(1));
  start({ pollMs: 5 });
  await journal.next();
  await t.redis.del(t.keys.config, t.keys.configItems, t.keys.configChanges, t.keys.configRemoved);
  expect(await journal.next()).toEqual(['info', IN_FORCE, counts(1, 0, 0, 0)]);
  expect(await maxima()).toEqual({ a: 1 });
});

test('a file waits for a Redis that is away, says so once, and is applied when it is there', async () => {
  const server = await startRedis();
  try {
    const own = await startTestGate({ url: server.url, workspace: uniqueWorkspace() });
    try {
      await server.kill();
      writeFileSync(path, limitsText(1));
      const watch = start({ configuration: own.configuration, pollMs: 10 });
      expect(await journal.next()).toEqual(['warn', AWAY, { file: path }]);
      await server.restart();
      expect(await watch.first).toBe('applied');
      expect(await journal.next()).toEqual(['info', IN_FORCE, counts(1, 0, 0, 0)]);
      expect(journal.said).toHaveLength(2);
      await watch.stop();
    } finally {
      own.close();
    }
  } finally {
    await server.stop();
  }
}, 60_000);

test('a stopped watch applies nothing any more', async () => {
  writeFileSync(path, limitsText(1));
  let reads = 0;
  const parse = async (bytes: Uint8Array): Promise<ParsedFile> => {
    reads += 1;
    return parseLimitsFile(bytes);
  };
  const watch = start({ parse, pollMs: 5 });
  await journal.next();
  await watch.stop();
  const second = start({ pollMs: 5 });
  writeFileSync(path, limitsText(2));
  while ((await maxima()).a !== 2) await new Promise(setImmediate);
  expect(reads).toBe(1);
  await second.stop();
});

test('a watch that is stopped before it could begin says so', async () => {
  const watch = start({ configuration: { ...t.configuration, change: () => new Promise(() => undefined) } });
  await watch.stop();
  expect(await watch.first).toBe('stopped');
});

test('a fault is told with what it was, and tried again', async () => {
  writeFileSync(path, limitsText(1));
  let calls = 0;
  const parse = async (bytes: Uint8Array): Promise<ParsedFile> => {
    calls += 1;
    if (calls < 3) throw new Error('broken');
    return parseLimitsFile(bytes);
  };
  start({ parse, pollMs: 5 });
  const [level, words, fields] = await journal.next();
  expect([level, words]).toEqual(['error', 'The limits file could not be applied, and is tried again: broken']);
  expect(fields.error).toBeInstanceOf(Error);
  expect((await journal.next())[1]).toBe(IN_FORCE);
  expect(journal.said).toHaveLength(2);
});
