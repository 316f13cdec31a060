import type { RequestListener } from 'node:http';
import type { Config } from '../config';
import { reachableHost, urlHost } from '../healthcheck';
import { ListenError, type Listener, listen } from '../http/listener';
import { Refusal, type Service } from '../lifecycle';
import type { Logger } from '../logger';

export interface ServiceDeps {
  config: Config;
  logger: Logger;
}

/** A service in two steps: what must be there before Redis is, and what needs Redis. */
export interface TwoStepService extends Service {
  /** @throws Refusal */
  listen(): Promise<void>;
  /** Resolves once it does its work, or has been stopped. @throws Refusal */
  run(): Promise<void>;
}

/** Listens, or says to the operator why not. @param portVariable the variable that chooses the port */
export async function listenOrRefuse(
  app: RequestListener,
  host: string,
  port: number,
  portVariable: string,
): Promise<Listener> {
  try {
    return await listen(app, host, port, portVariable);
  } catch (error) {
    if (error instanceof ListenError) throw new Refusal(error.message, 1);
    throw error;
  }
}

export function urlOf({ host, port }: Listener): string {
  return `http://${urlHost(reachableHost(host))}:${port}`;
}

/** Lets what has begun end, and cuts off what has not by then. */
export async function drainWithin(listener: Listener, drainMs: number, logger: Logger): Promise<void> {
  const timer = setTimeout(() => {
    logger.warn('Requests that had not ended are cut off.');
    listener.cut();
  }, drainMs);
  await listener.drain();
  clearTimeout(timer);
}
