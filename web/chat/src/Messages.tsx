import type { Conversation, Message, MessageItem, MessageList, User } from '@ackbox/client';
import { useEffect, useState } from 'react';
import { Virtuoso } from 'react-virtuoso';
import { useObservable } from './client';
import { Announcer } from './Announcer';
import { DownIcon } from './icons';
import { useText } from './language';
import { MessageLine } from './MessageLine';
import { ReadBy } from './panels';
import { errorText } from './problem';
import { useReading } from './reading';
import { useRows, type Row } from './rows';
import { useScroll } from './scroll';

/** Unread messages that are surely on the newest page. */
const mostAtOnce = 40;
const nothing: readonly MessageItem[] = [];

/** Room around the messages. */
const room = { Header: () => <div className="room" />, Footer: () => <div className="room" /> };

interface Props {
  readonly me: User;
  readonly list: MessageList;
  readonly conversation: Conversation | null;
  readonly onReply: (message: Message) => void;
}

/** The messages of a conversation. Only those in sight are in the page. */
export function Messages({ me, list, conversation, onReply }: Props) {
  const text = useText();
  const state = useObservable(list);
  const [far] = useState(conversation && conversation.unread > mostAtOnce ? conversation.read_seq + 1 : null);
  const [there, setThere] = useState(far === null);
  const rows = useRows(there ? state.items : nothing, conversation);
  const scroll = useScroll(list, rows);
  const { jump } = scroll;
  // What is new begins above the newest page: go there first, so that nothing counts as read which nobody saw.
  useEffect(() => {
    if (far !== null && !there) void jump(far).finally(() => setThere(true));
  }, [far, there, jump]);
  const [info, setInfo] = useState<Message | null>(null);
  const onRange = useReading(conversation, rows, scroll.firstIndex, scroll.atEnd && !state.hasNewer);
  return (
    <section className="messages" aria-label={conversation?.name || text.conversations}>
      {state.error ? (
        <p className="error pad" role="alert">
          {errorText(text, state.error)}
        </p>
      ) : null}
      {rows.length === 0 ? (
        <p className="dim pad grow">{state.loading || !there ? text.loading : text.noMessages}</p>
      ) : (
        <Virtuoso<Row>
          key={scroll.place}
          ref={scroll.ref}
          className="messages-list"
          tabIndex={0}
          components={room}
          data={rows}
          firstItemIndex={scroll.firstIndex}
          initialTopMostItemIndex={scroll.start}
          alignToBottom
          atBottomThreshold={60}
          increaseViewportBy={300}
          computeItemKey={(_, row) => row.item.key}
          followOutput={(atBottom) => !state.hasNewer && (atBottom || rows.at(-1)?.item.pending ? 'auto' : false)}
          atBottomStateChange={scroll.setAtEnd}
          startReached={() => {
            if (state.hasOlder) void list.loadOlder();
          }}
          endReached={() => {
            if (state.hasNewer) void list.loadNewer();
          }}
          rangeChanged={onRange}
          itemContent={(_, row) => (
            <MessageLine me={me} row={row} conversation={conversation} onReply={onReply} onInfo={setInfo} onJump={scroll.jump} />
          )}
        />
      )}
      {rows.length > 0 && (!scroll.atEnd || state.hasNewer) ? (
        <button type="button" className="newest" aria-label={text.newest} onClick={() => void scroll.newest()}>
          <DownIcon />
          {conversation && conversation.unread > 0 ? <span className="badge">{conversation.unread}</span> : null}
        </button>
      ) : null}
      <Announcer me={me} conversation={conversation} />
      {info ? <ReadBy message={info} onClose={() => setInfo(null)} /> : null}
    </section>
  );
}
