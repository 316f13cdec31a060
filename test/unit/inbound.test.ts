import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { EVENT_TYPES, readBody, readEvent } from '../../src/inbound/events';
import { createMapper, matchesPattern, recipientOf, valueAt } from '../../src/inbound/mapping';
import { firstElement, hasProof, isSignedBySegment } from '../../src/inbound/signature';

describe('reading an event', () => {
  test('never throws, and says of each value either what it is or what is wrong with it', () => {
    const field = fc.oneof(fc.jsonValue(), fc.constantFrom('ann', '', 'x'.repeat(300), 'a\nb', '\ud800'));
    const event = fc.record(
      {
        type: fc.oneof(fc.constantFrom<unknown>(...EVENT_TYPES), field),
        ...{ messageId: field, userId: field, anonymousId: field, groupId: field, event: field },
        ...{ traits: field, properties: field, context: field },
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(event, fc.jsonValue()), fc.constantFrom(null, ...EVENT_TYPES), (value, pathType) => {
        const read = readEvent(value, pathType);
        if ('problems' in read) {
          expect(read.problems.length).toBeGreaterThan(0);
          for (const { message } of read.problems) expect(message).not.toBe('');
          return;
        }
        const given = value as Record<string, unknown>;
        expect(read.type).toBe(given.type ?? pathType);
        expect([given.userId, given.anonymousId]).toContain(read.user);
        expect(read.messageId).toBe(given.messageId || null);
      }),
    );
  });

  test('takes absent, null and empty for the same where an id may be missing', () => {
    for (const userId of [undefined, null, '']) {
      expect(readEvent({ type: 'page', userId, anonymousId: 'a', messageId: userId })).toEqual({
        ...{ type: 'page', user: 'a', messageId: null },
      });
    }
  });

  test('prefers the traits of an identify to those of its context', () => {
    const event = { type: 'identify', userId: 'ann', context: { traits: { a: 1 } } };
    expect(readEvent(event)).toMatchObject({ traits: { a: 1 } });
    expect(readEvent({ ...event, traits: { b: 2 } })).toMatchObject({ traits: { b: 2 } });
    expect(readEvent({ ...event, type: 'group', groupId: 'g' })).toMatchObject({ traits: {} });
  });

  test('tells the forms of a body apart', () => {
    expect(readBody([1])).toEqual({ kind: 'several', events: [1] });
    expect(readBody({ batch: [1], sentAt: 'x' })).toEqual({ kind: 'several', events: [1] });
    expect(readBody({ type: 'track', batch: 1 })).toEqual({ kind: 'one', event: { type: 'track', batch: 1 } });
    expect(readBody({})).toEqual({ kind: 'one', event: {} });
    expect(readBody({ batch: 1 })).toMatchObject({ kind: 'refused', path: 'batch' });
    for (const value of [null, undefined, 'a', 1]) expect(readBody(value)).toMatchObject({ kind: 'refused', path: '' });
  });
});

describe('a pattern of names', () => {
  test('matches what a regular expression would, which reads each star as anything', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '.', '😀'), maxLength: 12 });
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '.', '*', '😀'), maxLength: 8 });
    fc.assert(
      fc.property(text, pattern, (name, glob) => {
        const parts = glob.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
        expect(matchesPattern(name, glob)).toBe(new RegExp(`^${parts.join('[^]*')}$`).test(name));
      }),
    );
  });

  test('with many stars and a name that nearly matches is not tried in every way that there is', () => {
    // A matcher that goes back would take longer than the universe is old.
    expect(matchesPattern('a'.repeat(256), `${'*a'.repeat(120)}*b`)).toBe(false);
  });

  test('goes by the first that matches, in the order of the list', () => {
    const [exact, some, all] = [{ event: 'Order Shipped' }, { event: 'Order *' }, { event: '*' }];
    expect(createMapper([exact, some, all])('Order Shipped')).toBe(exact);
    expect(createMapper([some, exact])('Order Shipped')).toBe(some);
    expect(createMapper([exact, some])('Refund')).toBeNull();
    expect(createMapper([])('Refund')).toBeNull();
  });
});

describe('a path into an event', () => {
  const event = JSON.parse(
    '{"userId":"ann","a":{"b":[{"c":"deep"},7],"__proto__":{"d":"own"}},"text":"abc","m":[[],["inner"]]}',
  );

  test.each([
    ['userId', 'ann'],
    ['a.b.0.c', 'deep'],
    ['a.b.1', 7],
    ['$.userId', 'ann'],
    ['$.a.b[0].c', 'deep'],
    ['a.b[0].c', 'deep'],
    ['a.b[1]', 7],
    ['a.b[2]', undefined],
    ['m[1][0]', 'inner'],
    ['m[1].0', 'inner'],
    ['$', undefined],
    ['a.__proto__.d', 'own'],
    ['a.b.2', undefined],
    ['a.b.length.x', undefined],
    ['text.length', undefined],
    ['constructor', undefined],
    ['a.toString', undefined],
    ['none.at.all', undefined],
  ])('%s leads to %j', (path, value) => {
    expect(valueAt(event, path)).toBe(value);
  });

  test('that leads to no id is named, for the recipient always and for the account where something is there', () => {
    const mapping = { event: '*', recipient: 'to', account: 'shop' };
    expect(recipientOf(mapping, { to: 'ann' })).toEqual({ user: 'ann', account: null });
    expect(recipientOf(mapping, { to: 'ann', shop: 'acme' })).toEqual({ user: 'ann', account: 'acme' });
    for (const to of [undefined, null, '', 7, {}, 'x'.repeat(257)]) {
      expect(recipientOf(mapping, { to })).toMatchObject({ path: 'to' });
    }
    for (const shop of [7, [], 'a\n'])
      expect(recipientOf(mapping, { to: 'ann', shop })).toMatchObject({ path: 'shop' });
    expect(recipientOf({ event: '*' }, { userId: 'ann', context: { groupId: 'acme' } })).toEqual({
      ...{ user: 'ann', account: 'acme' },
    });
  });
});

describe('a signature of Segment', () => {
  const sign = (text: string) => createHmac('sha1', 'secret').update(text).digest('hex');
  const check = (text: string, signature: string) =>
    isSignedBySegment('secret', signature, Buffer.from(text), JSON.parse(text));

  test('of a list is right over the bytes of its first event, however they are written', () => {
    const blank = fc.string({ unit: fc.constantFrom(' ', '\n', '\t', '\r'), maxLength: 3 });
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom('a"],[{', '\\', { '}': ']"\\' }));
    const written = fc
      .tuple(value, fc.constantFrom(undefined, 1))
      .map(([one, indent]) => JSON.stringify(one, null, indent));
    fc.assert(
      fc.property(fc.array(written, { minLength: 1, maxLength: 4 }), blank, (elements, space) => {
        const text = `${space}[${elements.map((element) => `${space}${element}${space}`).join(',')}]${space}`;
        expect(Buffer.from(firstElement(Buffer.from(text))).toString()).toBe(elements[0]);
        expect(check(text, sign(elements[0]!))).toBe(true);
        expect(check(text, sign(JSON.stringify(JSON.parse(elements[0]!))))).toBe(true);
        expect(check(text, sign(text))).toBe(true);
        expect(check(text, sign(`${elements[0]} `))).toBe(false);
      }),
    );
  });

  test('of a batch is right over the bytes of its first event too, whatever stands around it', () => {
    const blank = fc.string({ unit: fc.constantFrom(' ', '\n', '\t', '\r'), maxLength: 3 });
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom('a"],[{', '\\', { '}': ']"\\' }, { batch: [1] }, '"batch":['),
    );
    const written = fc
      .tuple(value, fc.constantFrom(undefined, 1))
      .map(([one, indent]) => JSON.stringify(one, null, indent));
    const others = fc.array(fc.tuple(fc.string(), written), { maxLength: 3 });
    const events = fc.array(written, { minLength: 1, maxLength: 3 });
    const name = fc.constantFrom('"batch"', '"\\u0062atch"');
    fc.assert(
      fc.property(others, events, others, name, blank, (before, elements, after, batch, space) => {
        const member = ([key, text]: [string, string]) =>
          `${space}${JSON.stringify(key)}${space}:${space}${text}${space}`;
        const list = `[${elements.map((element) => `${space}${element}${space}`).join(',')}]`;
        const rest = after.filter(([key]) => key !== 'batch').map(member);
        const members = [...before.map(member), `${space}${batch}${space}:${space}${list}${space}`, ...rest];
        const text = `${space}{${members.join(',')}}${space}`;
        expect(check(text, sign(elements[0]!))).toBe(true);
        expect(check(text, sign(JSON.stringify(JSON.parse(elements[0]!))))).toBe(true);
        expect(check(text, sign(text))).toBe(true);
        expect(check(text, sign(`${elements[0]} `))).toBe(false);
      }),
    );
  });

  test('of a batch that is there twice is right over the first event of the one that is read', () => {
    const text = '{"batch":[{"a":1}],"batch":[{"a":2}]}';
    expect([check(text, sign('{"a":1}')), check(text, sign('{"a":2}'))]).toEqual([false, true]);
  });

  test('of one event is right over all of it, and over nothing less', () => {
    expect(check('{ "a":1}', sign('{"a":1}'))).toBe(false);
    expect(check('{"a":[{"b":1}]}', sign('{"b":1}'))).toBe(false);
    for (const empty of ['{"batch":[]}', '{"batch":7}', '{"batch":{"a":1}}']) {
      expect([check(empty, sign('')), check(empty, sign(empty))]).toEqual([false, true]);
    }
  });

  test('of a body that is no JSON is right over all of it', () => {
    const signs = (signature: string) =>
      isSignedBySegment('secret', signature, Buffer.from('[{"a":1},{oops'), undefined);
    expect([signs(sign('[{"a":1},{oops')), signs(sign('{"a":1}'))]).toEqual([true, false]);
  });

  test('is compared with the value of a header as a whole', () => {
    const proof = { name: 'X-Proof', value: 'long' };
    expect(['long', 'lon', 'longer', '', undefined].map((given) => hasProof(proof, given))).toEqual([
      ...[true, false, false, false, false],
    ]);
  });
});
