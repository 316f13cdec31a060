import { once } from 'node:events';
import { Agent, type ClientRequest, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { ListenError, type Listener, listen } from '../../src/http/listener';

const HOST = '127.0.0.1';
const listeners: Listener[] = [];

afterEach(() => {
  for (const listener of listeners.splice(0)) {
    listener.cut();
    void listener.drain();
  }
});

async function listening(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<Listener> {
  const listener = await listen(handler, HOST, 0);
  listeners.push(listener);
  return listener;
}

function ask(listener: Listener, agent: Agent): ClientRequest {
  return get({ host: HOST, port: listener.port, agent });
}

async function answerOf(request: ClientRequest): Promise<{ connection: string | undefined; text: string }> {
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const chunks = await response.toArray();
  return { connection: response.headers.connection, text: Buffer.concat(chunks).toString() };
}

describe('draining', () => {
  test('lets a request that has begun end, says that its connection closes, and refuses new ones', async () => {
    let finish: ((response: ServerResponse) => void) | undefined;
    const begun = new Promise<ServerResponse>((resolve) => {
      finish = resolve;
    });
    const listener = await listening((_request, response) => finish!(response));
    const agent = new Agent({ keepAlive: true });
    const answer = answerOf(ask(listener, agent));
    const response = await begun;

    const drained = listener.drain();
    await expect(once(connect(listener.port, HOST), 'connect')).rejects.toThrow('ECONNREFUSED');
    response.end('done');
    expect(await answer).toEqual({ connection: 'close', text: 'done' });
    await drained;
    agent.destroy();
  });

  test('closes connections that are idle, whether or not they have ever asked anything', async () => {
    const listener = await listening((_request, response) => response.end('ok'));
    const agent = new Agent({ keepAlive: true });
    await answerOf(ask(listener, agent));
    const silent = connect(listener.port, HOST);
    await once(silent, 'connect');
    const closed = once(silent, 'close');
    silent.on('error', () => undefined); // A reset is a way of closing.

    await listener.drain();
    await closed;
    agent.destroy();
  });

  test('waits for no connection once they have been cut', async () => {
    const listener = await listening(() => undefined);
    const agent = new Agent({ keepAlive: true });
    const request = ask(listener, agent);
    const failed = once(request, 'response');
    await once(request, 'finish');
    const drained = listener.drain();
    listener.cut();
    await drained;
    await expect(failed).rejects.toThrow();
    agent.destroy();
  });
});

describe('an address that cannot be listened on', () => {
  test('because another process has the port is said so, with the variable that chooses another', async () => {
    const { port } = await listening(() => undefined);
    const second = listen(() => undefined, HOST, port);
    await expect(second).rejects.toThrow(ListenError);
    await expect(second).rejects.toThrow(`Port ${port} of ${HOST} is in use by another process`);
    await expect(second).rejects.toThrow(/another port with PORT/);
  });

  test('because it is not of this machine is said so', async () => {
    await expect(listen(() => undefined, '192.0.2.1', 0)).rejects.toThrow(
      'HOST is 192.0.2.1, which is no address of this machine.',
    );
  });
});
