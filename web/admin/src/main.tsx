import './style/mantine';
import './style/admin.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import { LanguageProvider } from './language';
import { SchemeProvider } from './scheme';

const root = document.getElementById('root');
if (!root) throw new Error('the page has no root');

createRoot(root).render(
  <StrictMode>
    <SchemeProvider>
      <LanguageProvider>
        <App />
      </LanguageProvider>
    </SchemeProvider>
  </StrictMode>,
);
