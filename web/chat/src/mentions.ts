import type { Conversation, Mentions, User } from '@ackbox/client';
import { type KeyboardEvent, useEffect, useState } from 'react';
import { useClient } from './client';
import { type Text, useText } from './language';
import { useNames } from './people';

/** Somebody who can be called, or (null) everybody. */
export interface Called {
  readonly userID: string | null;
  readonly name: string;
}

/** Members that are offered of a group: the first ones by id. */
const mostMembers = 1_000;
/** Names in the list at once. */
const mostOffered = 6;

/** Whom a text calls, of those who were chosen while it was written. */
export function mentionsOf(words: string, called: readonly Called[], text: Text): Mentions | undefined {
  const left = called.filter(({ name }) => words.includes(`@${name}`));
  if (left.some(({ userID }) => userID === null) && words.includes(`@${text.everybody}`)) return 'all';
  const ids = new Set(left.flatMap(({ userID }) => userID ?? []));
  return ids.size > 0 ? [...ids].slice(0, 50) : undefined;
}

/** Offers members while the last word begins with @. */
export function useMentions(me: User, conversation: Conversation | null, value: string) {
  const text = useText();
  const [current, setCurrent] = useState(0);
  const [refused, setRefused] = useState('');
  const query = conversation?.kind === 'group' ? (/(?:^|\s)@([^\s@]{0,32})$/.exec(value)?.[1] ?? null) : null;
  const members = useMembers(me, query === null ? null : (conversation?.conversation_id ?? null));
  const name = useNames(members);
  const all: Called[] = [{ userID: null, name: text.everybody }, ...members.map((userID) => ({ userID, name: name(userID) }))];
  const offered = query === null || refused === value ? [] : all.filter((one) => one.name.toLowerCase().startsWith(query.toLowerCase())).slice(0, mostOffered);
  const place = Math.min(current, offered.length - 1);

  return {
    offered,
    current: place,
    complete: ({ name }: Called) => `${value.slice(0, value.length - (query?.length ?? 0))}${name} `,
    /** Handles keys of the list; true if it was one. */
    keyDown(event: KeyboardEvent, choose: (called: Called) => void): boolean {
      const chosen = offered[place];
      if (!chosen) return false;
      if (event.key === 'ArrowDown') setCurrent((place + 1) % offered.length);
      else if (event.key === 'ArrowUp') setCurrent((place + offered.length - 1) % offered.length);
      else if (event.key === 'Escape') setRefused(value);
      else if (event.key === 'Enter' || event.key === 'Tab') choose(chosen);
      else return false;
      event.preventDefault();
      return true;
    },
  };
}

function useMembers(me: User, groupID: string | null): readonly string[] {
  const client = useClient();
  const [members, setMembers] = useState<readonly string[]>([]);
  useEffect(() => {
    if (!groupID) return;
    let gone = false;
    async function read(id: string): Promise<void> {
      const found: string[] = [];
      let cursor: string | undefined;
      do {
        const query = { limit: 200, ...(cursor ? { cursor } : {}) };
        const { data } = await client.rest.GET('/v1/groups/{group_id}/members', { params: { path: { group_id: id }, query } });
        if (gone || !data) return;
        found.push(...data.members.map((member) => member.user_id).filter((member) => member !== me.user_id));
        setMembers([...found]);
        cursor = data.has_more ? data.next_cursor : undefined;
      } while (cursor && found.length < mostMembers);
    }
    read(groupID).catch(() => undefined); // offered at the next @
    return () => {
      gone = true;
    };
  }, [client, me, groupID]);
  return members;
}
