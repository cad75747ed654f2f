import type { Language, Text } from './language';

/** Says a time as people do. Formats are made once per language, which costs. */
const formats = new Map<string, Intl.DateTimeFormat>();

function format(language: Language, name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${language}:${name}`;
  let found = formats.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat(localeOf(language), options);
    formats.set(key, found);
  }
  return found;
}

/** The browser's own locale if it is of the language: a British clock is not an American one. */
function localeOf(language: Language): string {
  return navigator.languages.find((locale) => locale.split('-')[0] === language.split('-')[0]) ?? language;
}

export function clockTime(language: Language, at: number | string): string {
  return format(language, 'clock', { hour: '2-digit', minute: '2-digit' }).format(new Date(at));
}

export function fullTime(language: Language, at: number | string): string {
  return format(language, 'full', { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(at));
}

/** A number that is the same for all times of one local day. */
export function dayOf(at: number | string): number {
  const date = new Date(at);
  return date.getFullYear() * 10_000 + date.getMonth() * 100 + date.getDate();
}

export function dayName(language: Language, text: Text, at: number | string): string {
  const now = new Date();
  const day = dayOf(at);
  if (day === dayOf(now.getTime())) return text.today;
  if (day === dayOf(new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1).getTime())) return text.yesterday;
  return format(language, 'day', { weekday: 'short', day: 'numeric', month: 'long', year: 'numeric' }).format(new Date(at));
}

/** The time today, else the day: for lists. */
export function shortTime(language: Language, text: Text, at: string): string {
  const name = dayName(language, text, at);
  if (name === text.today) return clockTime(language, at);
  if (name === text.yesterday) return name;
  return format(language, 'short', { day: 'numeric', month: 'numeric', year: '2-digit' }).format(new Date(at));
}
