import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { answerClientError } from './client-error';

/** An HTTP server that listens. */
export interface Listener {
  /** Where, as `host` named it, with the port that was taken. */
  readonly host: string;
  readonly port: number;
  /** Ends without a word whatever connection is still open. */
  cut(): void;
  /** Takes no more connections, lets every request that has begun end, and resolves when all connections are closed. */
  drain(): Promise<void>;
}

/** The address cannot be listened on; the message is for the operator. */
export class ListenError extends Error {}

/** Longer than callers and load balancers keep an idle connection, so that it is they who close it. */
const KEEP_ALIVE_MS = 65_000;
/** The longest a caller may take to send a request. Bodies are small. */
const REQUEST_MS = 30_000;
/**
 * Listens.
 * @param portVariable the variable that chooses the port, for who has to choose another
 * @throws ListenError
 */
export async function listen(
  handler: RequestListener,
  host: string,
  port: number,
  portVariable = 'PORT',
): Promise<Listener> {
  let draining = false;
  /** The newest response of each connection; null while it has not asked anything. */
  const newest = new Map<Socket, ServerResponse | null>();
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: REQUEST_MS }, (request, response) => {
    newest.set(request.socket, response);
    if (draining) response.setHeader('Connection', 'close');
    handler(request, response);
  });
  server.on('clientError', answerClientError);
  server.on('connection', (socket) => {
    newest.set(socket, null);
    socket.once('close', () => newest.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new ListenError(listenWords(error, host, port, portVariable))),
    );
    server.listen({ host, port }, resolve);
  });

  return {
    host,
    port: (server.address() as AddressInfo).port,
    cut: () => server.closeAllConnections(),
    drain() {
      draining = true;
      for (const [socket, response] of newest) {
        if (response === null || response.writableFinished) socket.destroy();
        else if (response.headersSent) response.once('finish', () => socket.end());
        else response.setHeader('Connection', 'close');
      }
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function listenWords({ code, message }: NodeJS.ErrnoException, host: string, port: number, variable: string): string {
  switch (code) {
    case 'EADDRINUSE':
      return `Port ${port} of ${host} is in use by another process. Stop that one, or choose another port with ${variable}.`;
    case 'EACCES':
      return `This user may not listen on port ${port}. Choose one above 1023 with ${variable}.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `HOST is ${host}, which is no address of this machine.`;
    default:
      return `Cannot listen on port ${port} of ${host}: ${message}`;
  }
}
