import type { MemberPosition, Message } from '@ackbox/client';
import { useEffect, useState } from 'react';
import { useClient } from './client';
import { Dialog } from './Dialog';
import { useText } from './language';
import { PersonLine } from './PersonLine';
import { answered, errorText } from './problem';

type State = 'read' | 'delivered' | 'undelivered';

/** Who has read a message, who has received it, and who has not. */
export function ReadBy({ message, onClose }: { message: Message; onClose: () => void }) {
  const text = useText();
  const { members, error } = useReaders(message);
  const groups: [State, string][] = [
    ['read', text.readers],
    ['delivered', text.receivers],
    ['undelivered', text.waiting],
  ];
  return (
    <Dialog onClose={onClose} title={text.info}>
      {error ? <p role="alert" className="error">{error}</p> : null}
      {members
        ? groups.map(([state, title]) => {
            const of = members.filter((member) => stateOf(message, member) === state);
            return (
              <section key={state}>
                <h2 className="title">{title} · {of.length}</h2>
                <ul className="people">
                  {of.map((member) => (
                    <li key={member.user_id} className="person">
                      <PersonLine userID={member.user_id} />
                    </li>
                  ))}
                </ul>
              </section>
            );
          })
        : null}
    </Dialog>
  );
}

function stateOf(message: Message, member: MemberPosition): State {
  if (member.read_seq >= message.conversation_seq) return 'read';
  return member.delivered_seq >= message.conversation_seq ? 'delivered' : 'undelivered';
}

function useReaders(message: Message): { members: readonly MemberPosition[] | null; error: string } {
  const client = useClient();
  const text = useText();
  const [members, setMembers] = useState<readonly MemberPosition[] | null>(null);
  const [error, setError] = useState('');
  useEffect(() => {
    let gone = false;
    const load = () =>
      void answered(client.rest.GET('/v1/messages/{message_id}/receipts', { params: { path: { message_id: message.message_id }, query: { limit: 200 } } })).then(
        (answer) => {
          if (!gone) setMembers(answer.members);
        },
        (failure: unknown) => {
          if (!gone) setError(errorText(text, failure));
        },
      );
    load();
    const end = client.on('receipt', ({ conversationID }) => {
      if (conversationID === message.conversation_id) load();
    });
    return () => {
      gone = true;
      end();
    };
  }, [client, text, message]);
  return { members, error };
}
