import type { Message } from '../limits/limit';
import type { PlannedCounter } from '../limits/plan';
import { type Actor, AUDIT_MAX_EVENTS, type Source } from './actor';
import type { RedisClient } from './connection';
import type { Keys } from './keys';
import { runScript, type Scripts } from './scripts';
import { COUNTER_GRACE_MS } from './shapes';

/** One counter to set to zero. */
export interface Reset {
  counter: PlannedCounter;
  values: Message;
  /** The version of the configuration that the window was worked out from. */
  version: number;
  /** The account whose settings the window relies on, and their revision; null when it relies on none. */
  account: { id: string; revision: number } | null;
  /** What the audit trail names. */
  target: string;
}

/** What became of a reset, with Redis's time in epoch milliseconds. Of all but `done` nothing was changed. */
export type ResetReply = { redisMs: number } & (
  | { kind: 'done'; usedBefore: number }
  | { kind: 'stale' }
  | { kind: 'account-stale'; account: { revision: number; json: string } }
  | { kind: 'window' }
);

const instant = (ms: number) => new Date(ms).toISOString();

/** Sets the present counter of some values to zero. @throws whatever Redis fails with */
export async function resetCounter(
  deps: { redis: RedisClient; scripts: Scripts; keys: Keys },
  { counter, values, version, account, target }: Reset,
  actor: Actor,
  source: Source,
): Promise<ResetReply> {
  const { redis, scripts, keys } = deps;
  const { per, period, window } = counter;
  const name = keys.counterName(per, period, window, values);
  const event = {
    target,
    actor: JSON.stringify(actor),
    source,
    audit_max: AUDIT_MAX_EVENTS,
    after: JSON.stringify({ used: 0, window_start: instant(window.startMs), resets_at: instant(window.endMs) }),
    values: JSON.stringify(Object.fromEntries(per.map((dimension) => [dimension, values[dimension]]))),
    period,
  };
  const accountKeys = account === null ? [] : [keys.account(account.id)];
  const accountArgs = account === null ? [] : [account.revision];
  const reply = (await runScript(
    redis,
    scripts.reset,
    [name, keys.counterReset(name), keys.audit, keys.config, ...accountKeys],
    // The mark is needed for as long as the counter itself.
    [window.startMs, window.endMs, version, window.endMs + COUNTER_GRACE_MS, JSON.stringify(event), ...accountArgs],
  )) as [code: number, redisMs: number, ...detail: unknown[]];
  const [code, redisMs, ...detail] = reply;
  switch (code) {
    case 1:
      return { kind: 'done', redisMs, usedBefore: detail[0] as number };
    case 2:
      return { kind: 'stale', redisMs };
    case 3:
      return { kind: 'account-stale', redisMs, account: { revision: detail[0] as number, json: detail[1] as string } };
    case 4:
      return { kind: 'window', redisMs };
    default:
      throw new Error(`reset.lua answered what it cannot answer: ${JSON.stringify(reply)}`);
  }
}
