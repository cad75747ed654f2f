import type { Message } from '@ackbox/client';
import type { Text } from './language';

/** The text of a text message, or the name of a file; empty for others. */
export function textOf(message: Pick<Message, 'type' | 'body'>): string {
  const { text, name } = message.body;
  if (message.type === 'text') return typeof text === 'string' ? text : '';
  return typeof name === 'string' ? name : '';
}

/** A message in one line. */
export function preview(text: Text, message: Pick<Message, 'type' | 'body' | 'recalled_at'>): string {
  if (message.recalled_at || message.type === 'recall') return text.recalled;
  if (message.type === 'notice') return text.types.notice;
  const words = textOf(message).slice(0, 200);
  return message.type === 'text' ? words : `[${text.types[message.type]}] ${words}`;
}
