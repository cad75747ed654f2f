import type { Conversation, Draft, User } from '@ackbox/client';
import { ActionIcon, Button } from '@mantine/core';
import { type FormEvent, type KeyboardEvent, useEffect, useRef, useState } from 'react';
import { useClient } from './client';
import { Attach } from './Attach';
import { FilesOnTheirWay } from './FilesOnTheirWay';
import { CloseIcon, SendIcon } from './icons';
import { useText } from './language';
import { sizeOf } from './media';
import { MentionList } from './MentionList';
import { type Called, mentionsOf, useMentions } from './mentions';
import { pasted, useDrop } from './offered';
import { useName } from './people';
import { preview } from './preview';
import { mostFiles, useUploads } from './uploads';
import { type Answered, placeOf, useWriting } from './writings';

/** The server's bound on a text, in characters. */
const mostCharacters = 10_000;
const mostRows = 6;

interface Props {
  readonly me: User;
  readonly conversation: Conversation | null;
  readonly conversationID: string | null;
  readonly peerID: string | null;
}

/** Where messages are written. What is not sent is there again after a look at another conversation, and after a reload. */
export function Composer({ me, conversation, conversationID, peerID }: Props) {
  const client = useClient();
  const text = useText();
  const uploads = useUploads();
  const field = useRef<HTMLTextAreaElement>(null);
  const place = placeOf(conversationID ?? conversation?.conversation_id ?? null, peerID);
  const [{ text: value, called, reply }, write] = useWriting(place);
  const [offered, setOffered] = useState<readonly File[]>([]);
  const [error, setError] = useState('');
  const limit = useLimit();
  const over = useDrop(setOffered);
  const mentions = useMentions(me, conversation, value);
  const id = conversation?.conversation_id ?? conversationID;
  const to = { ...(peerID ? { to: peerID } : { conversation: id ?? '' }), replyTo: reply?.message_id ?? null };

  // A reply is written now.
  const answers = reply?.message_id;
  const first = useRef(answers);
  useEffect(() => {
    if (answers !== first.current && answers) field.current?.focus();
    first.current = answers;
  }, [answers]);

  /** Puts it into the outbox; the field is empty at once, so that a second press sends nothing. */
  function send(words: string, calls: Draft['mentions']): void {
    setError('');
    write({ text: '', called: [], reply: null });
    client.send({ ...to, type: 'text', body: { text: words }, ...(calls ? { mentions: calls } : {}) }).catch(() => {
      setError(text.errors.storage);
      write({ text: words, called, reply });
    });
  }

  function submit(event?: FormEvent): void {
    event?.preventDefault();
    const words = value.trim();
    if (!words) return;
    send(words, conversation?.kind === 'group' ? mentionsOf(words, called, text) : undefined);
    field.current?.focus();
  }

  const attach = (files: readonly File[]): void => {
    setError('');
    setOffered([]);
    // A large photograph is made smaller before it goes.
    const large = files.find((file) => limit !== null && file.size > limit && !file.type.startsWith('image/'));
    if (large && limit !== null) setError(text.fileTooLarge(large.name, sizeOf(large.size), sizeOf(limit)));
    else if (uploads.add(place, to, files)) write({ reply: null });
    else setError(text.tooManyFiles(mostFiles));
    field.current?.focus();
  };

  function choose(chosen: Called): void {
    write({ text: mentions.complete(chosen), called: [...called, chosen] });
    field.current?.focus();
  }

  function keyDown(event: KeyboardEvent): void {
    if (event.nativeEvent.isComposing) return;
    if (mentions.keyDown(event, choose)) return;
    if (event.key === 'Escape' && offered.length > 0) setOffered([]);
    else if (event.key === 'Escape' && reply) write({ reply: null });
    if (event.key !== 'Enter' || event.shiftKey) return;
    event.preventDefault();
    submit();
  }

  const hint = limit === null ? '' : text.attachHint(sizeOf(limit));
  return (
    <form className="composer" onSubmit={submit}>
      {over ? <div className="drop">{text.dropHere}</div> : null}
      {mentions.offered.length > 0 ? <MentionList offered={mentions.offered} current={mentions.current} onChoose={choose} /> : null}
      {conversation?.mute_all && conversation.role === 'member' ? <p className="composer-note dim">{text.mutedAll}</p> : null}
      {reply ? <ReplyBar message={reply} onCancel={() => write({ reply: null })} /> : null}
      <FilesOnTheirWay place={place} />
      {offered.length > 0 ? (
        <div className="offer" role="group" aria-label={text.sendFiles(offered.length)}>
          <p className="grow">
            {offered.slice(0, 5).map((file) => `${file.name} (${sizeOf(file.size)})`).join(', ')}
            {offered.length > 5 ? ` +${offered.length - 5}` : ''}
            {hint ? <span className="dim"> · {hint}</span> : null}
          </p>
          <Button variant="default" onClick={() => setOffered([])}>
            {text.cancel}
          </Button>
          <Button autoFocus onClick={() => attach(offered)}>
            {text.sendFiles(offered.length)}
          </Button>
        </div>
      ) : null}
      {error ? (
        <p className="error" role="alert">
          {error}
        </p>
      ) : null}
      <div className="composer-row">
        <Attach hint={hint} onChoose={attach} />
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
            write({ text: event.currentTarget.value });
            if (id && event.currentTarget.value) client.typing(id);
          }}
          onPaste={(event) => {
            const files = pasted(event);
            if (files.length === 0) return;
            event.preventDefault();
            setOffered(files);
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

/** Bytes that a file may have; null until known. */
function useLimit(): number | null {
  const uploads = useUploads();
  const [limit, setLimit] = useState<number | null>(null);
  useEffect(() => {
    let gone = false;
    void uploads.limit().then((found) => {
      if (!gone) setLimit(found);
    });
    return () => {
      gone = true;
    };
  }, [uploads]);
  return limit;
}

function ReplyBar({ message, onCancel }: { message: Answered; onCancel: () => void }) {
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
