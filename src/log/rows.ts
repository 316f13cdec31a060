import type { RedisClient } from '../store/connection';
import type { Keys } from '../store/keys';
import { runScript, type Scripts } from '../store/scripts';

/** Where rows are found: in an index each, or in any of some indexes. */
export interface RowFilter {
  /** Names of indexes: a row must be in one of each group. Without a group every row is found. */
  groups: readonly (readonly string[])[];
  /** Only rows that were written at that moment or later, in epoch milliseconds. */
  fromMs?: number | undefined;
  /** Only rows that were written before that moment, in epoch milliseconds. */
  untilMs?: number | undefined;
}

/** A row: its number in the log, and what it is about: a check's entry in the log, or a send's message id. */
export interface Row {
  number: string;
  ref: string;
}

/** Some rows, the newest first, and the number to go on before, or null when there is nothing more. */
export interface RowsPage {
  rows: Row[];
  next: string | null;
}

/** Finds the rows of the message log. */
export interface LogRows {
  /**
   * Puts every row that has been written by now into the indexes. It is done now and then by itself; who is going to look
   * for rows by an index has it done first.
   * @param most about how many rows are put into them at most; all by default
   * @throws whatever Redis fails with
   */
  index(most?: number): Promise<void>;
  /**
   * Looks at no more than {@link LOOK_ROWS} rows of the shortest index, so that Redis is held for a millisecond or two:
   * fewer than `most` rows may be found, and there be more.
   * @param before the number to go on before, or null for the newest
   * @throws whatever Redis fails with
   */
  page(filter: RowFilter, before: string | null, most: number): Promise<RowsPage>;
}

/** How many rows are put into the indexes by one call: Redis is held for well under a millisecond. */
const ROWS_PER_INDEXING = 100;

/** The most rows that one call looks at. */
export const LOOK_ROWS = 1_000;

/** Whether a text is a row's number, in the one way in which it is written. */
export function isRowNumber(text: string): boolean {
  return /^[1-9]\d{0,14}$/.test(text);
}

/** Makes the finder. */
export function createLogRows(deps: { redis: RedisClient; scripts: Scripts; keys: Keys }): LogRows {
  const { redis, scripts, keys } = deps;
  return {
    async index(most = Number.POSITIVE_INFINITY) {
      for (let taken = 0; taken < most; taken += ROWS_PER_INDEXING) {
        if ((await runScript(redis, scripts.log_index, [keys.log], [ROWS_PER_INDEXING])) !== 1) return;
      }
    },

    async page({ groups, fromMs, untilMs }, before, most) {
      const [next, ...found] = (await runScript(
        redis,
        scripts.log_page,
        [keys.logRows, ...groups.flat()],
        [
          JSON.stringify(groups.map((group) => group.length)),
          before ?? '',
          fromMs ?? '',
          untilMs ?? '',
          most,
          LOOK_ROWS,
        ],
      )) as string[];
      const rows: Row[] = [];
      for (let index = 0; index < found.length; index += 2) {
        rows.push({ number: found[index]!, ref: found[index + 1]! });
      }
      return { rows, next: next || null };
    },
  };
}
