import fc from 'fast-check';
import { createProfiles, PROFILE_MAX_BYTES, type Profiles } from '../../src/membership/profiles';
import { loadScripts } from '../../src/store/scripts';
import { ACTOR, openMembership, type TestMembership } from '../support/members';
import { sharedRedisUrl } from '../support/redis';

let t: TestMembership;
let profiles: Profiles;
beforeEach(() => {
  t = openMembership(sharedRedisUrl());
  profiles = createProfiles({ redis: t.redis, keys: t.keys, scripts: loadScripts() });
});
afterEach(() => t.close());

const merge = (fields: Record<string, unknown>, user = 'ann') => profiles.merge(user, fields, ACTOR, 'api');
const replace = (fields: Record<string, unknown>, user = 'ann') => profiles.replace(user, fields, ACTOR, 'api');
/** By name: to compare entries as texts would call the `toString` that a value may have. */
const sorted = (fields: object | null) =>
  fields === null ? null : JSON.stringify(Object.entries(fields).sort(([one], [other]) => (one < other ? -1 : 1)));

test('nobody has a profile before something is said of them, and an empty one is one', async () => {
  expect(await profiles.read('ann')).toBeNull();
  await merge({});
  expect(await profiles.read('ann')).toEqual({});
  expect(await t.audit()).toMatchObject([{ type: 'profile.created', target: 'profile:ann', before: null, after: {} }]);
});

test('merging and replacing leave what a plain object would be left with, whatever the values', async () => {
  const fields = fc.dictionary(
    fc.oneof(fc.constantFrom('a', 'b', '__proto__', 'ms', '', '\ud800', 'é"'), fc.string({ maxLength: 5 })),
    fc.oneof(fc.jsonValue(), fc.constantFrom(null, [], {}, [[]], 1e21, 0.1, 123456789012345680, '')),
    { maxKeys: 5, noNullPrototype: true },
  );
  const change = fc.record({ isMerge: fc.boolean(), fields });
  let users = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      users += 1;
      const user = `user-${users}`;
      const model = new Map<string, unknown>();
      for (const { isMerge, fields: given } of changes) {
        // As it would come in a request.
        const read = JSON.parse(JSON.stringify(given)) as Record<string, unknown>;
        if (!isMerge) model.clear();
        for (const [name, value] of Object.entries(read)) {
          if (isMerge && value === null) model.delete(name);
          else model.set(name, value);
        }
        const now = await (isMerge ? merge(read, user) : replace(read, user));
        expect(sorted(now)).toBe(sorted(Object.fromEntries(model)));
      }
      expect(sorted(await profiles.read(user))).toBe(sorted(Object.fromEntries(model)));
    }),
    { numRuns: 60 },
  );
});

test('a profile that would be too large is not changed, and one that is just as large as it may be is', async () => {
  // {"a":"…"}
  const room = PROFILE_MAX_BYTES - 8;
  expect(await merge({ a: 'x'.repeat(room) })).not.toBeNull();
  expect(JSON.stringify(await profiles.read('ann'))).toHaveLength(PROFILE_MAX_BYTES);
  expect(await merge({ b: 1 })).toBeNull();
  expect(await replace({ a: 'x'.repeat(room + 1) })).toBeNull();
  expect(Object.keys((await profiles.read('ann'))!)).toEqual(['a']);
  expect(await merge({ a: null, b: 1 })).toEqual({ b: 1 });
});

test('thousands of fields are fields like a few', async () => {
  const many = Object.fromEntries(Array.from({ length: 7_000 }, (_, index) => [`${index}`, 0]));
  expect(await merge(many)).toEqual(many);
  expect(await replace({ one: 1 })).toEqual({ one: 1 });
});

test('a removal forgets all of it, and a change that changes nothing is not audited', async () => {
  await merge({ a: 1 });
  await merge({ a: 1, b: null });
  await replace({ a: 1 });
  await profiles.remove('ann', ACTOR, 'api');
  await profiles.remove('ann', ACTOR, 'api');
  expect(await profiles.read('ann')).toBeNull();
  expect(await t.redis.exists(t.keys.profile('ann'))).toBe(0);
  expect(await t.audit()).toMatchObject([
    { type: 'profile.created', before: null, after: { a: 1 }, actor: ACTOR, source: 'api' },
    { type: 'profile.deleted', before: { a: 1 }, after: null },
  ]);
});

test('changes that are made at once all hold', async () => {
  await Promise.all(Array.from({ length: 50 }, (_, index) => merge({ [`f${index}`]: index })));
  expect(Object.keys((await profiles.read('ann'))!)).toHaveLength(50);
});
