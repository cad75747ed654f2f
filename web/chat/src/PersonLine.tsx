import type { ReactNode } from 'react';
import { Face } from './Face';
import { nameOf, useUser } from './people';

/** A user with picture and names. */
export function PersonLine({ userID, children }: { userID: string; children?: ReactNode }) {
  const user = useUser(userID);
  const name = user ? nameOf(user) : '…';
  return (
    <>
      <Face name={name} picture={user?.avatar_url} size="sm" />
      <span className="grow ellipsis">
        {name} <span className="dim">{user ? `@${user.username}` : ''}</span>
      </span>
      {children}
    </>
  );
}
