import { createLogger as createWinstonLogger, format, transports } from 'winston';
import type { LogLevel } from './config';

/** What an entry says besides its message. An `error` is written with its stack. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes what happens, one JSON object a line. */
export interface Logger {
  /** Something that Sendgate should have done was not, and an operator has to look. */
  error(message: string, fields?: LogFields): void;
  /** Something is not as it should be, and Sendgate goes on. */
  warn(message: string, fields?: LogFields): void;
  /** What an operator wants to know of an ordinary day. Never once per request. */
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** A logger whose entries all have these fields. */
  with(fields: LogFields): Logger;
}

/** Names that an entry has anyway: a field of that name would hide what happened. */
const OWN_NAMES = new Set(['timestamp', 'level', 'message']);

/**
 * Makes a logger.
 * @param deps.nowMs epoch milliseconds
 */
export function createLogger(deps: { level: LogLevel; stream: NodeJS.WritableStream; nowMs: () => number }): Logger {
  const { level, stream, nowMs } = deps;
  const winston = createWinstonLogger({
    level,
    format: format.printf(({ level, message, fields }) => entry(nowMs(), level, `${message}`, fields as LogFields)),
    transports: [new transports.Stream({ stream, eol: '\n' })],
  });
  const loggerWith = (common: LogFields): Logger => {
    const write = (level: LogLevel) => (message: string, fields?: LogFields) => {
      winston.log({ level, message, fields: { ...common, ...fields } });
    };
    return {
      error: write('error'),
      warn: write('warn'),
      info: write('info'),
      debug: write('debug'),
      with: (fields) => loggerWith({ ...common, ...fields }),
    };
  };
  return loggerWith({});
}

function entry(nowMs: number, level: string, message: string, fields: LogFields): string {
  const own = { timestamp: new Date(nowMs).toISOString(), level, message };
  const rest = Object.entries(fields).map(([name, value]) => [OWN_NAMES.has(name) ? `${name}_` : name, value]);
  return JSON.stringify({ ...own, ...Object.fromEntries(rest) }, writable);
}

/** What JSON has no form for. Of an error only what is named here: a driver's error also holds what was sent. */
function writable(_name: string, value: unknown): unknown {
  if (value instanceof Error) {
    const { name, message, stack, cause } = value;
    const { code } = value as { code?: unknown };
    return { name, message, ...(code === undefined ? {} : { code }), ...(cause === undefined ? {} : { cause }), stack };
  }
  return typeof value === 'bigint' ? `${value}` : value;
}
