import { useSyncExternalStore } from 'react';
import type { Session } from './types';

/** Who is signed in: unknown until the server has said it, null for nobody. */
type State = { readonly session: Session | null | undefined; readonly ended: boolean };

let state: State = { session: undefined, ended: false };
const watchers = new Set<() => void>();

function set(next: State): void {
  state = next;
  for (const watcher of watchers) watcher();
}

export const session = {
  begin: (begun: Session) => set({ session: begun, ended: false }),
  /** Nobody is signed in; one who was is told that it ended. */
  end: () => set({ session: null, ended: Boolean(state.session) || state.ended }),
  leave: () => set({ session: null, ended: false }),
};

function subscribe(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export function useSession(): State {
  return useSyncExternalStore(subscribe, () => state);
}
