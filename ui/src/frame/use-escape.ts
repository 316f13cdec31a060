import { useWindowEvent } from '@mantine/hooks';
import { useRef } from 'react';

/**
 * Closes something on Escape that is pressed in it, or where nothing has the focus. Of a dialog, a menu or a list that is
 * open over it, that key closes that alone.
 * @param close null while there is nothing to close
 * @returns what is to be the ref of what it is pressed in
 */
export function useEscape<Place extends HTMLElement = HTMLDivElement>(close: (() => void) | null) {
  const place = useRef<Place>(null);
  useWindowEvent(
    'keydown',
    (event) => {
      if (close === null || event.key !== 'Escape' || event.isComposing) return;
      const target = event.target as Element;
      const isIn = (node: Node) => place.current?.contains(node) === true;
      const isHere = target === document.body ? dialogs().every(isIn) : isIn(target);
      const isTaken = target.getAttribute('data-mantine-stop-propagation') === 'true';
      if (!isHere || isTaken) return;
      // The question that may be asked now is not closed by the same key
      event.stopImmediatePropagation();
      close();
    },
    // Before what is open over it has closed
    { capture: true },
  );
  return place;
}

function dialogs(): Element[] {
  return [...document.querySelectorAll('[role="dialog"]')];
}
