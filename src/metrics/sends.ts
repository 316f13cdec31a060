import { Gauge, type Registry } from 'prom-client';
import { createDurationTally, createTally } from './tally';

/** What waits for a provider. */
export interface ProviderDepth {
  provider: string;
  outbox: number;
  oldestOutboxMs: number | null;
  waiting: number;
  active: number;
  delayed: number;
}

/** What is told of handed-over sends. */
export interface SendMetrics {
  /** A message was decided: accepted, throttled, filtered, held, delayed; or was not. */
  sendDecided(kind: string): void;
  /** One attempt was made: `sent`, `retry`, `failed`, or `stopped`. */
  delivered(provider: string, outcome: string): void;
  /** One attempt was begun that had been begun before. */
  redelivered(provider: string): void;
  /** How long it took from the decision until it was sent, in seconds. */
  sentAfter(provider: string, seconds: number): void;
  /** Attempts were moved from the outbox into their provider's queue. */
  relayed(provider: string, count: number): void;
  /** Whether a queue is so deep that nothing is moved into it. */
  held(provider: string, isHeld: boolean): void;
  /** A provider takes no messages, and is left alone until a moment, in epoch milliseconds. */
  stopped(stop: { provider: string; code: string; untilMs: number }): void;
  /** A provider said what became of a message, which came to that. */
  received(provider: string, end: string): void;
  /** Says what to read when somebody looks: what waits, or null when that is not known; and the time in epoch milliseconds. */
  watchDepths(depths: () => readonly ProviderDepth[] | null, nowMs: () => number): void;
}

/** From at once to a day later, when the last of eight tries got through. */
const SENT_BUCKETS_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 86_400];

/** Makes them. Nothing in them is named after a user, an account or a limit. */
export function createSendMetrics(registry: Registry): SendMetrics {
  const decided = createTally(registry, {
    name: 'sendgate_sends_total',
    help: 'Handed-over messages, by what was decided. One that waits is counted again when it is decided again.',
    labelNames: ['decision'],
  });
  const deliveries = createTally(registry, {
    name: 'sendgate_deliveries_total',
    help: 'Attempts to deliver a message, by provider and outcome: sent, retry (it is tried again), failed, or stopped (the provider takes no messages now: it was no try).',
    labelNames: ['provider', 'outcome'],
  });
  const redeliveries = createTally(registry, {
    name: 'sendgate_redeliveries_total',
    help: 'Attempts that were begun again because their worker died, or lost its place, before it recorded the outcome. The message may have arrived twice.',
    labelNames: ['provider'],
  });
  const sentSeconds = createDurationTally(registry, {
    name: 'sendgate_sent_duration_seconds',
    help: 'From the decision to send a message until its provider took it.',
    labelNames: ['provider'],
    buckets: SENT_BUCKETS_SECONDS,
  });
  const relayedEntries = createTally(registry, {
    name: 'sendgate_outbox_relayed_total',
    help: "Attempts moved from the outbox into their provider's queue.",
    labelNames: ['provider'],
  });
  const stops = createTally(registry, {
    name: 'sendgate_provider_stops_total',
    help: 'How often a provider was stopped because it takes no messages, by its code. Each stop counts once, in the worker that met it first.',
    labelNames: ['provider', 'code'],
  });
  const stoppedUntilMs = new Map<string, number>();
  const receipts = createTally(registry, {
    name: 'sendgate_receipts_total',
    help: 'What providers said became of messages, by what it came to: delivered, undeliverable, noted (it is not final), repeated, late (nothing waits for it any more) or unknown (no message is known by that id).',
    labelNames: ['provider', 'result'],
  });
  const heldBack = new Map<string, boolean>();
  new Gauge({
    name: 'sendgate_relay_held_back',
    help: '1 while a queue is so deep (SENDGATE_QUEUE_MAX_DEPTH) that nothing is moved into it.',
    labelNames: ['provider'],
    registers: [registry],
    collect() {
      for (const [provider, isHeld] of heldBack) this.set({ provider }, isHeld ? 1 : 0);
    },
  });
  const decisionSeries = seriesOf(['accepted', 'throttled', 'filtered', 'held', 'delayed'], (kind) =>
    decided.series(kind),
  );

  return {
    sendDecided(kind) {
      decisionSeries(kind).value += 1;
    },
    delivered(provider, outcome) {
      deliveries.series(provider, outcome).value += 1;
    },
    redelivered(provider) {
      redeliveries.series(provider).value += 1;
    },
    sentAfter(provider, seconds) {
      sentSeconds.series(provider).observe(seconds);
    },
    relayed(provider, count) {
      relayedEntries.series(provider).value += count;
    },
    held(provider, isHeld) {
      heldBack.set(provider, isHeld);
    },
    stopped({ provider, code, untilMs }) {
      stops.series(provider, code).value += 1;
      stoppedUntilMs.set(provider, untilMs);
    },
    received(provider, end) {
      receipts.series(provider, end).value += 1;
    },
    watchDepths(depths, nowMs) {
      const gauge = (name: string, help: string, read: (depth: ProviderDepth) => number) =>
        new Gauge({
          name,
          help,
          labelNames: ['provider'],
          registers: [registry],
          collect() {
            this.reset();
            for (const depth of depths() ?? []) this.set({ provider: depth.provider }, read(depth));
          },
        });
      new Gauge({
        name: 'sendgate_provider_stopped',
        help: '1 while this process has stopped a provider that takes no messages: look at the highest of all workers.',
        labelNames: ['provider'],
        registers: [registry],
        collect() {
          for (const [provider, untilMs] of stoppedUntilMs) this.set({ provider }, nowMs() < untilMs ? 1 : 0);
        },
      });
      gauge(
        'sendgate_outbox_entries',
        'Entries of the outbox that no relay has moved yet. Each has the attempts of one call, 32 at most.',
        ({ outbox }) => outbox,
      );
      gauge(
        'sendgate_outbox_oldest_age_seconds',
        'How long the oldest of them has waited; 0 when there is none.',
        ({ oldestOutboxMs }) => (oldestOutboxMs === null ? 0 : Math.max(0, nowMs() - oldestOutboxMs) / 1_000),
      );
      gauge('sendgate_queue_waiting', 'Attempts in the queue that wait for a worker.', ({ waiting }) => waiting);
      gauge('sendgate_queue_active', 'Attempts that are being made.', ({ active }) => active);
      gauge(
        'sendgate_queue_delayed',
        'Attempts that wait for their time, after one that failed.',
        ({ delayed }) => delayed,
      );
    },
  };
}

/** Looks a series up by the one label it has, of which there are few; those that are known are there from the start. */
export function seriesOf<S>(known: readonly string[], make: (name: string) => S): (name: string) => S {
  const all = new Map(known.map((name) => [name, make(name)]));
  return (name) => {
    let series = all.get(name);
    if (series === undefined) {
      series = make(name);
      all.set(name, series);
    }
    return series;
  };
}
