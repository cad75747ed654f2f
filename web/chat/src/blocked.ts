import type { User } from '@ackbox/client';
import { useCallback, useEffect, useRef, useState } from 'react';
import { useClient, usePeople } from './client';
import { useText } from './language';
import { answered, errorText } from './problem';

/** Whom I have blocked, by pages; null until the first one is read. */
export function useBlocked() {
  const client = useClient();
  const people = usePeople();
  const text = useText();
  const [users, setUsers] = useState<readonly User[] | null>(null);
  const [error, setError] = useState('');
  const [hasMore, setHasMore] = useState(false);
  const cursor = useRef<string | undefined>(undefined);

  const attempt = useCallback(
    async (call: () => Promise<void>) => {
      setError('');
      try {
        await call();
      } catch (failure) {
        setError(errorText(text, failure));
      }
    },
    [text],
  );
  const more = useCallback(
    () =>
      attempt(async () => {
        const page = await answered(client.rest.GET('/v1/users/blocked', { params: { query: { limit: 100, ...(cursor.current ? { cursor: cursor.current } : {}) } } }));
        people.add(page.users);
        cursor.current = page.next_cursor;
        setHasMore(page.has_more);
        setUsers((before) => [...(before ?? []).filter((user) => !page.users.some(({ user_id }) => user_id === user.user_id)), ...page.users]);
      }),
    [attempt, client, people],
  );
  useEffect(() => {
    cursor.current = undefined;
    void more();
  }, [more]);

  const set = (user: User, blocked: boolean) =>
    attempt(async () => {
      const params = { path: { user_id: user.user_id } };
      await answered(blocked ? client.rest.PUT('/v1/users/{user_id}/block', { params }) : client.rest.DELETE('/v1/users/{user_id}/block', { params }));
      setUsers((before) => [...(before ?? []).filter(({ user_id }) => user_id !== user.user_id), ...(blocked ? [user] : [])]);
    });
  return { users, hasMore, error, more, set };
}
