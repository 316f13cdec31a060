import { Counter, Gauge, type Histogram, type Registry } from 'prom-client';

/*
 * Prometheus' client works out a text from the labels at every count, and looks the series up by it. What is counted
 * several times for each check is counted here in plain numbers instead, and handed over when somebody asks.
 */

/** A number that only grows. */
export interface Series {
  value: number;
}

/** Values of a counter's labels, in the order of their names. */
type LabelValues = readonly (string | number)[];

/** A counter whose series are kept as plain numbers. */
export interface Tally {
  /** The series of these label values, from now on in every answer: keep it, and add to its `value`. */
  series(...values: LabelValues): Series;
}

/** Makes a counter. */
export function createTally(
  registry: Registry,
  definition: { name: string; help: string; labelNames: readonly string[] },
): Tally {
  const { name, help, labelNames } = definition;
  const all = new Map<string, { labels: Record<string, string | number>; series: Series }>();
  new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels, series } of all.values()) this.inc(labels, series.value);
    },
  });
  return {
    series(...values) {
      const key = values.join('\n');
      let entry = all.get(key);
      if (entry === undefined) {
        const labels = Object.fromEntries(labelNames.map((label, index) => [label, values[index]!]));
        entry = { labels, series: { value: 0 } };
        all.set(key, entry);
      }
      return entry.series;
    },
  };
}

/** How long something takes, in seconds. */
export interface Durations {
  observe(seconds: number): void;
}

/** A histogram whose series are kept as plain numbers. */
export interface DurationTally {
  /** The series of these label values, from now on in every answer. */
  series(...values: LabelValues): Durations;
}

/** Makes a histogram of durations. @param buckets upper bounds in seconds, rising */
export function createDurationTally(
  registry: Registry,
  definition: { name: string; help: string; labelNames: readonly string[]; buckets: readonly number[] },
): DurationTally {
  const { name, help, labelNames, buckets } = definition;
  const all = new Map<string, { labels: Record<string, string | number>; counts: number[]; sum: Series }>();

  async function get() {
    const values = [...all.values()].flatMap(({ labels, counts, sum }) => {
      let total = 0;
      const cumulative = counts.map((count, index) => {
        total += count;
        return {
          metricName: `${name}_bucket`,
          labels: { ...labels, le: index < buckets.length ? buckets[index]! : '+Inf' },
          value: total,
        };
      });
      return [
        ...cumulative,
        { metricName: `${name}_sum`, labels, value: sum.value },
        { metricName: `${name}_count`, labels, value: total },
      ];
    });
    return { name, help, type: 'histogram', values, aggregator: 'sum' };
  }
  // The registry asks no more of a metric than this; the library's own Histogram offers no way to set its buckets.
  registry.registerMetric({ name, get, reset: () => all.clear() } as unknown as Histogram);

  return {
    series(...values) {
      const key = values.join('\n');
      let entry = all.get(key);
      if (entry === undefined) {
        const labels = Object.fromEntries(labelNames.map((label, index) => [label, values[index]!]));
        entry = { labels, counts: new Array<number>(buckets.length + 1).fill(0), sum: { value: 0 } };
        all.set(key, entry);
      }
      const { counts, sum } = entry;
      return {
        observe(seconds) {
          let bucket = 0;
          while (bucket < buckets.length && seconds > buckets[bucket]!) bucket += 1;
          counts[bucket]! += 1;
          sum.value += seconds;
        },
      };
    },
  };
}

/** Makes a gauge without labels whose value is asked for only when somebody looks. */
export function createReading(
  registry: Registry,
  definition: { name: string; help: string; read: () => number },
): void {
  const { name, help, read } = definition;
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}
