import { createTheme } from '@mantine/core';

/** What of the look is chosen in code; colours and sizes are CSS variables in style/chat.css. */
export const theme = createTheme({ cursorType: 'pointer' });
