import { MantineProvider } from '@mantine/core';
import { createContext, type ReactNode, useContext, useMemo, useState, useSyncExternalStore } from 'react';
import { theme } from './theme';

export type Scheme = 'light' | 'dark' | 'auto';

export const schemes: readonly Scheme[] = ['light', 'dark', 'auto'];
const storageKey = 'ackbox:scheme';

const Context = createContext<{ scheme: Scheme; choose(scheme: Scheme): void } | null>(null);

const dark = window.matchMedia('(prefers-color-scheme: dark)');

function subscribe(fn: () => void): () => void {
  dark.addEventListener('change', fn);
  return () => dark.removeEventListener('change', fn);
}

function initial(): Scheme {
  const stored = localStorage.getItem(storageKey);
  return schemes.find((scheme) => scheme === stored) ?? 'auto';
}

/** Mantine in light or dark. It makes no style elements, which the Content-Security-Policy would refuse: its own change of scheme does. */
export function SchemeProvider({ children }: { children: ReactNode }) {
  const [scheme, setScheme] = useState(initial);
  const systemDark = useSyncExternalStore(subscribe, () => dark.matches);
  const choice = useMemo(
    () => ({
      scheme,
      choose: (chosen: Scheme) => {
        localStorage.setItem(storageKey, chosen);
        setScheme(chosen);
      },
    }),
    [scheme],
  );
  const shown = scheme === 'auto' ? (systemDark ? 'dark' : 'light') : scheme;
  return (
    <MantineProvider theme={theme} forceColorScheme={shown} withCssVariables={false} withGlobalClasses={false}>
      <Context value={choice}>{children}</Context>
    </MantineProvider>
  );
}

export function useScheme() {
  const choice = useContext(Context);
  if (!choice) throw new Error('outside of SchemeProvider');
  return choice;
}
