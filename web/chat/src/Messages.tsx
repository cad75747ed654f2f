import type { Conversation, Message, MessageItem, MessageList, User } from '@ackbox/client';
import { useEffect, useMemo, useState } from 'react';
import { useObservable } from './client';
import { Announcer } from './Announcer';
import { DownIcon } from './icons';
import { useText } from './language';
import { MessageLine } from './MessageLine';
import { ReadBy } from './panels';
import { errorText } from './problem';
import { useReading } from './reading';
import { useRows } from './rows';
import { useScroll } from './scroll';
import { Scroller } from './Scroller';

/** Unread messages that are surely on the newest page. */
const mostAtOnce = 40;
/** Rows between what is in sight and what is not loaded: when there are fewer, more are loaded. */
const ahead = 25;
const nothing: readonly MessageItem[] = [];

interface Props {
  readonly me: User;
  readonly list: MessageList;
  readonly conversation: Conversation | null;
  readonly onReply: (message: Message) => void;
}

/** The messages of a conversation. Those around what is in sight are in the page, and not all. */
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
  const onLast = useReading(conversation, rows, scroll.atEnd && !state.hasNewer);
  const keys = useMemo(() => rows.map((row) => row.item.key), [rows]);
  const lasting = useLasting(conversation);
  const writing = rows.at(-1)?.item.pending?.state === 'sending';
  /** Loads before the end of what is loaded is in sight, so that scrolling does not stop there. */
  function onSight(first: number, last: number, scrolled: boolean): void {
    onLast(last);
    const { hasOlder, hasNewer, loading, error } = list.get();
    if (loading !== null || (error && !scrolled)) return;
    if (hasOlder && first < ahead) void list.loadOlder();
    else if (hasNewer && rows.length - 1 - last < ahead) void list.loadNewer();
  }
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
        <Scroller
          key={scroll.place}
          ref={scroll.ref}
          keys={keys}
          row={(index) => {
            const row = rows[index];
            return row ? <MessageLine me={me} row={row} conversation={lasting} onReply={onReply} onInfo={setInfo} onJump={scroll.jump} /> : null;
          }}
          start={scroll.start}
          follow={state.hasNewer ? 'no' : writing ? 'always' : 'atEnd'}
          onSight={onSight}
          onAtEnd={scroll.setAtEnd}
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

/** What changes with each message, and no row shows. */
const passing: ReadonlySet<string> = new Set<keyof Conversation>(['head', 'last_message', 'unread', 'unread_mentions', 'read_seq', 'updated_at']);

/** The conversation as its rows see it: the same object as long as nothing that they show has changed, so that they are not drawn for each message. */
function useLasting(conversation: Conversation | null): Conversation | null {
  const [held, setHeld] = useState(conversation);
  if (held === conversation || (held && conversation && essence(held) === essence(conversation))) return held;
  setHeld(conversation);
  return conversation;
}

function essence(conversation: Conversation): string {
  return JSON.stringify(conversation, (key, value: unknown) => (passing.has(key) ? undefined : value));
}
