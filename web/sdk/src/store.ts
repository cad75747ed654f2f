import type { Conversation, Message } from './object.js';
import type { OutboxItem } from './api.js';

/** What a device keeps, table by table. Keys are numbers, strings, or lists of them, ordered as IndexedDB orders keys. */
export interface Tables {
  /** Single values: the session, the device's name, the position … */
  meta: { key: string; value: unknown };
  /** Messages by conversation and conversation_seq. */
  messages: { key: [conversation: string, seq: number]; value: Message };
  /** Where messages are that quote a message: its message_id and their conversation_seq. */
  replies: { key: [messageID: string, seq: number]; value: string };
  /** The stretches of a conversation that are held without holes, and the log position. */
  holdings: { key: string; value: Holding };
  conversations: { key: string; value: ConversationRow };
  /** Positions of the members by conversation: user_id to [delivered_seq, read_seq]. */
  receipts: { key: string; value: Record<string, [delivered: number, read: number]> };
  /** The newest mailbox entries by seq: what is checked when a position is lost. `sent` is set as long as only a send's answer has told of it, and counts these. */
  trail: { key: number; value: { id: string; conversation: string; seq: number; sent?: number } };
  /** What was applied, in its order, by a number of the device's own. */
  feed: { key: number; value: { conversation: string; seq: number; mailboxSeq: number | null } };
  /** Messages on their way, by client_msg_id. */
  outbox: { key: string; value: OutboxRow };
}

export interface Holding {
  /** Ascending, disjoint, not adjacent: [first, last] conversation_seq. */
  readonly ranges: readonly (readonly [number, number])[];
  /** Of a log conversation: up to where it is held and acked. */
  readonly log?: number;
}

/** A conversation as the server has told it, with what has happened since. */
export interface ConversationRow {
  readonly conversation: Conversation;
  /** Up to this conversation_seq messages are in `unread`. */
  readonly counted: number;
  /** A read position that the server has not confirmed yet. */
  readonly reading?: number;
}

export interface OutboxRow extends OutboxItem {
  /** Orders the outbox. */
  readonly order: number;
}

export type Table = keyof Tables;
export type Key<T extends Table> = Tables[T]['key'];
export type Value<T extends Table> = Tables[T]['value'];

/** A stretch of a table: keys from `from` to `to`, both included; the first `limit` of them, from the end if `reverse`. */
export interface Stretch<T extends Table> {
  from?: Key<T>;
  to?: Key<T>;
  limit?: number;
  reverse?: boolean;
}

/** A transaction. Between its calls only its own promises may be awaited. */
export interface Transaction {
  get<T extends Table>(table: T, key: Key<T>): Promise<Value<T> | undefined>;
  range<T extends Table>(table: T, stretch: Stretch<T>): Promise<{ key: Key<T>; value: Value<T> }[]>;
  put<T extends Table>(table: T, key: Key<T>, value: Value<T>): void;
  delete<T extends Table>(table: T, key: Key<T>): void;
  /** Deletes keys from `from` to `to`, both included; all when absent. */
  deleteRange<T extends Table>(table: T, from?: Key<T>, to?: Key<T>): void;
}

/** Where a device keeps what it has. Transactions that write are serial, across tabs too, and atomic. */
export interface Store {
  read<R>(tables: Table[], fn: (tx: Transaction) => Promise<R>): Promise<R>;
  /** Resolves when everything is durable. If fn throws, nothing is written. */
  write<R>(tables: Table[], fn: (tx: Transaction) => Promise<R>): Promise<R>;
  close(): Promise<void>;
}
