import type { ClientEvents } from './api.js';
import { hold, nothingHeld, release, topOf } from './holding.js';
import type { Hub } from './hub.js';
import type { Conversation, MemberPosition, Message } from './object.js';
import type { ConversationRow, Holding, OutboxRow, Store, Table, Tables, Transaction } from './store.js';

/** How many of the newest mailbox entries, and of the feed, are remembered. */
export const kept = 10_000;

/** Where the device stands in its mailbox. `id` is null at the start of a new device. */
export interface Position {
  readonly seq: number;
  readonly id: string | null;
}

/** A message that has come: with its mailbox seq, or null in a log conversation. */
export interface Arrival {
  readonly message: Message;
  readonly seq: number | null;
}

export interface Applied {
  readonly position: Position | null;
  /** There is something missing before the next entry: pull. */
  readonly gap: boolean;
  /** The mailbox holds another message at a seq that was applied: step back. */
  readonly lost: boolean;
  /** How many mailbox entries were taken, the ones that were there already too. */
  readonly taken: number;
  /** Log conversations with what is held of them now. */
  readonly logs: ReadonlyMap<string, number>;
  /** Log conversations with something missing. */
  readonly logGaps: ReadonlySet<string>;
  /** Conversations that the device knows nothing of. */
  readonly unknown: ReadonlySet<string>;
}

const applyTables: Table[] = ['meta', 'messages', 'replies', 'holdings', 'conversations', 'trail', 'feed', 'outbox'];

type Telling = { [E in keyof ClientEvents]: readonly [event: E, value: ClientEvents[E]] }[keyof ClientEvents];

/** Thrown when the store belongs to another account by now. */
export class OtherAccountError extends Error {
  override readonly name = 'OtherAccountError';
}

/**
 * Writes what the server tells into the store, and tells the tabs afterwards. Each method is one transaction, so
 * positions and messages never disagree.
 */
export class Ledger {
  readonly #store: Store;
  readonly #hub: Hub;
  readonly #me: () => string | null;
  readonly #keep: number;
  /** Conversations that something has happened to since a page of the list was asked for. */
  readonly #touched = new Set<string>();

  constructor(store: Store, hub: Hub, me: () => string | null, keep: number) {
    this.#store = store;
    this.#hub = hub;
    this.#me = me;
    this.#keep = keep;
  }

  async position(): Promise<Position | null> {
    const value = await this.#store.read(['meta'], (tx) => tx.get('meta', 'position'));
    return (value as Position | undefined) ?? null;
  }

  async setPosition(position: Position): Promise<void> {
    await this.#write(['meta'], async (tx) => tx.put('meta', 'position', position));
  }

  /** Applies what came, in order: what is there already is dropped, what comes too early is left out. */
  async apply(arrivals: readonly Arrival[]): Promise<Applied> {
    return this.#write(applyTables, async (tx, tell) => {
      let position = ((await tx.get('meta', 'position')) as Position | undefined) ?? null;
      let n = ((await tx.get('meta', 'feed')) as number | undefined) ?? 0;
      const logs = new Map<string, number>();
      const logGaps = new Set<string>();
      const unknown = new Set<string>();
      let [gap, lost, taken] = [false, false, 0];
      for (const { message, seq } of arrivals) {
        const conversation = message.conversation_id;
        const place = message.conversation_seq;
        let again = false;
        if (seq !== null) {
          const held = position?.seq ?? 0;
          if (seq > held + 1) {
            gap = true;
            continue;
          }
          const trail = await tx.get('trail', seq);
          if (seq <= held) {
            if (trail && trail.id !== message.message_id) lost = true;
            taken++;
            continue;
          }
          // After a step back there is a trail ahead: the same id says that nothing was lost here.
          if (trail && trail.id !== message.message_id) await this.#truncate(tx, tell, seq);
          again = trail?.id === message.message_id && trail.sent === undefined;
          tx.put('trail', seq, { id: message.message_id, conversation, seq: place });
          tx.deleteRange('trail', undefined, seq - kept);
          position = { seq, id: message.message_id };
          taken++;
        } else {
          const held = logs.get(conversation) ?? (await this.#logHeld(tx, conversation));
          if (held === null || place > held + 1) {
            logGaps.add(conversation);
            continue;
          }
          if (place <= held) {
            const there = await tx.get('messages', [conversation, place]);
            if (there && there.message_id !== message.message_id) logGaps.add(conversation); // the pull finds what is lost
            else logs.set(conversation, held);
            continue;
          }
          logs.set(conversation, place);
        }
        const row = await this.#take(tx, tell, message, again);
        if (!row) unknown.add(conversation);
        if (again) continue;
        n++;
        tx.put('feed', n, { conversation, seq: place, mailboxSeq: seq });
        tx.deleteRange('feed', undefined, n - kept);
        tell(['message', { message, seq }]);
      }
      tx.put('meta', 'feed', n);
      if (position) tx.put('meta', 'position', position);
      for (const [conversation, held] of logs) await this.#setLog(tx, conversation, held);
      return { position, gap, lost, taken, logs, logGaps, unknown };
    });
  }

  /** Applies a stretch of a log conversation's history: all that I may see after `after`, up to `last`. Answers whether the device knows nothing of the conversation. */
  async applyLog(conversation: string, messages: readonly Message[], after: number, last: number): Promise<boolean> {
    return this.#write(applyTables, async (tx, tell) => {
      let n = ((await tx.get('meta', 'feed')) as number | undefined) ?? 0;
      const held = Math.max(after, (await this.#logHeld(tx, conversation)) ?? after);
      let known = true;
      for (const message of messages) {
        if (message.conversation_seq <= held) continue;
        known = (await this.#take(tx, tell, message, false)) !== null;
        n++;
        tx.put('feed', n, { conversation, seq: message.conversation_seq, mailboxSeq: null });
        tx.deleteRange('feed', undefined, n - kept);
        tell(['message', { message, seq: null }]);
      }
      tx.put('meta', 'feed', n);
      const holding = (await tx.get('holdings', conversation)) ?? nothingHeld;
      tx.put('holdings', conversation, { ...hold(holding, after + 1, last), log: Math.max(held, last) });
      return !known;
    });
  }

  /** How many sends were answered: what is answered from now on may be beyond the head that a pull tells. */
  async sends(): Promise<number> {
    return ((await this.#store.read(['meta'], (tx) => tx.get('meta', 'sends'))) as number | undefined) ?? 0;
  }

  /** The mailbox ended at head when `sends` sends were answered: what the device held beyond it, the server has lost. Answers whether there was anything. */
  async endsAt(head: number, sends: number): Promise<boolean> {
    return this.#write(applyTables, async (tx, tell) => {
      const beyond = await tx.range('trail', { from: head + 1 });
      const lost = beyond.filter(({ value }) => (value.sent ?? 0) <= sends);
      for (const row of lost) await this.#forget(tx, tell, row);
      return lost.length > 0;
    });
  }

  /** The entry that is held at or before seq, for checking; null if none is. */
  async entryBefore(seq: number): Promise<Position | null> {
    const rows = await this.#store.read(['trail'], (tx) => tx.range('trail', { to: seq, limit: 1, reverse: true }));
    const row = rows[0];
    return row ? { seq: row.key, id: row.value.id } : null;
  }

  /** Whether the device knows of an entry beyond head, be it from a send's answer. */
  async isAhead(head: number): Promise<boolean> {
    const rows = await this.#store.read(['trail'], (tx) => tx.range('trail', { from: head + 1, limit: 1 }));
    return rows.length > 0;
  }

  /** A send was answered. Answers whether the device knows the conversation. */
  async sent(message: Message, mailboxSeq: number): Promise<boolean> {
    return this.#write(applyTables, async (tx, tell) => {
      if (mailboxSeq > 0 && !(await tx.get('trail', mailboxSeq))) {
        const sent = (((await tx.get('meta', 'sends')) as number | undefined) ?? 0) + 1;
        tx.put('meta', 'sends', sent);
        tx.put('trail', mailboxSeq, { id: message.message_id, conversation: message.conversation_id, seq: message.conversation_seq, sent });
      }
      return (await this.#take(tx, tell, message, false)) !== null;
    });
  }

  /** What is left of a recalled message. */
  async recalled(message: Message): Promise<void> {
    await this.#write(['meta', 'messages', 'replies', 'conversations'], (tx, tell) => this.#recall(tx, tell, message));
  }

  /** I have deleted a message for me: its content goes, its place stays. */
  async deleted(conversationID: string, conversationSeq: number, messageID: string): Promise<void> {
    await this.#write(['meta', 'messages', 'conversations'], async (tx, tell) => {
      const message = await tx.get('messages', [conversationID, conversationSeq]);
      if (message?.message_id === messageID && !message.deleted_for_me) {
        tx.put('messages', [conversationID, conversationSeq], { ...emptied(message), deleted_for_me: true });
        tell(['deleted', { conversationID, conversationSeq, messageID }]);
      }
    });
  }

  /** A stretch of history, read from the server: everything that I may see from first to last. */
  async history(conversationID: string, messages: readonly Message[], first: number, last: number): Promise<void> {
    await this.#write(['meta', 'messages', 'replies', 'holdings'], async (tx, tell) => {
      const seqs = messages.map((message) => message.conversation_seq);
      const [from, to] = [Math.min(...seqs), Math.max(...seqs)];
      const there = new Map(messages.length > 0 ? (await tx.range('messages', { from: [conversationID, from], to: [conversationID, to] })).map(({ key, value }) => [key[1], value]) : []);
      for (const message of messages) putMessage(tx, message, there.get(message.conversation_seq));
      const holding = (await tx.get('holdings', conversationID)) ?? nothingHeld;
      tx.put('holdings', conversationID, hold(holding, first, last));
      tell(['history', { conversationID }]);
    });
  }

  /** Conversations as the server tells them, together with what has come since it was asked. */
  async conversations(fetched: readonly Conversation[]): Promise<void> {
    if (fetched.length === 0) return;
    await this.#write(['meta', 'messages', 'conversations'], async (tx, tell) => {
      for (const conversation of fetched) {
        const id = conversation.conversation_id;
        const row = merged(conversation, await tx.get('conversations', id), await this.#newer(tx, conversation), this.#me());
        tx.put('conversations', id, row);
        this.#touched.add(id);
        tell(['conversation', { conversationID: id, conversation: row.conversation }]);
      }
    });
  }

  /** To be called before the list's newest page is asked for. */
  beforePage(): void {
    this.#touched.clear();
  }

  /** The list's newest page: what should be on it and is not has been hidden, left or dissolved elsewhere. */
  async newestPage(page: readonly Conversation[], complete: boolean): Promise<void> {
    const touched = new Set(this.#touched);
    await this.conversations(page);
    const present = new Set(page.map((conversation) => conversation.conversation_id));
    const oldest = complete ? '' : (page.at(-1)?.updated_at ?? '');
    await this.#write(['meta', 'conversations'], async (tx, tell) => {
      for (const { key, value } of await tx.range('conversations', {})) {
        if (present.has(key) || value.conversation.updated_at <= oldest || touched.has(key)) continue;
        tx.delete('conversations', key);
        tell(['conversation', { conversationID: key, conversation: null }]);
      }
    });
  }

  /** A conversation is not mine any more, or is hidden (its messages are kept then). */
  async remove(conversationID: string, messagesToo: boolean): Promise<void> {
    await this.#write(['meta', 'messages', 'holdings', 'conversations', 'receipts'], async (tx, tell) => {
      tx.delete('conversations', conversationID);
      if (messagesToo) {
        tx.deleteRange('messages', [conversationID, 0], [conversationID, Infinity]);
        tx.delete('holdings', conversationID);
        tx.delete('receipts', conversationID);
      }
      tell(['conversation', { conversationID, conversation: null }]);
    });
  }

  /** Moves my read position, here (`confirmed` false) or as the server says. Answers whether the unread count must be asked for. */
  async read(conversationID: string, upTo: number, confirmed: boolean): Promise<boolean> {
    return this.#write(['meta', 'messages', 'holdings', 'conversations'], async (tx, tell) => {
      const row = await tx.get('conversations', conversationID);
      if (!row) return false;
      const { reading, ...rest } = row;
      const pending = confirmed ? (reading !== undefined && reading > upTo ? reading : undefined) : Math.max(reading ?? 0, upTo);
      const old = row.conversation;
      if (upTo <= old.read_seq) {
        if (confirmed && reading !== undefined && pending === undefined) tx.put('conversations', conversationID, rest);
        return false;
      }
      const left = await this.#unreadAfter(tx, conversationID, upTo, Math.max(row.counted, old.head));
      const conversation: Conversation = { ...old, read_seq: upTo, ...left };
      tx.put('conversations', conversationID, { ...rest, conversation, ...(pending === undefined ? {} : { reading: pending }) });
      tell(['conversation', { conversationID, conversation }]);
      return left === null;
    });
  }

  /** Read positions that the server has not confirmed. */
  async pendingReads(): Promise<Map<string, number>> {
    const rows = await this.#store.read(['conversations'], (tx) => tx.range('conversations', {}));
    return new Map(rows.flatMap(({ key, value }) => (value.reading === undefined ? [] : [[key, value.reading] as const])));
  }

  /** The members' positions of a conversation; null where it has no receipts. */
  async receipts(conversationID: string, members: readonly MemberPosition[]): Promise<void> {
    await this.#write(['meta', 'receipts'], async (tx) => {
      tx.put('receipts', conversationID, Object.fromEntries(members.map((m) => [m.user_id, [m.delivered_seq, m.read_seq]])));
    });
  }

  /** A member has received or read. */
  async receipt(conversationID: string, userID: string, kind: 'delivered' | 'read', upTo: number): Promise<void> {
    await this.#write(['meta', 'receipts'], async (tx, tell) => {
      const members = (await tx.get('receipts', conversationID)) ?? {};
      const [delivered, read] = members[userID] ?? [0, 0];
      const next: [number, number] = [Math.max(delivered, upTo), kind === 'read' ? Math.max(read, upTo) : read];
      if (userID in members) tx.put('receipts', conversationID, { ...members, [userID]: next });
      const position: MemberPosition = { user_id: userID, delivered_seq: next[0], read_seq: next[1] };
      tell(['receipt', { conversationID, position, kind }]);
    });
  }

  /** Where a log conversation is held up to; null if the device has never had it. */
  async log(conversationID: string): Promise<number | null> {
    return this.#store.read(['holdings', 'conversations'], (tx) => this.#logHeld(tx, conversationID));
  }

  /** The message that is held at a conversation_seq, or null. */
  async messageID(conversationID: string, seq: number): Promise<string | null> {
    return this.#store.read(['messages'], async (tx) => (await tx.get('messages', [conversationID, seq]))?.message_id ?? null);
  }

  /** Up to where messages, which follow `after`, are those that are held; what is not held is no other. */
  async agreesUpTo(conversationID: string, messages: readonly Message[], after: number): Promise<number> {
    return this.#store.read(['messages'], async (tx) => {
      let upTo = after;
      for (const message of messages) {
        const held = await tx.get('messages', [conversationID, message.conversation_seq]);
        if (held && held.message_id !== message.message_id) break;
        upTo = message.conversation_seq;
      }
      return upTo;
    });
  }

  async setLog(conversationID: string, upTo: number): Promise<void> {
    await this.#write(['meta', 'holdings'], (tx) => this.#setLog(tx, conversationID, upTo));
  }

  /** The conversation ends at head: what is held beyond it, the server has lost. */
  async conversationEndsAt(conversationID: string, head: number): Promise<void> {
    await this.#write(applyTables, async (tx, tell) => {
      const beyond = await tx.range('messages', { from: [conversationID, head + 1], to: [conversationID, Infinity], limit: kept });
      for (const { value } of beyond) await this.#drop(tx, tell, value);
      const holding = await tx.get('holdings', conversationID);
      if (holding) {
        const trimmed = release(holding, head + 1, Infinity);
        tx.put('holdings', conversationID, trimmed.log === undefined ? trimmed : { ...trimmed, log: Math.min(trimmed.log, head) });
      }
    });
  }

  async #write<R>(tables: Table[], fn: (tx: Transaction, tell: (telling: Telling) => void) => Promise<R>): Promise<R> {
    const me = this.#me();
    const tellings: Telling[] = [];
    const result = await this.#store.write(tables, async (tx) => {
      if (me === null || (await tx.get('meta', 'owner')) !== me) throw new OtherAccountError('the store belongs to another account');
      return fn(tx, (telling) => tellings.push(telling));
    });
    for (const [event, value] of tellings) this.#hub.publish(event, value as never);
    return result;
  }

  /** Stores a message with all that follows from it. Answers the conversation's row; null if the device knows nothing of it. */
  async #take(tx: Transaction, tell: (t: Telling) => void, message: Message, again: boolean): Promise<ConversationRow | null> {
    const id = message.conversation_id;
    const place = message.conversation_seq;
    const stored = putMessage(tx, message, await tx.get('messages', [id, place]));
    let holding = hold((await tx.get('holdings', id)) ?? nothingHeld, place, place);
    if (place % 256 === 0) holding = await this.#prune(tx, id, holding, place);
    tx.put('holdings', id, holding);
    if (message.sender_id === this.#me()) {
      const waiting = await tx.get('outbox', message.client_msg_id);
      if (waiting) {
        tx.delete('outbox', message.client_msg_id);
        tell(['outbox', { clientMsgID: message.client_msg_id, item: null, message: stored }]);
      }
    }
    const target = recallTarget(message);
    if (target !== null && !again) {
      const recalled = await tx.get('messages', [id, target]);
      if (recalled && recalled.message_id === message.reply_to) {
        await this.#recall(tx, tell, { ...emptied(recalled), recalled_at: recalled.recalled_at ?? message.created_at });
      }
    }
    this.#touched.add(id);
    const row = await tx.get('conversations', id);
    if (!row) return null;
    const next = counted(row, stored, this.#me());
    if (next !== row) {
      tx.put('conversations', id, next);
      tell(['conversation', { conversationID: id, conversation: next.conversation }]);
    }
    return next;
  }

  /** Forgets a conversation's oldest messages. */
  async #prune(tx: Transaction, id: string, holding: Holding, newest: number): Promise<Holding> {
    const last = newest - this.#keep;
    if (last < 1) return holding;
    for (const { value } of await tx.range('messages', { from: [id, 0], to: [id, last], limit: 2 * this.#keep })) {
      if (value.quote) tx.delete('replies', [value.quote.message_id, value.conversation_seq]);
    }
    tx.deleteRange('messages', [id, 0], [id, last]);
    return release(holding, 0, last);
  }

  async #recall(tx: Transaction, tell: (t: Telling) => void, left: Message): Promise<void> {
    const id = left.conversation_id;
    const there = await tx.get('messages', [id, left.conversation_seq]);
    const message = there?.deleted_for_me ? { ...left, deleted_for_me: true } : left;
    if (there?.message_id === left.message_id) tx.put('messages', [id, left.conversation_seq], message);
    for (const { key } of await tx.range('replies', { from: [left.message_id, 0], to: [left.message_id, Infinity], limit: kept })) {
      const reply = await tx.get('messages', [id, key[1]]);
      if (reply?.quote) tx.put('messages', [id, key[1]], { ...reply, quote: { ...reply.quote, recalled: true, text: '' } });
    }
    const row = await tx.get('conversations', id);
    if (row?.conversation.last_message?.message_id === left.message_id) {
      const conversation = { ...row.conversation, last_message: message };
      tx.put('conversations', id, { ...row, conversation });
      tell(['conversation', { conversationID: id, conversation }]);
    }
    tell(['recalled', { message }]);
  }

  /** Forgets the mailbox's entries from seq on, with their messages: the server has lost them. */
  async #truncate(tx: Transaction, tell: (t: Telling) => void, seq: number): Promise<void> {
    for (const row of await tx.range('trail', { from: seq })) await this.#forget(tx, tell, row);
  }

  async #forget(tx: Transaction, tell: (t: Telling) => void, { key, value }: { key: number; value: Tables['trail']['value'] }): Promise<void> {
    const message = await tx.get('messages', [value.conversation, value.seq]);
    if (message?.message_id === value.id) await this.#drop(tx, tell, message);
    tx.delete('trail', key);
  }

  /** Forgets a message that the server has lost. What I sent goes back into the outbox: a resend is the same message. */
  async #drop(tx: Transaction, tell: (t: Telling) => void, message: Message): Promise<void> {
    const id = message.conversation_id;
    const place = message.conversation_seq;
    tx.delete('messages', [id, place]);
    const holding = await tx.get('holdings', id);
    if (holding) tx.put('holdings', id, release(holding, place, place));
    const row = await tx.get('conversations', id);
    if (row && row.counted >= place) {
      const head = Math.min(row.conversation.head, place - 1);
      tx.put('conversations', id, { ...row, counted: place - 1, conversation: { ...row.conversation, head } });
    }
    const type = message.type;
    if (message.sender_id !== this.#me() || type === 'recall' || type === 'notice' || message.recalled_at || message.deleted_for_me) return;
    const item: OutboxRow = {
      clientMsgID: message.client_msg_id,
      draft: {
        conversation: id,
        type,
        body: message.body,
        ext: message.ext,
        replyTo: message.reply_to,
        ...(message.mentions ? { mentions: message.mentions } : {}),
      },
      state: 'failed',
      error: { code: 'lost', status: 0, detail: 'the server was restored from before this message', retryable: true },
      at: Date.parse(message.created_at),
      order: Date.parse(message.created_at),
    };
    tx.put('outbox', item.clientMsgID, item);
    tell(['outbox', { clientMsgID: item.clientMsgID, item, message: null }]);
  }

  async #logHeld(tx: Transaction, id: string): Promise<number | null> {
    const holding = await tx.get('holdings', id);
    if (holding?.log !== undefined) return holding.log;
    // A group that has just become a log: what came by the mailbox is held.
    const row = await tx.get('conversations', id);
    const top = holding ? topOf(holding) : 0;
    if (row && row.conversation.delivery === 'mailbox' && top > 0) return top;
    return null;
  }

  async #setLog(tx: Transaction, id: string, upTo: number): Promise<void> {
    tx.put('holdings', id, { ...((await tx.get('holdings', id)) ?? nothingHeld), log: upTo });
  }

  /** The messages that are stored beyond what the server had counted when it told of the conversation. */
  async #newer(tx: Transaction, fetched: Conversation): Promise<Message[]> {
    const id = fetched.conversation_id;
    const rows = await tx.range('messages', { from: [id, fetched.head + 1], to: [id, Infinity], limit: kept });
    return rows.map((row) => row.value);
  }

  /** Counts what is unread after a position; null if not everything is held. */
  async #unreadAfter(tx: Transaction, id: string, upTo: number, head: number): Promise<{ unread: number; unread_mentions: number } | null> {
    if (upTo >= head) return { unread: 0, unread_mentions: 0 };
    const holding = (await tx.get('holdings', id)) ?? nothingHeld;
    if (!holding.ranges.some(([first, last]) => first <= upTo + 1 && last >= head)) return null;
    const rows = await tx.range('messages', { from: [id, upTo + 1], to: [id, head] });
    const others = rows.filter(({ value }) => counts(value, this.#me()));
    return { unread: others.length, unread_mentions: others.filter(({ value }) => mentioned(value, this.#me())).length };
  }
}

/** Stores a message, unless what is `there` knows more: a push may be repeated as it was. Answers what is there then. */
function putMessage(tx: Transaction, message: Message, there: Message | undefined): Message {
  const key: [string, number] = [message.conversation_id, message.conversation_seq];
  if (there && there.message_id === message.message_id) {
    if ((there.recalled_at && !message.recalled_at) || (there.deleted_for_me && !message.deleted_for_me)) return there;
  }
  tx.put('messages', key, message);
  if (message.quote) tx.put('replies', [message.quote.message_id, message.conversation_seq], message.conversation_id);
  return message;
}

/** The conversation_seq that a recall is about; null of other messages. */
function recallTarget(message: Message): number | null {
  const target = message.type === 'recall' ? message.body['conversation_seq'] : null;
  return typeof target === 'number' ? target : null;
}

/** The message without its content. */
function emptied(message: Message): Message {
  const { mentions: _mentions, quote: _quote, ...rest } = message;
  return { ...rest, body: {}, ext: {} };
}

function counts(message: Message, me: string | null): boolean {
  return message.sender_id !== me && !message.deleted_for_me;
}

function mentioned(message: Message, me: string | null): boolean {
  return message.mentions === 'all' || (me !== null && (message.mentions?.includes(me) ?? false));
}

/** The row after a message. Messages of a conversation come in its order, but for my own, which a send's answer brings early. */
function counted(row: ConversationRow, message: Message, me: string | null): ConversationRow {
  const place = message.conversation_seq;
  const { conversation } = row;
  const next = { ...conversation };
  if (place > conversation.head || (place === conversation.head && !conversation.last_message)) {
    next.head = place;
    next.last_message = message;
    next.updated_at = message.created_at;
  }
  if (place <= row.counted) return next.head === conversation.head ? row : { ...row, conversation: next };
  if (message.sender_id === me) {
    // Not counted, and others' messages before it may still come.
    return { ...row, conversation: next };
  }
  if (place > conversation.read_seq && counts(message, me)) {
    next.unread = conversation.unread + 1;
    if (mentioned(message, me)) next.unread_mentions = conversation.unread_mentions + 1;
  }
  return { ...row, conversation: next, counted: place };
}

/** What the server has told, with what has happened on this device since. */
function merged(fetched: Conversation, row: ConversationRow | undefined, newer: readonly Message[], me: string | null): ConversationRow {
  let conversation = fetched;
  let next: ConversationRow = { conversation, counted: fetched.head };
  for (const message of newer) next = counted(next, message, me);
  conversation = next.conversation;
  if (row?.reading !== undefined && row.reading > conversation.read_seq) {
    const none = row.reading >= conversation.head;
    conversation = { ...conversation, read_seq: row.reading, ...(none ? { unread: 0, unread_mentions: 0 } : {}) };
    return { ...next, conversation, reading: row.reading };
  }
  return { ...next, conversation };
}
