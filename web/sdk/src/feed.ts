import type { FeedEntry } from './api.js';
import type { Hub } from './hub.js';
import { kept } from './ledger.js';
import type { Store } from './store.js';

const batch = 100;

/** Yields what is applied, from the store, until one of the signals is aborted. */
export async function* feed(store: Store, hub: Hub, after: number | undefined, signals: readonly AbortSignal[]): AsyncGenerator<FeedEntry> {
  let wake: () => void = () => undefined;
  let woken = false;
  const stir = () => {
    woken = true;
    wake();
  };
  const end = hub.on('message', stir);
  for (const signal of signals) signal.addEventListener('abort', stir);
  const over = () => signals.some((signal) => signal.aborted);
  try {
    let n = after ?? (await last(store));
    while (!over()) {
      woken = false;
      const entries = await next(store, n);
      for (const entry of entries) {
        if (entry.n > n + 1 && n > 0) throw new Error(`entries ${n + 1} to ${entry.n - 1} are not kept any more: only the newest ${kept} are`);
        n = entry.n;
        if (entry.entry) yield entry.entry;
        if (over()) return;
      }
      if (entries.length > 0 || woken) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (woken) resolve();
      });
    }
  } finally {
    end();
    for (const signal of signals) signal.removeEventListener('abort', stir);
  }
}

async function last(store: Store): Promise<number> {
  return ((await store.read(['meta'], (tx) => tx.get('meta', 'feed'))) as number | undefined) ?? 0;
}

/** `entry` is null where the message is gone meanwhile: pruned, or lost by the server. */
async function next(store: Store, after: number): Promise<{ n: number; entry: FeedEntry | null }[]> {
  return store.read(['feed', 'messages'], async (tx) => {
    const rows = await tx.range('feed', { from: after + 1, limit: batch });
    const found = [];
    for (const { key, value } of rows) {
      const message = await tx.get('messages', [value.conversation, value.seq]);
      found.push({ n: key, entry: message ? { n: key, seq: value.mailboxSeq, message } : null });
    }
    return found;
  });
}
