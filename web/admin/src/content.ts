import type { Text } from './language';
import type { Message } from './types';

/** A message's content in words: its text, or its type with the fields of its body. */
export function content(text: Text, message: Message): string {
  if (message.recalled_at) return text.recalled;
  const body = message.body;
  if (typeof body === 'object' && body !== null && 'text' in body && typeof body.text === 'string') return body.text;
  return `${message.type} ${JSON.stringify(body ?? {})}`;
}
