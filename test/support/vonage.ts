import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request to send, as the server got it. */
export interface VonageRequest {
  /** When it came, by the server's own clock, in milliseconds. */
  atMs: number;
  method: string;
  path: string;
  contentType: string;
  /** The fields of its form. */
  fields: Record<string, string>;
}

/** What one part is answered: a status, and what goes with it. */
export interface VonagePart {
  status: string | number;
  'message-id'?: string;
  'error-text'?: string;
}

/** How a request is answered: with parts, or however else. */
export type VonageAnswer = VonagePart[] | ((request: VonageRequest, response: ServerResponse) => void);

/** A server that speaks the wire format of Vonage's SMS API: https://developer.vonage.com/en/api/sms */
export interface FakeVonage {
  readonly url: URL;
  /** What it was sent, in order. */
  readonly requests: VonageRequest[];
  /** Decides what the next requests are answered, each by itself. At first everything is taken, as one part. */
  answer(answerOf: (request: VonageRequest) => VonageAnswer): void;
  stop(): Promise<void>;
}

let partsMade = 0;

/** An id of a part that no other has. */
export function newPartId(): string {
  partsMade += 1;
  return `0A000000${process.pid.toString(16)}${partsMade.toString(16).padStart(6, '0')}`.toUpperCase();
}

/** A part that was taken. */
export const taken = (): VonagePart => ({ status: '0', 'message-id': newPartId() });

/** The answer for parts, as Vonage words it. */
export function answerBody(parts: readonly VonagePart[], to = '447700900000'): object {
  return {
    'message-count': `${parts.length}`,
    messages: parts.map((part) =>
      `${part.status}` === '0'
        ? { to, ...part, 'remaining-balance': '15.53590000', 'message-price': '0.03330000', network: '23410' }
        : part,
    ),
  };
}

/** Starts one. */
export async function startFakeVonage(): Promise<FakeVonage> {
  const requests: VonageRequest[] = [];
  let answerOf: (request: VonageRequest) => VonageAnswer = () => [taken()];

  async function receive(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const atMs = performance.now();
    let text = '';
    incoming.setEncoding('utf8');
    for await (const chunk of incoming) text += chunk;
    const request: VonageRequest = {
      atMs,
      method: incoming.method!,
      path: incoming.url!,
      contentType: incoming.headers['content-type'] ?? '',
      fields: Object.fromEntries(new URLSearchParams(text)),
    };
    requests.push(request);
    const answer = answerOf(request);
    if (typeof answer === 'function') {
      answer(request, response);
      return;
    }
    response
      .writeHead(200, { 'content-type': 'application/json;charset=UTF-8' })
      .end(JSON.stringify(answerBody(answer, request.fields.to)));
  }

  const server = createServer((incoming, response) => {
    receive(incoming, response).catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    requests,
    answer(next) {
      answerOf = next;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
