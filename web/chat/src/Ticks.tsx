import type { Message, MessageItem, SendState } from '@ackbox/client';
import type { ReactNode } from 'react';
import { useClient } from './client';
import { ClockIcon, OneTickIcon, TwoTicksIcon, WarnIcon } from './icons';
import { useText } from './language';

const icons: Record<SendState, ReactNode> = {
  sending: <ClockIcon />,
  sent: <OneTickIcon />,
  delivered: <TwoTicksIcon />,
  read: <TwoTicksIcon />,
  failed: <WarnIcon />,
};

/** How far a message of mine has come; in a group a button that tells who has read it. */
export function Ticks({ item, group, onInfo }: { item: MessageItem; group: boolean; onInfo: (message: Message) => void }) {
  const client = useClient();
  const text = useText();
  const { message, state } = item;
  if (!state) return null;
  const progress = group && message ? client.progress(message) : null;
  const words = progress && progress.read > 0 && state !== 'read' ? text.readBy(progress.read, progress.of) : text[state];
  if (!message || !progress) {
    return (
      <span className={`ticks ticks-${state}`} role="img" aria-label={words} title={words}>
        {icons[state]}
      </span>
    );
  }
  return (
    <button type="button" className={`ticks ticks-${state}`} aria-label={words} title={words} onClick={() => onInfo(message)}>
      {icons[state]}
      {progress.read > 0 && state !== 'read' ? <span>{progress.read}</span> : null}
    </button>
  );
}
