import type { Alert, AlertResult, TestResult } from '../api/alerts';
import type { AlertType } from '../api/settings';
import { PERIOD_WORDS } from '../show/limit-bar';

/** What each alert is of. */
export const TYPE_WORDS: Record<AlertType, string> = {
  'limit.threshold': 'The use of a limit passes a threshold',
  'limit.throttled': 'A limit has no room, for the first time in a window',
  'provider.stopped': 'A provider stops',
  'redis.degraded': 'Redis does not answer',
};

/** What has happened, in a line. */
export function alertWords(alert: Alert): string {
  switch (alert.type) {
    case 'limit.threshold': {
      const { limit_id, threshold, used, max, mode } = alert.data;
      return `${limit_id}: ${threshold} % passed, ${used.toLocaleString()} of ${max.toLocaleString()}${mode === 'shadow' ? ' (shadow)' : ''}`;
    }
    case 'limit.throttled': {
      const { limit_id, held, used, max, period } = alert.data;
      const what = held ? 'a message waits for room' : 'messages are throttled';
      return `${limit_id}: ${what}, ${used.toLocaleString()} of ${max.toLocaleString()} in the ${PERIOD_WORDS[period]}`;
    }
    case 'provider.stopped':
      return `${alert.data.provider} has stopped (${alert.data.code}): ${alert.data.reason}`;
    case 'redis.degraded':
      return `Redis did not answer: ${alert.data.reason}`;
  }
}

/** Whose counter it is about; '' where there is none. */
export function whoseWords(alert: Alert): string {
  if (alert.type !== 'limit.threshold' && alert.type !== 'limit.throttled') return '';
  const { user_id, account_id, topic_id, channel } = alert.data;
  const named = { account: account_id, user: user_id, topic: topic_id, channel };
  const words = Object.entries(named).flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`]));
  return words.length === 0 ? 'all messages' : words.join(', ');
}

/** What became of it, in a word or two. */
export function stateWords({ state, status, error, tries }: AlertResult): string {
  const why = status === null ? (error ?? '') : `answered ${status}`;
  const after = tries > 1 ? ` after ${tries} tries` : '';
  switch (state) {
    case 'delivered':
      return `Delivered${after}`;
    case 'retrying':
      return `Tried again, ${tries} so far: ${why}`;
    case 'failed':
      return `Failed${after}: ${why}`;
    case 'collected':
      return 'Counted by the next mail';
    case 'dropped':
      return 'Not sent: it is not in the settings any more';
  }
}

/** What somebody said to a test. */
export function testWords({ delivered, status, error, took_ms }: TestResult): string {
  const took = `after ${took_ms.toLocaleString()} ms`;
  if (delivered) return status === null ? `taken ${took}` : `answered ${status} ${took}`;
  return error ?? `failed ${took}`;
}
