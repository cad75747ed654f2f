import type { components, MemberPosition, Message } from '@ackbox/client';
import { Button } from '@mantine/core';
import { useCallback, useEffect, useRef, useState } from 'react';
import { useClient } from './client';
import { Dialog } from './Dialog';
import { useText } from './language';
import { PersonLine } from './PersonLine';
import { answered, errorText } from './problem';

type State = 'read' | 'delivered' | 'undelivered';
type Answer = components['schemas']['MessageReceiptsOutputBody'];

/** Members that are read at once. */
const page = 100;
/** How long no receipt has come before the members are read again, in ms. */
const pause = 300;

/** Who has read a message, who has received it, and who has not. */
export function ReadBy({ message, onClose }: { message: Message; onClose: () => void }) {
  const text = useText();
  const { answer, members, hasMore, more, error } = useReaders(message);
  const read = answer?.read_count ?? 0;
  const delivered = answer?.delivered_count ?? 0;
  const groups: [State, string, number][] = [
    ['read', text.readers, read],
    ['delivered', text.receivers, delivered - read],
    ['undelivered', text.waiting, (answer?.member_count ?? 0) - delivered],
  ];
  return (
    <Dialog onClose={onClose} title={text.info}>
      {error ? (
        <p role="alert" className="error">
          {error}
        </p>
      ) : null}
      {answer
        ? groups.map(([state, title, count]) => (
            <section key={state}>
              <h2 className="title">
                {title} · {count}
              </h2>
              <ul className="people">
                {members
                  .filter((member) => stateOf(message, member) === state)
                  .map((member) => (
                    <li key={member.user_id} className="person">
                      <PersonLine userID={member.user_id} />
                    </li>
                  ))}
              </ul>
            </section>
          ))
        : null}
      {hasMore ? (
        <Button variant="subtle" onClick={more}>
          {text.more}
        </Button>
      ) : null}
    </Dialog>
  );
}

function stateOf(message: Message, member: MemberPosition): State {
  if (member.read_seq >= message.conversation_seq) return 'read';
  return member.delivered_seq >= message.conversation_seq ? 'delivered' : 'undelivered';
}

/** The first members of whom it is known, and more when they are wanted; read again when a receipt comes. */
function useReaders(message: Message) {
  const client = useClient();
  const text = useText();
  const [shown, setShown] = useState<{ answer: Answer | null; members: readonly MemberPosition[] }>({ answer: null, members: [] });
  const [error, setError] = useState('');
  const wanted = useRef(page);
  const load = useCallback(async () => {
    const members: MemberPosition[] = [];
    let cursor: string | undefined;
    for (;;) {
      const answer: Answer = await answered(
        client.rest.GET('/v1/messages/{message_id}/receipts', { params: { path: { message_id: message.message_id }, query: { limit: page, ...(cursor ? { cursor } : {}) } } }),
      );
      members.push(...answer.members);
      cursor = answer.next_cursor;
      if (!answer.has_more || members.length >= wanted.current) return { answer, members };
    }
  }, [client, message]);
  const latest = useRef(0);
  const show = useCallback(() => {
    const turn = ++latest.current;
    load().then(
      (found) => {
        if (turn === latest.current) setShown(found);
      },
      (failure: unknown) => {
        if (turn === latest.current) setError(errorText(text, failure));
      },
    );
  }, [load, text]);
  useEffect(() => {
    show();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = client.on('receipt', ({ conversationID }) => {
      if (conversationID !== message.conversation_id) return;
      clearTimeout(timer);
      timer = setTimeout(show, pause);
    });
    return () => {
      latest.current++;
      clearTimeout(timer);
      end();
    };
  }, [client, message, show]);
  const more = () => {
    wanted.current += page;
    show();
  };
  return { ...shown, hasMore: shown.answer?.has_more ?? false, more, error };
}
