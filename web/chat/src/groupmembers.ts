import type { components } from '@ackbox/client';
import { useCallback, useEffect, useRef, useState } from 'react';
import { useClient } from './client';
import { useText } from './language';
import { answered, errorText } from './problem';

export type Member = components['schemas']['Member'];

/** Members that are read at once; more when somebody scrolls there or looks for one. */
const atOnce = 1_000;
/** Members that a page of the server has. */
const page = 200;
/** How long nothing has changed before the members are read again, in ms. */
const pause = 400;

const order = { owner: 0, admin: 1, member: 2 };

export interface GroupMembers {
  /** By role, then by user id. */
  readonly members: readonly Member[];
  readonly hasMore: boolean;
  readonly loading: boolean;
  readonly error: string;
  /** Reads the next thousand. */
  readonly more: () => void;
  readonly reload: () => void;
}

interface State {
  readonly members: readonly Member[];
  readonly cursor: string | null;
  readonly hasMore: boolean;
}

/** A group's members; read again when something about the group changes. */
export function useGroupMembers(groupID: string): GroupMembers {
  const client = useClient();
  const text = useText();
  const [state, setState] = useState<State>({ members: [], cursor: null, hasMore: false });
  const [loading, setLoading] = useState(true);
  const [error, setError] = useState('');
  const [reads, setReads] = useState(0);
  const [wanted, setWanted] = useState(atOnce);
  const held = useRef(state);
  const reload = useCallback(() => {
    held.current = { members: [], cursor: null, hasMore: false };
    setReads((n) => n + 1);
  }, []);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = client.on('message', ({ message }) => {
      if (message.conversation_id !== groupID || message.type !== 'notice') return;
      clearTimeout(timer);
      timer = setTimeout(reload, pause);
    });
    return () => {
      clearTimeout(timer);
      end();
    };
  }, [client, groupID, reload]);
  useEffect(() => {
    let gone = false;
    async function read(): Promise<void> {
      for (;;) {
        const { members, cursor } = held.current;
        if (gone || (members.length > 0 && cursor === null) || members.length >= wanted) return;
        const answer = await answered(
          client.rest.GET('/v1/groups/{group_id}/members', { params: { path: { group_id: groupID }, query: { limit: page, ...(cursor ? { cursor } : {}) } } }),
        );
        if (gone) return;
        held.current = {
          members: [...members, ...answer.members].sort((a, b) => order[a.role] - order[b.role]),
          cursor: answer.has_more ? (answer.next_cursor ?? null) : null,
          hasMore: answer.has_more,
        };
        setState(held.current);
      }
    }
    setLoading(true);
    setError('');
    read()
      .catch((failure: unknown) => {
        if (!gone) setError(errorText(text, failure));
      })
      .finally(() => {
        if (!gone) setLoading(false);
      });
    return () => {
      gone = true;
    };
  }, [client, groupID, text, reads, wanted]);
  const more = useCallback(() => setWanted(held.current.members.length + atOnce), []);
  return { members: state.members, hasMore: state.hasMore, loading, error, more, reload };
}
