import type { Conversation, User } from '@ackbox/client';
import { useEffect, useState } from 'react';
import { useClient, usePeople } from './client';
import { useText } from './language';
import { nameOf } from './people';
import { preview } from './preview';

/** Tells screen readers what arrives in the open conversation. */
export function Announcer({ me, conversation }: { me: User; conversation: Conversation | null }) {
  const client = useClient();
  const people = usePeople();
  const text = useText();
  const [said, setSaid] = useState('');
  const id = conversation?.conversation_id;
  useEffect(
    () =>
      client.on('message', ({ message }) => {
        if (message.conversation_id !== id || message.sender_id === me.user_id) return;
        const sender = people.get(message.sender_id);
        setSaid(`${sender ? nameOf(sender) : ''}: ${preview(text, message)}`);
      }),
    [client, people, text, me, id],
  );
  return (
    <div className="hidden" role="log" aria-live="polite">
      {said}
    </div>
  );
}
