import fc from 'fast-check';
import { decodeCursor, encodeCursor } from '../../src/http/cursor';

const text = fc.string({ unit: 'grapheme', maxLength: 300 });

test('a cursor gives back its position in its own list', () => {
  fc.assert(
    fc.property(text, text, (kind, position) => {
      expect(decodeCursor(kind, encodeCursor(kind, position))).toBe(position);
    }),
  );
});

test('the longest ids fit, and every cursor can stand in a query as it is', () => {
  const longest = '\u{1F600}'.repeat(256);
  const cursor = encodeCursor(`users/${longest}/accounts`, longest);
  expect(decodeCursor(`users/${longest}/accounts`, cursor)).toBe(longest);
  expect(encodeURIComponent(cursor)).toBe(cursor);
});

test('a cursor means nothing in another list', () => {
  fc.assert(
    fc.property(text, text, text, (kind, other, position) => {
      fc.pre(kind !== other);
      expect(decodeCursor(other, encodeCursor(kind, position))).toBeNull();
    }),
  );
});

test.each([
  ['nothing', ''],
  ['words', 'hello'],
  ['no base64', '!!!'],
  ['an id', 'user-1'],
  ['JSON of another shape', Buffer.from('{"kind":"k","position":"p"}').toString('base64url')],
  ['a list of three', Buffer.from('["k","p","q"]').toString('base64url')],
  ['a position that is no text', Buffer.from('["k",1]').toString('base64url')],
  ['the same with blanks', Buffer.from('["k", "p"]').toString('base64url')],
  ['the same in another base64', `${Buffer.from('["k","p"]').toString('base64')}=`],
  ['the same with something behind it', `${encodeCursor('k', 'p')}!`],
  ['the same with a line break', `${encodeCursor('k', 'p')}\n`],
  [
    'bytes that are no UTF-8',
    Buffer.from([0x5b, 0x22, 0x6b, 0x22, 0x2c, 0x22, 0xff, 0x22, 0x5d]).toString('base64url'),
  ],
  ['half a character', Buffer.from('["k","\\ud83d"]').toString('base64url')],
  ['what is too long', encodeCursor('k', 'p'.repeat(10_000))],
])('%s is not a cursor', (_name, cursor) => {
  expect(decodeCursor('k', cursor)).toBeNull();
});

test('no text at all makes it throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (anything) => {
      expect(decodeCursor('k', anything)).toBeNull();
    }),
  );
});
