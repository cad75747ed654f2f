import type { Conversation, User } from '@ackbox/client';
import { ActionIcon } from '@mantine/core';
import { useState } from 'react';
import { useClient } from './client';
import { Face } from './Face';
import { BackIcon, DotsIcon, PeopleIcon } from './icons';
import { useText } from './language';
import { MenuButton } from './MenuButton';
import { GroupPanel, PersonPanel } from './panels';
import { nameOf, useUser } from './people';
import { open } from './route';
import { useStatusLine } from './presence';

/** Whom one talks to, how they are, and what can be set. */
export function ConversationHead({ me, conversation, peerID }: { me: User; conversation: Conversation | null; peerID: string | null }) {
  const client = useClient();
  const text = useText();
  const peer = useUser(peerID);
  const [details, setDetails] = useState(false);
  const name = peerID ? (peer ? nameOf(peer) : '…') : (conversation?.name ?? '…');
  const hide = () => {
    prefer({ hidden: true });
    open(null);
  };
  const prefer = (change: { pinned?: boolean; muted?: boolean; hidden?: boolean }) => void (conversation && client.prefer(conversation.conversation_id, change).catch(() => undefined));
  const status = useStatusLine(me, conversation, peerID);
  return (
    <>
      <header className="head">
        <ActionIcon className="head-back" variant="subtle" size="lg" aria-label={text.back} onClick={() => open(null)}>
          <BackIcon />
        </ActionIcon>
        <Face name={name} picture={peerID ? peer?.avatar_url : conversation?.avatar_url} />
        <div className="head-names">
          <h1 className="ellipsis">{name}</h1>
          <p className="dim ellipsis" role="status">
            {status}
          </p>
        </div>
        {(conversation?.kind === 'group' && !conversation.everyone) || peerID ? (
          <ActionIcon variant="subtle" size="lg" aria-label={peerID ? text.personDetails : text.details} onClick={() => setDetails(true)}>
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
              { label: text.hide, onSelect: hide },
            ]}
          />
        ) : null}
        {details && peerID ? <PersonPanel userID={peerID} onClose={() => setDetails(false)} /> : null}
        {details && !peerID && conversation ? <GroupPanel me={me} group={conversation} onClose={() => setDetails(false)} /> : null}
      </header>
      {conversation?.announcement && !peerID ? (
        <button type="button" className="announcement" onClick={() => setDetails(true)}>
          <strong>{text.announcement}</strong>
          <span className="ellipsis grow">{conversation.announcement}</span>
        </button>
      ) : null}
    </>
  );
}
