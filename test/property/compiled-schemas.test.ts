import fc from 'fast-check';
import { z } from 'zod';
import { checkBodySchema } from '../../src/http/decision-schemas';
import { compile, validate } from '../../src/http/validate';
import { limitInputSchema } from '../../src/limits/limit';
import { settingsPatchSchema } from '../../src/limits/settings';

const SCHEMAS = {
  check: checkBodySchema,
  batch: z.strictObject({ messages: z.array(checkBodySchema).min(1).max(3) }),
  limit: limitInputSchema,
  settings: settingsPatchSchema,
};

/** Values that are right for some field, values that are right for none, and what JSON.parse can make besides. */
const fieldValue = fc.oneof(
  fc.constantFrom<unknown>(
    'ann',
    '',
    'a\nb',
    '\ud800',
    'day',
    'UTC',
    'sunday',
    'shadow',
    'user',
    '2026-03-07T05:00:00Z',
  ),
  fc.constantFrom<unknown>(0, 1, -1, 1.5, 1_000_001, true, false, null, undefined),
  fc.constantFrom<unknown>(['user'], ['user', 'user'], ['user', 'topic'], [], { user: 'ann' }, {}),
  fc.jsonValue({ maxDepth: 1 }),
);
const names = [
  ...Object.keys(checkBodySchema.shape),
  ...Object.keys(limitInputSchema.shape),
  ...Object.keys(settingsPatchSchema.shape),
  '__proto__',
  'constructor',
  'other',
];
const object = fc
  .array(fc.tuple(fc.constantFrom(...names), fieldValue), { maxLength: 6 })
  // As JSON.parse does: a name is a field of the object itself, whatever it is called.
  .map((entries) => JSON.parse(`{${entries.map(([name, value]) => `"${name}":${JSON.stringify(value ?? null)}`)}}`));
const right = fc.constantFrom(
  { user_id: 'ann' },
  { user_id: 'ann', account_id: 'acme', cost: 3, dry_run: true, at: '2026-03-07T05:00:00+01:00' },
  { per: ['user'], period: 'day', max: 50 },
  { per: [], period: 'hour', max: null, where: { account: 'acme' }, from: '2026-03-07T05:00:00Z' },
  { timezone: 'Asia/Kathmandu', exempt_topics: ['news'] },
);
const body = fc.oneof(
  object,
  fc.tuple(right, object).map(([all, more]) => ({ ...all, ...more })),
  fc.array(fc.oneof(right, object), { maxLength: 4 }).map((messages) => ({ messages })),
  fieldValue,
);

test.each(Object.entries(SCHEMAS))(
  'the code made for the schema of a %s judges as the schema does',
  (_name, schema) => {
    const made = compile(schema);
    expect(made).not.toBe(schema);
    fc.assert(
      fc.property(body, (value) => {
        expect(validate(made, value, 'body')).toStrictEqual(validate(schema, value, 'body'));
      }),
      { numRuns: 2_000 },
    );
  },
);
