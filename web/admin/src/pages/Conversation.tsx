import { Button } from '@mantine/core';
import { useState } from 'react';
import { useActions } from '../Actions';
import { useAnswer } from '../answer';
import { api } from '../calls';
import { count } from '../format';
import { useLanguage } from '../language';
import { MessageTable } from '../MessageTable';
import { Card, Facts, Head, Moment, RowMenu, Tag, UserLink } from '../Parts';
import { Link } from '../route';
import { Answered, Empty } from '../States';
import { Listing } from '../Table';
import type { ConversationDetails, Member } from '../types';
import { ConversationState, kindOf } from './Conversations';

/** One conversation: its members and messages, and what an operator can do to it. */
export default function Conversation({ id }: { readonly id: string }) {
  const { language, text } = useLanguage();
  const answer = useAnswer(`conversation ${id}`, (signal) => api.conversation(id, signal));
  return (
    <Answered answer={answer}>
      {({ conversation }) => (
        <>
          <Head title={titleOf(conversation) || kindOf(conversation, text)} back={{ to: 'conversations', title: text.sections.conversations }}>
            <ConversationActions conversation={conversation} changed={answer.reload} />
          </Head>
          <Card>
            <Facts
              facts={[
                [text.id, <code key="id">{id}</code>],
                [text.kind, kindOf(conversation, text)],
                [text.delivery, text.deliveryNames(conversation.delivery)],
                [text.state, <ConversationState key="state" conversation={conversation} />],
                ...(conversation.owner_id ? [[text.roles.owner, <UserLink key="owner" id={conversation.owner_id} name={conversation.owner_id} />] as const] : []),
                [text.members, conversation.everyone ? text.all : count(language, conversation.members)],
                [text.messages, count(language, conversation.head)],
                [text.created, <Moment key="created" at={conversation.created_at} />],
                [text.lastMessage, <Moment key="last" at={conversation.last_message_at} />],
                ...(conversation.announcement ? [[text.notice, conversation.announcement] as const] : []),
                [
                  text.sections.audit,
                  <Link key="audit" to={`audit?target_kind=conversation&target_id=${id}`}>
                    {text.showAudit}
                  </Link>,
                ],
              ]}
            />
          </Card>
          {conversation.everyone ? null : <Members conversation={conversation} />}
          <History id={id} />
        </>
      )}
    </Answered>
  );
}

function titleOf(conversation: ConversationDetails): string {
  return conversation.name || (conversation.people ?? []).map(({ display_name, username }) => display_name || username).join(' ↔ ');
}

function ConversationActions({ conversation, changed }: { readonly conversation: ConversationDetails; readonly changed: () => void }) {
  const { text } = useLanguage();
  const { ask, act } = useActions();
  if (conversation.kind === 'direct' || conversation.everyone || conversation.dissolved_at) return null;
  const { id, name, mute_all } = conversation;
  return (
    <>
      <Button
        variant="default"
        onClick={() =>
          act(
            async () => {
              await api.muteAll(id, !mute_all);
              changed();
            },
            mute_all ? text.unmutedNow : text.mutedNow,
          )
        }
      >
        {mute_all ? text.unmute : text.mute}
      </Button>
      <Button
        color="red"
        variant="light"
        onClick={() =>
          ask({
            title: text.dissolveTitle(name || id),
            body: text.dissolveBody,
            action: text.dissolve,
            typed: name || id,
            done: text.dissolvedNow(name || id),
            run: async () => {
              await api.dissolve(id);
              changed();
            },
          })
        }
      >
        {text.dissolve}
      </Button>
    </>
  );
}

function Members({ conversation }: { readonly conversation: ConversationDetails }) {
  const { language, text } = useLanguage();
  const { ask } = useActions();
  const [version, setVersion] = useState(0);
  const { id, kind, dissolved_at } = conversation;
  const removable = kind !== 'direct' && !dissolved_at;
  return (
    <Card title={text.members}>
      <Listing<Member>
        name={`members ${id}`}
        version={version}
        caption={text.members}
        keyOf={({ user_id }) => user_id}
        load={async ({ cursor }, signal) => {
          const page = await api.members(id, cursor, signal);
          return { ...page, rows: page.members };
        }}
        columns={[
          { title: text.username, cell: ({ user_id, username }) => <UserLink id={user_id} name={username} /> },
          { title: text.displayName, cell: ({ display_name }) => display_name },
          { title: text.role, cell: ({ role }) => text.roleNames(role) },
          { title: text.joined, cell: ({ joined_at }) => <Moment at={joined_at} /> },
          { title: text.mutedUntil, cell: ({ muted_until }) => (muted_until ? <Tag mood="warn"><Moment at={muted_until} /></Tag> : null) },
          { title: text.delivered, number: true, cell: ({ delivered }) => count(language, delivered) },
          { title: text.read, number: true, cell: ({ read }) => count(language, read) },
          ...(removable
            ? [
                {
                  title: text.actions,
                  cell: ({ user_id, username }: Member) => (
                    <RowMenu
                      of={username}
                      actions={[
                        {
                          label: text.removeMember,
                          danger: true,
                          run: () =>
                            ask({
                              title: text.removeMemberTitle(username),
                              body: text.removeMemberBody,
                              action: text.removeMember,
                              done: text.removedMember(username),
                              run: async () => {
                                await api.removeMember(id, user_id);
                                setVersion((n) => n + 1);
                              },
                            }),
                        },
                      ]}
                    />
                  ),
                },
              ]
            : []),
        ]}
      />
    </Card>
  );
}

const pageSize = 50;

/** Reading them is written into the audit log, so they are shown on demand. */
function History({ id }: { readonly id: string }) {
  const { text } = useLanguage();
  const [before, setBefore] = useState<readonly number[] | null>(null);
  if (before === null) {
    return (
      <Card title={text.messages}>
        <p className="dim">{text.auditedBefore}</p>
        <Button variant="default" onClick={() => setBefore([0])}>
          {text.showMessages}
        </Button>
      </Card>
    );
  }
  return (
    <Card title={text.messages}>
      <HistoryPage key={before.at(-1)} id={id} before={before.at(-1) ?? 0} older={(seq) => setBefore([...before, seq])} newer={before.length > 1 ? () => setBefore(before.slice(0, -1)) : null} />
    </Card>
  );
}

interface HistoryPageProps {
  readonly id: string;
  readonly before: number;
  readonly older: (seq: number) => void;
  readonly newer: (() => void) | null;
}

function HistoryPage({ id, before, older, newer }: HistoryPageProps) {
  const { text } = useLanguage();
  const answer = useAnswer(`history ${id} ${before}`, (signal) => api.history(id, { limit: pageSize, before_seq: before || null }, signal));
  return (
    <Answered answer={answer}>
      {({ messages, has_more }) => {
        const oldest = messages.reduce((least, { conversation_seq }) => Math.min(least, conversation_seq), Number.POSITIVE_INFINITY);
        return (
          <>
            {messages.length > 0 ? <MessageTable messages={messages} caption={text.messages} /> : <Empty>{text.nothingFound}</Empty>}
            <nav className="pager" aria-label={text.pages}>
              <Button variant="default" size="xs" disabled={!newer} onClick={() => newer?.()}>
                {text.newer}
              </Button>
              <Button variant="default" size="xs" disabled={!has_more || messages.length === 0} onClick={() => older(oldest)}>
                {text.older}
              </Button>
            </nav>
          </>
        );
      }}
    </Answered>
  );
}
