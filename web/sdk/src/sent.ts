import type { Progress, SendState, SentMessage, SentStatus, Unsubscribe } from './api.js';
import type { Hub } from './hub.js';
import type { Message } from './object.js';
import { Value } from './observable.js';
import { discarded, type OutboxTable, unknown } from './outbox.js';
import { NotSentError, type SendError } from './problem.js';
import type { Receipts } from './receipts.js';

/** Handles that are kept up to date at most; of more, the oldest stay as they are. */
const mostFollowed = 500;

/** How far a stored message of mine is. */
export function sentState(progress: Progress | null): 'sent' | 'delivered' | 'read' {
  if (!progress || progress.of < 1) return 'sent';
  if (progress.read >= progress.of) return 'read';
  return progress.delivered >= progress.of ? 'delivered' : 'sent';
}

/** The messages that this page has sent or asked for, with their states. */
export class SentMessages {
  readonly #hub: Hub;
  readonly #table: OutboxTable;
  readonly #receipts: Receipts;
  readonly #handles = new Map<string, Handle>();
  readonly #end: Unsubscribe;

  constructor(hub: Hub, table: OutboxTable, receipts: Receipts) {
    this.#hub = hub;
    this.#table = table;
    this.#receipts = receipts;
    this.#end = hub.on('outbox', ({ clientMsgID, item, message }) => {
      const handle = this.#handles.get(clientMsgID);
      if (message) handle?.stored(message);
      else if (!item) handle?.failed(discarded);
      else handle?.waits(item.state, item.error);
    });
  }

  /** The handle of a message that is being put into the outbox. */
  follow(key: string): Handle {
    let handle = this.#handles.get(key);
    if (handle) return handle;
    handle = new Handle(key, this, this.#receipts);
    this.#handles.set(key, handle);
    for (const [oldest, other] of this.#handles) {
      if (this.#handles.size <= mostFollowed) break;
      this.#handles.delete(oldest);
      other.close();
    }
    return handle;
  }

  /** The handle of a message that was put into the outbox before. */
  find(key: string): Handle {
    const known = this.#handles.get(key);
    if (known) return known;
    const handle = this.follow(key);
    this.#table.item(key).then(
      (item) => (item ? handle.waits(item.state, item.error) : handle.failed(unknown)),
      (error: unknown) => this.#hub.emit('fault', { error: error instanceof Error ? error : new Error(String(error)) }),
    );
    return handle;
  }

  /** Sends a failed message again, and resolves when it is sent. */
  async resend(key: string): Promise<Message> {
    const handle = this.follow(key);
    await this.#table.again(key);
    return handle.outcome();
  }

  discard(key: string): Promise<void> {
    return this.#table.discard(key);
  }

  close(): void {
    this.#end();
    for (const handle of this.#handles.values()) handle.close();
    this.#handles.clear();
  }
}

class Handle implements SentMessage {
  readonly clientMsgID: string;
  readonly sent: Promise<Message>;
  readonly #status = new Value<SentStatus>({ state: 'sending', message: null, error: null, progress: null });
  readonly get = this.#status.get;
  readonly subscribe = this.#status.subscribe;
  readonly #all: SentMessages;
  readonly #receipts: Receipts;
  #unfollow: Unsubscribe | null = null;

  constructor(key: string, all: SentMessages, receipts: Receipts) {
    this.clientMsgID = key;
    this.#all = all;
    this.#receipts = receipts;
    this.sent = this.outcome();
    this.sent.catch(() => undefined);
  }

  resend(): Promise<Message> {
    return this.#all.resend(this.clientMsgID);
  }

  discard(): Promise<void> {
    return this.#all.discard(this.clientMsgID);
  }

  /** Resolves or rejects with the next state that is not `sending`. */
  outcome(): Promise<Message> {
    return new Promise((resolve, reject) => {
      const look = (): boolean => {
        const { message, error } = this.get();
        if (message) resolve(message);
        else if (error) reject(new NotSentError(error));
        return message !== null || error !== null;
      };
      if (look()) return;
      const end = this.subscribe(() => look() && end());
    });
  }

  waits(state: SendState, error: SendError | null): void {
    if (state === 'failed') this.failed(error ?? unknown);
    else this.#pend('sending', null);
  }

  failed(error: SendError): void {
    this.#pend('failed', error);
  }

  #pend(state: 'sending' | 'failed', error: SendError | null): void {
    this.close();
    this.#status.set({ state, message: null, error, progress: null });
  }

  stored(message: Message): void {
    this.close();
    this.#show(message);
    const receipts = this.#receipts.follow(message.conversation_id);
    const end = receipts.subscribe(() => this.#show(message));
    this.#unfollow = () => {
      end();
      receipts.close();
    };
    this.#show(message);
  }

  close(): void {
    this.#unfollow?.();
    this.#unfollow = null;
  }

  #show(message: Message): void {
    const progress = this.#receipts.progress(message);
    const state = sentState(progress);
    const old = this.get();
    const same = old.message === message && old.progress?.delivered === progress?.delivered && old.progress?.read === progress?.read;
    if (!same || old.progress?.of !== progress?.of) this.#status.set({ state, message, error: null, progress });
    if (state === 'read') this.close();
  }
}
