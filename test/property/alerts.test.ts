import fc from 'fast-check';
import { alertThresholdsSchema, thresholdUse } from '../../src/limits/alert-settings';
import { LIMIT_MAX } from '../../src/limits/limit';

const max = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: LIMIT_MAX }));
const percent = fc.integer({ min: 1, max: 100 });

test('the use that passes a threshold is the least that is that part of the max or more, exactly', () => {
  fc.assert(
    fc.property(max, percent, (most, part) => {
      const use = BigInt(thresholdUse(most, part));
      const whole = BigInt(most) * BigInt(part);
      expect(use * 100n >= whole).toBe(true);
      expect((use - 1n) * 100n < whole).toBe(true);
    }),
  );
});

test('it is never above the max, and is the max for 100 %', () => {
  fc.assert(
    fc.property(max, percent, (most, part) => {
      expect(thresholdUse(most, part)).toBeLessThanOrEqual(most);
      expect(thresholdUse(most, 100)).toBe(most);
    }),
  );
});

test('of thresholds in any order the same are kept, in order', () => {
  fc.assert(
    fc.property(fc.uniqueArray(percent, { maxLength: 10 }), (some) => {
      expect(alertThresholdsSchema.parse(some)).toEqual([...some].sort((a, b) => a - b));
    }),
  );
});
