import type { Key, Store, Stretch, Table, Transaction, Value } from './store.js';

type AnyKey = number | string | readonly (number | string)[];

/** Orders keys as IndexedDB does: numbers, strings, lists. */
export function compareKeys(a: AnyKey, b: AnyKey): number {
  if (typeof a === 'object' && typeof b === 'object') {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const order = compareKeys(a[i] as AnyKey, b[i] as AnyKey);
      if (order !== 0) return order;
    }
    return a.length - b.length;
  }
  if (typeof a !== typeof b) return rank(a) - rank(b);
  return a < b ? -1 : a > b ? 1 : 0;
}

const rank = (key: AnyKey) => (typeof key === 'number' ? 0 : typeof key === 'string' ? 1 : 2);

interface Row {
  readonly key: AnyKey;
  readonly value: unknown;
}

/** Keeps everything in memory: for Node, and for tests. What is put must not be changed afterwards. */
export class MemoryStore implements Store {
  readonly #tables = new Map<Table, Row[]>();
  #turn: Promise<unknown> = Promise.resolve();

  read<R>(_tables: Table[], fn: (tx: Transaction) => Promise<R>): Promise<R> {
    return this.#next(() => fn(new MemoryTransaction((table) => this.#rows(table))));
  }

  write<R>(_tables: Table[], fn: (tx: Transaction) => Promise<R>): Promise<R> {
    return this.#next(async () => {
      const tx = new MemoryTransaction((table) => this.#rows(table));
      try {
        return await fn(tx);
      } catch (error) {
        tx.undo();
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    await this.#next(async () => undefined);
  }

  #rows(table: Table): Row[] {
    let rows = this.#tables.get(table);
    if (!rows) this.#tables.set(table, (rows = []));
    return rows;
  }

  #next<R>(fn: () => Promise<R>): Promise<R> {
    const turn = this.#turn.then(fn);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

class MemoryTransaction implements Transaction {
  readonly #rows: (table: Table) => Row[];
  readonly #undo: (() => void)[] = [];

  constructor(rows: (table: Table) => Row[]) {
    this.#rows = rows;
  }

  get<T extends Table>(table: T, key: Key<T>): Promise<Value<T> | undefined> {
    const rows = this.#rows(table);
    const at = place(rows, key);
    return Promise.resolve(has(rows, at, key) ? (rows[at]?.value as Value<T>) : undefined);
  }

  range<T extends Table>(table: T, stretch: Stretch<T>): Promise<{ key: Key<T>; value: Value<T> }[]> {
    const rows = this.#rows(table);
    const [from, to] = bounds(rows, stretch.from, stretch.to);
    const count = Math.min(stretch.limit ?? Infinity, to - from);
    const found = stretch.reverse ? rows.slice(to - count, to).reverse() : rows.slice(from, from + count);
    return Promise.resolve(found as unknown as { key: Key<T>; value: Value<T> }[]);
  }

  put<T extends Table>(table: T, key: Key<T>, value: Value<T>): void {
    const rows = this.#rows(table);
    const at = place(rows, key);
    this.#splice(rows, at, has(rows, at, key) ? 1 : 0, [{ key, value }]);
  }

  delete<T extends Table>(table: T, key: Key<T>): void {
    this.deleteRange(table, key, key);
  }

  deleteRange<T extends Table>(table: T, from?: Key<T>, to?: Key<T>): void {
    const rows = this.#rows(table);
    const [first, last] = bounds(rows, from, to);
    if (last > first) this.#splice(rows, first, last - first, []);
  }

  undo(): void {
    for (const back of this.#undo.reverse()) back();
  }

  #splice(rows: Row[], at: number, count: number, put: Row[]): void {
    const old = rows.splice(at, count, ...put);
    this.#undo.push(() => rows.splice(at, put.length, ...old));
  }
}

/** The index of the first row whose key is not below key. */
function place(rows: Row[], key: AnyKey): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys((rows[middle] as Row).key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function has(rows: Row[], at: number, key: AnyKey): boolean {
  const row = rows[at];
  return row !== undefined && compareKeys(row.key, key) === 0;
}

function bounds(rows: Row[], from: AnyKey | undefined, to: AnyKey | undefined): [first: number, last: number] {
  const first = from === undefined ? 0 : place(rows, from);
  let last = rows.length;
  if (to !== undefined) {
    last = place(rows, to);
    if (has(rows, last, to)) last++;
  }
  return [first, Math.max(first, last)];
}
