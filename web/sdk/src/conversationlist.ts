import type { ConversationList, ConversationListState } from './api.js';
import type { Conversations } from './conversations.js';
import type { Hub } from './hub.js';
import type { Conversation } from './object.js';
import { Value } from './observable.js';

/** My conversations: all that the device knows, and pages of the server's list. */
export class ConversationLines implements ConversationList {
  readonly #conversations: Conversations;
  readonly #onClose: () => void;
  readonly #all = new Map<string, Conversation>();
  readonly #state = new Value<ConversationListState>({ conversations: [], hasMore: false, unread: 0 });
  readonly get = this.#state.get;
  readonly subscribe = this.#state.subscribe;
  readonly #ends: (() => void)[];
  #cursor: string | null = null;
  #loading: Promise<void> | null = null;
  #drawing = false;
  #closed = false;

  constructor(conversations: Conversations, hub: Hub, fault: (error: unknown) => void, onClose: () => void) {
    this.#conversations = conversations;
    this.#onClose = onClose;
    this.#ends = [
      hub.on('conversation', ({ conversationID, conversation }) => {
        if (conversation) this.#all.set(conversationID, conversation);
        else this.#all.delete(conversationID);
        this.#draw();
      }),
      hub.on('listed', ({ next }) => this.more(next)),
      hub.on('session', () => {
        this.#all.clear();
        this.more(null);
        this.#read().catch(fault);
      }),
    ];
    this.#read().catch(fault);
  }

  /** Takes the cursor of the next page; null at the end. */
  more(cursor: string | null): void {
    this.#cursor = cursor;
    this.#draw();
  }

  loadMore(): Promise<void> {
    if (!this.#cursor) return this.#loading ?? Promise.resolve();
    const cursor = this.#cursor;
    this.#loading ??= this.#conversations
      .page(cursor)
      .then((next) => {
        if (this.#cursor === cursor) this.more(next);
      })
      .finally(() => {
        this.#loading = null;
      });
    return this.#loading;
  }

  close(): void {
    this.#closed = true;
    for (const end of this.#ends) end();
    this.#state.clear();
    this.#onClose();
  }

  /** What is on the device. */
  async #read(): Promise<void> {
    for (const conversation of await this.#conversations.all()) {
      const id = conversation.conversation_id;
      if (!this.#all.has(id)) this.#all.set(id, conversation);
    }
    this.#draw();
  }

  #draw(): void {
    if (this.#drawing) return;
    this.#drawing = true;
    queueMicrotask(() => {
      this.#drawing = false;
      if (this.#closed) return;
      const conversations = [...this.#all.values()].sort(byActivity);
      const unread = conversations.reduce((sum, c) => (c.muted ? sum : sum + c.unread), 0);
      this.#state.set({ conversations, hasMore: this.#cursor !== null, unread });
    });
  }
}

function byActivity(a: Conversation, b: Conversation): number {
  if (a.pinned !== b.pinned) return a.pinned ? -1 : 1;
  return a.updated_at < b.updated_at ? 1 : a.updated_at > b.updated_at ? -1 : 0;
}
