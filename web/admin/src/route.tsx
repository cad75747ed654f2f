import { type AnchorHTMLAttributes, type MouseEvent, useMemo, useSyncExternalStore } from 'react';

/** Where the page is served. */
export const base = '/admin';

const moved = 'ackbox:moved';

function subscribe(fn: () => void): () => void {
  window.addEventListener('popstate', fn);
  window.addEventListener(moved, fn);
  return () => {
    window.removeEventListener('popstate', fn);
    window.removeEventListener(moved, fn);
  };
}

/** The path below base, without the slash: '' or 'users/12'. */
export function usePath(): string {
  return useSyncExternalStore(subscribe, () => window.location.pathname).replace(/^\/admin\/?/, '').replace(/\/$/, '');
}

/** Goes to a path below base, which may have a query. */
export function go(path: string): void {
  window.history.pushState(null, '', path ? `${base}/${path}` : base);
  window.dispatchEvent(new Event(moved));
  window.scrollTo(0, 0);
}

/** The query of the address, where filters and sorting are kept so that a link or a reload shows the same. */
export function useSearch(): [search: URLSearchParams, change: (values: Readonly<Record<string, string>>) => void] {
  const text = useSyncExternalStore(subscribe, () => window.location.search);
  return useMemo(() => {
    const search = new URLSearchParams(text);
    const change = (values: Readonly<Record<string, string>>): void => {
      const next = new URLSearchParams(window.location.search);
      for (const [name, value] of Object.entries(values)) {
        if (value) next.set(name, value);
        else next.delete(name);
      }
      window.history.replaceState(null, '', next.size > 0 ? `?${next}` : window.location.pathname);
      window.dispatchEvent(new Event(moved));
    };
    return [search, change];
  }, [text]);
}

/** A link to a page of the dashboard. */
export function Link({ to, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { readonly to: string }) {
  function follow(event: MouseEvent<HTMLAnchorElement>): void {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  }
  return <a href={to ? `${base}/${to}` : base} onClick={follow} {...rest} />;
}
