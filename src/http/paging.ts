import { z } from 'zod';

/** How many items a page has, unless asked otherwise, and at most. */
const PAGE_DEFAULT = 20;
const PAGE_MAX = 100;

/** The `limit` of a list, from its query. */
export const pageLimitSchema = z
  .string()
  .regex(/^\d{1,9}$/, { error: `must be a whole number from 1 to ${PAGE_MAX}` })
  .transform(Number)
  .pipe(z.int().min(1).max(PAGE_MAX))
  .default(PAGE_DEFAULT)
  .describe('How many items the page has at most.')
  .meta({ override: { type: 'integer', minimum: 1, maximum: PAGE_MAX, default: PAGE_DEFAULT } });

/** How a list in Courier's words says where it goes on. */
export const pagingSchema = z.object({
  cursor: z.string().nullable().describe('Where to go on; null on the last page.'),
  more: z.boolean().describe('Whether there is a next page.'),
});
