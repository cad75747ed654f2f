import type { User } from '@ackbox/client';
import { ActionIcon, Menu } from '@mantine/core';
import { useState } from 'react';
import { PlusIcon } from './icons';
import { useText } from './language';
import { NewChat } from './NewChat';
import { NewGroup } from './NewGroup';

/** Starts a direct chat or a group. */
export function StartMenu({ me }: { me: User }) {
  const text = useText();
  const [dialog, setDialog] = useState<'chat' | 'group' | null>(null);
  const close = () => setDialog(null);
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="subtle" size="lg" aria-label={text.newChat}>
            <PlusIcon />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => setDialog('chat')}>{text.newChat}</Menu.Item>
          <Menu.Item onClick={() => setDialog('group')}>{text.newGroup}</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {dialog === 'chat' ? <NewChat me={me} onClose={close} /> : null}
      {dialog === 'group' ? <NewGroup me={me} onClose={close} /> : null}
    </>
  );
}
