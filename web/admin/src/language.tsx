import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from 'react';
import { english } from './text/english';
import { chinese } from './text/chinese';

/** Every text of the page, in one language. */
export type Text = typeof english;
export type Language = 'en' | 'zh-CN';

const texts: Record<Language, Text> = { en: english, 'zh-CN': chinese };
const storageKey = 'ackbox:language';

interface Choice {
  readonly language: Language;
  readonly text: Text;
  choose(language: Language): void;
}

const Context = createContext<Choice | null>(null);

function initial(): Language {
  const stored = localStorage.getItem(storageKey);
  if (stored === 'en' || stored === 'zh-CN') return stored;
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en';
}

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState(initial);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const choice = useMemo<Choice>(
    () => ({
      language,
      text: texts[language],
      choose: (chosen) => {
        localStorage.setItem(storageKey, chosen);
        setLanguage(chosen);
      },
    }),
    [language],
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
