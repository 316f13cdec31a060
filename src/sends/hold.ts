import type { Message } from '../limits/limit';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';
import type { DecideSend, SendVerdict } from './decide';

/** Told of what the holder does. */
export interface HoldObserver {
  /** A turn failed, and is made again. */
  failed(error: unknown): void;
}

/** Decides the messages that have waited: those that were delayed, and those that there was no room for. */
export interface Hold {
  /** Lets the turn that runs end, and begins no other. `now`: does not wait for it. */
  stop(now: boolean): Promise<void>;
}

/** How often it is looked whether anything is due, in milliseconds. */
const EVERY_MS = 200;
/** How long one process looks after those that wait without being heard of, in milliseconds; then another does. */
const LEASE_MS = 10_000;
/** How many messages are decided together. */
const TOGETHER = 32;
/** The most counters and due messages of one turn: the lease is renewed between turns. */
const PER_TURN = 500;
/** How long a look at those who wait for room in one counter may take before another is due, in milliseconds. */
const LOOK_MS = 10_000;

const STATE_FIELDS = ['st', 'u', 'a', 't', 'c', 'k', 'n', 'pv'] as const;

/**
 * Begins. Of all processes that run this, one at a time does the work, so that of those that wait the oldest go first.
 *
 * Messages that wait for room are in a queue for each counter that has none, ordered by since when they wait. It is looked
 * at when the counter's window ends, when its oldest has waited for as long as any may, when something was given back to the
 * counter, and when limits or settings have changed. A look decides the oldest first, and ends with the first that is held
 * by that counter again: never more go than there is room.
 *
 * @param deps.redis a patient connection; it is not closed at the stop
 * @param deps.token a name that no other process has
 * @param deps.holdMaxMs how long a message waits for room at most, in milliseconds
 */
export function startHold(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  decide: DecideSend;
  /** Redis's time, in epoch milliseconds. */
  nowMs: () => number;
  token: string;
  holdMaxMs: number;
  observer: HoldObserver;
  pause: (ms: number) => Promise<void>;
}): Hold {
  const { redis, scripts, keys, decide, nowMs, token, holdMaxMs, observer, pause } = deps;
  let stopped = false;
  let seenVersion: string | null = null;

  /** Takes the work on, or keeps it. */
  async function leads(): Promise<boolean> {
    if ((await redis.set(keys.holder, token, 'PX', LEASE_MS, 'NX')) === 'OK') {
      // Whatever changed while nobody looked counts as a change.
      seenVersion = null;
      return true;
    }
    if ((await redis.get(keys.holder)) !== token) return false;
    await redis.pexpire(keys.holder, LEASE_MS);
    return true;
  }

  /** Decides messages in that order, those that have waited. */
  async function decideAll(ids: readonly string[], only: string): Promise<SendVerdict[]> {
    const reads = redis.pipeline();
    for (const id of ids) reads.hmget(keys.send(id), ...STATE_FIELDS);
    const states = (await reads.exec()) ?? [];
    return Promise.all(
      ids.map((id, index) => {
        const [error, values] = states[index]!;
        if (error) throw error;
        const [status, user, account, topic, channel, cost, attempt, provider] = values as (string | null)[];
        const message: Message = {
          user: user ?? null,
          account: account || null,
          topic: topic || null,
          channel: channel || null,
        };
        if (status !== 'DELAYED') return Promise.resolve<SendVerdict>({ kind: 'over', status: status ?? '' });
        return decide({
          kind: 'held',
          id,
          message,
          fresh: false,
          sole: false,
          cost: Number(cost ?? 1),
          attempt: Number(attempt ?? 1),
          due: null,
          provider: provider ?? '',
          request: null,
          recipient: '',
          fields: [],
          idempotency: null,
          actor: null,
          only,
        });
      }),
    );
  }

  /** Decides what was delayed until now. */
  async function decideDue(): Promise<void> {
    const ids = await redis.zrange(keys.due, '-inf', `${nowMs()}`, 'BYSCORE', 'LIMIT', 0, PER_TURN);
    for (let start = 0; start < ids.length && !stopped; start += TOGETHER) {
      const some = ids.slice(start, start + TOGETHER);
      const verdicts = await decideAll(some, '');
      const over = some.filter((_, index) => verdicts[index]!.kind === 'over');
      if (over.length > 0) await redis.zrem(keys.due, ...over);
      if (verdicts.some(({ kind }) => kind === 'unavailable')) return;
    }
  }

  /** Looks at those who wait for room in one counter. */
  async function look(counter: string): Promise<void> {
    const held = keys.held(counter);
    // A mark, by which it is seen whether somebody has made room while this goes on: that is looked at again.
    const lookingMs = nowMs() + LOOK_MS;
    await redis.zadd(keys.holds, 'XX', lookingMs, counter);
    let available = true;
    while (available && !stopped) {
      const members = await redis.zrange(held, '0', `${TOGETHER - 1}`);
      if (members.length === 0) break;
      const verdicts = await decideAll(members.map(idOfHeld), counter);
      const over = members.filter((_, index) => verdicts[index]!.kind === 'over');
      if (over.length > 0) await redis.zrem(held, ...over);
      available = !verdicts.some(({ kind }) => kind === 'unavailable' || kind === 'behind');
      // One alone, or the last of several, may be held again without anybody behind it.
      if (available && (await redis.zscore(held, members.at(-1)!)) !== null) break;
    }
    const [, sinceMs] = await redis.zrange(held, '0', '0', 'WITHSCORES');
    const nextMs = Math.min(windowEndMs(counter), Number(sinceMs ?? 0) + holdMaxMs);
    // What is due again at once had no room an instant ago: it is not looked at without end.
    const next = Math.max(nextMs, nowMs() + EVERY_MS);
    await runScript(redis, scripts.hold_next, [keys.holds, held], [counter, lookingMs, next]);
  }

  async function turn(): Promise<void> {
    if (!(await leads())) return;
    await decideDue();
    const version = (await redis.hget(keys.config, 'version')) ?? '0';
    const changed = version !== seenVersion;
    let counters = changed
      ? await redis.zrange(keys.holds, '0', '-1')
      : await redis.zrange(keys.holds, '-inf', `${nowMs()}`, 'BYSCORE', 'LIMIT', 0, PER_TURN);
    while (counters.length > 0 && !stopped) {
      for (const counter of counters.slice(0, PER_TURN)) {
        if (stopped) return;
        await look(counter);
      }
      counters = counters.slice(PER_TURN);
      if (counters.length > 0 && !(await leads())) return;
    }
    seenVersion = version;
  }

  async function run(): Promise<void> {
    while (!stopped) {
      try {
        await turn();
      } catch (error) {
        if (stopped) return;
        observer.failed(error);
      }
      if (!stopped) await pause(EVERY_MS);
    }
  }
  const running = run();

  return {
    async stop(now) {
      stopped = true;
      if (now) return;
      await running;
      // The next one need not wait for the lease to end.
      if ((await redis.get(keys.holder)) === token) await redis.del(keys.holder);
    },
  };
}

/** The characters before the id in a held message's entry: its row number, so that of two of the same moment the older goes first. */
const NUMBER_CHARACTERS = 16;

function idOfHeld(member: string): string {
  return member.slice(NUMBER_CHARACTERS);
}

/** When the window of a counter ends, in epoch milliseconds: its name says so, see `counterPrefix` in src/store/keys.ts. */
function windowEndMs(counter: string): number {
  return Number.parseInt(counter.split(':')[2]!, 36);
}
