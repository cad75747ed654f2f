import type { Conversation, Draft, Message, User } from '@ackbox/client';
import { ActionIcon } from '@mantine/core';
import { type FormEvent, type KeyboardEvent, useRef, useState } from 'react';
import { useClient } from './client';
import { Attach } from './Attach';
import { CloseIcon, SendIcon } from './icons';
import { useText } from './language';
import { MentionList } from './MentionList';
import { type Called, mentionsOf, useMentions } from './mentions';
import { useName } from './people';
import { preview } from './preview';

/** The server's bound on a text, in characters. */
const mostCharacters = 10_000;
const mostRows = 6;

interface Props {
  readonly me: User;
  readonly conversation: Conversation | null;
  readonly conversationID: string | null;
  readonly peerID: string | null;
  readonly reply: Message | null;
  readonly onReplyDone: () => void;
}

/** Where messages are written. */
export function Composer({ me, conversation, conversationID, peerID, reply, onReplyDone }: Props) {
  const client = useClient();
  const text = useText();
  const field = useRef<HTMLTextAreaElement>(null);
  const [value, setValue] = useState('');
  const [called, setCalled] = useState<readonly Called[]>([]);
  const [error, setError] = useState('');
  const mentions = useMentions(me, conversation, value);
  const id = conversation?.conversation_id ?? conversationID;

  /** Puts it into the outbox; the field is empty at once, so that a second press sends nothing. */
  function send(content: Pick<Draft, 'type' | 'body' | 'mentions'>): void {
    setError('');
    const at = peerID ? { to: peerID } : { conversation: id ?? '' };
    client.send({ ...at, ...content, replyTo: reply?.message_id ?? null }).catch(() => {
      setError(text.errors.storage);
      if (typeof content.body['text'] === 'string') setValue(content.body['text']);
    });
    onReplyDone();
  }

  function submit(event?: FormEvent): void {
    event?.preventDefault();
    const words = value.trim();
    if (!words) return;
    const calls = conversation?.kind === 'group' ? mentionsOf(words, called, text) : undefined;
    setValue('');
    setCalled([]);
    send({ type: 'text', body: { text: words }, ...(calls ? { mentions: calls } : {}) });
    field.current?.focus();
  }

  function choose(chosen: Called): void {
    setValue(mentions.complete(chosen));
    setCalled([...called, chosen]);
    field.current?.focus();
  }

  function keyDown(event: KeyboardEvent): void {
    if (event.nativeEvent.isComposing) return;
    if (mentions.keyDown(event, choose)) return;
    if (event.key === 'Escape' && reply) onReplyDone();
    if (event.key !== 'Enter' || event.shiftKey) return;
    event.preventDefault();
    submit();
  }

  return (
    <form className="composer" onSubmit={submit}>
      {mentions.offered.length > 0 ? <MentionList offered={mentions.offered} current={mentions.current} onChoose={choose} /> : null}
      {reply ? <ReplyBar message={reply} onCancel={onReplyDone} /> : null}
      {error ? (
        <p className="error" role="alert">
          {error}
        </p>
      ) : null}
      <div className="composer-row">
        <Attach onSend={send} onError={setError} />
        <textarea
          ref={field}
          className="composer-field"
          aria-label={text.write}
          placeholder={text.write}
          dir="auto"
          rows={Math.min(mostRows, value.split('\n').length)}
          maxLength={mostCharacters}
          value={value}
          onChange={(event) => {
            setValue(event.currentTarget.value);
            if (id && event.currentTarget.value) client.typing(id);
          }}
          onKeyDown={keyDown}
        />
        <ActionIcon type="submit" size="xl" radius="xl" aria-label={text.send} disabled={!value.trim()}>
          <SendIcon />
        </ActionIcon>
      </div>
    </form>
  );
}

function ReplyBar({ message, onCancel }: { message: Message; onCancel: () => void }) {
  const text = useText();
  const name = useName(message.sender_id);
  return (
    <div className="reply">
      <div className="grow">
        <strong>{text.replyTo(name)}</strong>
        <div className="ellipsis">{preview(text, message)}</div>
      </div>
      <ActionIcon variant="subtle" aria-label={text.cancel} onClick={onCancel}>
        <CloseIcon />
      </ActionIcon>
    </div>
  );
}
