import type { KnownAccount } from '../limits/plan';
import type { AccountCalendar } from '../limits/settings';
import type { RedisClient } from './connection';
import type { Keys } from './keys';

/** How many are read together: Redis is held for well under a millisecond. */
const TOGETHER = 200;

/** Reads what decisions go by of accounts' settings: those that have any. @throws whatever Redis fails with */
export async function readKnownAccounts(
  { redis, keys, pause }: { redis: RedisClient; keys: Keys; pause: () => Promise<void> },
  ids: readonly string[],
): Promise<Map<string, KnownAccount>> {
  const known = new Map<string, KnownAccount>();
  for (let start = 0; start < ids.length; start += TOGETHER) {
    const some = ids.slice(start, start + TOGETHER);
    const reads = redis.pipeline();
    for (const id of some) reads.hmget(keys.account(id), 'revision', 'json');
    const found = (await reads.exec()) ?? [];
    some.forEach((id, index) => {
      const [error, values] = found[index]!;
      if (error) throw error;
      const [revision, json] = values as (string | null)[];
      if (typeof revision !== 'string' || !json) return;
      const { timezone, billing_anchor, billing_months } = JSON.parse(json) as AccountCalendar;
      known.set(id, { revision: Number(revision), calendar: { timezone, billing_anchor, billing_months } });
    });
    await pause();
  }
  return known;
}
