/** An object of the caller's own, which is kept as it is. */
export type JsonObject = Record<string, unknown>;

/** The most that such an object may be: in bytes of its JSON in UTF-8, and in objects and arrays within each other. */
export const JSON_OBJECT_MAX_BYTES = 65_536;
export const JSON_OBJECT_MAX_DEPTH = 64;

/** Whether a value that was read from JSON is an object: no list, and not null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What keeps a value from being such an object, or null. */
export function jsonObjectProblem(value: unknown): string | null {
  if (!isJsonObject(value)) return 'must be a JSON object';
  // Depth first: JSON.stringify would run out of stack on what is nested deeper than that.
  const problem = problemWithin(value, 1);
  if (problem !== null) return problem;
  if (Buffer.byteLength(JSON.stringify(value)) > JSON_OBJECT_MAX_BYTES) {
    return `must be at most ${JSON_OBJECT_MAX_BYTES} bytes of JSON`;
  }
  return null;
}

/**
 * What is wrong with how deep any JSON value is nested, or null: what is nested deeper cannot be written again.
 * @param around how many objects and arrays around what is the caller's own do not count
 */
export function jsonDepthProblem(value: unknown, around = 0): string | null {
  return problemWithin(value, 1 - around);
}

function problemWithin(value: unknown, depth: number): string | null {
  // A number such as 1e400 is read as infinity, and would come back as null.
  if (typeof value === 'number' && !Number.isFinite(value)) return 'must hold only numbers of a size that can be kept';
  if (typeof value !== 'object' || value === null) return null;
  if (depth > JSON_OBJECT_MAX_DEPTH) return `must not be nested deeper than ${JSON_OBJECT_MAX_DEPTH}`;
  for (const inner of Object.values(value)) {
    const problem = problemWithin(inner, depth + 1);
    if (problem !== null) return problem;
  }
  return null;
}
