import type { Limit } from './limit';
import type { Affected, Amount, Comparison } from './what-if';

/** What else the words of a comparison depend on. */
export interface ReplayedSpan {
  /** What was asked for, in epoch milliseconds. */
  askedFromMs: number;
  /** What was replayed and counted. */
  fromMs: number;
  toMs: number;
}

/** Why what counted is not known from the beginning. */
export interface Unknown {
  /** From when on everything that counted is known, in epoch milliseconds. */
  knownFromMs: number;
  why: 'log_trimmed' | 'log_too_long' | 'not_read' | 'checks_not_logged' | 'log_incomplete';
}

const DAY_MS = 86_400_000;

/**
 * What a change would have done, in a sentence: "Over the last 7 days this would have throttled 214 messages of 31 users".
 * @param unloggedMs when a check was last counted that is not in the log, in epoch milliseconds; null for never
 */
export function comparisonWords(comparison: Comparison, span: ReplayedSpan, unloggedMs: number | null): string {
  const words = wordsOf(comparison, spanWords(span));
  const misses = unloggedMs !== null && unloggedMs >= span.fromMs;
  return misses ? `${words} Accepted checks were not logged: it may have been more.` : words;
}

function wordsOf(comparison: Comparison, over: string): string {
  const { messages, before, after } = comparison;
  if (messages === 0) return `${over} there is no message in the log that could be decided again.`;
  const isSame = [comparison.newlyThrottled, comparison.noLongerThrottled, comparison.newlyDelayed]
    .concat(comparison.noLongerDelayed)
    .every((amount) => amount.messages === 0);
  const of = (amount: Amount) => `${count(amount.messages, 'message')} of ${count(amount.users, 'user')}`;
  const instead = (amount: Amount) =>
    amount.messages === 0 ? 'instead of none' : `instead of ${number(amount.messages)} of ${number(amount.users)}`;
  const does = (amount: Amount) => (amount.messages === 0 ? 'no message' : of(amount));
  const throttles = `${over} this would have throttled ${does(after.throttled)}`;
  const delays = before.delayed.messages > 0 || after.delayed.messages > 0;
  if (isSame) {
    const and = delays ? `, and delayed ${does(after.delayed)}` : '';
    return `${throttles}${and}: the same as what is in force.`;
  }
  const also = delays ? ` It would have delayed ${does(after.delayed)}, ${instead(before.delayed)}.` : '';
  return `${throttles}, ${instead(before.throttled)}.${also}`;
}

/** How one of those that are affected would have fared: "12 throttled instead of 3". */
export function affectedWords({ throttledBefore, throttledAfter, delayedBefore, delayedAfter }: Affected): string {
  const parts = [
    ...(throttledBefore === throttledAfter && throttledAfter === 0
      ? []
      : [`${number(throttledAfter)} throttled instead of ${number(throttledBefore)}`]),
    ...(delayedBefore === delayedAfter && delayedAfter === 0
      ? []
      : [`${number(delayedAfter)} delayed instead of ${number(delayedBefore)}`]),
  ];
  return parts.join(', ');
}

/** What whoever reads a comparison has to know of it, a sentence or two each; empty when all of it is certain. */
export function uncertaintyWords(
  { messages, uncertain }: Comparison,
  span: ReplayedSpan,
  unknown: Unknown | null,
  unloggedMs: number | null,
): string[] {
  const notes: string[] = [];
  if (span.fromMs > span.askedFromMs && unknown !== null) {
    notes.push(
      `It begins at ${instant(span.fromMs)}, not at ${instant(span.askedFromMs)}: ${BEGINS_WORDS[unknown.why]}`,
    );
  }
  // What was counted before anything that is looked at makes no difference.
  if (unloggedMs !== null && (uncertain.messages > 0 || unloggedMs >= span.fromMs)) {
    notes.push(
      `Checks that were accepted are not in the log up to ${instant(unloggedMs)}: they are not among the messages here, and what they counted is not known. With the setting log_checks at "all" they are logged.`,
    );
  }
  if (uncertain.messages === 0) return notes;
  notes.push(
    `Of ${count(messages, 'message')} ${number(uncertain.messages)} ${uncertain.messages === 1 ? 'is' : 'are'} not certain.`,
  );
  for (const { id, messages: some, windowStartMs } of uncertain.limits) {
    const began = unknown !== null && windowStartMs < unknown.knownFromMs;
    const why = began
      ? `a window that began at ${instant(windowStartMs)}, before ${instant(unknown.knownFromMs)}, from when on it is known what was counted`
      : 'a window in which messages may have been counted that are not certain';
    notes.push(`${count(some, 'message')} ${some === 1 ? 'depends' : 'depend'} on the use of "${id}" in ${why}.`);
  }
  return notes;
}

/** That a limit could not have done anything, since it was not in force. */
export function notInForceWords({ id, from, until }: Pick<Limit, 'id' | 'from' | 'until'>): string {
  const bounds = [...(from === null ? [] : [`from ${from}`]), ...(until === null ? [] : [`until ${until}`])];
  return `"${id}" is in force only ${bounds.join(' ')}: over that time it would not have been.`;
}

const BEGINS_WORDS: Record<Unknown['why'], string> = {
  log_trimmed: 'what was before is no longer in the log.',
  log_too_long: 'the log has more than is replayed at a time.',
  not_read: 'the log has more than is replayed at a time.',
  checks_not_logged: 'before, checks were not logged.',
  log_incomplete: 'before, something counted that is no longer in the log.',
};

function spanWords({ askedFromMs, fromMs, toMs }: ReplayedSpan): string {
  const days = (toMs - fromMs) / DAY_MS;
  if (fromMs === askedFromMs && Number.isInteger(days) && days > 0) {
    return days === 1 ? 'Over the last day' : `Over the last ${days} days`;
  }
  return `Since ${instant(fromMs)}`;
}

/** An instant in UTC, to the second. */
function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}

function count(value: number, noun: string): string {
  return `${number(value)} ${noun}${value === 1 ? '' : 's'}`;
}
