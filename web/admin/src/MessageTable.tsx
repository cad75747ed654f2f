import { content } from './content';
import { useText } from './language';
import { Moment, UserLink } from './Parts';
import { Link } from './route';
import { type Column, Table } from './Table';
import type { Message } from './types';

/** The columns of a list of messages. */
export function useMessageColumns(): readonly Column<Message>[] {
  const text = useText();
  return [
    { title: text.seq, number: true, cell: (message) => message.conversation_seq },
    { title: text.time, cell: (message) => <Moment at={message.created_at} /> },
    { title: text.sender, cell: (message) => <UserLink id={message.sender_id} name={message.sender_id} /> },
    { title: text.content, cell: (message) => <span className={message.recalled_at ? 'dim clamp' : 'clamp'}>{content(text, message)}</span> },
    { title: text.trace, cell: (message) => <Link to={`messages/${message.message_id}`} className="nowrap">{text.showTrace}</Link> },
  ];
}

export function MessageTable({ messages, caption }: { readonly messages: readonly Message[]; readonly caption: string }) {
  return <Table caption={caption} rows={messages} keyOf={({ message_id }) => message_id} columns={useMessageColumns()} />;
}
