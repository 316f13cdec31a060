import fc from 'fast-check';
import { isWebhookSecret } from '../../src/limits/webhook-secret';
import { pauseMs } from '../../src/sends/backoff';
import { hashOf, newRequestId, pooledRandomBytes, recipientMessageId } from '../../src/sends/ids';
import { providerFor } from '../../src/sends/providers/names';
import { distinctRecipients, type Recipient } from '../../src/sends/request';

describe('the pause between two tries', () => {
  const backoff = { firstMs: 1_000, mostMs: 300_000 };

  test('is about the first, doubles, and is never longer than the longest', () => {
    expect([1, 2, 3, 4, 9, 10, 50, 1_000].map((tries) => pauseMs(tries, backoff, 0.5))).toEqual([
      1_000, 2_000, 4_000, 8_000, 256_000, 300_000, 300_000, 300_000,
    ]);
  });

  test('is a quarter shorter or longer by chance, so that what failed together is not tried again together', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.double({ min: 0, max: 1, noNaN: true }), (tries, random) => {
        const pause = pauseMs(tries, backoff, random);
        const exact = Math.min(1_000 * 2 ** (tries - 1), 1e12);
        expect(pause).toBeLessThanOrEqual(300_000);
        expect(pause).toBeGreaterThanOrEqual(Math.min(300_000, Math.floor(exact * 0.75)));
        if (exact * 1.25 < 300_000) expect(pause).toBeLessThanOrEqual(Math.ceil(exact * 1.25));
      }),
    );
    expect([pauseMs(1, backoff, 0), pauseMs(1, backoff, 1)]).toEqual([750, 1_250]);
  });
});

describe('ids', () => {
  test('are 25 characters of a-z and 0-9, whatever the bytes', () => {
    for (const byte of [0, 1, 255])
      expect(newRequestId((count) => new Uint8Array(count).fill(byte))).toMatch(/^[0-9a-z]{25}$/);
    expect(recipientMessageId('r', 'x')).toMatch(/^[0-9a-z]{25}$/);
  });

  test('are made of bytes that are drawn many at once, none given out twice', () => {
    let next = 0;
    let draws = 0;
    const draw = pooledRandomBytes((count) => {
      draws += 1;
      return Uint8Array.from({ length: count }, () => next++ % 251);
    });
    const all = Array.from({ length: 600 }, () => [...draw(16)]).flat();
    expect(all.slice(0, 4_096)).toEqual(Array.from({ length: 4_096 }, (_, index) => index % 251));
    expect(draws).toBe(3);
    expect(draw(5_000)).toHaveLength(5_000);
  });

  test('of recipients follow from request and recipient, and differ where either does', () => {
    expect(recipientMessageId('r', 'ann')).toBe(recipientMessageId('r', 'ann'));
    const ids = ['r', 's'].flatMap((request) => ['ann', 'bob', ''].map((user) => recipientMessageId(request, user)));
    expect(new Set(ids).size).toBe(6);
    expect(hashOf('a')).not.toBe(hashOf('b'));
  });
});

describe('the recipients of a request', () => {
  const user = (user: string, account: string | null = null, more: object = {}): Recipient => ({
    user,
    account,
    to: { user_id: user, ...(account === null ? {} : { account_id: account }), ...more },
  });
  const all = (account: string, more: object = {}): Recipient => ({
    user: null,
    account,
    to: { account_id: account, ...more },
  });
  const pairs = (recipients: Recipient[], members: Record<number, string[]> = {}) =>
    distinctRecipients(
      recipients,
      new Map(Object.entries(members).map(([index, users]) => [Number(index), users])),
    ).map((recipient) => [recipient.user, recipient.account]);

  test('are one where they are equal in everything, and two where they differ in anything', () => {
    expect(pairs([user('ann'), user('ann'), user('ann', 'acme'), user('ann', null, { email: 'a@b.c' })])).toEqual([
      ['ann', null],
      ['ann', 'acme'],
      ['ann', null],
    ]);
  });

  test('are the members of an account, but for those that are named by themselves', () => {
    const members = { 0: ['ann', 'bob', 'cat', 'dan'] };
    expect(pairs([all('acme'), user('bob', 'acme'), user('ann'), user('cat', 'bolt')], members)).toEqual([
      ['dan', 'acme'],
      ['bob', 'acme'],
      ['ann', null],
      ['cat', 'bolt'],
    ]);
    const [member] = distinctRecipients([all('acme', { data: { vip: true } })], new Map([[0, ['ann']]]));
    expect(member!.to).toEqual({ account_id: 'acme', data: { vip: true }, user_id: 'ann' });
  });

  test('are once those who are in several of the accounts, for the first', () => {
    expect(pairs([all('acme'), all('bolt')], { 0: ['ann', 'bob'], 1: ['bob', 'cat'] })).toEqual([
      ['ann', 'acme'],
      ['bob', 'acme'],
      ['cat', 'bolt'],
    ]);
  });

  test('are no more with an account that is named twice, or with ids that look like others together', () => {
    expect(pairs([all('acme'), all('acme')], { 0: ['ann'], 1: ['ann'] })).toEqual([['ann', 'acme']]);
    expect(pairs([user('a","b'), user('a', 'b')])).toHaveLength(2);
  });
});

test.each([
  [null, 'webhook'],
  ['email', 'webhook'],
  ['sms', 'log'],
  ['log', 'log'],
  ['toString', 'webhook'],
  ['__proto__', 'webhook'],
])('a message by the channel %j goes to %s', (channel, provider) => {
  expect(providerFor(channel, { byChannel: { sms: 'log' }, fallback: 'webhook' })).toBe(provider);
});

test.each([
  [`whsec_${Buffer.alloc(24).toString('base64')}`, true],
  [`whsec_${Buffer.alloc(64).toString('base64')}`, true],
  [`whsec_${Buffer.alloc(23).toString('base64')}`, false],
  [`whsec_${Buffer.alloc(65).toString('base64')}`, false],
  [Buffer.alloc(24).toString('base64'), true],
  [Buffer.alloc(64).toString('base64'), true],
  [Buffer.alloc(23).toString('base64'), false],
  [Buffer.alloc(65).toString('base64'), false],
  [Buffer.alloc(25).toString('base64').replace('==', ''), false],
  [`whsk_${Buffer.alloc(24).toString('base64')}`, false],
  [`whsec_${Buffer.alloc(32, 255).toString('base64url')}`, false],
  ['whsec_', false],
  ['', false],
])('%j is a secret: %j', (text, isOne) => {
  expect(isWebhookSecret(text)).toBe(isOne);
});
