import { api } from '../calls';
import { ChoiceFilter, TextFilter } from '../Filters';
import { count } from '../format';
import { type Text, useLanguage } from '../language';
import { Head, Tag, When } from '../Parts';
import { Link, useSearch } from '../route';
import { Listing } from '../Table';
import type { Conversation } from '../types';

/** Conversations and groups, searched. */
export default function Conversations() {
  const { language, text } = useLanguage();
  const [search] = useSearch();
  const filter = { q: search.get('q') ?? '', kind: search.get('kind') ?? '', delivery: search.get('delivery') ?? '', member_id: search.get('member_id') ?? '' };
  return (
    <>
      <Head title={text.sections.conversations} />
      <div className="filters">
        <TextFilter name="q" label={text.search} placeholder={text.searchConversations} />
        <ChoiceFilter name="kind" label={text.kind} choices={[{ value: '', label: text.any }, { value: 'direct', label: text.kinds.direct }, { value: 'group', label: text.kinds.group }]} />
        <ChoiceFilter name="delivery" label={text.delivery} choices={[{ value: '', label: text.any }, { value: 'mailbox', label: text.deliveries.mailbox }, { value: 'log', label: text.deliveries.log }]} />
        <TextFilter name="member_id" label={text.memberId} />
      </div>
      <Listing<Conversation>
        name={JSON.stringify(filter)}
        caption={text.sections.conversations}
        sort="-created_at"
        keyOf={({ id }) => id}
        load={async (query, signal) => {
          const page = await api.conversations({ ...filter, ...query }, signal);
          return { ...page, rows: page.conversations };
        }}
        columns={[
          { title: text.name, cell: (conversation) => <Link to={`conversations/${conversation.id}`}>{conversation.name || kindOf(conversation, text)}</Link> },
          { title: text.id, cell: ({ id }) => <code>{id}</code> },
          { title: text.kind, cell: (conversation) => kindOf(conversation, text) },
          { title: text.delivery, cell: ({ delivery }) => <span className="nowrap">{text.deliveryNames(delivery)}</span> },
          { title: text.members, sort: 'members', number: true, cell: ({ everyone, members }) => (everyone ? text.all : count(language, members)) },
          { title: text.messages, sort: 'head', number: true, cell: ({ head }) => count(language, head) },
          { title: text.state, cell: (conversation) => <ConversationState conversation={conversation} /> },
          { title: text.lastMessage, cell: ({ last_message_at }) => <When at={last_message_at} /> },
          { title: text.created, sort: 'created_at', cell: ({ created_at }) => <When at={created_at} /> },
        ]}
      />
    </>
  );
}

export function ConversationState({ conversation }: { readonly conversation: Conversation }) {
  const { text } = useLanguage();
  if (conversation.dissolved_at) return <Tag mood="bad">{text.dissolved}</Tag>;
  if (conversation.mute_all) return <Tag mood="warn">{text.mutedAll}</Tag>;
  return <Tag mood="good">{text.active}</Tag>;
}

export function kindOf({ everyone, kind }: Conversation, text: Text): string {
  return everyone ? text.sections.announcements : text.kindNames(kind);
}
