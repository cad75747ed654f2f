import { Button, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { api } from '../calls';
import { TimeFilter } from '../Filters';
import { useText } from '../language';
import { useMessageColumns } from '../MessageTable';
import { Card, Head } from '../Parts';
import { go, useSearch } from '../route';
import { Listing } from '../Table';
import type { Message } from '../types';

const idPattern = '[0-9]{1,19}';

/** Finds a message, from what a user can tell about it. */
export default function Messages() {
  const text = useText();
  const [search] = useSearch();
  const columns = useMessageColumns();
  const query = {
    sender_id: search.get('sender_id') ?? '',
    client_message_id: search.get('client_message_id') ?? '',
    conversation_id: search.get('conversation_id') ?? '',
    from: search.get('from') ?? '',
    to: search.get('to') ?? '',
  };
  const asked = (query.sender_id && query.client_message_id) || query.conversation_id;
  return (
    <>
      <Head title={text.sections.messages} />
      <p className="lead">{text.messagesLead}</p>
      <div className="columns">
        <ById />
        <ByKey />
        <ByConversation />
      </div>
      {asked ? (
        <Card title={text.found}>
          <Listing<Message>
            name={JSON.stringify(query)}
            caption={text.found}
            keyOf={({ message_id }) => message_id}
            columns={columns}
            load={async ({ cursor }, signal) => {
              const page = await api.messages({ ...query, cursor }, signal);
              return { ...page, rows: page.messages };
            }}
          />
        </Card>
      ) : null}
    </>
  );
}

function ById() {
  const text = useText();
  const [id, setId] = useState('');
  function submit(event: FormEvent): void {
    event.preventDefault();
    go(`messages/${id.trim()}`);
  }
  return (
    <Card title={text.byId}>
      <form className="stack" onSubmit={submit}>
        <TextInput label={text.messageId} required withAsterisk={false} pattern={idPattern} inputMode="numeric" value={id} onChange={(event) => setId(event.currentTarget.value)} />
        <Button type="submit">{text.showTrace}</Button>
      </form>
    </Card>
  );
}

function ByKey() {
  const text = useText();
  const [search, change] = useSearch();
  const [sender, setSender] = useState(search.get('sender_id') ?? '');
  const [key, setKey] = useState(search.get('client_message_id') ?? '');
  function submit(event: FormEvent): void {
    event.preventDefault();
    change({ sender_id: sender.trim(), client_message_id: key.trim(), conversation_id: '', from: '', to: '' });
  }
  return (
    <Card title={text.byKey}>
      <form className="stack" onSubmit={submit}>
        <TextInput label={text.senderId} required withAsterisk={false} pattern={idPattern} inputMode="numeric" value={sender} onChange={(event) => setSender(event.currentTarget.value)} />
        <TextInput label={text.key} required withAsterisk={false} maxLength={128} spellCheck={false} value={key} onChange={(event) => setKey(event.currentTarget.value)} />
        <Button type="submit">{text.find}</Button>
      </form>
    </Card>
  );
}

function ByConversation() {
  const text = useText();
  const [search, change] = useSearch();
  const [conversation, setConversation] = useState(search.get('conversation_id') ?? '');
  function submit(event: FormEvent): void {
    event.preventDefault();
    change({ conversation_id: conversation.trim(), sender_id: '', client_message_id: '' });
  }
  return (
    <Card title={text.byConversation}>
      <form className="stack" onSubmit={submit}>
        <TextInput label={text.conversationId} required withAsterisk={false} pattern={idPattern} inputMode="numeric" value={conversation} onChange={(event) => setConversation(event.currentTarget.value)} />
        <div className="pair">
          <TimeFilter name="from" label={text.from} />
          <TimeFilter name="to" label={text.to} />
        </div>
        <Button type="submit">{text.find}</Button>
      </form>
    </Card>
  );
}
