import Courier from '@trycourier/courier';
import { ADMIN_KEY, type Answer, startTestApp, type TestApp } from '../support/app';

let app: TestApp;
beforeEach(async () => {
  app = await startTestApp();
});
afterEach(() => app.stop());

const call = (method: string, body?: unknown, user = 'ann') => app.call(method, `/profiles/${user}`, body);

function expectProblem(answer: Answer, status: number, ...paths: string[]) {
  expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/problem+json']);
  expect((answer.body.errors ?? []).map((error: { path: string }) => error.path)).toEqual(paths);
}

test('a profile is merged, read, replaced and deleted, and each change is in the audit trail', async () => {
  expectProblem(await call('GET'), 404);
  const made = await call('POST', { profile: { email: 'ann@example.com', plan: { name: 'gold', seats: 3 } } });
  const first = { email: 'ann@example.com', plan: { name: 'gold', seats: 3 } };
  expect([made.status, made.body]).toEqual([200, { status: 'SUCCESS', profile: first }]);
  const second = { plan: { name: 'silver' }, phone_number: '+15555550100' };
  const merged = await call('POST', { profile: { ...second, email: null } });
  expect(merged.body.profile).toEqual(second);
  expect((await call('GET')).body).toEqual({ profile: second });
  const replaced = await call('PUT', { profile: { locale: 'en', nothing: null } });
  expect(replaced.body.profile).toEqual({ locale: 'en', nothing: null });
  for (let times = 0; times < 2; times += 1) expect((await call('DELETE')).status).toBe(204);
  expectProblem(await call('GET'), 404);

  const { results } = (await app.call('GET', '/audit-events')).body;
  expect(results).toMatchObject([
    { type: 'profile.deleted', target: 'profile:ann', before: { locale: 'en', nothing: null }, after: null },
    { type: 'profile.updated', before: second, after: { locale: 'en', nothing: null } },
    { type: 'profile.updated', before: first, after: second },
    { type: 'profile.created', before: null, after: first, actor: { id: 'env' }, source: 'api' },
  ]);
});

test('it is of one user, whatever the id', async () => {
  for (const [index, user] of ['a:b', 'a%3Ab', '{a}', 'é😀', 'ms'].entries()) {
    await call('PUT', { profile: { index } }, encodeURIComponent(user));
  }
  for (const [index, user] of ['a:b', 'a%3Ab', '{a}', 'é😀', 'ms'].entries()) {
    expect((await call('GET', undefined, encodeURIComponent(user))).body).toEqual({ profile: { index } });
  }
});

test.each<[string, unknown, string]>([
  ['no profile', {}, 'profile'],
  ['a list', { profile: [] }, 'profile'],
  ['a text', { profile: 'rich' }, 'profile'],
  ['null', { profile: null }, 'profile'],
  ['one nested 100 deep', { profile: JSON.parse(`${'{"a":'.repeat(100)}1${'}'.repeat(100)}`) }, 'profile'],
  ['one of 66 KB', { profile: { a: 'x'.repeat(66_000) } }, 'profile'],
  ['a number that cannot be kept', '{"profile": {"a": 1e999}}', 'profile'],
  ['no object', [], ''],
])('%s is a 400 that names it, and nothing changes', async (_what, body, path) => {
  for (const method of ['POST', 'PUT']) expectProblem(await call(method, body), 400, path);
  expect((await call('GET')).status).toBe(404);
});

test('one that would become too large by merging stays as it is', async () => {
  await call('POST', { profile: { a: 'x'.repeat(40_000) } });
  expectProblem(await call('POST', { profile: { b: 'x'.repeat(40_000) } }), 400, 'profile');
  expect(Object.keys((await call('GET')).body.profile)).toEqual(['a']);
});

test('an id that none can be is a 400', async () => {
  for (const user of ['a%00b', 'x'.repeat(257)]) expectProblem(await call('GET', undefined, user), 400, 'user_id');
});

test("Courier's SDK works with it", async () => {
  const { profiles } = new Courier({ apiKey: ADMIN_KEY, baseURL: app.url });
  expect((await profiles.create('ann', { profile: { email: 'ann@example.com' } })).status).toBe('SUCCESS');
  expect((await profiles.create('ann', { profile: { name: 'Ann' } })).status).toBe('SUCCESS');
  expect((await profiles.retrieve('ann')).profile).toEqual({ email: 'ann@example.com', name: 'Ann' });
  expect((await profiles.replace('ann', { profile: { name: 'Ann' } })).status).toBe('SUCCESS');
  expect((await profiles.retrieve('ann')).profile).toEqual({ name: 'Ann' });
  await profiles.delete('ann');
  await expect(profiles.retrieve('ann')).rejects.toMatchObject({ status: 404 });
});
