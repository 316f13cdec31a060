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
   * Looks at no more than {@link LOOK_ROWS} rows of the shortest index, so that Redis is held for a millisecond or two:
   * fewer than `most` rows may be found, and there be more.
   * @param before the number to go on before, or null for the newest
   * @throws whatever Redis fails with
   */
  page(filter: RowFilter, before: string | null, most: number): Promise<RowsPage>;
}

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
