import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import './console.css';
import { MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { createRoot } from 'react-dom/client';
import { createQueries } from './frame/queries';
import { theme } from './frame/theme';
import { createConsoleRouter } from './routes';

declare global {
  // What the library that keeps a page from scrolling under a dialog reads its nonce from.
  var __webpack_nonce__: string | undefined;
}

const nonce = document.documentElement.dataset.nonce ?? '';
globalThis.__webpack_nonce__ = nonce;
const queries = createQueries();
const router = createConsoleRouter();

createRoot(document.getElementById('root')!).render(
  <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => nonce}>
    <Notifications position="bottom-right" />
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </MantineProvider>,
);
