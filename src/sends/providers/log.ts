import type { Delivery, Provider } from './provider';

/**
 * The provider that only writes each message down: what there is until another is configured.
 * @param write takes one message, for the process's log
 */
export function createLogProvider(write: (message: Delivery) => void): Provider {
  return {
    name: 'log',
    async deliver(delivery) {
      write(delivery);
      return { kind: 'sent', reference: null, response: null };
    },
    close: async () => undefined,
  };
}
