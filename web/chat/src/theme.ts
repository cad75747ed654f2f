import { createTheme } from '@mantine/core';

/** What of the look is chosen in code; colours and sizes are CSS variables in style/chat.css. */
export const theme = createTheme({
  cursorType: 'pointer',
  components: {
    // Locking the page's scrolling needs a style element made by a script, and the page does not scroll.
    Modal: { defaultProps: { lockScroll: false, centered: true } },
  },
});
