import { Avatar } from '@mantine/core';
import type { ReactNode } from 'react';
import { nameOf, useUser } from './people';

/** A user with picture and names. */
export function PersonLine({ userID, children }: { userID: string; children?: ReactNode }) {
  const user = useUser(userID);
  const name = user ? nameOf(user) : '…';
  return (
    <>
      <Avatar name={name} color="initials" radius="xl" size="sm" aria-hidden="true" />
      <span className="grow ellipsis">
        {name} <span className="dim">{user ? `@${user.username}` : ''}</span>
      </span>
      {children}
    </>
  );
}
