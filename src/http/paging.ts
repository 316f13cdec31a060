import { z } from 'zod';

/** How many items a page has, unless asked otherwise, and at most. */
const PAGE_DEFAULT = 20;
const PAGE_MAX = 100;
const words = `must be a whole number from 1 to ${PAGE_MAX}`;

/** The `limit` of a list, from its query. */
export const pageLimitSchema = z
  .string()
  .refine((text) => /^\d{1,9}$/.test(text), { error: words, abort: true })
  .transform(Number)
  .refine((limit) => limit >= 1 && limit <= PAGE_MAX, { error: words })
  .default(PAGE_DEFAULT)
  .describe(`How many items the page has at most: ${PAGE_DEFAULT} unless said.`)
  .meta({ type: 'integer', minimum: 1, maximum: PAGE_MAX });

/** How a list in Courier's words says where it goes on. */
export const pagingSchema = z.object({
  cursor: z.string().nullable().describe('Where to go on; null on the last page.'),
  more: z.boolean().describe('Whether there is a next page.'),
});
