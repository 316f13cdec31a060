import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Limit } from '../../src/limits/limit';
import { createLimitSet } from '../../src/limits/limit-set';
import { DEFAULT_SETTINGS, type Settings } from '../../src/limits/settings';
import { validateCommand } from '../../src/limits-file/commands';
import { changeFor, type Difference, differenceOf, isSame } from '../../src/limits-file/difference';
import {
  FILE_MAX_BYTES,
  FILE_MAX_LIMITS,
  type LimitsFile,
  limitInForce,
  parseLimitsFile,
} from '../../src/limits-file/parse';
import { parseApart } from '../../src/limits-file/parse-apart';
import { LEXEMES_MAX, problemText, readYaml } from '../../src/limits-file/yaml';
import { limitOf } from '../support/gate';

/** Everything that is wrong, as a terminal shows it; [] for a valid file. */
function problemsOf(text: string | Uint8Array): string[] {
  const parsed = parseLimitsFile(typeof text === 'string' ? Buffer.from(text) : text);
  return 'problems' in parsed ? parsed.problems.map((problem) => problemText('f', problem)) : [];
}

function fileOf(text: string): LimitsFile {
  const parsed = parseLimitsFile(Buffer.from(text));
  if ('problems' in parsed) throw new Error(problemsOf(text).join('\n'));
  return parsed.file;
}

const ONE = 'limits:\n  - { id: a, per: [user], period: day, max: 5 }\n';

describe('a limits file says', () => {
  test('each limit in full, with the defaults of the API, and where it stands', () => {
    const { limits, settings } = fileOf(
      [
        'limits:',
        '  - id: user-daily',
        '    per: [user]',
        '    period: day',
        '    max: 50',
        '  - id: acme',
        '    per: [account]',
        '    period: month',
        '    max: null',
        '    where: { account: acme }',
        '    mode: shadow',
        '    from: 2026-03-01T00:00:00+01:00',
      ].join('\n'),
    );
    expect(settings).toEqual({});
    expect(limits.map(({ index, line, column }) => [index, line, column])).toEqual([
      [0, 2, 5],
      [1, 6, 5],
    ]);
    expect(limits.map(({ limit }) => limit)).toEqual([
      {
        ...{ id: 'user-daily', per: ['user'], period: 'day', max: 50, where: null, mode: 'enforce' },
        ...{ on_exceeded: 'throttle', on_redis_down: 'deny', alert_thresholds: null },
        ...{ from: null, until: null, reason: null },
      },
      {
        ...{ id: 'acme', per: ['account'], period: 'month', max: null, where: { account: 'acme' }, mode: 'shadow' },
        ...{ on_exceeded: 'throttle', on_redis_down: 'deny', alert_thresholds: null },
        ...{ until: null, reason: null },
        from: '2026-02-28T23:00:00.000Z',
      },
    ]);
  });

  test('the same when it is the list itself', () => {
    const list = '- { id: a, per: [user], period: day, max: 5 }\n- { id: b, per: [user], period: hour, max: 5 }\n';
    expect(fileOf(list).limits.map(({ limit, line }) => [limit.id, line])).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
    expect(fileOf('[]')).toEqual({ limits: [], settings: {} });
    expect(problemsOf(list.replace('b', 'a'))).toEqual(['f:2:9: [1].id: is the id of [0] too (line 1)']);
    expect(problemsOf(list.replace('hour', 'day'))).toEqual([
      'f:2:3: [1]: "b" has the same per, period, mode and where as "a" ([0], line 1)',
    ]);
  });

  test('only the settings that it names', () => {
    expect(fileOf('limits: []\nsettings: { timezone: America/New_York, exempt_topics: [otp] }').settings).toEqual({
      timezone: 'America/New_York',
      exempt_topics: ['otp'],
    });
  });

  test('that there are no limits only in so many words', () => {
    expect(fileOf('limits: []').limits).toEqual([]);
    for (const text of ['', ' \n', '# limits: []', '---\n', '---\n...\n', '~']) {
      expect([text, problemsOf(text)]).toEqual([
        text,
        ['f:1:1: is empty: to have no limits at all, write `limits: []`'],
      ]);
    }
    expect(problemsOf('limits:\n# - id: a\n')).toEqual(['f:1:8: limits: must be a list: for no limits, write `[]`']);
    expect(problemsOf('settings: {}')).toEqual(['f:1:1: limits: is missing']);
  });

  test('the same with a byte order mark, Windows line ends, and JSON', () => {
    const { limits } = fileOf(ONE);
    expect(fileOf(`\ufeff${ONE}`).limits).toEqual(limits);
    expect(fileOf(ONE.replaceAll('\n', '\r\n')).limits).toEqual(limits);
    const json = '{"limits": [{"id": "a", "per": ["user"], "period": "day", "max": 5}]}';
    expect(fileOf(json).limits[0]!.limit).toEqual(limits[0]!.limit);
  });

  test('the same when it was copied from an answer of the API, whose marks of its own it ignores', () => {
    const answer = { ...limitOf({ id: 'a', per: ['user'], period: 'day', max: 5 }), source: 'api' };
    const [entry] = fileOf(JSON.stringify({ limits: [answer] })).limits;
    expect(limitInForce(entry!.limit, 'then', 'now')).toEqual({
      ...answer,
      source: 'file',
      created_at: 'then',
      updated_at: 'now',
    });
  });

  test('what an alias stands for, in every place', () => {
    const { limits } = fileOf(
      [
        'limits:',
        '  - { id: a, per: &who [user, topic], period: &when day, max: &most 5 }',
        '  - { id: b, per: *who, period: *when, max: *most, where: { &dimension user : ann } }',
        '  - { id: c, per: *who, period: hour, max: 1, where: { topic: *dimension } }',
      ].join('\n'),
    );
    expect(limits[1]!.limit).toMatchObject({ per: ['user', 'topic'], period: 'day', max: 5, where: { user: 'ann' } });
    expect(limits[2]!.limit.where).toEqual({ topic: 'user' });
  });

  test('YAML 1.2 whatever it claims to be: a time is text, and yes is no boolean', () => {
    const text = `%YAML 1.1\n---\n${ONE}settings: { billing_anchor: 2024-01-31T15:00:00, require_membership: yes }`;
    expect(problemsOf(text)).toEqual(['f:5:70: settings.require_membership: must be true or false']);
  });
});

describe('a bad limits file', () => {
  test('is told everything that is wrong at once, each with its line', () => {
    const text = [
      'limit: []', // 1
      'limits:',
      '  - id: 5',
      '    per: user', // 4
      '    period: Day',
      '    max: "5"',
      '    foo: 1', // 7
      '    where: { user: 12, bar: 1 }',
      '    on_redis_down: panic',
      '  - per: [user, user, x]', // 10
      '    max: 1e30',
      '  - 3',
      '  -', // 13
      '  - id: a b',
      '    per: []',
      '    period: day', // 16
      '    max: 1.5',
      '    where: {}',
      '    from: 2026-01-01', // 19
      '    to: 2026-01-02T00:00:00Z',
      '  - { id: l, per: [], period: day, max: -1, from: 2026-02-01T00:00:00Z, until: 2026-02-30T00:00:00Z }',
      '  - { id: m, per: [], period: day, max: 1, from: 2026-02-01T00:00:00Z, until: 2026-01-01T00:00:00Z }',
      'settings:', // 23
      '  timezone: Mars/Olympus',
      '  week_start: funday',
      '  billing_anchor: tomorrow',
      '  billing_months: 0', // 27
      '  exempt_topics: [3, ""]',
      '  require_membership: maybe',
      '  log_checks: some',
      '  foo: 1', // 31
      '"\\u{1F600}": 1',
    ].join('\n');
    expect(problemsOf(text.replace('\\u{1F600}', '😀'))).toEqual([
      'f:1:1: limit: is not known here: there are limits and settings',
      'f:3:9: limits[0].id: must be text: put it in quotes',
      'f:4:10: limits[0].per: must be a list',
      'f:5:13: limits[0].period: must be one of hour, day, week, month, billing_period',
      'f:6:10: limits[0].max: must be a number',
      'f:7:5: limits[0].foo: is not known here',
      'f:8:20: limits[0].where.user: must be text: put it in quotes',
      'f:8:24: limits[0].where.bar: is not known here',
      'f:9:20: limits[0].on_redis_down: must be one of deny, allow, local',
      'f:10:5: limits[1].period: is missing',
      'f:10:5: limits[1].id: is missing: it tells a changed limit from a new one',
      'f:10:23: limits[1].per[2]: must be one of user, account, topic, channel, tenant',
      'f:11:10: limits[1].max: must be at most 1000000000000',
      'f:12:5: limits[2]: must be a mapping',
      'f:13:4: limits[3]: must be a mapping',
      'f:14:9: limits[4].id: must be 1 to 64 of the characters A-Z a-z 0-9 . _ -',
      'f:17:10: limits[4].max: must be a whole number',
      'f:18:12: limits[4].where: must name a user, account, topic or channel',
      'f:19:11: limits[4].from: must be an RFC 3339 date-time with an offset, such as 2026-03-07T05:00:00.000Z',
      'f:20:5: limits[4].to: is not known here',
      'f:21:41: limits[5].max: must be at least 0',
      'f:21:80: limits[5].until: must be an RFC 3339 date-time with an offset, such as 2026-03-07T05:00:00.000Z',
      'f:22:79: limits[6].until: must be later than from',
      'f:24:13: settings.timezone: must be an IANA time zone, such as America/New_York',
      'f:25:15: settings.week_start: must be one of sunday, monday, tuesday, wednesday, thursday, friday, saturday',
      'f:26:19: settings.billing_anchor: must be a local date-time without an offset, such as 2024-01-31T15:00:00',
      'f:27:19: settings.billing_months: must be at least 1',
      'f:28:19: settings.exempt_topics[0]: must be text: put it in quotes',
      'f:28:22: settings.exempt_topics[1]: must not be empty',
      'f:29:23: settings.require_membership: must be true or false',
      'f:30:15: settings.log_checks: must be one of throttled, all',
      'f:31:3: settings.foo: is not known here',
      'f:32:1: ["😀"]: is not known here: there are limits and settings',
    ]);
  });

  test.each([
    ['a dimension twice', 'limits: [{ id: a, per: [user, user] }]', 'f:1:24: limits[0].per: repeats "user"'],
    ['a list of anything else at the top', '- 1', 'f:1:3: [0]: must be a mapping'],
    ['a wrong limit in a list at the top', '- id: a\n  max: x', 'f:2:8: [0].max: must be a number'],
    ['a text at the top', 'limits', 'f:1:1: must be a mapping with the field limits'],
    ['limits that are no list', 'limits: {}', 'f:1:9: limits: must be a list: for no limits, write `[]`'],
    ['settings of nothing', `${ONE}settings:`, 'f:3:10: settings: must be a mapping'],
    ['a name twice', `${ONE}limits: []`, 'f:3:1: limits: is there twice'],
    ['a name twice within', 'limits: [{ id: a, id: b }]', 'f:1:19: limits[0].id: is there twice'],
    ['a second document', `${ONE}---\nlimits: []`, 'f:3:1: must be one document: this begins another'],
    ['a tab for indentation', 'limits:\n\t- a', 'f:2:1: Tabs are not allowed as indentation'],
    ['a bracket left open', 'limits: [\n', /^f:2:1: Flow sequence in block collection must be/],
    ['a name that is a list', 'limits: []\n[a]: 1', 'f:2:1: the name of a field must be text'],
    ['a tag', 'limits: !include b.yaml', 'f:1:9: Unresolved tag: !include'],
    ['a merge key', 'limits:\n  - <<: { id: a }', 'f:2:5: limits[0]["<<"]: is not known here'],
    [
      '__proto__',
      `${ONE}__proto__: { limits: [] }`,
      'f:3:1: __proto__: is not known here: there are limits and settings',
    ],
    ['an alias of nothing', 'limits: *a', 'f:1:9: limits: there is no &a before this *a'],
    ['an alias within itself', 'limits: &a [[*a]]', 'f:1:14: limits[0][0]: stands within what it stands for: *a'],
    ['bytes that are no UTF-8', Buffer.from('limits: []\n# é\xff', 'latin1'), 'f:2:3: is not UTF-8'],
    ['UTF-16', Buffer.from('\ufefflimits: []', 'utf16le'), 'f:1:1: is not UTF-8'],
    ['more than 5 MB', Buffer.alloc(FILE_MAX_BYTES + 1, '#'), 'f:1:1: must be at most 5 MB'],
    ['nests without end', '['.repeat(FILE_MAX_BYTES), /^f:1:\d+: is nested too deeply$/],
    ['lists in lists without end', '- '.repeat(FILE_MAX_BYTES / 2), /^f:1:\d+: is nested too deeply$/],
  ])('may not have %s', (_what, text, problem) => {
    const problems = problemsOf(text);
    const message = typeof problem === 'string' ? expect.stringContaining(problem) : expect.stringMatching(problem);
    expect(problems).toContainEqual(message);
  });

  test('may not have two limits of one id, or two of which only one could apply', () => {
    const text = [
      ONE.trimEnd(),
      '  - { id: a, per: [topic], period: day, max: 5 }',
      '  - { id: b, per: [user], period: day, max: 6 }',
      '  - { id: c, per: [user], period: day, max: 6, mode: shadow }',
      '  - { id: d, per: [user], period: day, max: 6, from: 2026-01-01T00:00:00Z, until: 2026-02-01T00:00:00Z }',
      '  - { id: e, per: [user], period: day, max: 6, from: 2026-02-01T00:00:00Z }',
      '  - { id: f, per: [user], period: day, max: 6, until: 2026-01-01T00:00:00.001Z }',
    ].join('\n');
    expect(problemsOf(text)).toEqual([
      'f:3:11: limits[1].id: is the id of limits[0] too (line 2)',
      'f:4:5: limits[2]: "b" has the same per, period, mode and where as "a" (limits[0], line 2)',
      'f:8:5: limits[6]: "f" is in force at the same time, with the same per, period, mode and where, as "d" (limits[4], line 6)',
    ]);
  });

  test('that is full of aliases is refused before they are spelled out', () => {
    const names = [...'abcdefghij'];
    const lines = names.map((name, level) => {
      const items = level === 0 ? '1' : `*${names[level - 1]}`;
      return `${name}: &${name} [${Array(10).fill(items).join(', ')}]`;
    });
    expect(problemsOf(lines.join('\n'))).toEqual([
      expect.stringMatching(
        /^f:5:\d+: e\[\d\]: is one alias too many: together they stand for more than 100000 values$/,
      ),
    ]);
  });

  test('with more problems than anybody reads is told the first thousand, and how many more there are', () => {
    const problems = problemsOf(`limits: [${'1, '.repeat(1_500)}]`);
    expect(problems).toHaveLength(1_001);
    expect(problems[999]).toBe('f:1:3007: limits[999]: must be a mapping');
    expect(problems[1_000]).toBe('f:1:3010: and 500 more from here on');
  });

  test('may not have more limits than one change of Redis should hold', () => {
    const text = `limits:\n${'  - 1\n'.repeat(FILE_MAX_LIMITS + 1)}`;
    expect(problemsOf(text)).toEqual(['f:10002:5: limits[10000]: is one too many: a file has at most 10000 limits']);
  });

  test('that is too long a list of anything is given up where it is, not read to its end', () => {
    expect(readYaml(`limits: [${'1, '.repeat(1_000)}]`, 100)).toEqual({
      problems: [{ line: 1, column: expect.any(Number), path: '', message: 'is too much for one file from here on' }],
    });
    const limits = Array.from({ length: 100 }, (_, index) => [
      ...[`  - id: user-${index}`, '    per: [user, topic]', '    period: day', '    max: 50', '    mode: enforce'],
      ...['    on_exceeded: throttle', '    on_redis_down: deny', '    from: 2026-01-01T00:00:00Z # why'],
      ...['    until: 2026-01-02T00:00:00Z', '    reason: because', '    where: { user: ann, topic: news }'],
    ]);
    const text = `limits:\n${limits.flat().join('\n')}`;
    // A hundredth of what there may be, of both.
    expect(readYaml(text, (LEXEMES_MAX * limits.length) / FILE_MAX_LIMITS)).toHaveProperty('value');
  });
});

test('a file read in a thread is what it is read here', async () => {
  const thread = join(__dirname, '../support/typescript-thread.js');
  for (const text of [ONE, 'limits: 3']) {
    const bytes = Buffer.from(text);
    expect(await parseApart(bytes, thread)).toEqual(JSON.parse(JSON.stringify(parseLimitsFile(bytes))));
  }
});

test('a thread that ends without an answer is an error, not a wait', async () => {
  await expect(parseApart(Buffer.from(ONE), join(__dirname, 'no-such-file.js'))).rejects.toThrow('no-such-file');
});

test('the example is valid', async () => {
  const path = join(__dirname, '../../limits.example.yaml');
  const { limits } = fileOf(readFileSync(path, 'utf8'));
  for (const scope of [[], ['account'], ['user'], ['user', 'topic']]) {
    expect(limits.map(({ limit }) => limit.per)).toContainEqual(scope);
  }
  expect(await validateCommand({ stdin: process.stdin }, path)).toEqual({
    stdout: `${path} is valid: 10 limits, and settings: timezone, week_start, exempt_topics, alert_thresholds\n`,
    stderr: '',
    exitCode: 0,
  });
});

test('the examples of the documentation are valid', () => {
  const page = readFileSync(join(__dirname, '../../docs/limits-file.md'), 'utf8');
  const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1]!);
  expect(examples.map(problemsOf)).toEqual([[]]);
});

describe('the difference', () => {
  const NOW = '2026-05-01T00:00:00.000Z';
  const fromFile = (limit: Parameters<typeof limitOf>[0]) => limitOf({ source: 'file', ...limit });
  const a = fromFile({ id: 'a', per: ['user', 'topic'], period: 'day', max: 5 });

  function differ(present: Limit[], text: string, settings: Settings = DEFAULT_SETTINGS) {
    const limits = createLimitSet();
    for (const limit of present) limits.put(limit);
    return differenceOf({ limits, settings }, fileOf(text), NOW);
  }
  function accepted(difference: ReturnType<typeof differ>): Difference {
    if ('refused' in difference) throw new Error(JSON.stringify(difference.refused));
    return difference;
  }
  function refusals(difference: ReturnType<typeof differ>): string[] {
    return 'refused' in difference ? difference.refused.map((problem) => problemText('f', problem)) : [];
  }

  test('is none when the file says what is in force, in whatever order', () => {
    const where = { topic: 'news', user: 'ann' };
    const present = [a, fromFile({ id: 'b', per: [], period: 'day', max: 1, where })];
    const text = [
      'limits:',
      '  - { max: 1, id: b, where: { user: ann, topic: news }, per: [], period: day }',
      '  - { id: a, per: [topic, user], period: day, max: 5, mode: enforce, reason: null }',
      'settings: { exempt_topics: [y, x], timezone: UTC }',
    ].join('\n');
    const difference = accepted(differ(present, text, { ...DEFAULT_SETTINGS, exempt_topics: ['x', 'y'] }));
    expect(isSame(difference)).toBe(true);
    expect(difference.unchanged).toBe(2);
    expect(changeFor(difference)).toEqual({ writes: [], events: [] });
  });

  test('creates, updates and removes, with an event for each', () => {
    const gone = fromFile({ id: 'gone', per: [], period: 'hour', max: 1 });
    const text =
      'limits:\n  - { id: a, per: [user], period: day, max: 6 }\n  - { id: n, per: [], period: day, max: 1 }';
    const difference = accepted(differ([a, gone], `${text}\nsettings: { week_start: monday, timezone: UTC }`));
    const updated: Limit = { ...a, per: ['user'], max: 6, updated_at: NOW };
    const created = fromFile({ id: 'n', per: [], period: 'day', max: 1, created_at: NOW, updated_at: NOW });
    const settings = { ...DEFAULT_SETTINGS, week_start: 'monday' };
    expect(difference.updated[0]!.fields).toEqual([
      { field: 'per', before: ['user', 'topic'], after: ['user'] },
      { field: 'max', before: 5, after: 6 },
    ]);
    expect(difference.settings!.fields).toEqual([{ field: 'week_start', before: 'sunday', after: 'monday' }]);
    expect(changeFor(difference)).toEqual({
      writes: [
        { id: 'gone', value: null },
        { id: 'a', value: updated },
        { id: 'n', value: created },
        { id: '@settings', value: settings },
      ],
      events: [
        { type: 'limit.deleted', target: 'limit:gone', before: gone, after: undefined },
        { type: 'limit.updated', target: 'limit:a', before: a, after: updated },
        { type: 'limit.created', target: 'limit:n', before: undefined, after: created },
        { type: 'settings.updated', target: 'settings', before: DEFAULT_SETTINGS, after: settings },
      ],
    });
  });

  test.each([
    ['per', { per: ['user'] }],
    ['period', { period: 'week' }],
    ['max', { max: null }],
    ['where', { where: { user: 'ann' } }],
    ['mode', { mode: 'shadow' }],
    ['on_exceeded', { on_exceeded: 'defer' }],
    ['on_redis_down', { on_redis_down: 'local' }],
    ['alert_thresholds', { alert_thresholds: [50] }],
    ['from', { from: '2026-01-01T00:00:00.000Z' }],
    ['until', { until: '2026-01-01T00:00:00.000Z' }],
    ['reason', { reason: 'why' }],
  ] as [string, Partial<Limit>][])('sees a change of %s', (field, change) => {
    const text = 'limits: [{ id: a, per: [user, topic], period: day, max: 5 }]';
    expect(accepted(differ([{ ...a, ...change }], text)).updated.map(({ fields }) => fields)).toEqual([
      [{ field, before: Object.values(change)[0], after: Object.values({ [field]: a[field as keyof Limit] })[0] }],
    ]);
  });

  test('leaves limits that were made over the API alone', () => {
    const other = limitOf({ id: 'x', per: ['account'], period: 'day', max: 1 });
    const difference = accepted(differ([a, other], 'limits: []'));
    expect(difference.removed).toEqual([a]);
    expect(changeFor(difference).writes).toEqual([{ id: 'a', value: null }]);
  });

  test('is refused as a whole beside limits of the API with the same id or the same reach, each named', () => {
    const present = [
      limitOf({ id: 'taken', per: ['account'], period: 'day', max: 1 }),
      limitOf({ id: 'x', per: ['user'], period: 'day', max: 1 }),
      limitOf({ id: 'y', per: ['user'], period: 'hour', max: 1, until: '2026-01-02T00:00:00.000Z' }),
      // Was in force with "x" of the file: what hides a limit of the API is not looked at.
      fromFile({ id: 'b', per: ['user'], period: 'week', max: 1 }),
    ];
    const text = [
      'limits:',
      '  - { id: taken, per: [], period: day, max: 1 }',
      '  - { id: mine, per: [user], period: day, max: 1 }',
      '  - { id: turn, per: [user], period: hour, max: 1, from: 2026-01-01T00:00:00Z }',
      '  - { id: fine, per: [user], period: week, max: 1 }',
    ].join('\n');
    expect(refusals(differ(present, text))).toEqual([
      'f:2:5: limits[0]: "taken" is the id of a limit that was made over the API: remove that one (DELETE /limits/taken), or give this one another id',
      'f:3:5: limits[1]: "mine" has the same per, period, mode and where as "x", which was made over the API: remove that one (DELETE /limits/x), or this one from the file',
      'f:4:5: limits[2]: "turn" is in force at the same time, with the same per, period, mode and where, as "y", which was made over the API: remove that one (DELETE /limits/y), or this one from the file',
    ]);
  });
});

describe('limits validate', () => {
  async function* stdin(...chunks: string[]) {
    for (const chunk of chunks) yield Buffer.from(chunk);
  }
  const run = (path: string, ...chunks: string[]) => validateCommand({ stdin: stdin(...chunks) }, path);

  test('reads standard input for "-"', async () => {
    expect(await run('-', ONE.slice(0, 10), ONE.slice(10))).toEqual({
      stdout: '- is valid: 1 limit\n',
      stderr: '',
      exitCode: 0,
    });
  });

  test('ends with 1 and prints a line for every error', async () => {
    expect(await run('-', 'limits: []\nfoo: 1\nbar: 1')).toEqual({
      stdout: '',
      stderr:
        '<stdin>:2:1: foo: is not known here: there are limits and settings\n' +
        '<stdin>:3:1: bar: is not known here: there are limits and settings\n',
      exitCode: 1,
    });
  });

  test('says why it cannot read a file', async () => {
    expect(await run('/nowhere/limits.yaml')).toMatchObject({
      stderr: '/nowhere/limits.yaml: there is no such file\n',
      exitCode: 1,
    });
    expect(await run(__dirname)).toMatchObject({ stderr: `${__dirname}: it is a directory\n`, exitCode: 1 });
  });

  test('stops reading what is larger than a file may be', async () => {
    let chunks = 0;
    async function* endless() {
      for (; chunks < 1_000; chunks += 1) yield Buffer.alloc(1_000_000, '#');
    }
    const result = await validateCommand({ stdin: endless() }, '-');
    expect(result).toMatchObject({ stderr: '<stdin>:1:1: must be at most 5 MB\n', exitCode: 1 });
    expect(chunks).toBeLessThan(10);
    expect(await run('/dev/zero')).toMatchObject({ stderr: '/dev/zero:1:1: must be at most 5 MB\n', exitCode: 1 });
  });
});
