import { Anchor, Text } from '@mantine/core';
import { visible } from '../show/foreign';

/** Says below a field that was changed here that somebody else has changed it too. */
export function Overtaken({
  isOvertaken,
  theirs,
  onTake,
}: {
  isOvertaken: boolean;
  theirs: string;
  onTake: () => void;
}) {
  return (
    <div role="status">
      {isOvertaken && (
        <Text size="xs" mt={4} className="foreign">
          Somebody else has changed this meanwhile: it is <b>{visible(theirs)}</b> now. Saving puts yours in its place.{' '}
          <Anchor component="button" type="button" size="xs" onClick={onTake}>
            Take theirs
          </Anchor>
        </Text>
      )}
    </div>
  );
}
