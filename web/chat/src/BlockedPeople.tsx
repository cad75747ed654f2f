import { Button } from '@mantine/core';
import { useState } from 'react';
import { useBlocked } from './blocked';
import { useText } from './language';
import { nameOf } from './people';
import { PersonLine } from './PersonLine';
import { PersonSearch } from './PersonSearch';

/** Whom I have blocked, and whom else I want to. */
export function BlockedPeople({ without }: { without: string }) {
  const text = useText();
  const { users, hasMore, error, more, set } = useBlocked();
  const [adds, setAdds] = useState(false);
  return (
    <>
      {users?.length === 0 ? <p className="dim">{text.nobodyBlocked}</p> : null}
      <ul className="people">
        {users?.map((user) => (
          <li key={user.user_id} className="person">
            <PersonLine userID={user.user_id}>
              <Button variant="light" size="compact-sm" aria-label={`${text.unblock}: ${nameOf(user)}`} onClick={() => void set(user, false)}>
                {text.unblock}
              </Button>
            </PersonLine>
          </li>
        ))}
      </ul>
      {hasMore ? (
        <Button variant="subtle" onClick={() => void more()}>
          {text.more}
        </Button>
      ) : null}
      {error ? (
        <p className="error" role="alert">
          {error}
        </p>
      ) : null}
      {adds ? (
        <PersonSearch
          focus
          without={new Set([without, ...(users ?? []).map((user) => user.user_id)])}
          onPick={(user) => {
            setAdds(false);
            void set(user, true);
          }}
        />
      ) : (
        <Button variant="subtle" onClick={() => setAdds(true)}>
          {text.blockSomebody}
        </Button>
      )}
    </>
  );
}
