import type { Conversation, Message, MessageList, User } from '@ackbox/client';
import { useEffect, useRef, useState } from 'react';
import { useClient } from './client';
import { Composer } from './Composer';
import { ConversationHead } from './ConversationHead';
import { useText } from './language';
import { Messages } from './Messages';
import { errorText } from './problem';
import { answeredOf, placeOf, useWriting } from './writings';

/** Messages that are loaded at a time, and that are in the page: some screens of them. */
const pages = { pageSize: 50, limit: 200 };

interface Props {
  readonly me: User;
  readonly conversationID: string | null;
  readonly peerID: string | null;
  /** null until known, and of a direct chat before its first message. */
  readonly conversation: Conversation | null;
}

/** The open conversation. */
export function ConversationView({ me, conversationID, peerID, conversation }: Props) {
  const text = useText();
  const list = useMessageList(conversationID, peerID);
  const [, write] = useWriting(placeOf(conversationID ?? conversation?.conversation_id ?? null, peerID));
  const reply = useRef((message: Message) => write({ reply: answeredOf(message) }));
  const [error, setError] = useState('');
  const client = useClient();
  // The list of conversations hears of one that was not among the loaded ones.
  const missing = conversation ? null : conversationID;
  useEffect(() => {
    let gone = false;
    if (!missing) return;
    client.conversation(missing).catch((failure: unknown) => {
      if (!gone) setError(errorText(text, failure));
    });
    return () => {
      gone = true;
    };
  }, [client, missing, text]);
  return (
    <main className="view">
      <ConversationHead me={me} conversation={conversation} peerID={peerID} />
      {missing && error ? (
        <p className="error pad" role="alert">
          {error}
        </p>
      ) : null}
      {list ? <Messages key={conversation ? 'known' : 'new'} me={me} list={list} conversation={conversation} onReply={reply.current} /> : <div className="grow" />}
      {conversation?.everyone ? (
        <p className="composer composer-note dim">{text.everyone}</p>
      ) : (
        <Composer me={me} conversation={conversation} conversationID={conversationID} peerID={peerID} />
      )}
    </main>
  );
}

function useMessageList(conversationID: string | null, peerID: string | null): MessageList | null {
  const client = useClient();
  const [list, setList] = useState<MessageList | null>(null);
  useEffect(() => {
    if (!peerID && !conversationID) return;
    const opened = client.messages(peerID ? { to: peerID } : { conversation: conversationID ?? '' }, pages);
    setList(opened);
    return () => opened.close();
    // A direct conversation is the same one before and after it has an id.
  }, [client, peerID, peerID ? null : conversationID]);
  return list;
}
