import { z } from 'zod';
import { ERRORS_MAX, parseQuery, validate } from '../../src/http/validate';

function errorsOf(schema: z.ZodType, value: unknown, place: 'params' | 'query' | 'body' = 'body') {
  const result = validate(schema, value, place);
  return 'errors' in result ? result.errors.map(({ path, message }) => `${path}: ${message}`) : [];
}

test('what is right comes out as the schema makes it', () => {
  const schema = z.strictObject({ id: z.string().transform((id) => id.length), cost: z.int().default(1) });
  expect(validate(schema, { id: 'four' }, 'body')).toEqual({ value: { id: 4, cost: 1 } });
});

test.each<[string, z.ZodType, unknown]>([
  ['must be a string', z.string(), 1],
  ['must be a number', z.number(), '1'],
  ['must be a number', z.number(), Number.NaN],
  ['must be a whole number', z.int(), 1.5],
  ['must be true or false', z.boolean(), 'yes'],
  ['must be a list', z.array(z.string()), {}],
  ['must be an object', z.strictObject({}), []],
  ['must be an object', z.strictObject({}), null],
  ['must be an object', z.record(z.string(), z.string()), 'x'],
  ['must be "a"', z.literal('a'), 'b'],
  ['must be one of "a", "b"', z.enum(['a', 'b']), 'c'],
  ['must be at least 1', z.int().min(1), 0],
  ['must be more than 0', z.number().positive(), 0],
  ['must be at most 1000000', z.int().max(1_000_000), 1_000_001],
  ['must be less than 5', z.number().lt(5), 5],
  ['must be a multiple of 5', z.number().multipleOf(5), 7],
  ['must not be empty', z.string().min(1), ''],
  ['must not be empty', z.array(z.string()).min(1), []],
  ['must have at least 2 characters', z.string().min(2), 'a'],
  ['must have at most 1,000 items', z.array(z.int()).max(1_000), Array(1_001).fill(1)],
  ['must be of the form email', z.email(), 'x'],
  ['must match /^a$/', z.string().regex(/^a$/), 'b'],
  ['has to be so', z.string().refine(() => false, { error: 'has to be so' }), 'b'],
  ['must be a string or a list', z.union([z.string(), z.array(z.string())]), 1],
  ['has a name that must have at most 2 characters', z.record(z.string().max(2), z.int()), { abc: 1 }],
])('%s', (message, schema, value) => {
  expect(
    errorsOf(z.strictObject({ field: schema }), { field: value }).map((error) => error.replace(/^[^:]*: /, '')),
  ).toEqual([message]);
});

test('what is missing is called missing, and what it must be is said all the same', () => {
  const schema = z.strictObject({ id: z.string(), kind: z.enum(['a', 'b']), list: z.array(z.int()) });
  expect(errorsOf(schema, {})).toEqual([
    'id: is missing: must be a string',
    'kind: is missing: must be one of "a", "b"',
    'list: is missing: must be a list',
  ]);
});

test('a path leads through lists and objects', () => {
  const schema = z.strictObject({ messages: z.array(z.strictObject({ cost: z.int() })) });
  const value = { messages: [{ cost: 1 }, { cost: 'x' }, { cost: 1, extra: 1 }] };
  expect(errorsOf(schema, value)).toEqual([
    'messages.1.cost: must be a whole number',
    'messages.2.extra: is not a known field',
  ]);
});

test('each unknown field is an error of its own', () => {
  const schema = z.strictObject({ where: z.strictObject({ user: z.string().optional() }) });
  expect(errorsOf(schema, { where: { planet: 'x', moon: 'y' }, extra: 1 })).toEqual([
    'where.planet: is not a known field',
    'where.moon: is not a known field',
    'extra: is not a known field',
  ]);
});

test('how parts go together is only looked at when the parts are right', () => {
  const schema = z.strictObject({
    where: z.strictObject({ user: z.string().optional() }).refine(() => false, 'is empty'),
  });
  expect(errorsOf(schema, { where: {} })).toEqual(['where: is empty']);
  expect(errorsOf(schema, { where: { planet: 'x' } })).toEqual(['where.planet: is not a known field']);
});

test('each place has one error, the first', () => {
  const schema = z.strictObject({
    id: z
      .string()
      .min(3)
      .regex(/^[a-z]+$/),
  });
  expect(errorsOf(schema, { id: '1' })).toEqual(['id: must have at least 3 characters']);
});

test('of alternatives, the errors of the one that was meant are told', () => {
  const schema = z.union([z.string(), z.strictObject({ user_id: z.string() })]);
  expect(errorsOf(schema, { user: 'ann' })).toEqual([
    'user_id: is missing: must be a string',
    'user: is not a known field',
  ]);
  const tagged = z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('a'), x: z.int() }),
    z.strictObject({ type: z.literal('b'), y: z.int() }),
  ]);
  expect(errorsOf(tagged, { type: 'c' })).toEqual(['type: must be one of "a", "b"']);
  expect(errorsOf(tagged, { type: 'b', y: 'x' })).toEqual(['y: must be a whole number']);
});

test('where several alternatives might have been meant, no more is said than that none fits', () => {
  const schema = z.union([z.strictObject({ a: z.int() }), z.strictObject({ b: z.int() })]);
  expect(errorsOf(schema, { c: 1 })).toEqual([': has none of the forms that it may have']);
});

test('a thousand errors are a few, and long names are short', () => {
  const schema = z.strictObject({ list: z.array(z.int()) });
  expect(errorsOf(schema, { list: Array(1_000).fill('x') })).toHaveLength(ERRORS_MAX);
  const [error] = errorsOf(schema, { list: [], [`${'x'.repeat(99)}\u{1F600}${'y'.repeat(10_000)}`]: 1 });
  expect(error!.length).toBeLessThan(200);
  expect(error!.isWellFormed()).toBe(true);
});

test('a parameter that is given twice is told so', () => {
  const schema = z.strictObject({ one: z.string().optional(), kind: z.enum(['a', 'b']).optional() });
  expect(errorsOf(schema, { one: ['a', 'b'], kind: ['a', 'a'], two: 'x' }, 'query')).toEqual([
    'one: must be given only once',
    'kind: must be given only once',
    'two: is not a known parameter',
  ]);
});

test('fields that are called like parts of every object are fields like others', () => {
  const value = JSON.parse('{"__proto__": {"cost": 7}, "constructor": 1, "toString": 1, "id": "a"}');
  const schema = z.strictObject({ id: z.string(), cost: z.int().optional() });
  expect(errorsOf(schema, value)).toEqual([
    '__proto__: is not a known field',
    'constructor: is not a known field',
    'toString: is not a known field',
  ]);
  expect(({} as { cost?: number }).cost).toBeUndefined();
});

test('a query is an object without a prototype, with every parameter once', () => {
  const { value } = parseQuery('__proto__=1&a=1&constructor=2&a=2') as { value: object };
  expect(Object.getPrototypeOf(value)).toBeNull();
  expect(Object.entries(value)).toEqual([
    ['__proto__', '1'],
    ['a', ['1', '2']],
    ['constructor', '2'],
  ]);
});
