import type { User } from '@ackbox/client';
import { TextInput } from '@mantine/core';
import { useEffect, useState } from 'react';
import { useClient, usePeople } from './client';
import { useText } from './language';
import { PersonLine } from './PersonLine';
import { answered, errorText } from './problem';

/** How long nobody has typed before the server is asked, in ms. */
const pause = 200;

/** Finds users by the beginning of their user name, or by their id. `without` are not offered; `focus` is for where nothing else is to be done. */
export function PersonSearch({ without, focus = false, onPick }: { without: ReadonlySet<string>; focus?: boolean; onPick: (user: User) => void }) {
  const text = useText();
  const [query, setQuery] = useState('');
  const { users, error } = useSearch(query.trim().toLowerCase());
  const offered = users?.filter((user) => !without.has(user.user_id)) ?? null;
  return (
    <>
      <TextInput label={text.findPerson} data-autofocus={focus || undefined} autoFocus={focus} autoCapitalize="none" spellCheck={false} maxLength={32} value={query} onChange={(event) => setQuery(event.currentTarget.value)} />
      <div className="people" role="status">
        {error ? <p className="error">{error}</p> : null}
        {offered?.length === 0 ? <p className="dim">{text.nothingFound}</p> : null}
        {offered?.map((user) => (
          <button
            key={user.user_id}
            type="button"
            className="person"
            onClick={() => {
              setQuery('');
              onPick(user);
            }}
          >
            <PersonLine userID={user.user_id} />
          </button>
        ))}
      </div>
    </>
  );
}

/** The users whose user name begins with a query, or whose id it is; null while that is not known. */
export function useSearch(query: string): { users: readonly User[] | null; error: string } {
  const client = useClient();
  const people = usePeople();
  const text = useText();
  const [found, setFound] = useState<{ query: string; users: readonly User[]; error: string } | null>(null);
  useEffect(() => {
    if (!query) return;
    let gone = false;
    const timer = setTimeout(() => {
      const byName = answered(client.rest.GET('/v1/users', { params: { query: { username: query } } })).then((answer) => answer.users);
      const byID = /^[1-9][0-9]{0,18}$/.test(query)
        ? client.rest.GET('/v1/users/{user_id}', { params: { path: { user_id: query } } }).then(({ data }) => (data ? [data] : []))
        : Promise.resolve([]);
      Promise.all([byID, byName]).then(
        ([ofID, ofName]) => {
          if (gone) return;
          const users = [...ofID, ...ofName.filter((user) => user.user_id !== query)];
          people.add(users);
          setFound({ query, users, error: '' });
        },
        (error: unknown) => {
          if (!gone) setFound({ query, users: [], error: errorText(text, error) });
        },
      );
    }, pause);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [client, people, text, query]);
  return query && found?.query === query ? { users: found.error ? null : found.users, error: found.error } : { users: null, error: '' };
}
