import fc from 'fast-check';
import type { CheckRequest } from '../../src/gate/check';
import { messageTo, startTestGate, type TestGate } from '../support/gate';
import { sharedRedisUrl, uniqueWorkspace } from '../support/redis';
import { deferring, startTestSends, type TestSends } from '../support/sends';

/** An alert as the script wrote it. */
interface Written {
  type: string;
  limit: string | undefined;
  threshold: number | undefined;
  used: number;
  user: string | undefined;
  held: string | undefined;
}

let t: TestSends;
const others: TestGate[] = [];
beforeEach(async () => {
  t = await startTestSends({ url: sharedRedisUrl(), workspace: uniqueWorkspace() });
});
afterEach(() => {
  for (const other of others.splice(0)) other.close();
  t.close();
});

/** Another replica. */
async function replica(): Promise<TestGate> {
  const other = await startTestGate({ url: sharedRedisUrl(), workspace: t.keys.workspace });
  others.push(other);
  return other;
}

async function alerts(): Promise<Written[]> {
  const entries = await t.redis.xrange(t.keys.alerts, '-', '+');
  return entries.map(([, flat]) => {
    const fields: Record<string, string> = {};
    for (let index = 0; index < flat.length; index += 2) fields[flat[index]!] = flat[index + 1]!;
    return {
      type: fields.type!,
      limit: fields.limit === undefined ? undefined : JSON.parse(fields.limit)[0],
      threshold: fields.threshold === undefined ? undefined : Number(fields.threshold),
      used: Number(fields.used),
      user: fields.user,
      held: fields.held,
    };
  });
}
const told = async () =>
  (await alerts()).map(({ type, limit, threshold, used }) => `${limit} ${threshold ?? type} at ${used}`);

const ask = (user: string, rest: Partial<CheckRequest> = {}): CheckRequest => ({
  message: messageTo(user),
  messageId: null,
  cost: 1,
  dry: false,
  atMs: null,
  ...rest,
});
async function checks(user: string, times: number, rest: Partial<CheckRequest> = {}) {
  for (let time = 0; time < times; time += 1) await t.gate.check(ask(user, rest));
}

describe('there is an alert', () => {
  test('when the use of a limit passes 80 % and 100 %, and when it first throttles, each once', async () => {
    await t.limit({ id: 'daily', per: ['user'], period: 'day', max: 10 });
    await checks('ann', 7);
    expect(await told()).toEqual([]);
    await checks('ann', 1);
    expect(await told()).toEqual(['daily 80 at 8']);
    await checks('ann', 5);
    expect(await told()).toEqual(['daily 80 at 8', 'daily 100 at 10', 'daily limit.throttled at 10']);
    expect((await alerts()).map(({ user }) => user)).toEqual(['ann', 'ann', 'ann']);
    await checks('bob', 8);
    expect(await told()).toHaveLength(4);
  });

  test('of every threshold that one message passes, each once', async () => {
    await t.settings({ alert_thresholds: [10, 50, 80, 100] });
    await t.limit({ id: 'daily', per: ['user'], period: 'day', max: 10 });
    await checks('ann', 1, { cost: 9 });
    expect(await told()).toEqual(['daily 10 at 9', 'daily 50 at 9', 'daily 80 at 9']);
    await checks('ann', 1, { cost: 1 });
    expect(await told()).toHaveLength(4);
    await t.limit({ id: 'one', per: [], period: 'day', max: 1 });
    await checks('bob', 1);
    expect((await told()).slice(4, 8)).toEqual([10, 50, 80, 100].map((percent) => `one ${percent} at 1`));
  });

  test('at the first use that is the threshold or more, exactly', async () => {
    await t.limit({ id: 'odd', per: ['user'], period: 'day', max: 7, alert_thresholds: [33] });
    await checks('ann', 2);
    expect(await told()).toEqual([]);
    await checks('ann', 1);
    expect(await told()).toEqual(['odd 33 at 3']);
  });

  test('by the thresholds of the limit, where it has some: [] is none', async () => {
    await t.limit(
      { id: 'own', per: ['user'], period: 'day', max: 10, alert_thresholds: [50] },
      { id: 'none', per: [], period: 'day', max: 10, alert_thresholds: [] },
    );
    await checks('ann', 10);
    expect(await told()).toEqual(['own 50 at 5']);
    await checks('ann', 1);
    expect(await told()).toEqual(['own 50 at 5', 'none limit.throttled at 10', 'own limit.throttled at 10']);
  });

  test('of each limit that had no room, and of no other', async () => {
    await t.limit(
      { id: 'all', per: [], period: 'day', max: 100 },
      { id: 'hourly', per: ['user'], period: 'hour', max: 0 },
      { id: 'daily', per: ['user'], period: 'day', max: 0 },
    );
    await checks('ann', 3);
    expect(await told()).toEqual(['hourly limit.throttled at 0', 'daily limit.throttled at 0']);
  });

  test('of a shadow limit when its use passes a threshold, and never that it throttles', async () => {
    await t.limit(
      { id: 'watch', per: ['user'], period: 'day', max: 2, mode: 'shadow' },
      { id: 'hold', per: ['user'], period: 'day', max: 4 },
    );
    await checks('ann', 6);
    expect(await told()).toEqual([
      'watch 80 at 2',
      'watch 100 at 2',
      'hold 80 at 4',
      'hold 100 at 4',
      'hold limit.throttled at 4',
    ]);
  });

  test('of a topic that is never throttled, as its use passes a threshold', async () => {
    await t.settings({ exempt_topics: ['security'] });
    await t.limit({ id: 'daily', per: ['user'], period: 'day', max: 2 });
    await checks('ann', 5, { message: messageTo('ann', { topic: 'security' }) });
    expect(await told()).toEqual(['daily 80 at 2', 'daily 100 at 2']);
  });

  test('of handed-over sends as of checks, and says that one waits', async () => {
    await t.limit(deferring({ id: 'daily', per: ['user'], period: 'day', max: 5 }));
    for (let time = 0; time < 7; time += 1) await t.send({ user: 'ann' });
    expect(await told()).toEqual(['daily 80 at 4', 'daily 100 at 5', 'daily limit.throttled at 5']);
    expect((await alerts())[2]!.held).toBe('1');
    // The second time what is kept of the limits is not sent along.
    await t.limit({ id: 'daily', per: ['user'], period: 'day', max: 5 });
    for (let time = 0; time < 6; time += 1) await t.send({ user: 'bob' });
    expect((await told()).slice(3)).toEqual(['daily 80 at 4', 'daily 100 at 5', 'daily limit.throttled at 5']);
    expect((await alerts())[5]).toMatchObject({ user: 'bob', held: '0' });
  });
});

describe('there is none', () => {
  test('of a dry run, a verdict that is given again, a lifted limit, or a limit without room for any', async () => {
    await t.limit({ id: 'full', per: ['user'], period: 'day', max: 1, where: { user: 'full' } });
    await checks('full', 3, { dry: true });
    await checks('full', 1, { messageId: 'm' });
    const before = await told();
    await checks('full', 3, { messageId: 'm' });
    await checks('full', 3, { dry: true });
    expect(await told()).toEqual(before);
    await t.limit({ id: 'lifted', per: ['account'], period: 'day', max: null });
    await checks('ann', 3, { message: messageTo('ann', { account: 'acme' }) });
    expect(await told()).toEqual(before);
    await t.limit({ id: 'blocks', per: ['topic'], period: 'day', max: 0 });
    await checks('ann', 3, { message: messageTo('ann', { topic: 'news' }) });
    expect((await told()).slice(before.length)).toEqual(['blocks limit.throttled at 0']);
  });

  test('a second time in a window: not after a reset, a release or another max', async () => {
    await t.limit({ id: 'daily', per: ['user'], period: 'day', max: 5 });
    await checks('ann', 6);
    const first = await told();
    expect(first).toHaveLength(3);
    await t.gate.reset({ user: 'ann' }, 'day', { id: 'test', name: null }, 'api');
    await checks('ann', 6);
    await t.limit({ id: 'daily', per: ['user'], period: 'day', max: 10 });
    await checks('ann', 3);
    await t.gate.check(ask('ann', { messageId: 'back' }));
    await t.gate.release('back');
    await checks('ann', 8);
    expect(await told()).toEqual(first);
  });

  test('of a message that another limit stopped', async () => {
    await t.limit({ id: 'room', per: ['user'], period: 'day', max: 1 }, { id: 'none', per: [], period: 'day', max: 0 });
    await checks('ann', 2);
    expect(await told()).toEqual(['none limit.throttled at 0']);
  });
});

test('of hundreds of checks at once by several replicas, each alert is there exactly once', async () => {
  await t.settings({ alert_thresholds: [1, 50, 80, 100] });
  await t.limit(
    { id: 'all', per: [], period: 'day', max: 150 },
    { id: 'user', per: ['user'], period: 'hour', max: 60 },
  );
  const gates = [t, await replica(), await replica(), await replica()].map(({ gate }) => gate);
  const users = ['ann', 'bob', 'cid', 'dan', 'eve'];
  await Promise.all(
    Array.from({ length: 800 }, (_, index) => {
      const request = ask(users[index % users.length]!, { cost: 1 + (index % 3) });
      return gates[index % gates.length]!.check(request);
    }),
  );
  const all = await alerts();
  const names = all.map(({ limit, threshold, type, user }) =>
    limit === 'all' ? `${limit} ${threshold ?? type}` : `${limit} ${user} ${threshold ?? type}`,
  );
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => name.startsWith('all')).sort()).toEqual(
    ['all 1', 'all 100', 'all 50', 'all 80', 'all limit.throttled'].sort(),
  );
  // Every threshold of a user's that its use did pass, and none that it did not.
  for (const user of users) {
    const [usage] = ((await t.gate.usage(messageTo(user))) ?? []).filter(({ limit_id }) => limit_id === 'user');
    const passed = [1, 50, 80, 100].filter((percent) => usage!.used >= Math.ceil(0.6 * percent));
    const seen = all.filter((one) => one.limit === 'user' && one.user === user && one.threshold !== undefined);
    expect(seen.map(({ threshold }) => threshold).sort((a, b) => a! - b!)).toEqual(passed);
  }
});

test('whatever limits and costs there are, the alerts are those of a plain model', async () => {
  const percent = fc.integer({ min: 1, max: 100 });
  const thresholds = fc.uniqueArray(percent, { maxLength: 4 }).map((some) => some.sort((a, b) => a - b));
  const limit = fc.record({ max: fc.integer({ min: 0, max: 60 }), alert_thresholds: thresholds });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      ...[limit, limit, fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1, maxLength: 25 })],
      async (enforced, shadow, costs) => {
        run += 1;
        await t.limit(
          { id: `enforced-${run}`, per: ['user'], period: 'day', ...enforced },
          { id: `shadow-${run}`, per: ['user'], period: 'day', mode: 'shadow', ...shadow },
        );
        const user = `user-${run}`;
        const expected: string[] = [];
        let used = 0;
        for (const cost of costs) {
          await t.gate.check(ask(user, { cost }));
          if (used + cost > enforced.max) {
            expected.push(`enforced-${run} limit.throttled`);
            continue;
          }
          for (const [name, one] of Object.entries({ enforced, shadow })) {
            for (const part of one.max === 0 ? [] : one.alert_thresholds) {
              const isPassed = (use: number) => use * 100 >= part * one.max;
              if (!isPassed(used) && isPassed(used + cost)) expected.push(`${name}-${run} ${part}`);
            }
          }
          used += cost;
        }
        const written = (await alerts()).filter((one) => one.user === user);
        expect(written.map((one) => `${one.limit} ${one.threshold ?? one.type}`)).toEqual([...new Set(expected)]);
        await t.remove(`enforced-${run}`);
        await t.remove(`shadow-${run}`);
      },
    ),
    { numRuns: 60 },
  );
});

test('what says that there was an alert goes when its counter does', async () => {
  await t.limit({ id: 'daily', per: ['user'], period: 'day', max: 1 });
  await checks('an:n', 2);
  const { window } = t.configuration.planner()!.counterAt(['user'], 'day', t.clock.nowMs(), undefined);
  const counter = t.keys.counterName(['user'], 'day', window, messageTo('an:n'));
  const suffix = counter.slice(t.keys.prefix.length + 2);
  const goes = await t.redis.pexpiretime(counter);
  expect(goes).toBeGreaterThanOrEqual(window.endMs);
  for (const mark of ['80', '100', 't']) {
    expect(await t.redis.pexpiretime(t.keys.alertMark(`l:daily:${mark}:${suffix}`))).toBe(goes);
  }
});

test('the stream of alerts has a bound', async () => {
  await t.limit({ id: 'none', per: ['user'], period: 'day', max: 0 });
  // Not all at once: each of them has to be answered in time.
  for (let from = 0; from < 11_000; from += 1_000) {
    await Promise.all(Array.from({ length: 1_000 }, (_, index) => t.gate.check(ask(`user-${from + index}`))));
  }
  const length = await t.redis.xlen(t.keys.alerts);
  expect(length).toBeGreaterThanOrEqual(10_000);
  expect(length).toBeLessThan(10_200);
});
