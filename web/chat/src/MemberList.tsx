import type { Conversation, User } from '@ackbox/client';
import { Button, TextInput } from '@mantine/core';
import { useEffect, useState } from 'react';
import { Virtuoso } from 'react-virtuoso';
import type { GroupMembers, Member } from './groupmembers';
import { useText } from './language';
import { MemberMenu } from './MemberMenu';
import { useNames } from './people';
import { PersonLine } from './PersonLine';
import { useSearch } from './PersonSearch';

/** From so many members on, one can look for one. */
const searchFrom = 8;
/** Members that are all in the page; of more only those in sight. */
const mostDrawn = 40;

interface Props {
  readonly me: User;
  readonly group: Conversation;
  readonly list: GroupMembers;
  readonly change: (call: () => Promise<unknown>) => Promise<boolean>;
}

/** A group's members, with a search, and what my role lets me do with each. */
export function MemberList({ me, group, list, change }: Props) {
  const text = useText();
  const [query, setQuery] = useState('');
  const { found, unread } = useFound(list, query.trim().toLowerCase());
  const { hasMore, loading, more } = list;
  // Nobody among those that were read: the others are looked through by themselves.
  useEffect(() => {
    if (query && found.length === 0 && hasMore && !loading) more();
  }, [query, found.length, hasMore, loading, more]);
  const line = (member: Member) => (
    <>
      <PersonLine userID={member.user_id}>
        {member.user_id === me.user_id ? <span className="dim">{text.you}</span> : null}
        <span className="role">{text.roles[member.role]}</span>
        {member.user_id !== me.user_id && mayChange(group.role, member.role) ? (
          <MemberMenu groupID={group.conversation_id} member={member} mine={group.role} change={change} />
        ) : null}
      </PersonLine>
    </>
  );
  return (
    <>
      {Math.max(group.member_count, list.members.length) >= searchFrom ? (
        <TextInput type="search" aria-label={text.findMember} placeholder={text.findMember} value={query} onChange={(event) => setQuery(event.currentTarget.value)} />
      ) : null}
      {found.length > mostDrawn ? (
        <Virtuoso
          style={{ height: 'min(360px, 44dvh)' }} // a class would lose to its own
          data={found}
          computeItemKey={(_, member) => member.user_id}
          itemContent={(_, member) => <div className="person">{line(member)}</div>}
          endReached={() => {
            if (!query && list.hasMore && !list.loading) list.more();
          }}
        />
      ) : (
        <ul className="people members">
          {found.map((member) => (
            <li key={member.user_id} className="person">
              {line(member)}
            </li>
          ))}
        </ul>
      )}
      {query && found.length === 0 && !list.loading ? <p className="dim">{text.nothingFound}</p> : null}
      {list.loading ? <p className="dim">{text.loading}</p> : null}
      {query && unread ? (
        <Button variant="subtle" loading={list.loading} onClick={list.more}>
          {text.lookFurther(list.members.length, group.member_count)}
        </Button>
      ) : null}
    </>
  );
}

/**
 * The members whose name has the query in it, as far as names are known, and those whose user name begins with it, which the server knows.
 * `unread` says that not all members have been looked through.
 */
function useFound({ members, hasMore }: GroupMembers, query: string): { found: readonly Member[]; unread: boolean } {
  const name = useNames(nobody);
  const { users } = useSearch(query);
  if (!query) return { found: members, unread: false };
  const ofServer = new Set(users?.map((user) => user.user_id));
  return { found: members.filter((member) => ofServer.has(member.user_id) || name(member.user_id).toLowerCase().includes(query)), unread: hasMore };
}

const nobody: readonly string[] = [];

function mayChange(mine: Conversation['role'], other: Member['role']): boolean {
  return mine === 'owner' || (mine === 'admin' && other === 'member');
}
