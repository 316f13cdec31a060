import { createLocalShare } from '../../src/gate/local-share';

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1);

test('a month holds its share to its end, although it is longer than a timer can be', async () => {
  const share = createLocalShare();
  const month = { key: 'january', share: 2, endMs: START_MS + 31 * DAY_MS };
  expect(await share.take([month], 1, START_MS)).toEqual({ allowed: true, used: [1] });
  expect(await share.take([month], 1, START_MS + 25 * DAY_MS)).toEqual({ allowed: true, used: [2] });
  expect(await share.take([month], 1, START_MS + 31 * DAY_MS - 1)).toEqual({ allowed: false, used: [2] });
});

test('a window that has ended is forgotten, and the next begins at zero', async () => {
  const share = createLocalShare();
  await share.take([{ key: 'a', share: 1, endMs: START_MS + 1_000 }], 1, START_MS);
  expect(await share.take([{ key: 'b', share: 1, endMs: START_MS + 200_000 }], 1, START_MS + 100_000)).toEqual({
    allowed: true,
    used: [1],
  });
  // Swept by now: were it asked again, it would be empty.
  expect(await share.take([{ key: 'a', share: 1, endMs: START_MS + 1_000 }], 1, START_MS + 100_000)).toEqual({
    allowed: true,
    used: [1],
  });
});

test('checks at the same time count against all limits or none, and never above a share', async () => {
  const share = createLocalShare();
  const wide = { key: 'wide', share: 10, endMs: START_MS + DAY_MS };
  const narrow = { key: 'narrow', share: 3, endMs: START_MS + DAY_MS };
  const answers = await Promise.all(Array.from({ length: 8 }, () => share.take([wide, narrow], 1, START_MS)));
  expect(answers.filter(({ allowed }) => allowed)).toHaveLength(3);
  expect(await share.take([wide], 7, START_MS)).toEqual({ allowed: true, used: [10] });
  expect(await share.take([wide], 1, START_MS)).toEqual({ allowed: false, used: [10] });
});
