import { createTheme } from '@mantine/core';

/** What of the look is chosen in code; colours and sizes are CSS variables in style/admin.css. */
export const theme = createTheme({
  cursorType: 'pointer',
  components: {
    // Locking the page's scrolling needs a style element made by a script.
    Modal: { defaultProps: { lockScroll: false, centered: true } },
  },
});
