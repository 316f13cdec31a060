import type { Message } from './limit';
import { type PlannedCounter, type Room, roomOf, type Shape } from './plan';

/** One counter of a simulation. */
export interface SimulatedCounter {
  /** As {@link CounterNames} has it: of counters that are due together, the first by name comes first. */
  readonly name: string;
  /** When its window ends, in epoch milliseconds. */
  readonly endMs: number;
  /** What it holds. */
  used: number;
  /** What it holds at least and at most, whatever it is that is not known. Without that, both are `used`. */
  leastUsed: number;
  mostUsed: number;
  /** When it was last set to zero, in epoch milliseconds: what was counted until then is not given back. */
  resetMs: number;
  /** Whether everything that ever counted in it is simulated. */
  isKnown: boolean;
  /** What it really held, as far as the log has told; 0 before it has. Only of one that is not known. */
  reallyUsed: number;
}

/** How counters are named: as the store does, so that they come in the same order. */
export interface CounterNames {
  counterPrefix(counter: Omit<PlannedCounter, 'per'>): string;
  counterValues(perMask: number, message: Message): string;
}

/** The counters of a simulation, by what they count, over which window. */
export interface SimulatedCounters {
  /** Those of a message, in the order of its shape. */
  of(shape: Shape, message: Message): SimulatedCounter[];
  /** One by itself. */
  one(counter: PlannedCounter, message: Message): SimulatedCounter;
  room(shape: Shape): Room;
  /**
   * Takes into account that a message of which it is not known whether it waits may be counted at any time until
   * `untilMs`: in any counter of its values that begins until then.
   */
  mayCome(shape: Shape, message: Message, cost: number, untilMs: number): void;
  /** What may yet come into a counter by such messages. */
  comingTo(counter: PlannedCounter, message: Message): number;
  /** Whether there may be any such message. */
  mayAnyCome(): boolean;
  /** Forgets counters whose windows have long ended. */
  forgetBefore(atMs: number): void;
}

interface Encoded extends Room {
  prefixes: string[];
}

/**
 * Makes them, all empty.
 * @param knownFromMs counters of windows that begin at that moment or later are known, in epoch milliseconds
 */
export function createSimulatedCounters(names: CounterNames, knownFromMs: number): SimulatedCounters {
  const byPrefix = new Map<string, { endMs: number; byValues: Map<string, SimulatedCounter> }>();
  const encodedShapes = new WeakMap<Shape, Encoded>();
  /** What may come, by what is counted over which period. Empty as long as everything is known. */
  const coming = new Map<string, { cost: number; untilMs: number }[]>();

  function encoded(shape: Shape): Encoded {
    let found = encodedShapes.get(shape);
    if (found === undefined) {
      found = { ...roomOf(shape), prefixes: shape.counters.map((counter) => names.counterPrefix(counter)) };
      encodedShapes.set(shape, found);
    }
    return found;
  }

  const lineOf = ({ perMask, period }: PlannedCounter, values: string) => `${period} ${perMask} ${values}`;

  function comingTo(counter: PlannedCounter, values: string): number {
    if (coming.size === 0) return 0;
    const line = lineOf(counter, values);
    // Windows follow each other: what does not come into this one does not come into a later one. At that moment itself it
    // is looked at a last time.
    const left = coming.get(line)?.filter(({ untilMs }) => untilMs >= counter.window.startMs) ?? [];
    if (left.length > 0) coming.set(line, left);
    else coming.delete(line);
    return left.reduce((sum, { cost }) => sum + cost, 0);
  }

  function find(prefix: string, counter: PlannedCounter, values: string): SimulatedCounter {
    let group = byPrefix.get(prefix);
    if (group === undefined) {
      group = { endMs: counter.window.endMs, byValues: new Map() };
      byPrefix.set(prefix, group);
    }
    let found = group.byValues.get(values);
    if (found === undefined) {
      const isKnown = counter.window.startMs >= knownFromMs;
      found = {
        name: prefix + values,
        endMs: group.endMs,
        used: 0,
        leastUsed: 0,
        mostUsed: isKnown ? comingTo(counter, values) : Number.POSITIVE_INFINITY,
        resetMs: Number.NEGATIVE_INFINITY,
        isKnown,
        reallyUsed: 0,
      };
      group.byValues.set(values, found);
    }
    return found;
  }

  return {
    of(shape, message) {
      const { prefixes } = encoded(shape);
      let mask = -1;
      let values = '';
      return shape.counters.map((counter, index) => {
        // Those that count the same stand together.
        if (counter.perMask !== mask) values = names.counterValues(counter.perMask, message);
        mask = counter.perMask;
        return find(prefixes[index]!, counter, values);
      });
    },
    one: (counter, message) =>
      find(names.counterPrefix(counter), counter, names.counterValues(counter.perMask, message)),
    room: encoded,
    mayCome(shape, message, cost, untilMs) {
      for (const counter of shape.counters) {
        const line = lineOf(counter, names.counterValues(counter.perMask, message));
        const some = coming.get(line);
        if (some === undefined) coming.set(line, [{ cost, untilMs }]);
        else some.push({ cost, untilMs });
      }
    },
    mayAnyCome: () => coming.size > 0,
    comingTo: (counter, message) => comingTo(counter, names.counterValues(counter.perMask, message)),
    forgetBefore(atMs) {
      for (const [prefix, { endMs }] of byPrefix) if (endMs < atMs) byPrefix.delete(prefix);
    },
  };
}
