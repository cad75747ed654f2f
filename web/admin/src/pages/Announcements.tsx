import { Button, Textarea } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { useActions } from '../Actions';
import { api } from '../calls';
import { content } from '../content';
import { useText } from '../language';
import { Card, Head, Moment, Tag } from '../Parts';
import { Link } from '../route';
import { Listing } from '../Table';
import type { Message } from '../types';

const longest = 10_000; // characters of a text message

/** Texts to everybody: written, listed, taken back. */
export default function Announcements() {
  const text = useText();
  const { ask } = useActions();
  const [version, setVersion] = useState(0);
  const changed = () => setVersion((n) => n + 1);
  return (
    <>
      <Head title={text.sections.announcements} />
      <Write written={changed} />
      <Card title={text.sent}>
        <Listing<Message>
          name="announcements"
          version={version}
          caption={text.sent}
          empty={text.noAnnouncements}
          keyOf={({ message_id }) => message_id}
          load={async ({ cursor }, signal) => {
            const page = await api.announcements(cursor, signal);
            return { ...page, rows: page.announcements };
          }}
          columns={[
            { title: text.time, cell: ({ created_at }) => <Moment at={created_at} /> },
            { title: text.content, cell: (message) => <span className={message.recalled_at ? 'dim pre' : 'pre'}>{content(text, message)}</span> },
            { title: text.trace, cell: ({ message_id }) => <Link to={`messages/${message_id}`} className="nowrap">{text.showTrace}</Link> },
            {
              title: text.actions,
              cell: ({ message_id, recalled_at }) =>
                recalled_at ? (
                  <Tag mood="plain">{text.removed}</Tag>
                ) : (
                  <Button
                    size="xs"
                    color="red"
                    variant="light"
                    onClick={() =>
                      ask({
                        title: text.removeAnnouncementTitle,
                        body: text.removeAnnouncementBody,
                        action: text.removeMessage,
                        input: { label: text.reason, kind: 'text', required: false },
                        done: text.removedMessage,
                        run: async (reason) => {
                          await api.removeMessage(message_id, reason.trim());
                          changed();
                        },
                      })
                    }
                  >
                    {text.removeMessage}
                  </Button>
                ),
            },
          ]}
        />
      </Card>
    </>
  );
}

function Write({ written }: { readonly written: () => void }) {
  const text = useText();
  const { ask } = useActions();
  const [draft, setDraft] = useState('');
  // The key of what is being written: a repeat after a lost answer is not a second announcement.
  const [key, setKey] = useState(() => crypto.randomUUID());

  function submit(event: FormEvent): void {
    event.preventDefault();
    ask({
      title: text.announceTitle,
      body: text.announceBody(draft.trim()),
      action: text.announce,
      typed: text.everybody,
      done: text.announced,
      run: async () => {
        await api.announce(draft.trim(), key);
        setDraft('');
        setKey(crypto.randomUUID());
        written();
      },
    });
  }

  return (
    <Card title={text.writeAnnouncement}>
      <form className="stack" onSubmit={submit}>
        <p className="dim">{text.announceLead}</p>
        <Textarea
          label={text.announcementText}
          required
          withAsterisk={false}
          rows={4}
          maxLength={longest}
          value={draft}
          onChange={(event) => {
            setDraft(event.currentTarget.value);
            setKey(crypto.randomUUID());
          }}
        />
        <div className="row">
          <Button type="submit" disabled={draft.trim() === ''}>
            {text.announce}
          </Button>
        </div>
      </form>
    </Card>
  );
}
