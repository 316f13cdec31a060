import { hash } from 'node:crypto';
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
  /** What is needed of its limits once there is an alert. */
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
    ...encodeAlertUses(shape),
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

/**
 * The uses that pass a threshold: the first of each counter, and in one list the others, as many for each counter. Those that
 * are wanting no use ever reaches.
 */
function encodeAlertUses(shape: Shape): [first: number[], more: number[]] {
  const uses = alertUsesOf(shape);
  const most = Math.max(1, ...uses.map(({ length }) => length));
  const padded = uses.map((one) => [...one, ...new Array<number>(most - one.length).fill(Number.MAX_SAFE_INTEGER)]);
  return [padded.map(([first]) => first!), padded.flatMap(([, ...more]) => more)];
}

/** What of a shape's alerts is needed once there is one, as lua/lib/decision.lua reads it. */
function encodeAlerts({ limits, counters }: Shape): string {
  const throttling = counters.map(() => '-');
  for (const { limit, counter } of limits) {
    if (limit.mode === 'enforce' && limit.max !== null) throttling[counter] = limit.id;
  }
  return `${throttling.join(' ')}\n${limits.map(({ thresholds }) => thresholds.join(',') || '-').join(' ')}`;
}

/** Reads what an alert keeps of its limit. */
export function decodeAlertedLimit(text: string): LimitView {
  const [limit] = decodeLimits(`[${text}]`) as [RecordedLimit];
  // To Lua's cjson an empty list is an empty object.
  return Array.isArray(limit.per) ? limit : { ...limit, per: [] };
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
