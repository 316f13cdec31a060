import { createTheme } from '@mantine/core';

/** Below this the sidebar is a drawer. */
export const WIDE = '(min-width: 900px)';
/** From this on there is room for a message beside the table. */
export const VERY_WIDE = '(min-width: 1200px)';

export const theme = createTheme({
  primaryColor: 'indigo',
  // The shade that is readable on its light tint, and under white text, in both schemes.
  primaryShade: { light: 7, dark: 7 },
  autoContrast: true,
  defaultRadius: 'sm',
  cursorType: 'pointer',
  components: {
    Modal: { defaultProps: { centered: true, closeButtonProps: { 'aria-label': 'Close' } } },
    Drawer: { defaultProps: { closeButtonProps: { 'aria-label': 'Close' } } },
    Notification: { defaultProps: { closeButtonProps: { 'aria-label': 'Close' } } },
  },
});
