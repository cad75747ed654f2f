import { Refused } from './call';
import type { Text } from './language';

/** A failure in words for people. */
export function errorText(text: Text, error: unknown): string {
  if (error instanceof TypeError) return text.errors.noAnswer; // fetch was not answered
  if (!(error instanceof Refused)) return text.errors.other;
  const known: Readonly<Record<string, string>> = text.errors.codes;
  return known[error.code] ?? [text.errors.other, error.detail, `(${error.code || error.status})`].filter(Boolean).join(' ');
}
