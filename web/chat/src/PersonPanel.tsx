import { Button } from '@mantine/core';
import { useEffect } from 'react';
import { useBlocked } from './blocked';
import { Dialog } from './Dialog';
import { Face } from './Face';
import { useLanguage } from './language';
import { fullTime } from './moment';
import { nameOf, useUser } from './people';

/** Who somebody is, and whether they may write to me. */
export function PersonPanel({ userID, onClose }: { userID: string; onClose: () => void }) {
  const { language, text } = useLanguage();
  const user = useUser(userID);
  const { users, hasMore, error, more, set } = useBlocked();
  const found = users?.some((other) => other.user_id === userID) ?? false;
  useEffect(() => {
    if (users && !found && hasMore) void more();
  }, [users, found, hasMore, more]);
  if (!user) return null;
  const known = found || (users !== null && !hasMore);
  return (
    <Dialog title={nameOf(user)} onClose={onClose}>
      <div className="face-field">
        <Face name={nameOf(user)} picture={user.avatar_url} size="xl" />
        <div>
          <p>@{user.username}</p>
          <p className="dim">{text.idOf(user.user_id)}</p>
          <p className="dim">{text.since(fullTime(language, user.created_at))}</p>
        </div>
      </div>
      {found ? <p>{text.isBlocked}</p> : null}
      {error ? (
        <p className="error" role="alert">
          {error}
        </p>
      ) : null}
      <Button variant="light" color="red" disabled={!known} onClick={() => void set(user, !found)}>
        {found ? text.unblock : text.block}
      </Button>
    </Dialog>
  );
}
