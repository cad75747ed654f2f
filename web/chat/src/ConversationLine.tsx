import type { Conversation, Message, User } from '@ackbox/client';
import { memo } from 'react';
import { Face } from './Face';
import { MuteIcon, PinIcon } from './icons';
import { useLanguage } from './language';
import { shortTime } from './moment';
import { nameOf, useName, useUser } from './people';
import { preview } from './preview';
import { NoticeText } from './NoticeText';
import { placeOf, useWriting } from './writings';

interface Props {
  readonly me: User;
  readonly conversation: Conversation;
  readonly current: boolean;
}

export const ConversationLine = memo(function ConversationLine({ me, conversation, current }: Props) {
  const { language, text } = useLanguage();
  const peer = useUser(conversation.peer_id);
  const [writing] = useWriting(placeOf(conversation.conversation_id, conversation.peer_id));
  const name = conversation.kind === 'direct' ? (peer ? nameOf(peer) : '…') : conversation.name;
  const last = conversation.last_message;
  return (
    <a className={current ? 'line line-current' : 'line'} href={`#c/${conversation.conversation_id}`} aria-current={current ? 'page' : undefined}>
      <Face name={name} picture={conversation.kind === 'direct' ? peer?.avatar_url : conversation.avatar_url} />
      <span className="line-body">
        <span className="line-row">
          <span className="line-name ellipsis">{name}</span>
          {conversation.pinned ? <span className="line-mark" role="img" aria-label={text.pinned}><PinIcon /></span> : null}
          {conversation.muted ? <span className="line-mark" role="img" aria-label={text.muted}><MuteIcon /></span> : null}
          <time className="line-time" dateTime={conversation.updated_at}>{shortTime(language, text, last?.created_at ?? conversation.updated_at)}</time>
        </span>
        <span className="line-row">
          <span className="line-last ellipsis">
            {writing.text && !current ? (
              <>
                <span className="line-draft">{text.draft}</span> {writing.text.slice(0, 100)}
              </>
            ) : last ? (
              <LastMessage me={me} message={last} group={conversation.kind === 'group' && !conversation.everyone} />
            ) : null}
          </span>
          {conversation.unread_mentions > 0 ? <span className="badge" role="img" aria-label={text.mentions(conversation.unread_mentions)}>
              @{conversation.unread_mentions > 1 ? conversation.unread_mentions : ''}
            </span> : null}
          {conversation.unread > 0 ? (
            <span className={conversation.muted ? 'badge badge-muted' : 'badge'} role="img" aria-label={text.unread(conversation.unread)}>
              {conversation.unread > 99 ? '99+' : conversation.unread}
            </span>
          ) : null}
        </span>
      </span>
    </a>
  );
});

function LastMessage({ me, message, group }: { me: User; message: Message; group: boolean }) {
  const { text } = useLanguage();
  const sender = useName(message.sender_id);
  if (message.type === 'notice') return <NoticeText me={me} message={message} />;
  const words = preview(text, message);
  const who = message.sender_id === me.user_id ? text.you : sender;
  return message.sender_id === me.user_id || group ? `${who}: ${words}` : words;
}
