// How long a batch of 5,000 events takes, of which its sender waits for 5 seconds, and what it costs Redis.
import { spread, table, whole } from './figures.mjs';
import { FIVE_OF_A_USER } from './limits.mjs';
import { startSendgate } from './processes.mjs';

const EVENTS = 5_000;

const KINDS = {
  identify: (index) => ({ type: 'identify', traits: { email: `u${index}@example.com`, plan: 'premium' } }),
  'group, of 100 accounts': (index) => ({
    type: 'group',
    groupId: `g${index % 100}`,
    traits: { plan: 'gold', n: index },
  }),
  'group, of one account': (index) => ({ type: 'group', groupId: 'one', traits: { plan: 'gold', n: index } }),
  'track, without a mapping': () => ({ type: 'track', event: 'Looked Around' }),
  'track, a message under 5 limits': (index) => ({
    type: 'track',
    event: 'Order Placed',
    properties: { order: index },
  }),
  page: () => ({ type: 'page', name: 'Home' }),
};

/** Measures, and returns the report in Markdown. */
export async function benchEvents({ nodes, redis, rounds, progress }) {
  const report = [];
  for (const { version, path } of nodes) {
    const workspace = `events-${version}`;
    const server = await startSendgate(path, { redisUrl: redis.url(), workspace, limits: FIVE_OF_A_USER });
    await server.put('/inbound/mappings', { mappings: [{ event: 'Order *', topic: 'orders' }] });
    const figures = new Map(Object.keys(KINDS).map((kind) => [kind, { first: [], again: [], redis: [] }]));
    // The first round is for the warmth.
    for (let round = 0; round <= rounds; round += 1) {
      progress(`events on Node.js ${version}, round ${round}`);
      for (const [kind, make] of Object.entries(KINDS)) {
        const batch = Array.from({ length: EVENTS }, (_, index) => ({
          ...{ messageId: `${kind}-${round}-${index}`, userId: `u${round}-${index}` },
          ...make(index),
        }));
        const bring = async () => {
          const [startMs, redisMicros] = [performance.now(), await redis.cpuMicros()];
          const { accepted } = await server.post('/inbound/segment', { batch });
          if (accepted !== EVENTS) throw new Error(`${kind}: ${accepted} accepted`);
          return [performance.now() - startMs, (await redis.cpuMicros()) - redisMicros];
        };
        const [firstMs, redisMicros] = await bring();
        const [againMs] = await bring();
        if (round === 0) continue;
        const { first, again, redis: ofRedis } = figures.get(kind);
        first.push(firstMs);
        again.push(againMs);
        ofRedis.push(redisMicros / EVENTS);
      }
    }
    report.push(
      `#### Node.js ${version}`,
      table(
        ['', 'ms', 'ms when brought again', 'Redis, µs an event'],
        [...figures].map(([kind, { first, again, redis: ofRedis }]) => [
          kind,
          spread(first, 0),
          spread(again, 0),
          spread(ofRedis),
        ]),
      ),
    );
    await server.stop();
  }
  return [`### ${whole(EVENTS)} events in a call`, ...report].join('\n\n');
}
