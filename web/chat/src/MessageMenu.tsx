import type { Conversation, Message } from '@ackbox/client';
import { useState } from 'react';
import { useClient } from './client';
import { DotsIcon } from './icons';
import { useText } from './language';
import { MenuButton, type MenuLine } from './MenuButton';
import { textOf } from './preview';
import { errorText } from './problem';

interface Props {
  readonly message: Message;
  readonly mine: boolean;
  readonly conversation: Conversation | null;
  readonly onReply: (message: Message) => void;
  readonly onInfo: (message: Message) => void;
}

/** What can be done with a message. Whether it may be, the server decides, and it is said beside it. */
export function MessageMenu({ message, mine, conversation, onReply, onInfo }: Props) {
  const client = useClient();
  const text = useText();
  const [error, setError] = useState('');
  const say = (failure: unknown) => setError(errorText(text, failure));
  function lines(): MenuLine[] {
    const words = textOf(message);
    const offered: MenuLine[] = [{ label: text.reply, onSelect: () => onReply(message) }];
    if (words) offered.push({ label: text.copy, onSelect: () => void navigator.clipboard.writeText(words).catch(say) });
    if (mine && conversation?.receipts) offered.push({ label: text.info, onSelect: () => onInfo(message) });
    if (mine || conversation?.role === 'owner' || conversation?.role === 'admin') offered.push({ label: text.recall, onSelect: () => void client.recall(message.message_id).catch(say) });
    return [...offered, { label: text.deleteForMe, onSelect: () => void client.deleteForMe(message).catch(say) }];
  }
  return (
    <div className="message-menu">
      <MenuButton label={text.actions} icon={<DotsIcon />} size="md" color="gray" onOpen={() => setError('')} lines={lines} />
      {error ? (
        <span className="error" role="alert">
          {error}
        </span>
      ) : null}
    </div>
  );
}
