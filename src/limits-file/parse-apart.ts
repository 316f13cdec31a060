import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type ParsedFile, tooLarge } from './parse';

/** Far more than any file that `parseLimitsFile` reads to its end has needed. */
const MEMORY_MB = 1_024;

/**
 * `parseLimitsFile` in a thread of its own: a file of 10,000 limits takes about a second, for which checks must not
 * wait.
 *
 * @param entry the compiled `parse-thread`
 * @throws Error when the thread ends without an answer
 */
export function parseApart(bytes: Uint8Array, entry = join(__dirname, 'parse-thread.js')): Promise<ParsedFile> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(entry, { workerData: bytes, resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB } });
    thread.once('message', resolve);
    thread.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') resolve({ problems: [tooLarge()] });
      else reject(error);
    });
    thread.once('exit', (code) => reject(new Error(`the thread that reads the limits file ended with code ${code}`)));
  });
}
