import type { Conversation, User } from '@ackbox/client';
import { ActionIcon, Avatar } from '@mantine/core';
import { useState } from 'react';
import { useClient } from './client';
import { BackIcon, DotsIcon, PeopleIcon } from './icons';
import { useText } from './language';
import { MenuButton } from './MenuButton';
import { GroupPanel } from './panels';
import { useName } from './people';
import { open } from './route';
import { useStatusLine } from './presence';

/** Whom one talks to, how they are, and what can be set. */
export function ConversationHead({ me, conversation, peerID }: { me: User; conversation: Conversation | null; peerID: string | null }) {
  const client = useClient();
  const text = useText();
  const peer = useName(peerID);
  const [details, setDetails] = useState(false);
  const name = peerID ? peer : (conversation?.name ?? '…');
  const prefer = (change: { pinned?: boolean; muted?: boolean }) => void (conversation && client.prefer(conversation.conversation_id, change).catch(() => undefined));
  const status = useStatusLine(me, conversation, peerID);
  return (
    <header className="head">
      <ActionIcon className="head-back" variant="subtle" size="lg" aria-label={text.back} onClick={() => open(null)}>
        <BackIcon />
      </ActionIcon>
      <Avatar name={name} color="initials" radius="xl" aria-hidden="true" />
      <div className="head-names">
        <h1 className="ellipsis">{name}</h1>
        <p className="dim ellipsis" role="status">
          {status}
        </p>
      </div>
      {conversation?.kind === 'group' ? (
        <ActionIcon variant="subtle" size="lg" aria-label={text.details} onClick={() => setDetails(true)}>
          <PeopleIcon />
        </ActionIcon>
      ) : null}
      {conversation ? (
        <MenuButton
          label={text.conversationActions}
          icon={<DotsIcon />}
          lines={() => [
            { label: conversation.pinned ? text.unpin : text.pin, onSelect: () => prefer({ pinned: !conversation.pinned }) },
            { label: conversation.muted ? text.unmute : text.mute, onSelect: () => prefer({ muted: !conversation.muted }) },
          ]}
        />
      ) : null}
      {details && conversation ? <GroupPanel me={me} group={conversation} onClose={() => setDetails(false)} /> : null}
    </header>
  );
}
