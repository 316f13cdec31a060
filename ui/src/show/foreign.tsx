import { Text } from '@mantine/core';

/**
 * Text that somebody else wrote, in one line, as it is: whole for who points at it, in a direction of its own. Nothing when
 * there is none.
 */
export function Foreign({ text }: { text: string | null | undefined }) {
  if (text === null || text === undefined || text === '') {
    return (
      <Text span c="dimmed" size="sm" aria-label="none">
        –
      </Text>
    );
  }
  return (
    <bdi className="foreign-line" title={text}>
      {visible(text)}
    </bdi>
  );
}

/** Nothing but blanks, and what shows nothing by itself. */
const BLANK = /^[\p{White_Space}\p{Default_Ignorable_Code_Point}\u2800]+$/u;
/** Bidirectional controls, and what has no width. */
const MARKS = /[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/**
 * Marks that show nothing, and turn what stands beside them, shown as what they are: two ids that look the same are then
 * not the same. Those that join letters and emoji, and blanks, are left alone unless there is nothing else.
 */
export function visible(text: string): string {
  return text.replace(
    BLANK.test(text) ? /./gsu : MARKS,
    (mark) => `[U+${mark.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}]`,
  );
}
