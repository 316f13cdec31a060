/** How long to wait between tries, in milliseconds. */
export interface Backoff {
  /** About the first pause. */
  firstMs: number;
  /** The longest. */
  mostMs: number;
}

/** The least and the most that jitter makes of a pause. */
const JITTER = { least: 0.75, most: 1.25 };

/**
 * The pause after a failed try: exponential backoff with jitter, so that what failed together is not tried again
 * together (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
 * @param tries how many tries have failed, from 1
 * @param random a number from 0 to 1
 */
export function pauseMs(tries: number, { firstMs, mostMs }: Backoff, random: number): number {
  // 2^31 times the first pause is longer than any: more would only overflow.
  const doubled = firstMs * 2 ** Math.min(tries - 1, 31);
  const jitter = JITTER.least + (JITTER.most - JITTER.least) * random;
  return Math.round(Math.min(mostMs, doubled * jitter));
}
