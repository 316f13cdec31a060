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

/**
 * Marks that show nothing, and turn what stands beside them, shown as what they are: two ids that look the same are then
 * not the same. Those that join letters and emoji are left alone. (Unicode: bidirectional controls, and what has no width.)
 */
export function visible(text: string): string {
  return text.replace(
    /[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g,
    (mark) => `[U+${mark.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}]`,
  );
}
