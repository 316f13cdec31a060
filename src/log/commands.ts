import { redisWords } from '../store/failure';
import type { LoggedMessage } from './messages';
import { followLog, type TailedEvent } from './tail';

/** How a command ends. */
export interface CommandOutcome {
  stdout: string;
  stderr: string;
  exitCode: number;
}

const TYPES = [
  ...['ACCEPTED', 'ENQUEUED', 'DELAYED', 'THROTTLED', 'FILTERED', 'SENT', 'DELIVERED', 'UNDELIVERABLE', 'CANCELED'],
  ...['UNMAPPED', 'STOPPED', 'RECEIPT', 'RETRYING', 'REDELIVERED'],
];

/**
 * `sendgate logs tail`: writes what happens to messages, a line each, until it is stopped.
 * @param options.status as it was given: statuses with commas, in any case; undefined for all
 * @param deps.write takes what is for standard output; deps.tell what is for standard error
 */
export async function tailCommand(
  deps: Omit<Parameters<typeof followLog>[0], 'onAway'> & {
    write: (text: string) => void;
    tell: (text: string) => void;
    signal: AbortSignal;
  },
  options: { status: readonly string[]; last: number; json: boolean },
): Promise<CommandOutcome> {
  const { write, tell, signal } = deps;
  const types = options.status.flatMap((text) => text.toUpperCase().split(','));
  const unknown = types.find((type) => !TYPES.includes(type));
  if (unknown !== undefined) {
    return { stdout: '', stderr: `--status must be one or several of ${TYPES.join(', ')}\n`, exitCode: 2 };
  }
  try {
    const events = followLog(
      { ...deps, onAway: () => tell('Redis does not answer; waiting for it.\n') },
      { types: types.length === 0 ? null : new Set(types), last: options.last, signal },
    );
    for await (const event of events) write(`${options.json ? jsonLine(event) : textLine(event)}\n`);
  } catch (error) {
    return { stdout: '', stderr: `${redisWords(error) ?? error}\n`, exitCode: 1 };
  }
  return { stdout: '', stderr: '', exitCode: 0 };
}

function jsonLine({ atMs, type, detail, message }: TailedEvent): string {
  return JSON.stringify({
    at: new Date(atMs).toISOString(),
    type,
    message_id: message?.id ?? null,
    recipient: message?.user ?? null,
    account_id: message?.account ?? null,
    topic: message?.topic ?? null,
    channel: message?.channel ?? null,
    throttled_by: message?.decision.throttled_by ?? [],
    retry_at: message?.decision.retry_at ?? null,
    ...detail,
  });
}

function textLine({ atMs, type, detail, message }: TailedEvent): string {
  const start = `${new Date(atMs).toISOString()}  ${type.padEnd(13)}`;
  if (message === null) return `${start}  (no longer in the log)`;
  const about = [message.account && `account=${message.account}`, message.topic && `topic=${message.topic}`];
  const words = [message.user, ...about, message.id, reasonOf(type, detail, message)].filter(Boolean);
  // Ids hold no control characters; what a provider says may.
  return `${start}  ${words.join('  ').replace(/\p{Cc}/gu, ' ')}`;
}

/** Why, where there is something to say. */
function reasonOf(type: string, detail: TailedEvent['detail'], { decision }: LoggedMessage): string {
  if (typeof detail.error === 'string') return `${detail.provider}: ${detail.error}`;
  if (type !== 'THROTTLED' && type !== 'DELAYED') return '';
  const limits = decision.limits.filter(({ limit_id }) => decision.throttled_by.includes(limit_id));
  if (limits.length === 0) return '';
  const words = limits.map(({ limit_id, used, max }) => `${limit_id} ${used} of ${max}`).join(', ');
  return decision.retry_at === null ? words : `${words}, room at ${decision.retry_at}`;
}
