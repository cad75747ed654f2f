import type { Tabs } from './api.js';

/** Tabs of one origin: Web Locks and BroadcastChannel. */
export const browserTabs: Tabs = {
  exclusive<T>(name: string, fn: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    // The types say that the callback's answer is awaited twice; it is not.
    return navigator.locks.request(name, signal ? { signal } : {}, fn) as Promise<T>;
  },
  channel(name, onMessage) {
    const channel = new BroadcastChannel(name);
    channel.onmessage = (event: MessageEvent<unknown>) => onMessage(event.data);
    return { post: (message) => channel.postMessage(message), close: () => channel.close() };
  },
};

/** One or several clients in one process, without any browser: who has the same object is a tab of the same device. */
export function processTabs(): Tabs {
  const queues = new Map<string, Promise<unknown>>();
  const channels = new Map<string, Set<(message: unknown) => void>>();
  return {
    exclusive<T>(name: string, fn: () => Promise<T>, signal?: AbortSignal): Promise<T> {
      let begun = false;
      const before = queues.get(name) ?? Promise.resolve();
      const run = before.then(() => {
        signal?.throwIfAborted();
        begun = true;
        return fn();
      });
      const settled = run.then(
        () => undefined,
        () => undefined,
      ).then(() => {
        if (queues.get(name) === settled) queues.delete(name);
      });
      queues.set(name, settled);
      if (!signal) return run;
      return new Promise<T>((resolve, reject) => {
        // A lock that is held is not taken away.
        const abort = () => begun || reject(signal.reason as Error);
        signal.addEventListener('abort', abort, { once: true });
        run.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
      });
    },
    channel(name, onMessage) {
      const all = channels.get(name) ?? new Set();
      channels.set(name, all.add(onMessage));
      return {
        post(message) {
          for (const other of all) if (other !== onMessage) queueMicrotask(() => all.has(other) && other(message));
        },
        close() {
          all.delete(onMessage);
        },
      };
    },
  };
}
