import type { User } from '@ackbox/client';
import { useState } from 'react';
import { PlusIcon } from './icons';
import { useText } from './language';
import { MenuButton } from './MenuButton';
import { NewChat, NewGroup } from './panels';

/** Starts a direct chat or a group. */
export function StartMenu({ me }: { me: User }) {
  const text = useText();
  const [dialog, setDialog] = useState<'chat' | 'group' | null>(null);
  const close = () => setDialog(null);
  return (
    <>
      <MenuButton
        label={text.newChat}
        icon={<PlusIcon />}
        lines={() => [
          { label: text.newChat, onSelect: () => setDialog('chat') },
          { label: text.newGroup, onSelect: () => setDialog('group') },
        ]}
      />
      {dialog === 'chat' ? <NewChat me={me} onClose={close} /> : null}
      {dialog === 'group' ? <NewGroup me={me} onClose={close} /> : null}
    </>
  );
}
