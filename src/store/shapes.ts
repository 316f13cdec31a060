import { hash } from 'node:crypto';
import { thresholdUse } from '../limits/alert-settings';
import type { LimitView } from '../limits/decision';
import type { Message } from '../limits/limit';
import { alertUsesOf, roomOf, type Shape } from '../limits/plan';
import type { Keys } from './keys';

/**
 * How long a counter outlives its window, in milliseconds: a release or a look at the hour that has just ended still
 * finds it.
 */
export const COUNTER_GRACE_MS = 3_600_000;

/** A shape in the words of the scripts that decide, worked out once. */
export interface EncodedShape {
  /** As lua/lib/decision.lua reads it. */
  json: string;
  /** The same with which of its limits defer, as lua/send.lua reads it. */
  sendJson: string;
  /** What records and the log keep of its limits. */
  limitsText: string;
  /** What the log keeps that under: as `keep_limits` in lua/lib/log.lua makes it. */
  limitsHash: string;
  /** What an alert tells of its limits, as lua/lib/alerts.lua reads it. */
  alertsText: string;
  /** The names of its counters but for the values that they count. */
  counterPrefixes: string[];
}

/** Encodes shapes, each once. */
export type ShapeEncoder = (shape: Shape) => EncodedShape;

/** Makes an encoder for the keys of one workspace. */
export function createShapeEncoder(keys: Keys): ShapeEncoder {
  const encodedShapes = new WeakMap<Shape, EncodedShape>();
  return (shape) => {
    let encoded = encodedShapes.get(shape);
    if (encoded === undefined) {
      encoded = encode(shape, keys);
      encodedShapes.set(shape, encoded);
    }
    return encoded;
  };
}

function encode(shape: Shape, keys: Keys): EncodedShape {
  const { most, defers } = roomOf(shape);
  const parts = [
    // No limit at all: the plan holds for ever, which JSON cannot say.
    Number.isFinite(shape.fromMs) ? shape.fromMs : 0,
    Number.isFinite(shape.toMs) ? shape.toMs : Number.MAX_SAFE_INTEGER,
    shape.counters.map(({ window }) => window.endMs + COUNTER_GRACE_MS),
    most,
    // A counter without a threshold has one that no use reaches.
    alertUsesOf(shape).map((uses) => (uses.length === 0 ? [Number.MAX_SAFE_INTEGER] : uses)),
  ];
  const limitsText = encodeLimits(shape);
  return {
    json: JSON.stringify(parts),
    sendJson: JSON.stringify([...parts, defers.map(Number)]),
    limitsText,
    limitsHash: hash('sha1', limitsText, 'hex').slice(0, 20),
    alertsText: encodeAlerts(shape),
    counterPrefixes: shape.counters.map((counter) => keys.counterPrefix(counter)),
  };
}

/** The names of a message's counters, in the order of its shape. */
export function addCounterNames(
  names: string[],
  keys: Keys,
  shape: Shape,
  { counterPrefixes }: EncodedShape,
  message: Message,
): void {
  for (let index = 0; index < counterPrefixes.length; index += 1) {
    names.push(counterPrefixes[index]! + keys.counterValues(shape.counters[index]!.perMask, message));
  }
}

/** A limit as records and the log keep it. */
export interface RecordedLimit extends LimitView {
  /** The index of its counter among those of its message. */
  counter: number;
}

type EncodedLimit = [
  id: string,
  per: LimitView['per'],
  period: LimitView['period'],
  max: number | null,
  startMs: number,
  endMs: number,
  mode: LimitView['mode'],
  counter: number,
];

/** The limits of a shape as records and the log keep them: JSON, so without a newline. */
function encodeLimits(shape: Shape): string {
  return JSON.stringify(
    shape.limits.map(
      ({ view: { id, per, period, max, startMs, endMs, mode }, counter }): EncodedLimit => [
        id,
        per,
        period,
        max,
        startMs,
        endMs,
        mode,
        counter,
      ],
    ),
  );
}

/** A limit as an alert about it tells it: the object that is in the alert's entry. */
export interface AlertedLimit {
  limit_id: string;
  per: LimitView['per'];
  period: LimitView['period'];
  max: number | null;
  start_ms: number;
  end_ms: number;
  mode: LimitView['mode'];
}

/**
 * The limits of a shape for alerts. In the first line, by counter, the ids of those that may throttle, `-` where there is none.
 * Then JSON: of each limit its counter, from 1; its id; its thresholds in percent, and as uses; and what an alert
 * tells of it, as a text that the script hands on as it is.
 */
function encodeAlerts({ limits, counters }: Shape): string {
  const throttling = counters.map(() => '-');
  for (const { limit, counter } of limits) {
    if (limit.mode === 'enforce' && limit.max !== null) throttling[counter] = limit.id;
  }
  const told = limits.map(({ limit, view: { id, per, period, max, startMs, endMs, mode }, counter, thresholds }) => {
    const about: AlertedLimit = { limit_id: id, per, period, max, start_ms: startMs, end_ms: endMs, mode };
    const uses = thresholds.map((percent) => thresholdUse(limit.max!, percent));
    return [counter + 1, id, thresholds, uses, JSON.stringify(about)];
  });
  return `${throttling.join(' ')}\n${JSON.stringify(told)}`;
}

/** Reads what a record or the log keeps of the limits that a message was held against. */
export function decodeLimits(text: string): RecordedLimit[] {
  return (JSON.parse(text) as EncodedLimit[]).map(([id, per, period, max, startMs, endMs, mode, counter]) => ({
    id,
    per,
    period,
    max,
    startMs,
    endMs,
    mode,
    counter,
  }));
}

/**
 * What a message counted, as the scripts that give it back take it: for each counter its name, then that of the mark
 * that a reset leaves.
 */
export function countedNames(keys: Keys, limits: readonly RecordedLimit[], message: Message): string[] {
  const names: string[] = [];
  const seen = new Set<number>();
  for (const { per, period, startMs, endMs, counter } of limits) {
    if (seen.has(counter)) continue;
    seen.add(counter);
    const name = keys.counterName(per, period, { startMs, endMs }, message);
    names.push(name, keys.counterReset(name));
  }
  return names;
}
