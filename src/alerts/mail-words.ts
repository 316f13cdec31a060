import type { Alert } from './alert';
import { type Mail, oneLine } from './mail';

const A_PERIOD = {
  hour: 'an hour',
  day: 'a day',
  week: 'a week',
  month: 'a month',
  billing_period: 'a billing period',
} as const;

/** What has happened, in a few words: alerts of one subject are counted by it. */
export function alertLabel(alert: Alert): string {
  switch (alert.type) {
    case 'limit.threshold':
      return `${alert.data.threshold} % passed`;
    case 'limit.throttled':
      return 'throttled';
    case 'provider.stopped':
      return `stopped (${alert.data.code})`;
    case 'redis.degraded':
      return 'Redis did not answer';
    case 'alert.test':
      return 'test';
  }
}

/** What has happened since the last mail about a subject. */
export interface Since {
  /** How often, by label. */
  counts: Readonly<Record<string, number>>;
  /** When the last mail was, in epoch milliseconds; null when there was none. */
  lastMs: number | null;
}

const NOTHING_SINCE: Since = { counts: {}, lastMs: null };

/** The mail about an alert, with a count of what happened since the last one. */
export function alertMail(alert: Alert, since: Since = NOTHING_SINCE): Mail {
  const { workspace, alert_id: id } = alert.data;
  const lines = [
    ...factsOf(alert),
    '',
    `At: ${alert.timestamp}`,
    `Workspace: ${workspace}`,
    `Alert: ${id}`,
    ...sinceLines(since),
  ];
  return { id, subject: `[Sendgate ${workspace}] ${headline(alert)}`, text: textOf(lines) };
}

/** The mail about what has happened since the last one and was not told then. */
export function collectedMail(workspace: string, subject: string, id: string, since: Since): Mail {
  const what = subjectWords(subject);
  const total = Object.values(since.counts).reduce((sum, count) => sum + count, 0);
  return {
    id,
    subject: `[Sendgate ${workspace}] ${what}: ${total} more ${total === 1 ? 'alert' : 'alerts'} in a day`,
    text: textOf([`${what}.`, '', `Workspace: ${workspace}`, ...sinceLines(since)]),
  };
}

function subjectWords(subject: string): string {
  const [kind, ...name] = subject.split(':');
  if (kind === 'limit') return `Limit ${name.join(':')}`;
  return kind === 'provider' ? `Provider ${name.join(':')}` : 'Redis';
}

function headline(alert: Alert): string {
  switch (alert.type) {
    case 'limit.threshold':
      return `Limit ${alert.data.limit_id}: ${alert.data.threshold} % passed`;
    case 'limit.throttled':
      return `Limit ${alert.data.limit_id}: ${alert.data.held ? 'messages wait for room' : 'messages are throttled'}`;
    case 'provider.stopped':
      return `Provider ${alert.data.provider} has stopped (${alert.data.code})`;
    case 'redis.degraded':
      return 'Redis does not answer';
    case 'alert.test':
      return 'Test';
  }
}

function factsOf(alert: Alert): string[] {
  switch (alert.type) {
    case 'limit.threshold':
    case 'limit.throttled': {
      const { data } = alert;
      const happened =
        alert.type === 'limit.threshold'
          ? `The use of the limit ${data.limit_id} has passed ${alert.data.threshold} % of its max.`
          : `The limit ${data.limit_id} has no room left: ${alert.data.held ? 'a message waits for it' : 'a message was throttled'}.`;
      // As JSON, so that an id is seen to begin and end, whatever is in it.
      const counted = (['user_id', 'account_id', 'topic_id', 'channel'] as const).flatMap((name) =>
        data[name] === undefined ? [] : [`${name}: ${JSON.stringify(data[name])}`],
      );
      return [
        happened,
        ...(data.mode === 'shadow' ? ['It is a shadow limit: it only counts, and stops nothing.'] : []),
        '',
        `Used: ${data.used} of ${data.max} in ${A_PERIOD[data.period]}`,
        ...(counted.length === 0 ? ['Counts: all messages together'] : counted),
        `Window: ${data.window_start} to ${data.resets_at}`,
      ];
    }
    case 'provider.stopped':
      return [
        `The provider ${alert.data.provider} takes no messages (${alert.data.code}): ${alert.data.reason}`,
        '',
        `Its messages wait. It is tried again at ${alert.data.until}.`,
      ];
    case 'redis.degraded':
      return [
        `Redis does not answer since ${alert.data.since}: ${alert.data.reason}`,
        '',
        'Checks are answered by the on_redis_down of their limits, and sends are refused, until it is back.',
        `Said by: ${alert.data.replica}`,
      ];
    case 'alert.test':
      return [alert.data.message];
  }
}

function sinceLines({ counts, lastMs }: Since): string[] {
  const entries = Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0) return [];
  const from = lastMs === null ? '' : ` at ${new Date(lastMs).toISOString()}`;
  return ['', `Since the last mail about this${from}:`, ...entries.map(([label, count]) => `- ${count} × ${label}`)];
}

/** Lines of which none can be more than one. */
function textOf(lines: readonly string[]): string {
  return `${lines.map(oneLine).join('\n')}\n`;
}
