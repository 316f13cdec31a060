import { Writable } from 'node:stream';
import type { LogLevel } from '../../src/config';
import { createLogger } from '../../src/logger';

function recording(level: LogLevel) {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  const logger = createLogger({ level, stream, nowMs: () => Date.UTC(2026, 2, 7, 5, 0, 0, 1) });
  return {
    logger,
    entries: () =>
      text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
    text: () => text,
  };
}

describe('the log', () => {
  test('has one JSON object a line, with time, level and message first', () => {
    const { logger, text } = recording('info');
    logger.info('ready', { port: 8080, request_id: 'r-1' });
    logger.warn('two\nlines');
    expect(text()).toBe(
      '{"timestamp":"2026-03-07T05:00:00.001Z","level":"info","message":"ready","port":8080,"request_id":"r-1"}\n' +
        '{"timestamp":"2026-03-07T05:00:00.001Z","level":"warn","message":"two\\nlines"}\n',
    );
  });

  test('leaves out what is below its level', () => {
    const { logger, entries } = recording('warn');
    logger.debug('a');
    logger.info('b');
    logger.warn('c');
    logger.error('d');
    expect(entries().map(({ message }) => message)).toEqual(['c', 'd']);
  });

  test('writes an error with its stack, code and cause, and nothing of what a driver attached to it', () => {
    const { logger, entries, text } = recording('info');
    const error = Object.assign(new Error('outer', { cause: new Error('inner') }), {
      code: 'E1',
      command: { name: 'auth', args: ['hunter2'] },
    });
    logger.error('failed', { error });
    const [{ error: written }] = entries();
    expect(written).toMatchObject({ name: 'Error', message: 'outer', code: 'E1', cause: { message: 'inner' } });
    expect(written.stack).toContain('logger.test.ts');
    expect(text()).not.toContain('hunter2');
  });

  test('gives the fields of `with` to every entry, and never lets a field hide what happened', () => {
    const { logger, entries } = recording('info');
    logger.with({ role: 'api' }).with({ request_id: 'r-2' }).info('real', { message: 'fake', n: 1n });
    expect(entries()).toEqual([
      expect.objectContaining({ message: 'real', message_: 'fake', role: 'api', request_id: 'r-2', n: '1' }),
    ]);
  });
});
