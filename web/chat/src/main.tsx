import './style/mantine';
import './style/chat.css';
import { createClient } from '@ackbox/client';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import { ClientProvider } from './client';
import { firstLanguage, LanguageProvider } from './language';
import { People } from './people';
import { SchemeProvider } from './scheme';

const root = document.getElementById('root');
if (!root) throw new Error('the page has no root');
const client = createClient();
const first = await firstLanguage();

createRoot(root).render(
  <StrictMode>
    <SchemeProvider>
      <LanguageProvider first={first}>
        <ClientProvider value={{ client, people: new People(client) }}>
          <App />
        </ClientProvider>
      </LanguageProvider>
    </SchemeProvider>
  </StrictMode>,
);
