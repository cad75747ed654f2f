import './style/mantine';
import './style/chat.css';
import { createClient } from '@ackbox/client';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import { ClientProvider } from './client';
import { firstLanguage, LanguageProvider } from './language';
import { Files, FilesProvider } from './files';
import { People } from './people';
import { SchemeProvider } from './scheme';
import { Uploads, UploadsProvider } from './uploads';
import { Writings, WritingsProvider } from './writings';

const root = document.getElementById('root');
if (!root) throw new Error('the page has no root');
const client = createClient();
const first = await firstLanguage();

createRoot(root).render(
  <StrictMode>
    <SchemeProvider>
      <LanguageProvider first={first}>
        <ClientProvider value={{ client, people: new People(client) }}>
          <FilesProvider value={new Files(client)}>
            <UploadsProvider value={new Uploads(client)}>
              <WritingsProvider value={new Writings(client)}>
                <App />
              </WritingsProvider>
            </UploadsProvider>
          </FilesProvider>
        </ClientProvider>
      </LanguageProvider>
    </SchemeProvider>
  </StrictMode>,
);
