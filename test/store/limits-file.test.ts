import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type CalendarRules, createCalendarCache } from '../../src/limits/calendar';
import type { Decision } from '../../src/limits/decision';
import type { Limit } from '../../src/limits/limit';
import { applyLimitsFile } from '../../src/limits-file/apply';
import {
  applyCommand,
  type CommandDeps,
  diffCommand,
  type SimulateDeps,
  simulateCommand,
} from '../../src/limits-file/commands';
import { type LimitsFile, parseLimitsFile } from '../../src/limits-file/parse';
import { createWhatIfs } from '../../src/log/what-if';
import { createConfigurationStore } from '../../src/store/configuration';
import { connectPatiently, parseRedisUrl } from '../../src/store/connection';
import { loadScripts } from '../../src/store/scripts';
import { messageTo, startTestGate, type TestGate } from '../support/gate';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';

const ACTOR = { id: 'file', name: 'limits.yaml' };
let workspace: string;
let t: TestGate;
beforeEach(async () => {
  workspace = uniqueWorkspace();
  t = await startTestGate({ url: sharedRedisUrl(), workspace });
});
afterEach(() => t.close());

function fileOf(text: string): LimitsFile {
  const parsed = parseLimitsFile(Buffer.from(text));
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  return parsed.file;
}

const apply = (text: string, on = t) =>
  applyLimitsFile({ configuration: on.configuration, nowMs: on.clock.nowMs }, fileOf(text), ACTOR, 'file');

async function decide(on: TestGate): Promise<Decision> {
  const message = messageTo('ann');
  const outcome = await on.gate.check({ message, messageId: null, cost: 1, dry: false, atMs: null });
  if (outcome.kind !== 'decided') throw new Error(`not decided: ${outcome.kind}`);
  return outcome.decision;
}

/** Everything that a change writes: nothing of it differs after one that was refused. */
async function everything() {
  const [config, items, audit] = await Promise.all([
    t.redis.hgetall(t.keys.config),
    t.redis.hgetall(t.keys.configItems),
    t.redis.xrange(t.keys.audit, '-', '+'),
  ]);
  return { config, items, audit };
}

async function limitsInRedis(): Promise<Limit[]> {
  const { '@settings': _settings, ...items } = await t.redis.hgetall(t.keys.configItems);
  const limits: Limit[] = Object.values(items).map((json) => JSON.parse(json));
  return limits.sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function audit(): Promise<string[][]> {
  const entries = await t.redis.xrange(t.keys.audit, '-', '+');
  return entries.map(([, fields]) => {
    const event = new Map(fields.map((field, index) => [field, fields[index + 1]!]));
    return ['type', 'target', 'source', 'actor'].map((name) => event.get(name)!);
  });
}

const TWO = 'limits:\n  - { id: a, per: [user], period: day, max: 1 }\n  - { id: b, per: [], period: day, max: 9 }\n';

test('a file is in force for the next check on every replica, its limits marked and its events told', async () => {
  const other = await startTestGate({ url: sharedRedisUrl(), workspace });
  try {
    const ask = () => decide(other);
    expect((await ask()).limits).toEqual([]);
    expect(await apply(`${TWO}settings: { timezone: Asia/Tokyo }`)).toEqual({
      applied: { created: 2, updated: 0, removed: 0, unchanged: 0, settings: 'updated' },
    });
    expect((await ask()).allowed).toBe(true);
    expect((await ask()).throttled_by).toEqual(['a']);
    expect((await limitsInRedis()).map(({ id, source }) => [id, source])).toEqual([
      ['a', 'file'],
      ['b', 'file'],
    ]);
    const by = ['file', JSON.stringify(ACTOR)];
    expect(await audit()).toEqual([
      ['limit.created', 'limit:a', ...by],
      ['limit.created', 'limit:b', ...by],
      ['settings.updated', 'settings', ...by],
    ]);
  } finally {
    other.close();
  }
});

test('the same file again writes nothing at all', async () => {
  await apply(TWO);
  const before = await everything();
  expect(await apply(TWO)).toEqual({
    applied: { created: 0, updated: 0, removed: 0, unchanged: 2, settings: 'unchanged' },
  });
  expect(await everything()).toEqual(before);
});

test('a changed file changes its limits and keeps when they were made, prunes only its own, and leaves the rest', async () => {
  await t.limit({ id: 'mine', per: ['account'], period: 'day', max: 1 });
  await apply(TWO);
  const made = (await limitsInRedis()).find(({ id }) => id === 'a')!;
  expect(await apply('limits: [{ id: a, per: [user], period: day, max: 2 }]')).toEqual({
    applied: { created: 0, updated: 1, removed: 1, unchanged: 0, settings: 'unchanged' },
  });
  const limits = await limitsInRedis();
  expect(limits.map(({ id, max, source }) => [id, max, source])).toEqual([
    ['a', 2, 'file'],
    ['mine', 1, 'api'],
  ]);
  const changed = limits.find(({ id }) => id === 'a')!;
  expect(changed.created_at).toBe(made.created_at);
  expect(Date.parse(changed.updated_at)).toBeGreaterThanOrEqual(Date.parse(made.updated_at));
  expect((await audit()).slice(2).map(([type, target]) => [type, target])).toEqual([
    ['limit.deleted', 'limit:b'],
    ['limit.updated', 'limit:a'],
  ]);
});

test('what was counted stays counted when a file changes the limit', async () => {
  const ask = () => decide(t);
  await apply(TWO);
  await ask();
  await apply('limits: [{ id: renamed, per: [user], period: day, max: 2 }]');
  expect((await ask()).limits).toMatchObject([{ limit_id: 'renamed', used: 2, remaining: 0 }]);
  expect((await ask()).throttled_by).toEqual(['renamed']);
});

test.each([
  ['the id of a limit of the API', 'limits: [{ id: mine, per: [topic], period: day, max: 1 }]'],
  ['the reach of a limit of the API', 'limits: [{ id: x, per: [account], period: day, max: 1 }]'],
])('a file with %s is refused, and nothing of it applied', async (_what, text) => {
  await t.limit({ id: 'mine', per: ['account'], period: 'day', max: 1 });
  await apply(TWO);
  const before = await everything();
  const result = await apply(text.replace(/\]$/, ', { id: new, per: [], period: hour, max: 1 }]'));
  expect(result).toEqual({ refused: [expect.objectContaining({ path: 'limits[0]', line: 1, column: 10 })] });
  expect(JSON.stringify(result)).toContain('DELETE /limits/mine');
  expect(await everything()).toEqual(before);
});

test('a limit made over the API while a file is worked out is seen: whoever is second gives way', async () => {
  const api = await startTestGate({ url: sharedRedisUrl(), workspace });
  try {
    let seen = 0;
    const racing = {
      change: ((actor, source, work) =>
        t.configuration.change(actor, source, (configuration) => {
          seen += 1;
          return work(configuration);
        })) as TestGate['configuration']['change'],
    };
    // The API's change comes after the file's has been worked out for the first time, and before it is written.
    const evalsha = t.redis.evalsha.bind(t.redis) as (...args: unknown[]) => Promise<unknown>;
    const write = loadScripts().config_write.sha;
    let raced = false;
    t.redis.evalsha = (async (...args: unknown[]) => {
      if (args[0] === write && !raced) {
        raced = true;
        await api.limit({ id: 'c', per: ['user'], period: 'day', max: 1 });
      }
      return evalsha(...args);
    }) as typeof t.redis.evalsha;
    const result = await applyLimitsFile({ configuration: racing, nowMs: t.clock.nowMs }, fileOf(TWO), ACTOR, 'file');
    expect(seen).toBe(2);
    expect(result).toEqual({ refused: [expect.objectContaining({ line: 2, path: 'limits[0]' })] });
    expect((await limitsInRedis()).map(({ id }) => id)).toEqual(['c']);
  } finally {
    api.close();
  }
});

test('replicas that apply the same file at once write it once', async () => {
  const replicas = await Promise.all(
    Array.from({ length: 4 }, () => startTestGate({ url: sharedRedisUrl(), workspace })),
  );
  try {
    const results = await Promise.all(replicas.map((replica) => apply(TWO, replica)));
    const created = results.map((result) => ('applied' in result ? result.applied.created : null));
    expect(created.sort()).toEqual([0, 0, 0, 2]);
    expect(await audit()).toHaveLength(2);
  } finally {
    for (const replica of replicas) replica.close();
  }
});

/** A connection with the patience that a change of thousands of limits takes where others are at work too. */
function openConfiguration() {
  const redis = connectPatiently(parseRedisUrl(sharedRedisUrl()), {
    ...{ name: 'test', commandTimeoutMs: 20_000, reconnectMs: 20 },
  });
  const calendars = createCalendarCache(10);
  const configuration = createConfigurationStore({
    ...{ redis, scripts: loadScripts(), keys: t.keys, calendarFor: (rules: CalendarRules) => calendars.for(rules) },
  });
  return { configuration, close: () => redis.disconnect() };
}

test('thousands of limits are one change: another replica never sees a part of it', async () => {
  // More than a replica reads at once.
  const many = 2_500;
  const limits = Array.from({ length: many }, (_, index) => ({
    ...{ id: `user-${index}`, per: ['user'], period: 'day', max: 1, where: { user: `u${index}` } },
  }));
  const [mine, other] = [openConfiguration(), openConfiguration()];
  const applyAll = (text: string) =>
    applyLimitsFile({ configuration: mine.configuration, nowMs: Date.now }, fileOf(text), ACTOR, 'file');
  try {
    const sizes = new Set<number>();
    const look = async () => {
      await other.configuration.refresh();
      sizes.add(other.configuration.planner()!.configuration.limits.size);
    };
    await look();
    let done = false;
    const watching = (async () => {
      while (!done) await look();
    })();
    const result = await applyAll(JSON.stringify({ limits }));
    done = true;
    await watching;
    await look();
    expect(result).toMatchObject({ applied: { created: many } });
    expect([...sizes]).toEqual([0, many]);
    expect(await applyAll('limits: []')).toMatchObject({ applied: { removed: many } });
    expect(await limitsInRedis()).toEqual([]);
    expect(await t.redis.xlen(t.keys.audit)).toBe(2 * many);
  } finally {
    mine.close();
    other.close();
  }
});

describe('sendgate limits', () => {
  let folder: string;
  let path: string;
  let deps: CommandDeps;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sendgate-'));
    path = join(folder, 'limits.yaml');
    async function* stdin() {
      yield Buffer.from(TWO);
    }
    deps = {
      stdin: stdin(),
      configuration: async () => t.configuration,
      nowMs: t.clock.nowMs,
      actor: { id: 'cli', name: null },
    };
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const CHANGED = [
    'limits:',
    '  - { id: a, per: [user], period: day, max: 2, mode: shadow }',
    '  - { id: c, per: [], period: month, max: null, where: { topic: t }, until: 2026-01-01T00:00:00Z }',
    'settings: { week_start: monday }',
  ].join('\n');
  const SHOWN = [
    '+ c: per [], month, max none, where {"topic":"t"}, until 2026-01-01T00:00:00.000Z',
    '~ a: max 1 → 2, mode "enforce" → "shadow"',
    '- b: per [], day, max 9',
    '~ settings: week_start "sunday" → "monday"',
    '1 to create, 1 to update, 1 to remove, 0 unchanged.',
    '',
  ].join('\n');

  test('diff shows what would change and ends with 1, or with 0 when nothing would', async () => {
    await apply(TWO);
    const before = await everything();
    writeFileSync(path, CHANGED);
    expect(await diffCommand(deps, path)).toEqual({ stdout: SHOWN, stderr: '', exitCode: 1 });
    expect(await diffCommand(deps, '-')).toEqual({
      stdout: 'No difference: 2 limits as in the file.\n',
      stderr: '',
      exitCode: 0,
    });
    expect(await everything()).toEqual(before);
  });

  test('apply says what it did, and is told as from the command line', async () => {
    await apply(TWO);
    writeFileSync(path, CHANGED);
    expect(await applyCommand(deps, path, { dryRun: false })).toEqual({
      stdout: 'Applied: 1 created, 1 updated, 1 removed, 0 unchanged; settings updated.\n',
      stderr: '',
      exitCode: 0,
    });
    expect((await audit()).slice(2).map(([, , source, actor]) => [source, actor])).toEqual(
      Array(4).fill(['cli', '{"id":"cli","name":null}']),
    );
    expect((await limitsInRedis()).map(({ source }) => source)).toEqual(['file', 'file']);
  });

  test('apply --dry-run shows what it would do, and does nothing', async () => {
    await apply(TWO);
    const before = await everything();
    writeFileSync(path, CHANGED);
    expect(await applyCommand(deps, path, { dryRun: true })).toEqual({
      stdout: `${SHOWN}Dry run: nothing was changed.\n`,
      stderr: '',
      exitCode: 0,
    });
    expect(await everything()).toEqual(before);
  });

  test('a bad file ends apply with 1 and diff with 2, before Redis is asked', async () => {
    const offline: CommandDeps = { ...deps, configuration: () => Promise.reject(new Error('asked Redis')) };
    writeFileSync(path, 'limits:\n  - 3\n');
    const stderr = `${path}:2:5: limits[0]: must be a mapping\n`;
    expect(await applyCommand(offline, path, { dryRun: false })).toEqual({ stdout: '', stderr, exitCode: 1 });
    expect(await applyCommand(offline, path, { dryRun: true })).toEqual({ stdout: '', stderr, exitCode: 1 });
    expect(await diffCommand(offline, path)).toEqual({ stdout: '', stderr, exitCode: 2 });
  });

  test('a refused file ends apply with 1 and diff with 2, with a line for each limit in the way', async () => {
    await t.limit(
      { id: 'x', per: ['user'], period: 'day', max: 1 },
      { id: 'b', per: ['topic'], period: 'day', max: 1 },
    );
    const before = await everything();
    writeFileSync(path, TWO);
    const refusal = expect.stringMatching(
      /^\S+:2:5: limits\[0\]: .*"x".*\n\S+:3:5: limits\[1\]: .*"b".*\nRefused: nothing was changed\.\n$/,
    );
    expect(await applyCommand(deps, path, { dryRun: false })).toEqual({ stdout: '', stderr: refusal, exitCode: 1 });
    expect(await applyCommand(deps, path, { dryRun: true })).toEqual({ stdout: '', stderr: refusal, exitCode: 1 });
    expect(await diffCommand(deps, path)).toEqual({ stdout: '', stderr: refusal, exitCode: 2 });
    expect(await everything()).toEqual(before);
  });

  /** With what tries the file out. */
  const trying = (): SimulateDeps => ({
    ...deps,
    whatIfs: async () =>
      createWhatIfs({
        ...{
          redis: t.redis,
          scripts: t.scripts,
          keys: t.keys,
          nowMs: () => Date.now() + 1_000,
          monotonicMs: () => performance.now(),
        },
        ...{ pause: nextTurn, holdMaxMs: 86_400_000, idempotencyTtlMs: 86_400_000 },
      }),
  });

  test('simulate says what the file would have done, with the limits that it no longer has gone, and does nothing', async () => {
    await apply(`${TWO}settings: { log_checks: all }`);
    for (let times = 0; times < 4; times += 1) await decide(t);
    const before = await everything();
    writeFileSync(path, 'limits: [{ id: b, per: [], period: day, max: 2 }]');
    expect(await simulateCommand(trying(), path, { days: 7 })).toEqual({
      stdout: [
        'Over the last 7 days this would have throttled 2 messages of 1 user, instead of 3 of 1.',
        '',
        'The users most affected:',
        '  "ann": 2 throttled instead of 3',
        '',
        'How many messages limits had no room for:',
        '  a: 3 messages → not in force',
        '  b: 0 messages → 2 messages',
        'Nothing was changed.',
        '',
      ].join('\n'),
      stderr: '',
      exitCode: 0,
    });
    writeFileSync(path, `${TWO}settings: { exempt_topics: [news], require_membership: true, log_checks: throttled }`);
    expect((await simulateCommand(trying(), path, { days: 1 })).stdout).toMatch(
      /^Over the last day this would have .*: the same as what is in force\.\n[\s\S]*To be known:\n {2}A change of require_membership/,
    );
    expect(await everything()).toEqual(before);
  });

  test('simulate tries the file in the place of limits from the API that are in its way, and says that they are', async () => {
    await t.settings({ log_checks: 'all' });
    await t.limit(
      { id: 'daily', per: ['user'], period: 'day', max: 10 },
      { id: 'weekly', per: ['user'], period: 'week', max: 10 },
      { id: 'other', per: [], period: 'day', max: 100 },
    );
    for (let times = 0; times < 5; times += 1) await decide(t);
    const before = await everything();
    // One has the id of one of them, one another id and the same place.
    writeFileSync(
      path,
      'limits:\n  - { id: daily, per: [user], period: day, max: 4 }\n  - { id: mine, per: [user], period: week, max: 3 }\n',
    );
    const { stdout, stderr, exitCode } = await simulateCommand(trying(), path, { days: 7 });
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(stdout).toMatch(/^Over the last 7 days this would have throttled 2 messages of 1 user, instead of none\./);
    expect(stdout).toContain('  mine: not in force → 2 messages\n');
    for (const id of ['daily', 'weekly']) expect(stdout).toContain(`  "${id}" was made over the API, and `);
    expect(stdout).not.toContain('"other"');
    expect(await everything()).toEqual(before);
    expect(await applyCommand(deps, path, { dryRun: false })).toMatchObject({ exitCode: 1 });
  });

  test('simulate ends with 1 for a file that is bad', async () => {
    writeFileSync(path, 'limits:\n  - 3\n');
    const bad = { stdout: '', stderr: `${path}:2:5: limits[0]: must be a mapping\n`, exitCode: 1 };
    expect(await simulateCommand(trying(), path, { days: 7 })).toEqual(bad);
  });

  test('says when Redis does not answer', async () => {
    const gone = await startTestGate({ url: sharedRedisUrl(), workspace });
    gone.close();
    const away: CommandDeps = { ...deps, configuration: async () => gone.configuration };
    writeFileSync(path, TWO);
    const stderr = expect.stringMatching(/^Redis does not answer: .*\n$/);
    expect(await applyCommand(away, path, { dryRun: false })).toEqual({ stdout: '', stderr, exitCode: 1 });
    expect(await diffCommand(away, path)).toEqual({ stdout: '', stderr, exitCode: 2 });
    const simulating: SimulateDeps = { ...away, whatIfs: trying().whatIfs };
    expect(await simulateCommand(simulating, path, { days: 7 })).toEqual({ stdout: '', stderr, exitCode: 1 });
  });
});
