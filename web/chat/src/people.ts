import type { Client, Observable, User } from '@ackbox/client';
import { useEffect, useSyncExternalStore } from 'react';
import { usePeople } from './client';

/** Users that are remembered. */
const mostUsers = 2_000;

/** Users that are asked for in one call. */
const mostAtOnce = 100;
/** How long wanted users are gathered, in ms. */
const together = 10;

/** What the page knows of users, asked for once each. */
export class People implements Pick<Observable<unknown>, 'subscribe'> {
  readonly #client: Client;
  readonly #users = new Map<string, User>();
  readonly #asked = new Set<string>();
  /** Those who are not asked for yet. */
  readonly #wanted: string[] = [];
  readonly #listeners = new Set<() => void>();

  constructor(client: Client) {
    this.#client = client;
    client.on('session', () => {
      this.#users.clear();
      this.#asked.clear();
    });
  }

  readonly subscribe = (fn: () => void): (() => void) => {
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  };

  get(userID: string): User | null {
    return this.#users.get(userID) ?? null;
  }

  /** Remembers users who came with another answer. */
  add(users: readonly User[]): void {
    for (const user of users) this.#users.set(user.user_id, user);
    for (const id of this.#users.keys()) {
      if (this.#users.size <= mostUsers) break;
      this.#users.delete(id);
      this.#asked.delete(id);
    }
    for (const listener of this.#listeners) listener();
  }

  /** Asks for a user who is not known, with the others who are wanted at the time; who cannot be asked now is asked when wanted again. */
  want(userID: string): void {
    if (this.#users.has(userID) || this.#asked.has(userID)) return;
    this.#asked.add(userID);
    this.#wanted.push(userID);
    if (this.#wanted.length === 1) setTimeout(() => this.#ask(), together);
  }

  #ask(): void {
    const all = this.#wanted.splice(0);
    for (let i = 0; i < all.length; i += mostAtOnce) {
      const ids = all.slice(i, i + mostAtOnce);
      this.#client.rest.GET('/v1/users/profiles', { params: { query: { user_ids: ids } } }).then(
        ({ data }) => {
          if (data) this.add(data.users);
          else for (const id of ids) this.#asked.delete(id);
        },
        () => {
          for (const id of ids) this.#asked.delete(id);
        },
      );
    }
  }
}

export function nameOf(user: User): string {
  return user.display_name || user.username;
}

/** A user, null until known. */
export function useUser(userID: string | null | undefined): User | null {
  const people = usePeople();
  const user = useSyncExternalStore(people.subscribe, () => (userID ? people.get(userID) : null));
  useEffect(() => {
    if (userID) people.want(userID);
  }, [people, userID]);
  return user;
}

/** A user's name, `…` until known. */
export function useName(userID: string | null | undefined): string {
  const user = useUser(userID);
  return user ? nameOf(user) : '…';
}

/** Looks names up at the time of the call, and draws again when one becomes known. */
export function useNames(userIDs: readonly string[]): (userID: string) => string {
  const people = usePeople();
  const known = useSyncExternalStore(people.subscribe, () => userIDs.map((id) => people.get(id)?.display_name ?? '').join('\n'));
  useEffect(() => {
    for (const id of userIDs) people.want(id);
  }, [people, userIDs, known]);
  return (id) => {
    const user = people.get(id);
    return user ? nameOf(user) : '…';
  };
}
