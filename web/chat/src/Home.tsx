import type { ConversationList, User } from '@ackbox/client';
import { useEffect, useState } from 'react';
import { useClient, useObservable, usePeople } from './client';
import { ConnectionBar } from './ConnectionBar';
import { ConversationColumn } from './ConversationColumn';
import { ConversationView } from './ConversationView';
import { loadAll } from './lazily';
import { Notifier } from './Notifier';
import { useRoute } from './route';
import { useText } from './language';

/** The page of who is signed in: the conversations, and the open one. */
export function Home({ me }: { me: User }) {
  const client = useClient();
  const people = usePeople();
  const [list, setList] = useState<ConversationList | null>(null);
  useEffect(() => {
    people.add([me]);
    void client.connect();
  }, [client, people, me]);
  const online = useObservable(client.connection).state === 'online';
  useEffect(() => {
    if (!online) return;
    loadAll();
    // My name may have been changed on another device.
    client.rest.GET('/v1/users/me').then(({ data }) => data && people.add([data]), () => undefined);
  }, [online, client, people]);
  useEffect(() => {
    const opened = client.conversations();
    setList(opened);
    return () => opened.close();
  }, [client]);
  return list ? <Panes me={me} list={list} /> : null;
}

function Panes({ me, list }: { me: User; list: ConversationList }) {
  const text = useText();
  const route = useRoute();
  const state = useObservable(list);
  useEffect(() => {
    document.title = state.unread > 0 ? `(${state.unread}) Ackbox` : 'Ackbox';
  }, [state.unread]);
  const id = route && 'conversation' in route ? route.conversation : null;
  const to = route && 'to' in route ? route.to : null;
  const conversation = state.conversations.find((c) => (id ? c.conversation_id === id : to !== null && c.peer_id === to)) ?? null;
  const peer = to ?? conversation?.peer_id ?? null;
  return (
    <div className={route ? 'home home-open' : 'home'}>
      <ConnectionBar />
      <ConversationColumn me={me} list={list} openID={conversation?.conversation_id ?? null} />
      {route ? (
        <ConversationView key={peer ?? id} me={me} conversationID={id} peerID={peer} conversation={conversation} />
      ) : (
        <main className="view view-empty">
          <p className="dim">{text.pick}</p>
        </main>
      )}
      <Notifier me={me} list={list} openID={conversation?.conversation_id ?? null} />
    </div>
  );
}
