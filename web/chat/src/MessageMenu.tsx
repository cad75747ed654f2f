import type { Conversation, Message } from '@ackbox/client';
import { ActionIcon, Menu } from '@mantine/core';
import { useState } from 'react';
import { useClient } from './client';
import { DotsIcon } from './icons';
import { useText } from './language';
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
  const words = textOf(message);
  return (
    <div className="message-menu">
      <Menu position="bottom" withinPortal onOpen={() => setError('')}>
        <Menu.Target>
          <ActionIcon variant="subtle" size="md" color="gray" aria-label={text.actions}>
            <DotsIcon />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => onReply(message)}>{text.reply}</Menu.Item>
          {words ? <Menu.Item onClick={() => void navigator.clipboard.writeText(words).catch(say)}>{text.copy}</Menu.Item> : null}
          {mine && conversation?.receipts ? <Menu.Item onClick={() => onInfo(message)}>{text.info}</Menu.Item> : null}
          {mine || conversation?.kind === 'group' ? <Menu.Item onClick={() => void client.recall(message.message_id).catch(say)}>{text.recall}</Menu.Item> : null}
          <Menu.Item onClick={() => void client.deleteForMe(message).catch(say)}>{text.deleteForMe}</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {error ? (
        <span className="error" role="alert">
          {error}
        </span>
      ) : null}
    </div>
  );
}
