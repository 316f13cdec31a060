import type { MessageLog } from '../log/messages';
import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';
import { countedNames } from '../store/shapes';
import type { ProviderReceipt } from './providers/provider';
import { encodeProviderCode } from './store';

/**
 * What a receipt came to: the message has been `delivered`, or is `undeliverable`; something new was `noted`; it was
 * `repeated`; it was `late`, as its message waits for none; or nobody knows its message.
 */
export type ReceiptEnd = 'delivered' | 'undeliverable' | 'noted' | 'repeated' | 'late' | 'unknown';

/** Told of receipts, for the metrics and the statistics. Must be cheap. */
export interface ReceiptObserver {
  received(provider: string, end: ReceiptEnd): void;
  /** A message was given up for good. */
  gaveUp(): void;
}

/** Records what a provider says later of a message that it took. @throws whatever Redis fails with */
export type RecordReceipt = (receipt: ProviderReceipt) => Promise<ReceiptEnd>;

/**
 * How long a receipt is kept whose message is not known to have been sent, in milliseconds: it may be faster than the
 * worker that records what the provider answered. No longer: where receipts are not signed, anybody can have them kept.
 */
const EARLY_MS = 60_000;

/** As of lua/lib/receipt.lua. */
const STAGE_LETTERS = { accepted: 'a', buffered: 'b', unknown: 'u', delivered: 'd', failed: 'f' } as const;

/**
 * Makes what records receipts.
 * @param deps.refundFailed whether a message that failed gives back what it counted
 */
export function createRecordReceipt(deps: {
  redis: RedisClient;
  scripts: Scripts;
  keys: Keys;
  messageLog: Pick<MessageLog, 'get'>;
  refundFailed: boolean;
  observer: ReceiptObserver;
}): RecordReceipt {
  const { redis, scripts, keys, messageLog, refundFailed, observer } = deps;

  /** What the message counted, and the attempt that it counted it for; none where there is nothing to give back. */
  async function countedBy({ provider, reference, stage }: ProviderReceipt) {
    if (stage !== 'failed' || !refundFailed) return { attempt: '', counters: [] };
    const id = await redis.get(keys.providerPart(provider, reference));
    const message = id === null ? null : await messageLog.get(id);
    if (message === null || message.send === null) return { attempt: '0', counters: [] };
    const limits = message.recorded.map(({ limit }) => limit);
    const counters = message.send.counts === true ? countedNames(keys, limits, message) : [];
    return { attempt: `${message.send.attempt}`, counters };
  }

  return async (receipt) => {
    const { provider, reference, stage, detail, error, code } = receipt;
    for (;;) {
      const { attempt, counters } = await countedBy(receipt);
      const [end] = (await runScript(
        redis,
        scripts.send_receipt,
        [keys.log, ...counters],
        [
          ...[provider, reference, STAGE_LETTERS[stage], JSON.stringify(detail)],
          ...[error ?? '', encodeProviderCode(code), attempt, EARLY_MS],
        ],
      )) as [ReceiptEnd | 'changed'];
      // It has been sent, or sent again, since it was read.
      if (end === 'changed') continue;
      observer.received(provider, end);
      if (end === 'undeliverable') observer.gaveUp();
      return end;
    }
  };
}
