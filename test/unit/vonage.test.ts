import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { isGsm7 } from '../../src/sends/providers/gsm7';
import { VONAGE_CODES, VONAGE_RECEIPT_CODES, vonageCode } from '../../src/sends/providers/vonage-codes';
import { readVonageReceipt } from '../../src/sends/providers/vonage-receipt';
import {
  VONAGE_SIGNATURE_METHODS,
  vonageSignature,
  vonageSignatureFault,
} from '../../src/sends/providers/vonage-signature';
import { limiterOf } from '../../src/sends/workers';

describe('the codes of Vonage', () => {
  test.each([
    ['retry', [1, 5, 10]],
    ['account', [4, 8, 9, 11, 14, 32]],
    ['request', [2, 3, 12, 15, 22, 23]],
    ['recipient', [6, 7, 29, 33]],
  ] as const)('that are about the %s are these, and no others', (kind, codes) => {
    const found = [...VONAGE_CODES.values()].filter((one) => one.kind === kind).map(({ code }) => Number(code));
    expect(found.toSorted((one, other) => one - other)).toEqual(codes);
  });

  test('each say what they mean and what to do, in sentences', () => {
    for (const { name, meaning, whatToDo } of [...VONAGE_CODES.values(), ...VONAGE_RECEIPT_CODES.values()]) {
      expect(name).not.toBe('');
      expect(meaning).toMatch(/^[A-Z].*\.$/);
      expect(whatToDo).toMatch(/^[A-Z].*\.$/);
    }
  });

  test('that are not known are tried again: nothing was sent with them', () => {
    expect(vonageCode('13')).toMatchObject({ kind: 'retry', code: '13', name: 'unknown' });
  });
});

test('the documentation has every code, with its name and what becomes of the message', () => {
  const document = readFileSync(join(__dirname, '../../docs/vonage.md'), 'utf8');
  const row = (kind: string) => {
    const some = [...VONAGE_CODES.values()].filter((one) => one.kind === kind);
    return `| ${some.map(({ code }) => code).join(', ')} | ${some.map(({ name }) => name).join(', ')} |`;
  };
  for (const kind of ['retry', 'account', 'request', 'recipient']) expect(document).toContain(row(kind));
  for (const { code, name } of VONAGE_RECEIPT_CODES.values()) expect(document).toContain(`| ${code} | ${name}: `);
});

describe('the alphabet of GSM', () => {
  test.each([
    ['Bonjour monde', true],
    ['This ^ That costs 5 € [{~}] | \\', true],
    ['ÄÖÑÜäöñüà ΔΦΓΛΩΠΨΣΘΞ @£$¥èéùìòÇØøÅåÆæßÉ¤¡§¿ "quoted"\r\n', true],
    ['', true],
    ['こんにちは世界', false],
    ['ç', false],
    ['a `backtick`', false],
    ['“typographic”', false],
    ['🙂', false],
    ['Привет', false],
    ['\t', false],
  ])('has every character of %j: %j', (text, has) => {
    expect(isGsm7(text)).toBe(has);
  });
});

describe('a signature of Vonage', () => {
  // From the tests of Vonage's own SDK for Ruby.
  const params = {
    'message-timestamp': '2013-11-21 15:27:30',
    messageId: '020000001B0FE827',
    msisdn: '14843472194',
    text: 'Test again',
    timestamp: '1385047698',
    to: '13239877404',
    type: 'text',
  };
  const secret = 'my_secret_key_for_testing';
  const signedMs = 1_385_047_698_000;
  const SIGNATURES = {
    md5hash: 'd2e7b1dc968737c5998ad624e02f90b7',
    md5: 'DDEBD46008C2D4E93CCE578A332A52D5',
    sha1: '27D0D05C2876C7CB1720DBCDBA4D492E1E55C09A',
    sha256: 'DDB8397C2B90AAC7F3882D306475C9A5058C92322EEF43C92B298B6E0FC0D330',
    sha512:
      'E0D3C650F8C9D1A5C174D10DDDBFB003E561F59B265616208B0487C5D819481CD3C311D59CF6165ECD1139622D5BA3A256C0D763AC4A9AD9144B5A426B94FE82',
  };

  test.each(VONAGE_SIGNATURE_METHODS)('by %s is the one that its own libraries make', (method) => {
    expect(vonageSignature(params, secret, method)).toBe(SIGNATURES[method].toLowerCase());
    const signed = { ...params, sig: SIGNATURES[method] };
    expect(vonageSignatureFault(signed, { secret, method, maxAgeMs: 300_000 }, signedMs)).toBeNull();
  });

  test('takes & and = in values for _', () => {
    const of = (text: string) => vonageSignature({ ...params, text }, secret, 'sha256');
    expect(of('a&b=c')).toBe(of('a_b_c'));
    expect(of('a&b=c')).not.toBe(of('abc'));
  });

  test('is wrong when anything is changed, added or left out, or by another secret or method', () => {
    const expected = { secret, method: 'sha256', maxAgeMs: 300_000 } as const;
    const signed: Record<string, string> = { ...params, sig: SIGNATURES.sha256 };
    const fault = (given: Record<string, string>, other = {}) =>
      vonageSignatureFault(given, { ...expected, ...other }, signedMs);
    for (const name of Object.keys(params).filter((name) => name !== 'timestamp')) {
      expect(fault({ ...signed, [name]: 'changed' })).toBe('wrong');
      const { [name]: _left, ...rest } = signed;
      expect(fault(rest)).toBe('wrong');
    }
    expect(fault({ ...signed, timestamp: '1385047699' })).toBe('wrong');
    expect(fault({ ...signed, more: '' })).toBe('wrong');
    expect(fault({ ...signed, sig: `${SIGNATURES.sha256}0` })).toBe('wrong');
    expect(fault({ ...signed, sig: '' })).toBe('wrong');
    expect(fault(signed, { secret: 'other' })).toBe('wrong');
    expect(fault(signed, { method: 'sha512' })).toBe('wrong');
    expect(fault(params)).toBe('missing');
    const { timestamp: _timestamp, ...undated } = signed;
    expect(fault(undated)).toBe('missing');
  });

  test('holds for so long before and after its time, and no longer', () => {
    const signed = { ...params, sig: SIGNATURES.md5hash };
    const at = (nowMs: number) => vonageSignatureFault(signed, { secret, method: 'md5hash', maxAgeMs: 300_000 }, nowMs);
    expect([at(signedMs - 300_000), at(signedMs + 300_000)]).toEqual([null, null]);
    expect([at(signedMs - 300_001), at(signedMs + 300_001), at(signedMs + 86_400_000)]).toEqual(['old', 'old', 'old']);
    const undated = { ...params, timestamp: 'soon' };
    const sig = vonageSignature(undated, secret, 'md5hash');
    expect(vonageSignatureFault({ ...undated, sig }, { secret, method: 'md5hash', maxAgeMs: 300_000 }, signedMs)).toBe(
      'old',
    );
  });
});

describe('a receipt of Vonage', () => {
  const receipt = { messageId: '0A01', status: 'delivered', 'err-code': '0' };

  test.each([
    ['delivered', 'delivered'],
    ['DELIVERED', 'delivered'],
    ['expired', 'failed'],
    ['failed', 'failed'],
    ['rejected', 'failed'],
    ['undelivered', 'failed'],
    ['accepted', 'accepted'],
    ['buffered', 'buffered'],
    ['unknown', 'unknown'],
    ['something-new', 'unknown'],
    ['constructor', 'unknown'],
  ])('that says %s is about one that is %s', (status, stage) => {
    expect(readVonageReceipt({ ...receipt, status })).toMatchObject({ receipt: { stage, reference: '0A01' } });
  });

  test('about one that failed says the code, its meaning and what to do', () => {
    expect(readVonageReceipt({ ...receipt, status: 'failed', 'err-code': '3' })).toMatchObject({
      receipt: {
        error:
          'Vonage says that it was failed, with 3, Absent Subscriber - Permanent: The number is not in use any more. Remove the number from the user.',
        code: {
          code: '3',
          meaning: 'The number is not in use any more.',
          whatToDo: 'Remove the number from the user.',
        },
      },
    });
    expect(readVonageReceipt({ ...receipt, status: 'expired', 'err-code': '1234567' })).toMatchObject({
      receipt: { code: { code: 'expired' } },
    });
    expect(readVonageReceipt({ messageId: '0A01', status: 'rejected', 'err-code': '77' })).toMatchObject({
      receipt: { code: { code: '77', meaning: "The recipient's network refused it." } },
    });
  });

  test.each([
    [{ status: 'delivered' }, 'messageId'],
    [{ ...receipt, messageId: '' }, 'messageId'],
    [{ ...receipt, messageId: 'x'.repeat(101) }, 'messageId'],
    [{ ...receipt, messageId: 'a b' }, 'messageId'],
    [{ messageId: '0A01' }, 'status'],
    [{ ...receipt, status: 'x'.repeat(31) }, 'status'],
    [{ ...receipt, status: '<b>' }, 'status'],
  ])('that is %j has a wrong %s', (params, wrong) => {
    expect(readVonageReceipt(params as Record<string, string>)).toEqual({ wrong });
  });
});

describe('a rate', () => {
  test.each([
    [30, { max: 2, duration: 72 }],
    [1, { max: 1, duration: 1_000 }],
    [0.5, { max: 1, duration: 2_000 }],
    [1.5, { max: 1, duration: 667 }],
    [10, { max: 1, duration: 100 }],
    [22.5, { max: 2, duration: 100 }],
    [34, { max: 3, duration: 100 }],
    [50, { max: 4, duration: 91 }],
    [1_000, { max: 90, duration: 100 }],
  ])('of %d a second is cut into windows of a tenth of it', (rate, limiter) => {
    expect(limiterOf(rate)).toEqual(limiter);
  });

  test('is not exceeded in the worst of all seconds, whichever it is, and a sixth of it is lost at most', () => {
    for (let rate = 1; rate <= 3_000; rate += 1) {
      const { max, duration } = limiterOf(rate);
      // All that is left of a window in its last moment, and then window after window, each as soon as it may be.
      let worst = max - 1;
      for (let beginsMs = 1; beginsMs < 1_000; beginsMs += duration) worst += max;
      // Or windows alone, the first of them begun by the second's first attempt.
      const whole = max * Math.ceil(1_000 / duration);
      expect([rate, Math.max(worst, whole) <= rate]).toEqual([rate, true]);
      expect((max * 1_000) / duration).toBeGreaterThanOrEqual((rate * 5) / 6);
    }
  });

  test('is not exceeded in any second, whenever attempts are asked for', () => {
    const pauses = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 150 })), {
      minLength: 200,
      maxLength: 400,
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 120 }), pauses, (rate, pausesMs) => {
        // As BullMQ does: a window begins with the first attempt in it.
        const { max, duration } = limiterOf(rate);
        const begunMs: number[] = [];
        let [nowMs, windowEndMs, inWindow] = [0, 0, 0];
        for (const pauseMs of pausesMs) {
          nowMs += pauseMs;
          if (nowMs >= windowEndMs) [windowEndMs, inWindow] = [nowMs + duration, 0];
          else if (inWindow === max) [nowMs, windowEndMs, inWindow] = [windowEndMs, windowEndMs + duration, 0];
          inWindow += 1;
          begunMs.push(nowMs);
        }
        for (let index = rate; index < begunMs.length; index += 1) {
          expect(begunMs[index]! - begunMs[index - rate]!).toBeGreaterThanOrEqual(1_000);
        }
      }),
    );
  });
});
