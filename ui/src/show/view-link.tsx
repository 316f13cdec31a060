import { Anchor, type AnchorProps } from '@mantine/core';
import { createLink } from '@tanstack/react-router';

/** A link to a view. */
export const ViewLink = createLink(function ViewAnchor(props: AnchorProps & React.ComponentProps<'a'>) {
  return <Anchor {...props} />;
});
