import type { Duplex } from 'node:stream';
import type { Reply } from './contract';
import { PROBLEM_CONTENT_TYPE, problem } from './problem';

/**
 * Answers what is not HTTP, or not in time, with a problem: the listener of a server's `clientError`. There is no
 * response object for what could not be parsed, so the answer's bytes are written by hand.
 */
export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
  else socket.end(responseText(refusalOf(error.code)));
}

function refusalOf(code: string | undefined): { reply: Reply; reason: string } {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return {
        reply: problem(431, 'Headers too large', 'The head of the request, its path and headers, is too large.'),
        reason: 'Request Header Fields Too Large',
      };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return {
        reply: problem(408, 'Request timeout', 'The request did not arrive in time.'),
        reason: 'Request Timeout',
      };
    default:
      return { reply: problem(400, 'Bad request', 'This is not HTTP that can be read.'), reason: 'Bad Request' };
  }
}

function responseText({ reply, reason }: { reply: Reply; reason: string }): string {
  const content = JSON.stringify(reply.body);
  return [
    `HTTP/1.1 ${reply.status} ${reason}`,
    'connection: close',
    'x-content-type-options: nosniff',
    'cache-control: no-store',
    `content-type: ${PROBLEM_CONTENT_TYPE}`,
    `content-length: ${Buffer.byteLength(content)}`,
    '',
    content,
  ].join('\r\n');
}
