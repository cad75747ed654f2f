import type { Conversation, ConversationList, User } from '@ackbox/client';
import { TextInput } from '@mantine/core';
import { useEffect, useMemo, useState } from 'react';
import { Virtuoso } from 'react-virtuoso';
import { useObservable } from './client';
import { ConversationLine } from './ConversationLine';
import { Face } from './Face';
import { useText } from './language';
import { MainMenu } from './MainMenu';
import { nameOf, useNames, useUser } from './people';
import { StartMenu } from './StartMenu';

/** Conversations that are loaded for a search. */
const mostSearched = 2_000;

/** My conversations, with a search through them. */
export function ConversationColumn({ me, list, openID }: { me: User; list: ConversationList; openID: string | null }) {
  const text = useText();
  const { conversations, hasMore } = useObservable(list);
  const myself = useUser(me.user_id) ?? me;
  const [query, setQuery] = useState('');
  const searching = query.trim() !== '';
  // What is not loaded yet cannot be found by its name.
  useEffect(() => {
    if (searching && hasMore && conversations.length < mostSearched) list.loadMore().catch(() => undefined); // asked again at the next letter
  }, [list, searching, hasMore, conversations.length]);
  const peers = useMemo(() => conversations.flatMap((c) => (c.peer_id ? [c.peer_id] : [])), [conversations]);
  const found = useFound(conversations, peers, query);
  return (
    <nav className="column" aria-label={text.conversations}>
      <h1 className="hidden">{text.conversations}</h1>
      <header className="column-head">
        <Face name={nameOf(myself)} picture={myself.avatar_url} />
        <strong className="grow ellipsis">{nameOf(myself)}</strong>
        <StartMenu me={me} />
        <MainMenu me={me} />
      </header>
      <div className="column-search">
        <TextInput type="search" aria-label={text.search} placeholder={text.search} value={query} onChange={(event) => setQuery(event.currentTarget.value)} />
      </div>
      {found.length === 0 ? <p className="dim pad">{query ? text.nothingFound : text.noConversations}</p> : null}
      <Virtuoso
        className="column-list"
        tabIndex={-1} // its lines take the focus
        data={found}
        computeItemKey={(_, conversation) => conversation.conversation_id}
        itemContent={(_, conversation) => <ConversationLine me={me} conversation={conversation} current={conversation.conversation_id === openID} />}
        endReached={() => {
          if (hasMore) list.loadMore().catch(() => undefined); // asked again at the next scroll
        }}
      />
    </nav>
  );
}

function useFound(conversations: readonly Conversation[], peers: readonly string[], query: string): readonly Conversation[] {
  const name = useNames(peers);
  const wanted = query.trim().toLowerCase();
  if (!wanted) return conversations;
  return conversations.filter((c) => (c.peer_id ? name(c.peer_id) : c.name).toLowerCase().includes(wanted));
}
