import type { ClientEvents, Rest } from './api.js';
import type { Hub } from './hub.js';
import type { Ledger } from './ledger.js';
import type { Conversation } from './object.js';
import { ApiError } from './problem.js';
import { ask } from './rest.js';
import type { Store } from './store.js';

const pageSize = 200;

/** Reads conversations, from the store and from the server. */
export class Conversations {
  readonly #store: Store;
  readonly #ledger: Ledger;
  readonly #rest: Rest;
  readonly #hub: Hub;
  /** What is being fetched: the same one is fetched once at a time, and once more if somebody has asked meanwhile. */
  readonly #fetching = new Map<string, { promise: Promise<Conversation | null>; again: boolean }>();

  constructor(store: Store, ledger: Ledger, rest: Rest, hub: Hub) {
    this.#store = store;
    this.#ledger = ledger;
    this.#rest = rest;
    this.#hub = hub;
  }

  async stored(id: string): Promise<Conversation | null> {
    return (await this.#store.read(['conversations'], (tx) => tx.get('conversations', id)))?.conversation ?? null;
  }

  /** From the store, or else from the server; null if there is none that is mine. */
  async get(id: string): Promise<Conversation | null> {
    return (await this.stored(id)) ?? this.fetch(id);
  }

  async all(): Promise<Conversation[]> {
    const rows = await this.#store.read(['conversations'], (tx) => tx.range('conversations', {}));
    return rows.map(({ value }) => value.conversation);
  }

  /** The direct conversation with a user, on the device, or else on the list's newest page. */
  async direct(userID: string): Promise<Conversation | null> {
    const find = async () => (await this.all()).find((c) => c.kind === 'direct' && c.peer_id === userID) ?? null;
    const here = await find();
    if (here) return here;
    await this.page(null);
    return find();
  }

  /** Asks the server, and stores the answer. null: it is not mine (any more). */
  fetch(id: string): Promise<Conversation | null> {
    const running = this.#fetching.get(id);
    if (running) {
      running.again = true;
      return running.promise;
    }
    const entry: { promise: Promise<Conversation | null>; again: boolean } = { promise: Promise.resolve(null), again: false };
    entry.promise = (async () => {
      try {
        for (;;) {
          entry.again = false;
          const conversation = await this.#fetchOnce(id);
          if (!entry.again) return conversation;
        }
      } finally {
        this.#fetching.delete(id);
      }
    })();
    this.#fetching.set(id, entry);
    return entry.promise;
  }

  /** Fetches without being waited for: what fails is tried again at the next connection. */
  refresh(id: string): void {
    this.fetch(id).catch((error: unknown) => {
      if (!(error instanceof ApiError)) this.#hub.emit('fault', { error: error as ClientEvents['fault']['error'] });
    });
  }

  /** Reads a page of the list; null is the newest one. Answers the next cursor, null at the end. */
  async page(cursor: string | null): Promise<string | null> {
    if (cursor === null) this.#ledger.beforePage();
    const query = cursor === null ? { limit: pageSize } : { limit: pageSize, cursor };
    const page = await ask(this.#rest.GET('/v1/conversations', { params: { query } }));
    if (cursor === null) await this.#ledger.newestPage(page.conversations, !page.has_more);
    else await this.#ledger.conversations(page.conversations);
    return page.has_more ? (page.next_cursor ?? null) : null;
  }

  async #fetchOnce(id: string): Promise<Conversation | null> {
    try {
      const conversation = await ask(
        this.#rest.GET('/v1/conversations/{conversation_id}', { params: { path: { conversation_id: id } } }),
      );
      await this.#ledger.conversations([conversation]);
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'not_found') throw error;
      await this.#ledger.remove(id, true);
      return null;
    }
    return this.stored(id);
  }
}
