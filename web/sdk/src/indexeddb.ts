import { deleteDB, openDB, type IDBPDatabase, type IDBPTransaction } from 'idb';
import type { Key, Store, Stretch, Table, Transaction, Value } from './store.js';

const tables: readonly Table[] = [
  'meta',
  'messages',
  'replies',
  'holdings',
  'conversations',
  'receipts',
  'trail',
  'feed',
  'outbox',
];

/** Keeps everything in the IndexedDB database of that name; all tabs share it. Writes are on disk when they resolve. */
export class IndexedDBStore implements Store {
  readonly #name: string;
  #db: Promise<IDBPDatabase> | null = null;

  constructor(name: string) {
    this.#name = name;
  }

  async read<R>(names: Table[], fn: (tx: Transaction) => Promise<R>): Promise<R> {
    const tx = (await this.#open()).transaction(names, 'readonly');
    return fn(new IDBTransactionView(tx));
  }

  async write<R>(names: Table[], fn: (tx: Transaction) => Promise<R>): Promise<R> {
    const tx = (await this.#open()).transaction(names, 'readwrite', { durability: 'strict' });
    const done = tx.done;
    try {
      const result = await fn(new IDBTransactionView(tx));
      await done;
      return result;
    } catch (error) {
      done.catch(() => undefined); // the same failure, told twice
      try {
        tx.abort();
      } catch {
        // it has ended by itself
      }
      throw error;
    }
  }

  async close(): Promise<void> {
    const db = this.#db;
    this.#db = null;
    if (db) (await db).close();
  }

  /** Deletes the database. Every client of that name must be closed. */
  static async erase(name: string): Promise<void> {
    await deleteDB(name);
  }

  #open(): Promise<IDBPDatabase> {
    this.#db ??= openDB(this.#name, 1, {
      upgrade(db) {
        for (const table of tables) db.createObjectStore(table);
      },
      blocking: () => void this.close(),
      // The browser has closed it, as when the person clears the site's data: the next call opens it again.
      terminated: () => {
        this.#db = null;
      },
    }).catch((error: unknown) => {
      this.#db = null;
      throw error;
    });
    return this.#db;
  }
}

type Mode = 'readonly' | 'readwrite';

class IDBTransactionView implements Transaction {
  readonly #tx: IDBPTransaction<unknown, string[], Mode>;

  constructor(tx: IDBPTransaction<unknown, string[], Mode>) {
    this.#tx = tx;
  }

  get<T extends Table>(table: T, key: Key<T>): Promise<Value<T> | undefined> {
    return this.#tx.objectStore(table).get(key) as Promise<Value<T> | undefined>;
  }

  async range<T extends Table>(table: T, stretch: Stretch<T>): Promise<{ key: Key<T>; value: Value<T> }[]> {
    const store = this.#tx.objectStore(table);
    const range = keyRange(stretch.from, stretch.to);
    const limit = stretch.limit ?? Infinity;
    if (!stretch.reverse) {
      const count = Number.isFinite(limit) ? limit : undefined;
      if (count === 0) return [];
      const [keys, values] = await Promise.all([store.getAllKeys(range, count), store.getAll(range, count)]);
      return keys.map((key, i) => ({ key: key as Key<T>, value: values[i] as Value<T> }));
    }
    const found: { key: Key<T>; value: Value<T> }[] = [];
    let cursor = limit > 0 ? await store.openCursor(range, 'prev') : null;
    while (cursor) {
      found.push({ key: cursor.key as Key<T>, value: cursor.value as Value<T> });
      if (found.length >= limit) break;
      cursor = await cursor.continue();
    }
    return found;
  }

  put<T extends Table>(table: T, key: Key<T>, value: Value<T>): void {
    this.#writable(table).put(value, key).catch(() => undefined); // a failure aborts the transaction, which tells it
  }

  delete<T extends Table>(table: T, key: Key<T>): void {
    this.#writable(table).delete(key).catch(() => undefined);
  }

  deleteRange<T extends Table>(table: T, from?: Key<T>, to?: Key<T>): void {
    const range = keyRange(from, to);
    const store = this.#writable(table);
    (range ? store.delete(range) : store.clear()).catch(() => undefined);
  }

  #writable(table: Table) {
    return (this.#tx as IDBPTransaction<unknown, string[], 'readwrite'>).objectStore(table);
  }
}

function keyRange(from: IDBValidKey | undefined, to: IDBValidKey | undefined): IDBKeyRange | null {
  if (from !== undefined && to !== undefined) return IDBKeyRange.bound(from, to);
  if (from !== undefined) return IDBKeyRange.lowerBound(from);
  return to !== undefined ? IDBKeyRange.upperBound(to) : null;
}
