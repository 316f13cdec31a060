import { z } from 'zod';
import { identifierProblem, identifierSchema } from '../limits/identifier';
import type { Page } from '../membership/paging';
import type { Reply } from './contract';
import { decodeCursor, encodeCursor } from './cursor';
import { pageLimitSchema } from './paging';
import { invalidInput } from './problem';

/** An empty parameter is one that is not there: that is how Courier's SDK sends null. */
export const emptyIsAbsent = (value: unknown) => (value === '' ? undefined : value);

/** The query of a list of ids that is read a page at a time. */
export const listQueryFields = {
  limit: z.preprocess(emptyIsAbsent, pageLimitSchema),
  cursor: z
    .preprocess(emptyIsAbsent, z.string().optional())
    .describe('Where to go on: the cursor of the page before.')
    .meta({ type: 'string' }),
};

/** An id that a list is narrowed by. */
export function filterSchema(description: string) {
  return z.preprocess(emptyIsAbsent, identifierSchema.optional()).describe(description).meta({ type: 'string' });
}

/** What a page of such a list holds. */
export function listSchema(item: z.ZodType) {
  return z.object({
    type: z.literal('list'),
    items: z.array(item),
    has_more: z.boolean().describe('Whether there is a next page.'),
    cursor: z.string().optional().describe('Where the next page begins; only when there is one.'),
    url: z.string().describe('The path of this list, as it was called.'),
    next_url: z.string().optional().describe('The path and query of the next page; only when there is one.'),
  });
}

/** The id to go on after, or a refusal when the cursor is not one of this list. */
export function placeIn(list: string, cursor: string | undefined): { after: string | null } | { refusal: Reply } {
  if (cursor === undefined) return { after: null };
  const after = decodeCursor(list, cursor);
  if (after === null || identifierProblem(after) !== null) {
    return { refusal: invalidInput([{ path: 'cursor', message: 'must be the cursor of a page of this list' }]) };
  }
  return { after };
}

/**
 * The answer that is a page.
 * @param list what its cursors belong to
 * @param call where it was asked for: the path, and the parameters that say which list it is
 */
export function listReply<Item>(
  list: string,
  call: { path: string; limit: number; filter?: Record<string, string> },
  page: Page<Item>,
  itemOf: (item: Item) => unknown,
): Reply {
  const body = { type: 'list', items: page.items.map(itemOf), has_more: page.next !== null, url: call.path };
  if (page.next === null) return { status: 200, body };
  const cursor = encodeCursor(list, page.next);
  const query = new URLSearchParams({ ...call.filter, cursor, limit: String(call.limit) });
  return { status: 200, body: { ...body, cursor, next_url: `${call.path}?${query}` } };
}
