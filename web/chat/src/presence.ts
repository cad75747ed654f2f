import type { Conversation, Presence, User } from '@ackbox/client';
import { useEffect, useState } from 'react';
import { useClient, useObservable } from './client';
import { useLanguage } from './language';
import { fullTime } from './moment';
import { useNames } from './people';

/** How long a typing frame holds, in ms. */
const typingHolds = 5_000;
/** Names in the line; of more people who write at once there is none. */
const mostTyping = 3;

/** Who is writing, else whether the other is there, else how many members there are. */
export function useStatusLine(me: User, conversation: Conversation | null, peerID: string | null): string {
  const { language, text } = useLanguage();
  const typing = useTyping(me, conversation?.conversation_id ?? null);
  const presence = usePresence(peerID, conversation !== null);
  const name = useNames(typing);
  if (typing.length > mostTyping) return text.typingMany;
  if (typing.length > 0) return text.typing(typing.map(name).join(', '));
  if (conversation?.everyone) return text.toEverybody;
  if (conversation?.kind === 'group') return text.memberCount(conversation.member_count);
  if (!presence) return '';
  if (presence.online) return text.online;
  return presence.last_seen_at ? text.lastSeen(fullTime(language, presence.last_seen_at)) : text.offline;
}

function useTyping(me: User, conversationID: string | null): readonly string[] {
  const client = useClient();
  const [users, setUsers] = useState<readonly string[]>([]);
  useEffect(() => {
    const timers = new Map<string, ReturnType<typeof setTimeout>>();
    const stop = (userID: string) => {
      clearTimeout(timers.get(userID));
      if (timers.delete(userID)) setUsers([...timers.keys()]);
    };
    const ends = [
      client.on('typing', (frame) => {
        if (frame.conversation_id !== conversationID || frame.user_id === me.user_id) return;
        clearTimeout(timers.get(frame.user_id));
        if (!timers.has(frame.user_id) && timers.size > mostTyping) return;
        timers.set(frame.user_id, setTimeout(() => stop(frame.user_id), typingHolds));
        setUsers([...timers.keys()]);
      }),
      client.on('message', ({ message }) => {
        if (message.conversation_id === conversationID) stop(message.sender_id);
      }),
    ];
    return () => {
      for (const end of ends) end();
      for (const timer of timers.values()) clearTimeout(timer);
      setUsers([]);
    };
  }, [client, me, conversationID]);
  return users;
}

/** Whether a user is there; null if the server does not say, as of who has not `met` me yet. Asked again at every connection. */
function usePresence(userID: string | null, met: boolean): Presence | null {
  const client = useClient();
  const online = useObservable(client.connection).state === 'online';
  const [presence, setPresence] = useState<Presence | null>(null);
  useEffect(() => {
    if (!userID || !online || !met) return;
    let gone = false;
    client.rest.GET('/v1/users/presence', { params: { query: { user_ids: [userID] } } }).then(
      ({ data }) => {
        if (!gone) setPresence(data?.presence[0] ?? null);
      },
      () => undefined,
    );
    const end = client.on('presence', (frame) => {
      if (frame.user_id === userID) setPresence(frame);
    });
    return () => {
      gone = true;
      end();
    };
  }, [client, userID, online, met]);
  return online ? presence : null;
}
