import { useSyncExternalStore } from 'react';

/** What is open: a conversation, or the direct conversation with a user, which may not exist yet. */
export type Route = { readonly conversation: string } | { readonly to: string } | null;

function subscribe(fn: () => void): () => void {
  window.addEventListener('hashchange', fn);
  return () => window.removeEventListener('hashchange', fn);
}

function hash(): string {
  return window.location.hash;
}

export function parseRoute(text: string): Route {
  const found = /^#([cu])\/([0-9]{1,19})$/.exec(text);
  if (!found?.[2]) return null;
  return found[1] === 'c' ? { conversation: found[2] } : { to: found[2] };
}

/** The route in the address, so that the browser's back button and a reload work. */
export function useRoute(): Route {
  return parseRoute(useSyncExternalStore(subscribe, hash));
}

export function open(route: Route): void {
  if (route === null) window.location.hash = '';
  else window.location.hash = 'to' in route ? `u/${route.to}` : `c/${route.conversation}`;
}
