import type { Membership } from '../api/members';

type Profile = Membership['profile'];

/** What a profile may be, as the API has it: in bytes of its JSON, and in objects and lists within each other. */
const MAX_BYTES = 65_536;
const MAX_DEPTH = 64;

const UNSEEN = /[\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Any JSON, to be read and edited: marks that cannot be seen are written as escapes, which are the same. */
export function jsonText(value: unknown, indent = 2): string {
  return JSON.stringify(value, null, indent).replace(
    UNSEEN,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The profile that a text is, or what is wrong with it. */
export function readProfile(text: string): { profile: Profile } | { problem: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { problem: `must be JSON: ${jsonProblem(text, error)}` };
  }
  if (typeof value !== 'object' || Array.isArray(value)) return { problem: 'must be a JSON object, or null for none' };
  const problem = problemWithin(value, 1);
  if (problem !== null) return { problem };
  if (new TextEncoder().encode(JSON.stringify(value)).length > MAX_BYTES) {
    return { problem: `must be at most ${MAX_BYTES.toLocaleString()} bytes of JSON` };
  }
  return { profile: value as Profile };
}

function problemWithin(value: unknown, depth: number): string | null {
  // A number such as 1e400 is read as infinity, and would be sent as null.
  if (typeof value === 'number' && !Number.isFinite(value)) return 'must hold only numbers of a size that can be kept';
  if (typeof value !== 'object' || value === null) return null;
  if (depth > MAX_DEPTH) return `must not be nested deeper than ${MAX_DEPTH}`;
  for (const inner of Object.values(value)) {
    const problem = problemWithin(inner, depth + 1);
    if (problem !== null) return problem;
  }
  return null;
}

/** Where it stops being JSON, as far as this browser says. */
function jsonProblem(text: string, error: unknown): string {
  if (text.trim() === '') return 'there is nothing yet';
  const words = error instanceof Error ? error.message : '';
  // Browsers say it in words of their own, and some of them where.
  const [, position] = /position (\d+)/.exec(words) ?? [];
  const [, line = position === undefined ? undefined : text.slice(0, Number(position)).split('\n').length] =
    /line (\d+) column/.exec(words) ?? [];
  if (line !== undefined) return `look at line ${line}`;
  const [, token] = /^Unexpected token '?(.)/u.exec(words) ?? [];
  if (token !== undefined) return `there is a ${token} where it cannot be`;
  return 'it does not end as it should';
}
