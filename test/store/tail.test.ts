import { tailCommand } from '../../src/log/commands';
import { messageTo } from '../support/gate';
import { sharedRedisUrl, startRedis, uniqueWorkspace } from '../support/redis';
import { deferring, startTestSends, type TestSends, until } from '../support/sends';

let t: TestSends;
beforeEach(async () => {
  t = await startTestSends({ url: sharedRedisUrl(), workspace: uniqueWorkspace() });
});
afterEach(() => t.close());

/** Runs the command until it is stopped. */
function tail(options: Partial<Parameters<typeof tailCommand>[1]> = {}, sends: TestSends = t) {
  const stop = new AbortController();
  let [stdout, stderr] = ['', ''];
  const ended = tailCommand(
    {
      ...{ redis: sends.redis, keys: sends.keys, messageLog: sends.messageLog, signal: stop.signal },
      write: (text) => {
        stdout += text;
      },
      tell: (text) => {
        stderr += text;
      },
    },
    { status: [], last: 0, json: false, ...options },
  );
  return {
    lines: () => stdout.split('\n').slice(0, -1),
    stderr: () => stderr,
    async stop() {
      stop.abort();
      return ended;
    },
  };
}

const check = (user: string, id: string) =>
  t.gate.check({ message: messageTo(user), messageId: id, cost: 1, dry: false, atMs: null });

test('writes what has happened last, and then what happens, in order, each once', async () => {
  await t.limit({ id: 'user', per: ['user'], period: 'day', max: 1 });
  const sent = await t.send({ user: 'ann', account: 'acme' }, { topic: 'news' });
  const throttled = await t.send({ user: 'ann' });
  const tailing = tail({ last: 10 });
  await until(() => tailing.lines().length === 2);
  expect(tailing.lines()[0]).toMatch(
    new RegExp(`^\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z  ENQUEUED       ann  account=acme  topic=news  ${sent}$`),
  );
  expect(tailing.lines()[1]).toMatch(new RegExp(`Z  THROTTLED      ann  ${throttled}  user 1 of 1, room at 20.*Z$`));
  await check('ann', 'c-1');
  await until(() => tailing.lines().length === 3);
  const begun = (await t.store.begin(sent, 1))!;
  const detail = { provider: 'log', error: 'busy\nand rude' };
  await t.store.finish(sent, 1, begun, { kind: 'retry', detail, error: 'busy', dueMs: Date.now() });
  await until(() => tailing.lines().length === 4);
  expect(tailing.lines()[2]).toContain('THROTTLED      ann  c-1');
  expect(tailing.lines()[3]).toContain(`RETRYING       ann  account=acme  topic=news  ${sent}  log: busy and rude`);
  expect(await tailing.stop()).toEqual({ stdout: '', stderr: '', exitCode: 0 });
});

test('writes only what is asked for, as JSON if asked to', async () => {
  await t.limit(deferring({ id: 'user', per: ['user'], period: 'day', max: 1 }));
  const [sent, held] = [await t.send({ user: 'ann' }), await t.send({ user: 'ann' })];
  const tailing = tail({ last: 1, json: true, status: ['delayed,sent', 'canceled'] });
  await until(() => tailing.lines().length === 1);
  await t.actions.cancel(sent, { id: 'test', name: null });
  await until(() => tailing.lines().length === 2);
  await tailing.stop();
  expect(tailing.lines().map((line) => JSON.parse(line))).toMatchObject([
    { type: 'DELAYED', message_id: held, recipient: 'ann', throttled_by: ['user'], retry_at: expect.any(String) },
    { type: 'CANCELED', message_id: sent },
  ]);
});

test('refuses a status that there is not', async () => {
  expect(await tail({ status: ['lost'] }).stop()).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/^--status must be one or several of ACCEPTED, .*REDELIVERED\n$/),
  });
});

test('waits for a Redis that is away, says so once, and goes on', async () => {
  const server = await startRedis({ appendonly: true });
  const own = await startTestSends({ url: server.url, workspace: uniqueWorkspace() });
  const tailing = tail({}, own);
  await own.send({ user: 'ann' });
  await until(() => tailing.lines().length === 1);
  await server.kill();
  await until(() => tailing.stderr() !== '');
  await server.restart();
  await until(async () => (await own.accept(own.request([{ user: 'bob' }]))).kind === 'taken');
  await until(() => tailing.lines().length >= 2);
  expect(tailing.lines().at(-1)).toContain('ENQUEUED       bob');
  expect(tailing.stderr()).toBe('Redis does not answer; waiting for it.\n');
  await tailing.stop();
  own.close();
  await server.stop();
});
