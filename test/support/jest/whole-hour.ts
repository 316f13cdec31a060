// Runs in each test file. Most tests count in real windows, and a window that ends in the middle of a test would end its
// counts too. Nearly all windows of the tests end with an hour of UTC at the earliest, so a test that would begin shortly
// before that waits for it.

const HOUR_MS = 3_600_000;
/** Nearly all tests take less than this, on a busy machine too. */
const ROOM_MS = 45_000;

/** Waits for the next hour where little is left of this one. */
function whenThereIsRoom(): Promise<void> | undefined {
  const leftMs = HOUR_MS - (Date.now() % HOUR_MS);
  if (leftMs > ROOM_MS) return undefined;
  // A timer may come a little early.
  return new Promise((resolve) => setTimeout(resolve, leftMs + 10));
}

// Before the whole file too: what it sets up for all its tests may belong to a window. And before each test: it may be
// the tests before it that took long.
beforeAll(whenThereIsRoom, 2 * ROOM_MS);
beforeEach(whenThereIsRoom, 2 * ROOM_MS);
