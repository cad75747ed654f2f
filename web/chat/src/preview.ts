import type { Message } from '@ackbox/client';
import type { Text } from './language';

/** The text of a text message, or the name of a file; empty for others. */
export function textOf(message: Message): string {
  const { text, name } = message.body;
  if (message.type === 'text') return typeof text === 'string' ? text : '';
  return typeof name === 'string' ? name : '';
}

/** A message in one line. */
export function preview(text: Text, message: Message): string {
  if (message.recalled_at || message.type === 'recall') return text.recalled;
  if (message.type === 'notice') return text.types.notice;
  const words = textOf(message).slice(0, 200);
  return message.type === 'text' ? words : `[${text.types[message.type]}] ${words}`;
}
