import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from 'react';
import { english } from './text/english';

/** Every text of the page, in one language. */
export type Text = typeof english;
export type Language = 'en' | 'zh-CN';

const storageKey = 'ackbox:language';

interface Spoken {
  readonly language: Language;
  readonly text: Text;
}

interface Choice extends Spoken {
  choose(language: Language): void;
}

const Context = createContext<Choice | null>(null);

async function speak(language: Language): Promise<Spoken> {
  return { language, text: language === 'en' ? english : (await import('./text/chinese')).chinese };
}

/** The language that was chosen here, else the browser's. A text that cannot be loaded is there in English. */
export async function firstLanguage(): Promise<Spoken> {
  const stored = localStorage.getItem(storageKey);
  const wanted = stored ?? (navigator.language.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en');
  return speak(wanted === 'zh-CN' ? 'zh-CN' : 'en').catch(() => speak('en'));
}

export function LanguageProvider({ first, children }: { first: Spoken; children: ReactNode }) {
  const [spoken, setSpoken] = useState(first);
  useEffect(() => {
    document.documentElement.lang = spoken.language;
  }, [spoken]);
  const choice = useMemo<Choice>(
    () => ({
      ...spoken,
      choose: (chosen) => {
        localStorage.setItem(storageKey, chosen);
        speak(chosen).then(setSpoken, () => undefined); // not loaded: the next visit asks again
      },
    }),
    [spoken],
  );
  return <Context value={choice}>{children}</Context>;
}

export function useLanguage(): Choice {
  const choice = useContext(Context);
  if (!choice) throw new Error('outside of LanguageProvider');
  return choice;
}

export function useText(): Text {
  return useLanguage().text;
}
