import type { ClientEvents, MessageItem, MessageList, MessageListState, Observable, OutboxItem, ReceiptsState, SendState } from './api.js';
import type { Conversations } from './conversations.js';
import type { History } from './history.js';
import type { Hub } from './hub.js';
import type { Message } from './object.js';
import { Value } from './observable.js';
import type { OutboxTable } from './outbox.js';
import { asApiError } from './problem.js';
import { sentState } from './sent.js';
import type { Receipts } from './receipts.js';

export interface MessageListOptions {
  readonly of: { readonly conversation: string } | { readonly to: string };
  readonly pageSize: number;
  readonly limit: number;
  readonly history: History;
  readonly conversations: Conversations;
  readonly outbox: OutboxTable;
  readonly receipts: Receipts;
  readonly hub: Hub;
  readonly me: () => string | null;
  readonly onClose: () => void;
}

type Loading = NonNullable<MessageListState['loading']>;

/** A window on a conversation. Loads go one after the other; what arrives meanwhile is found by the load, or after it. */
export class MessageWindow implements MessageList {
  readonly #options: MessageListOptions;
  readonly #state = new Value<MessageListState>({
    items: [],
    conversation: null,
    hasOlder: false,
    hasNewer: false,
    loading: 'start',
    error: null,
  });
  readonly get = this.#state.get;
  readonly subscribe = this.#state.subscribe;
  readonly #ends: (() => void)[] = [];
  #conversation: string | null = null;
  #peer: string | null = null;
  #messages: readonly Message[] = [];
  #pending: readonly OutboxItem[] = [];
  #items = new Map<string, MessageItem>();
  #receipts: (Observable<ReceiptsState> & { close(): void }) | null = null;
  #turn: Promise<void> = Promise.resolve();
  #stale = false;
  /** Does the load again that has failed. */
  #again: (() => Promise<void>) | null = null;
  #drawing = false;
  #closed = false;

  constructor(options: MessageListOptions) {
    this.#options = options;
    const { hub } = options;
    this.#ends.push(
      hub.on('message', ({ message }) => this.#arrived(message)),
      hub.on('outbox', (change) => this.#outboxChanged(change)),
      hub.on('recalled', ({ message }) => this.#recalled(message)),
      hub.on('deleted', ({ conversationID, messageID }) => {
        if (conversationID === this.#conversation) this.#show(this.#messages.filter((m) => m.message_id !== messageID));
      }),
      hub.on('conversation', ({ conversation }) => {
        if (!this.#conversation && this.#peer && conversation?.peer_id === this.#peer) void this.#bind(conversation.conversation_id);
      }),
      hub.on('reset', () => void this.loadNewest()),
      hub.on('connection', ({ state }) => {
        if (state === 'online' && this.#state.get().error) void (this.#again?.() ?? this.loadNewest());
      }),
    );
    void this.#load('start', async () => {
      this.#pending = await this.#ofOutbox();
      if ('conversation' in options.of) {
        this.#conversation = options.of.conversation;
        this.#peer = (await options.conversations.stored(options.of.conversation))?.peer_id ?? null;
      } else {
        this.#peer = options.of.to;
        this.#conversation = (await options.conversations.direct(options.of.to))?.conversation_id ?? null;
      }
      this.#pending = await this.#ofOutbox();
      await this.#toEnd();
    });
  }

  loadOlder(): Promise<void> {
    return this.#load('older', async (id) => {
      const { history, pageSize, limit } = this.#options;
      const first = this.#messages[0]?.conversation_seq;
      if (first === undefined) return;
      const page = await history.before(id, first, pageSize);
      const all = [...page.messages, ...this.#messages];
      this.#show(all.slice(0, limit), { hasOlder: !page.end, hasNewer: this.#state.get().hasNewer || all.length > limit });
    });
  }

  loadNewer(): Promise<void> {
    return this.#load('newer', async (id) => {
      const { history, pageSize } = this.#options;
      const last = this.#messages.at(-1)?.conversation_seq ?? 0;
      const page = await history.after(id, last, pageSize);
      this.#append(page.messages, last, { hasNewer: !page.end });
    });
  }

  loadAround(conversationSeq: number): Promise<void> {
    return this.#load('start', async (id) => {
      const { history, pageSize } = this.#options;
      const half = Math.ceil(pageSize / 2);
      const older = await history.before(id, conversationSeq + 1, half);
      const newer = await history.after(id, conversationSeq, half);
      this.#show([...older.messages, ...newer.messages], { hasOlder: !older.end, hasNewer: !newer.end });
    });
  }

  loadNewest(): Promise<void> {
    return this.#load('start', () => this.#toEnd());
  }

  close(): void {
    this.#closed = true;
    for (const end of this.#ends) end();
    this.#receipts?.close();
    this.#state.clear();
    this.#options.onClose();
  }

  /** Does one load after the other. The window follows what arrives only between them. */
  #load(loading: Loading, fn: (id: string) => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      if (this.#closed) return;
      this.#patch({ loading });
      try {
        await fn(this.#conversation ?? '');
        this.#again = null;
        this.#patch({ error: null });
      } catch (error) {
        this.#again = () => this.#load(loading, fn);
        this.#patch({ error: asApiError(error) });
      }
      if (this.#stale) await this.#catchUp();
      this.#patch({ loading: null });
    });
    return this.#turn;
  }

  /** Shows the end: first what is held, then what the server has. */
  async #toEnd(): Promise<void> {
    const id = this.#conversation;
    if (!id) return;
    const { history, pageSize, receipts } = this.#options;
    if (!this.#receipts) {
      this.#receipts = receipts.follow(id);
      this.#ends.push(this.#receipts.subscribe(() => this.#draw()));
    }
    this.#stale = false;
    if (this.#messages.length === 0) {
      const stored = await history.stored(id, pageSize);
      this.#show(stored, { conversation: id, hasOlder: stored.length > 0 });
    }
    const page = await history.newest(id, pageSize);
    this.#show(page.messages, { conversation: id, hasOlder: !page.end, hasNewer: false });
  }

  /** What has arrived during a load. */
  async #catchUp(): Promise<void> {
    while (this.#stale) {
      this.#stale = false;
      const id = this.#conversation;
      if (!id || this.#state.get().hasNewer) return;
      const last = this.#messages.at(-1)?.conversation_seq ?? 0;
      try {
        const page = await this.#options.history.after(id, last, this.#options.limit);
        this.#append(page.messages, last, { hasNewer: !page.end });
      } catch (error) {
        this.#patch({ error: asApiError(error) });
      }
    }
  }

  async #bind(id: string): Promise<void> {
    if (this.#conversation) return;
    this.#conversation = id;
    await this.#load('start', () => this.#toEnd());
  }

  #arrived(message: Message): void {
    if (message.conversation_id !== this.#conversation || message.deleted_for_me) return;
    const state = this.#state.get();
    const last = this.#messages.at(-1)?.conversation_seq ?? 0;
    if (message.conversation_seq <= last) {
      this.#replace(message);
    } else if (state.hasNewer) {
      // Elsewhere: loadNewer will find it.
    } else if (state.loading === null && message.conversation_seq === last + 1) {
      this.#append([message], last);
    } else {
      this.#stale = true;
      if (state.loading === null) void this.#load('newer', async () => undefined);
    }
  }

  #outboxChanged({ clientMsgID, item, message }: ClientEvents['outbox']): void {
    if (item) {
      if (!this.#concerns(item)) return;
      const known = this.#pending.some((other) => other.clientMsgID === clientMsgID);
      this.#pending = known
        ? this.#pending.map((other) => (other.clientMsgID === clientMsgID ? item : other))
        : [...this.#pending, item];
      this.#draw();
      return;
    }
    const gone = this.#pending.find((other) => other.clientMsgID === clientMsgID);
    this.#pending = this.#pending.filter((other) => other !== gone);
    if (message && !this.#conversation && gone) void this.#bind(message.conversation_id);
    else if (message) this.#arrived(message);
    if (gone) this.#draw();
  }

  #recalled(message: Message): void {
    if (message.conversation_id !== this.#conversation) return;
    this.#show(
      this.#messages.map((other) => {
        if (other.message_id === message.message_id) return message;
        if (other.quote?.message_id !== message.message_id) return other;
        return { ...other, quote: { ...other.quote, recalled: true, text: '' } };
      }),
    );
  }

  #replace(message: Message): void {
    if (this.#messages.some((other) => other.conversation_seq === message.conversation_seq)) return;
    // Before the end, and not there: my own message was faster than others' before it.
    const first = this.#messages[0]?.conversation_seq ?? 0;
    if (message.conversation_seq < first) return;
    this.#show([...this.#messages, message].sort((a, b) => a.conversation_seq - b.conversation_seq));
  }

  #append(messages: readonly Message[], after: number, change: Partial<MessageListState> = {}): void {
    const { limit, pageSize } = this.#options;
    const all = [...this.#messages, ...messages.filter((message) => message.conversation_seq > after)];
    if (all.length > limit + pageSize) {
      this.#show(all.slice(-limit), { ...change, hasOlder: true });
    } else {
      this.#show(all, change);
    }
  }

  #concerns({ draft }: OutboxItem): boolean {
    if (draft.to !== undefined) return draft.to === this.#peer;
    return draft.conversation === this.#conversation && this.#conversation !== null;
  }

  async #ofOutbox(): Promise<OutboxItem[]> {
    return (await this.#options.outbox.items()).filter((item) => this.#concerns(item));
  }

  /** Shows other messages, together with what else changes: nobody sees the new end with the old messages. */
  #show(messages: readonly Message[], change: Partial<MessageListState> = {}): void {
    this.#messages = messages;
    if (Object.keys(change).length === 0) this.#draw();
    else this.#patch({ ...change, items: this.#lines(change.hasNewer ?? this.#state.get().hasNewer) });
  }

  #patch(change: Partial<MessageListState>): void {
    const state = this.#state.get();
    const keys = Object.keys(change) as (keyof MessageListState)[];
    if (keys.some((key) => state[key] !== change[key])) this.#state.set({ ...state, ...change });
  }

  /** Makes the lines, once for all that happens at a time. */
  #draw(): void {
    if (this.#drawing) return;
    this.#drawing = true;
    queueMicrotask(() => {
      this.#drawing = false;
      if (!this.#closed) this.#patch({ items: this.#lines(this.#state.get().hasNewer) });
    });
  }

  #lines(hasNewer: boolean): MessageItem[] {
    const me = this.#options.me();
    const next = new Map<string, MessageItem>();
    for (const message of this.#messages) {
      const mine = message.sender_id === me;
      const state = mine && message.type !== 'notice' && message.type !== 'recall' ? sentState(this.#options.receipts.progress(message)) : null;
      this.#line(next, { key: mine ? message.client_msg_id : message.message_id, mine, message, pending: null, state });
    }
    if (!hasNewer) {
      for (const pending of this.#pending) {
        // Its message is here already.
        if (next.has(pending.clientMsgID)) continue;
        this.#line(next, { key: pending.clientMsgID, mine: true, message: null, pending, state: pending.state });
      }
    }
    this.#items = next;
    return [...next.values()];
  }

  /** The same object as before, if nothing of it has changed. */
  #line(lines: Map<string, MessageItem>, line: { key: string; mine: boolean; message: Message | null; pending: OutboxItem | null; state: SendState | null }): void {
    const old = this.#items.get(line.key);
    const same = old && old.message === line.message && old.pending === line.pending && old.state === line.state;
    lines.set(line.key, same ? old : line);
  }
}
