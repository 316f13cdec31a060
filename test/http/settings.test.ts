import { type Answer, startTestApp, type TestApp } from '../support/app';
import { uniqueWorkspace } from '../support/redis';

let app: TestApp;
beforeEach(async () => {
  app = await startTestApp({ workspace: uniqueWorkspace() });
});
afterEach(() => app.stop());

const get = async () => (await app.call('GET', '/settings')).body;
const patch = (body: unknown) => app.call('PATCH', '/settings', body);
const DEFAULTS = {
  timezone: 'UTC',
  week_start: 'sunday',
  billing_anchor: '1970-01-01T00:00:00',
  billing_months: 1,
  exempt_topics: [],
  require_membership: false,
  log_checks: 'throttled',
  alert_thresholds: [80, 100],
  alert_webhooks: [],
};

function expectProblem(answer: Answer, path: string) {
  expect(answer.status).toBe(400);
  expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual([path]);
}

test('a workspace begins with the defaults, and PATCH changes only what it names', async () => {
  expect(await get()).toEqual(DEFAULTS);
  const changed = { timezone: 'America/New_York', billing_anchor: '2024-01-31T15:00:00' };
  expect((await patch(changed)).body).toEqual({ ...DEFAULTS, ...changed });
  expect((await patch({ week_start: 'monday', exempt_topics: ['security'] })).status).toBe(200);
  expect(await get()).toEqual({ ...DEFAULTS, ...changed, week_start: 'monday', exempt_topics: ['security'] });
  const { results } = (await app.call('GET', '/audit-events')).body;
  expect(results).toHaveLength(2);
  expect(results[0]).toMatchObject({
    type: 'settings.updated',
    target: 'settings',
    before: { week_start: 'sunday' },
    after: { week_start: 'monday' },
  });
});

test('a change that changes nothing is not audited', async () => {
  expect((await patch({})).body).toEqual(DEFAULTS);
  expect((await patch({ timezone: 'UTC' })).status).toBe(200);
  expect((await app.call('GET', '/audit-events')).body.results).toEqual([]);
});

test.each<[string, unknown, string]>([
  ['an unknown zone', { timezone: 'Mars/Olympus' }, 'timezone'],
  ['an offset for a zone', { timezone: '+02:00' }, 'timezone'],
  ['a day that there is not', { week_start: 'someday' }, 'week_start'],
  ['an anchor that is no date', { billing_anchor: '2024-02-30T00:00:00' }, 'billing_anchor'],
  ['an anchor with an offset', { billing_anchor: '2024-01-31T15:00:00Z' }, 'billing_anchor'],
  ['an anchor in words', { billing_anchor: 'the first' }, 'billing_anchor'],
  ['no months', { billing_months: 0 }, 'billing_months'],
  ['half a month', { billing_months: 0.5 }, 'billing_months'],
  ['one topic for a list', { exempt_topics: 'security' }, 'exempt_topics'],
  ['a topic that none can be', { exempt_topics: ['a', ''] }, 'exempt_topics.1'],
  ['yes for true', { require_membership: 'yes' }, 'require_membership'],
  ['a log_checks that there is not', { log_checks: 'none' }, 'log_checks'],
  ['an unknown field', { colour: 'red' }, 'colour'],
])('400 for %s, naming it, and nothing changes', async (_what, body, path) => {
  expectProblem(await patch(body), path);
  expect(await get()).toEqual(DEFAULTS);
});

test('require_membership filters a message for an account that its user is not in', async () => {
  await patch({ require_membership: true });
  const check = async () => (await app.call('POST', '/check', { user_id: 'ann', account_id: 'acme' })).body;
  expect(await check()).toMatchObject({ allowed: false, decision: 'filtered', limits: [], throttled_by: [] });
  await app.call('PUT', '/users/ann/accounts/acme');
  expect(await check()).toMatchObject({ allowed: true, decision: 'accepted' });
  await app.call('DELETE', '/users/ann/accounts/acme');
  expect(await check()).toMatchObject({ decision: 'filtered' });
});
