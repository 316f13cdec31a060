import Redis from 'ioredis';

/** What Sendgate itself names: not the queues. */
const OURS = /^sg:\{[^}]*\}:(?!q:)/;

/**
 * The counters and message records that would stay in Redis for ever, which none may: each must have a TTL. They are
 * strings, and so that anybody can look, nothing else is.
 * @param ports of every node on 127.0.0.1 that holds keys
 */
export async function immortalKeys(ports: number[]): Promise<string[]> {
  const found = await Promise.all(ports.map(immortalKeysOf));
  return found.flat();
}

async function immortalKeysOf(port: number): Promise<string[]> {
  const redis = new Redis({ host: '127.0.0.1', port });
  const immortal: string[] = [];
  try {
    for await (const batch of redis.scanStream({ match: 'sg:{*', type: 'string', count: 1_000 }) as AsyncIterable<
      string[]
    >) {
      const keys = batch.filter((key) => OURS.test(key));
      const ttls = (await redis.pipeline(keys.map((key) => ['pttl', key])).exec()) ?? [];
      keys.forEach((key, index) => {
        const [error, ttl] = ttls[index]!;
        if (error) throw error;
        if (ttl === -1) immortal.push(key);
      });
    }
  } finally {
    redis.disconnect();
  }
  return immortal;
}

/** Throws, naming some of them, when any counter or message record is without a TTL. */
export async function refuseImmortalKeys(ports: number[]): Promise<void> {
  const keys = await immortalKeys(ports);
  if (keys.length === 0) return;
  const named = keys.slice(0, 20).map((key) => `  ${key}`);
  throw new Error(`${keys.length} counters or message records have no TTL after the tests:\n${named.join('\n')}`);
}
