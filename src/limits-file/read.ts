import { createReadStream } from 'node:fs';
import { FILE_MAX_BYTES } from './parse';

/**
 * Reads a limits file, or as much of it as shows that it is larger than one may be.
 * @returns the bytes, or why there are none, in words for who named the file
 */
export async function readLimitsFile(path: string): Promise<Uint8Array | { unreadable: string }> {
  try {
    return await collect(createReadStream(path, { end: FILE_MAX_BYTES }));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    return { unreadable: WORDS[code] ?? (error as Error).message };
  }
}

/** Reads a stream to its end, or until it has brought more than a limits file may have. */
export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    if (bytes > FILE_MAX_BYTES) break;
  }
  return Buffer.concat(chunks);
}

const WORDS: { [code: string]: string } = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'this process may not read it',
  EPERM: 'this process may not read it',
  EISDIR: 'it is a directory',
};
