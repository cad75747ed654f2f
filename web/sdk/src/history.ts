import type { Rest } from './api.js';
import { nothingHeld, stretchOf, topOf } from './holding.js';
import type { Ledger } from './ledger.js';
import type { Message } from './object.js';
import { ask } from './rest.js';
import type { Store, Transaction } from './store.js';

const pageSize = 100;

/** A stretch of a conversation, ascending; `end` says that there is nothing beyond it in the direction of reading. */
export interface HistoryPage {
  readonly messages: readonly Message[];
  readonly end: boolean;
}

/** Reads conversations: what is held from the store, what is missing from the server, through the store. */
export class History {
  readonly #store: Store;
  readonly #ledger: Ledger;
  readonly #rest: Rest;

  constructor(store: Store, ledger: Ledger, rest: Rest) {
    this.#store = store;
    this.#ledger = ledger;
    this.#rest = rest;
  }

  /** The newest messages. Throws ApiError if the server is needed and cannot be reached. */
  async newest(id: string, limit: number): Promise<HistoryPage> {
    const { top, head } = await this.#ends(id);
    if (head === null || top < head) await this.#fetch(id, {});
    return this.before(id, Infinity, limit);
  }

  /** What the device holds of the newest messages, without asking anybody. */
  async stored(id: string, limit: number): Promise<Message[]> {
    return this.#store.read(['holdings', 'messages'], async (tx) => {
      const range = ((await tx.get('holdings', id)) ?? nothingHeld).ranges.at(-1);
      if (!range) return [];
      return visible(await lastOf(tx, id, range, limit)).reverse();
    });
  }

  /** The last messages before a conversation_seq. */
  async before(id: string, seq: number, limit: number): Promise<HistoryPage> {
    const messages: Message[] = []; // descending
    let next = seq;
    for (;;) {
      const left = limit - messages.length;
      const found = await this.#store.read(['holdings', 'messages'], async (tx) => {
        const holding = (await tx.get('holdings', id)) ?? nothingHeld;
        const last = next === Infinity ? topOf(holding) : next - 1;
        const range = stretchOf(holding, last);
        const rows = range ? await lastOf(tx, id, [range[0], last], left) : [];
        return { last, first: range?.[0], rows };
      });
      if (found.last < 1) return { messages: messages.reverse(), end: true };
      if (found.first === undefined) {
        await this.#fetch(id, { before_seq: found.last + 1 });
        continue;
      }
      messages.push(...visible(found.rows));
      next = found.rows.length < left ? found.first : (found.rows.at(-1)?.conversation_seq ?? found.first);
      if (messages.length >= limit) return { messages: messages.reverse(), end: next <= 1 };
    }
  }

  /** The first messages after a conversation_seq. */
  async after(id: string, seq: number, limit: number): Promise<HistoryPage> {
    const messages: Message[] = [];
    let next = seq;
    for (;;) {
      const left = limit - messages.length;
      const found = await this.#store.read(['holdings', 'messages', 'conversations'], async (tx) => {
        const holding = (await tx.get('holdings', id)) ?? nothingHeld;
        const head = Math.max((await tx.get('conversations', id))?.conversation.head ?? 0, topOf(holding));
        const range = stretchOf(holding, next + 1);
        const rows = range ? await tx.range('messages', { from: [id, next + 1], to: [id, range[1]], limit: left }) : [];
        return { head, last: range?.[1], rows: rows.map(({ value }) => value) };
      });
      if (next >= found.head) return { messages, end: true };
      if (found.last === undefined) {
        await this.#fetch(id, { after_seq: next });
        continue;
      }
      messages.push(...visible(found.rows));
      next = found.rows.length < left ? found.last : (found.rows.at(-1)?.conversation_seq ?? found.last);
      if (messages.length >= limit) return { messages, end: next >= found.head };
    }
  }

  async #ends(id: string): Promise<{ top: number; head: number | null }> {
    return this.#store.read(['holdings', 'conversations'], async (tx) => ({
      top: topOf((await tx.get('holdings', id)) ?? nothingHeld),
      head: (await tx.get('conversations', id))?.conversation.head ?? null,
    }));
  }

  /** Reads a page from the server into the store. Each call makes the held stretch at that place longer. */
  async #fetch(id: string, at: { before_seq?: number; after_seq?: number }): Promise<void> {
    const page = await ask(
      this.#rest.GET('/v1/conversations/{conversation_id}/messages', {
        params: { path: { conversation_id: id }, query: { ...at, limit: pageSize } },
      }),
    );
    const seqs = page.messages.map((message) => message.conversation_seq);
    if (at.after_seq !== undefined) {
      const last = page.has_more ? Math.max(...seqs) : Math.max(page.head, at.after_seq + 1);
      await this.#ledger.history(id, page.messages, at.after_seq + 1, last);
      return;
    }
    const first = page.has_more ? Math.min(...seqs) : 1;
    const last = at.before_seq === undefined ? Math.max(page.head, ...seqs) : at.before_seq - 1;
    await this.#ledger.history(id, page.messages, first, last);
  }
}

/** The last messages of a stretch, descending. Stretches mostly have no gaps; then it is one read, and not one for each message. */
async function lastOf(tx: Transaction, id: string, [first, last]: readonly [number, number], limit: number): Promise<Message[]> {
  const from = Math.max(first, last - limit + 1);
  let rows = await tx.range('messages', { from: [id, from], to: [id, last] });
  if (rows.length < limit && from > first) rows = (await tx.range('messages', { from: [id, first], to: [id, last], limit, reverse: true })).reverse();
  return rows.map(({ value }) => value).reverse();
}

function visible(messages: Message[]): Message[] {
  return messages.filter((message) => !message.deleted_for_me);
}
