import { useCallback, useEffect, useRef, useState } from 'react';

/** What a call has answered so far. */
export interface Answer<T> {
  /** The newest data, also while newer is on its way. */
  readonly data: T | undefined;
  /** Why the newest call failed; undefined after a success. */
  readonly error: unknown;
  readonly loading: boolean;
  reload(): void;
}

/** Calls load again whenever key changes, and every so many ms while the page is visible. An overtaken call is aborted. */
export function useAnswer<T>(key: string, load: (signal: AbortSignal) => Promise<T>, every = 0): Answer<T> {
  const [state, setState] = useState<{ data?: T; error?: unknown; loading: boolean }>({ loading: true });
  const [round, setRound] = useState(0);
  const newest = useRef(load);
  newest.current = load;

  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    let due = false;
    async function run(): Promise<void> {
      due = false;
      setState((old) => ({ ...old, loading: true }));
      try {
        const data = await newest.current(abort.signal);
        if (!abort.signal.aborted) setState({ data, loading: false });
      } catch (error) {
        if (!abort.signal.aborted) setState((old) => ({ ...old, error, loading: false }));
      }
      if (every > 0 && !abort.signal.aborted) timer = window.setTimeout(tick, every);
    }
    function tick(): void {
      if (document.visibilityState === 'visible') void run();
      else due = true;
    }
    function shown(): void {
      if (due && document.visibilityState === 'visible') void run();
    }
    document.addEventListener('visibilitychange', shown);
    void run();
    return () => {
      abort.abort();
      window.clearTimeout(timer);
      document.removeEventListener('visibilitychange', shown);
    };
  }, [key, round, every]);

  const reload = useCallback(() => setRound((n) => n + 1), []);
  return { data: state.data, error: state.error, loading: state.loading, reload };
}
