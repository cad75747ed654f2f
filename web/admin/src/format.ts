import type { Language } from './language';

/** Numbers, sizes and times as people read them. Formats are made once per language, which costs. */
const made = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat | Intl.RelativeTimeFormat>();

function once<F extends Intl.NumberFormat | Intl.DateTimeFormat | Intl.RelativeTimeFormat>(name: string, make: () => F): F {
  const found = made.get(name);
  if (found) return found as F;
  const fresh = make();
  made.set(name, fresh);
  return fresh;
}

/** The browser's own locale if it is of the language: a British clock is not an American one. */
function localeOf(language: Language): string {
  return navigator.languages.find((locale) => locale.split('-')[0] === language.split('-')[0]) ?? language;
}

/** 12,345 */
export function count(language: Language, n: number): string {
  return once(`${language}:count`, () => new Intl.NumberFormat(localeOf(language), { maximumFractionDigits: 0 })).format(n);
}

/** 1,234 · 12.3 · 0.45 · 1.2M: three digits, for charts. */
export function figure(language: Language, n: number): string {
  return once(`${language}:figure`, () => new Intl.NumberFormat(localeOf(language), { maximumSignificantDigits: 3, notation: 'compact' })).format(n);
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function bytes(language: Language, n: number): string {
  let unit = 0;
  let size = n;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${once(`${language}:size`, () => new Intl.NumberFormat(localeOf(language), { maximumFractionDigits: 1 })).format(size)} ${units[unit]}`;
}

/** 3 Mar 2026, 14:05:09 */
export function moment(language: Language, at: number | string): string {
  return once(`${language}:moment`, () => new Intl.DateTimeFormat(localeOf(language), { dateStyle: 'medium', timeStyle: 'medium' })).format(new Date(at));
}

/** 3 Mar 2026, 14:05:09.123 */
export function precise(language: Language, at: number): string {
  return `${once(`${language}:date`, () => new Intl.DateTimeFormat(localeOf(language), { dateStyle: 'medium' })).format(at)}, ${exact(language, at)}`;
}

/** 14:05:09.123, for traces. */
export function exact(language: Language, at: number): string {
  return once(`${language}:exact`, () => new Intl.DateTimeFormat(localeOf(language), { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hour12: false })).format(at);
}

export function clock(language: Language, at: number): string {
  return once(`${language}:clock`, () => new Intl.DateTimeFormat(localeOf(language), { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })).format(at);
}

const steps: readonly [unit: Intl.RelativeTimeFormatUnit, ms: number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
];

/** 5 minutes ago */
export function ago(language: Language, at: number, now = Date.now()): string {
  const format = once(`${language}:ago`, () => new Intl.RelativeTimeFormat(localeOf(language), { numeric: 'auto' }));
  const [unit, ms] = steps.find(([, size]) => Math.abs(at - now) >= size) ?? ['second', 1_000];
  return format.format(Math.trunc((at - now) / ms), unit);
}

/** 0.42 ms · 7.1 ms · 3.012 s · 62.5 s · 2 h 5 min: how long after, for traces. */
export function after(ms: number): string {
  if (ms < 1_000) return `${ms === 0 ? 0 : ms < 1 ? ms.toFixed(2) : ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 3 : 2)} s`;
  if (ms < 600_000) return `${(ms / 1_000).toFixed(1)} s`;
  return span(ms);
}

/** 950 ms · 3.2 s · 5 min · 2 h 5 min · 3 d 4 h */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${Math.round(ms / 100) / 10} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${Math.floor(hours / 24)} d`;
}
