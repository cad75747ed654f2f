import type { Client, components } from '@ackbox/client';
import { useCallback, useEffect, useState } from 'react';
import { useClient } from './client';
import { useText } from './language';
import { answered, errorText } from './problem';

export type Member = components['schemas']['Member'];

/** Members that are shown. */
const mostMembers = 1_000;

const order = { owner: 0, admin: 1, member: 2 };

async function load(client: Client, groupID: string): Promise<Member[]> {
  const members: Member[] = [];
  let cursor: string | undefined;
  do {
    const page = await answered(
      client.rest.GET('/v1/groups/{group_id}/members', { params: { path: { group_id: groupID }, query: { limit: 200, ...(cursor ? { cursor } : {}) } } }),
    );
    members.push(...page.members);
    cursor = page.has_more ? page.next_cursor : undefined;
  } while (cursor && members.length < mostMembers);
  return members.sort((a, b) => order[a.role] - order[b.role]);
}

/** A group's members, by role; read again when something about the group changes. */
export function useGroupMembers(groupID: string): { members: readonly Member[]; error: string; reload: () => void } {
  const client = useClient();
  const text = useText();
  const [members, setMembers] = useState<readonly Member[]>([]);
  const [error, setError] = useState('');
  const [reads, setReads] = useState(0);
  const reload = useCallback(() => setReads((n) => n + 1), []);
  useEffect(
    () =>
      client.on('message', ({ message }) => {
        if (message.conversation_id === groupID && message.type === 'notice') reload();
      }),
    [client, groupID, reload],
  );
  useEffect(() => {
    let gone = false;
    load(client, groupID).then(
      (found) => {
        if (!gone) setMembers(found);
      },
      (failure: unknown) => {
        if (!gone) setError(errorText(text, failure));
      },
    );
    return () => {
      gone = true;
    };
  }, [client, groupID, text, reads]);
  return { members, error, reload };
}
