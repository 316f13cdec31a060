import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

/** A secret of the Standard Webhooks scheme. */
export const SECRET = `whsec_${Buffer.from('a secret, 24 bytes long!').toString('base64')}`;

/** A request as it arrived. */
export interface Arrived {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** An HTTP server that keeps what it is sent. */
export interface Receiver {
  url: string;
  requests: Arrived[];
  /** What it answers, from now on; 204 until then. */
  answer: (response: ServerResponse, request: Arrived) => void;
  stop(): Promise<void>;
}

/** Starts one on loopback. */
export async function startReceiver(): Promise<Receiver> {
  const server = createServer(async (request, response) => {
    const arrived = { path: request.url!, headers: request.headers, body: await text(request) };
    receiver.requests.push(arrived);
    receiver.answer(response, arrived);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    requests: [],
    answer: (response) => response.writeHead(204).end(),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

/** A mail as it arrived: its envelope, and what it is, headers and all. */
export interface ArrivedMail {
  from: string;
  to: string[];
  raw: string;
  /** The header lines, unfolded. */
  headers: string[];
  /** The text, decoded. */
  text: string;
}

/** A server for mail that keeps what it is sent. */
export interface MailServer {
  url: string;
  mails: ArrivedMail[];
  /** How many mails it refuses, from now on, and how. */
  refuse(times: number, code: number): void;
  stop(): Promise<void>;
}

/** Starts one on loopback. */
export async function startMailServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  let refusals = 0;
  let refusal = 451;
  const mails: ArrivedMail[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    ...options,
    onData(stream, session, done) {
      text(stream).then((raw) => {
        if (refusals > 0) {
          refusals -= 1;
          done(Object.assign(new Error('Not now'), { responseCode: refusal }));
          return;
        }
        const from = session.envelope.mailFrom === false ? '' : session.envelope.mailFrom.address;
        mails.push({ from, to: session.envelope.rcptTo.map(({ address }) => address), raw, ...parsed(raw) });
        done();
      }, done);
    },
  });
  // A client that is gone is no trouble of the server.
  server.on('error', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  return {
    url: `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`,
    mails,
    refuse(times, code) {
      refusals = times;
      refusal = code;
    },
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function parsed(raw: string): { headers: string[]; text: string } {
  const end = raw.indexOf('\r\n\r\n');
  const headers = raw
    .slice(0, end)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n');
  const body = raw.slice(end + 4).replaceAll('\r\n', '\n');
  const encoding = headers.find((line) => /^content-transfer-encoding:/i.test(line)) ?? '';
  if (/base64/i.test(encoding)) return { headers, text: Buffer.from(body, 'base64').toString('utf8') };
  if (!/quoted-printable/i.test(encoding)) return { headers, text: body };
  const bytes = body
    .replace(/=\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return { headers, text: Buffer.from(bytes, 'latin1').toString('utf8') };
}
