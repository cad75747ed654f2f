import type { Conversation, Message, User } from '@ackbox/client';
import { memo } from 'react';
import { Bubble } from './Bubble';
import { MessageMenu } from './MessageMenu';
import { useLanguage } from './language';
import { dayName } from './moment';
import { NoticeText } from './NoticeText';
import type { Row } from './rows';
import { Unsent } from './Unsent';

interface Props {
  readonly me: User;
  readonly row: Row;
  readonly conversation: Conversation | null;
  readonly onReply: (message: Message) => void;
  readonly onInfo: (message: Message) => void;
  readonly onJump: (seq: number) => Promise<void>;
}

/** A message with what stands above it. */
export const MessageLine = memo(function MessageLine({ me, row, conversation, onReply, onInfo, onJump }: Props) {
  const { language, text } = useLanguage();
  const { item } = row;
  return (
    <div className={row.first ? 'message-row message-first' : 'message-row'}>
      {row.day ? (
        <div className="day" role="separator">
          {dayName(language, text, row.at)}
        </div>
      ) : null}
      {row.unread ? (
        <div className="unread-mark" role="separator">
          {text.newMessages}
        </div>
      ) : null}
      {item.message?.type === 'notice' ? (
        <p className="notice">
          <NoticeText me={me} message={item.message} />
        </p>
      ) : (
        <div className={item.mine ? 'message message-mine' : 'message'} data-state={item.state ?? undefined}>
          <Bubble me={me} row={row} group={conversation?.kind === 'group' && !conversation.everyone} onJump={onJump} onInfo={onInfo} />
          {item.message && !item.message.recalled_at ? (
            <MessageMenu message={item.message} mine={item.mine} conversation={conversation} onReply={onReply} onInfo={onInfo} />
          ) : null}
        </div>
      )}
      {item.pending?.state === 'failed' ? <Unsent item={item.pending} /> : null}
    </div>
  );
});
