import type { ClientOptions, Connection, Rest } from './api.js';
import type { Clock } from './clock.js';
import type { Conversations } from './conversations.js';
import type { Hub, Request } from './hub.js';
import { Inbox } from './inbox.js';
import { type Ledger, OtherAccountError } from './ledger.js';
import { Link } from './link.js';
import type { Frame } from './object.js';
import { Outbox, type OutboxTable } from './outbox.js';
import { asApiError } from './problem.js';
import { ask } from './rest.js';
import type { SessionKeeper } from './session.js';
import type { Store } from './store.js';

/** How long the end of leading may take, in ms. */
const patience = 2_000;

export interface LeaderOptions {
  readonly base: string;
  readonly session: SessionKeeper;
  readonly deviceID: string;
  readonly userID: string;
  readonly rest: Rest;
  readonly ledger: Ledger;
  readonly conversations: Conversations;
  readonly table: OutboxTable;
  readonly store: Store;
  readonly hub: Hub;
  readonly clock: Clock;
  readonly random: () => number;
  readonly WebSocket: NonNullable<ClientOptions['WebSocket']>;
  readonly fetch: typeof globalThis.fetch;
  readonly sendWindow: number;
  readonly logBacklog: number;
  readonly onState: (connection: Connection) => void;
}

/** What one tab does for all: holds the socket, fills the store, acks, and empties the outbox. */
export class Leader {
  readonly #options: LeaderOptions;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #link: Link;
  #state: Connection['state'] = 'idle';
  #greeted = false;
  /** The cursor after the newest page of the list; undefined before that was read. */
  #next: string | null | undefined;
  #refreshing: Promise<void> | null = null;
  #reading: Promise<void> | null = null;
  #readAgain = false;

  constructor(options: LeaderOptions) {
    this.#options = options;
    const { base, session, deviceID, rest, ledger, conversations, table, hub, clock, random } = options;
    this.#inbox = new Inbox({
      ledger,
      conversations,
      hub,
      rest,
      clock,
      random,
      deviceID,
      logBacklog: options.logBacklog,
      parting: (body) => this.#part(body),
      caughtUp: (yes) => this.#caughtUp(yes),
    });
    this.#outbox = new Outbox({ table, ledger, conversations, hub, rest, clock, random, window: options.sendWindow });
    this.#link = new Link({
      base,
      deviceID,
      rest,
      session,
      WebSocket: options.WebSocket,
      clock,
      random,
      position: () => this.#inbox.position,
      onFrame: (frame) => this.#heard(frame),
      onDown: () => {
        this.#greeted = false;
        this.#inbox.disconnected();
      },
      onState: (connection) => this.#told(connection),
      offline: () => typeof navigator !== 'undefined' && navigator.onLine === false,
    });
  }

  /** Leads until resign is aborted. */
  async run(resign: AbortSignal): Promise<void> {
    const unwatch = this.#watchPage();
    try {
      await this.#inbox.load();
      await this.#outbox.start();
      if (resign.aborted) return;
      this.#link.start();
      await new Promise<void>((resolve) => resign.addEventListener('abort', () => resolve(), { once: true }));
    } finally {
      unwatch();
      this.#link.stop();
      const ended = Promise.all([this.#outbox.stop(), this.#inbox.stop(), this.#refreshing, this.#reading]);
      // What hangs in the network must not keep another tab from leading; what it writes late does no harm.
      await new Promise<void>((resolve, reject) => {
        const cancel = this.#options.clock.after(patience, resolve);
        ended.then(() => resolve(), reject).finally(cancel);
      });
    }
  }

  asked(request: Request): void {
    if (request === 'hello' && this.#next !== undefined) this.#options.hub.publish('listed', { next: this.#next });
    if (request === 'kick') this.#outbox.kick();
    if (request === 'retry') this.#link.retry();
    if (request === 'takeover') this.#link.start();
    if (request === 'reads') this.#sendReads();
  }

  #heard(frame: Frame): void {
    this.#inbox.take(frame);
    if (frame.type !== 'hello') return;
    this.#greeted = true;
    // What no mailbox tells is asked for: lists, what was deleted, and what was read without a connection.
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
    });
    this.#sendReads();
    this.#outbox.kick();
  }

  #told(connection: Connection): void {
    this.#state = connection.state;
    this.#options.onState(connection);
  }

  #caughtUp(yes: boolean): void {
    if (!this.#greeted) return;
    const state = yes ? 'online' : 'catching_up';
    if (state !== this.#state) this.#told({ state });
  }

  async #refresh(): Promise<void> {
    const { conversations, hub } = this.#options;
    try {
      this.#next = await conversations.page(null);
      hub.publish('listed', { next: this.#next });
      await this.#readDeletions();
    } catch (error) {
      // The link is gone again, and its next hello begins anew; or the server is ill: lists are as old as they are.
      const problem = asApiError(error);
      if (problem !== error && !(error instanceof OtherAccountError)) hub.emit('fault', { error: problem });
    }
  }

  /** Reads what I have deleted for me elsewhere, from where this device has read before. */
  async #readDeletions(): Promise<void> {
    const { store, rest, ledger } = this.#options;
    for (;;) {
      const after = (await store.read(['meta'], (tx) => tx.get('meta', 'deletions'))) as string | undefined;
      const query = after === undefined ? { limit: 200 } : { limit: 200, after };
      const page = await ask(rest.GET('/v1/messages/deleted', { params: { query } }));
      for (const deletion of page.deleted) {
        await ledger.deleted(deletion.conversation_id, deletion.conversation_seq, deletion.message_id);
      }
      const last = page.deleted.at(-1)?.id;
      if (last !== undefined) await store.write(['meta'], async (tx) => tx.put('meta', 'deletions', last));
      if (!page.has_more || last === undefined) return;
    }
  }

  /** Tells the server what was read, one round at a time. */
  #sendReads(): void {
    this.#readAgain = true;
    this.#reading ??= this.#readRound().finally(() => {
      this.#reading = null;
    });
  }

  async #readRound(): Promise<void> {
    const { ledger, rest, conversations } = this.#options;
    try {
      while (this.#readAgain) {
        this.#readAgain = false;
        for (const [id, upTo] of await ledger.pendingReads()) {
          const answer = await ask(
            rest.POST('/v1/conversations/{conversation_id}/read', { params: { path: { conversation_id: id } }, body: { up_to: upTo } }),
          ).catch((error: unknown) => {
            const problem = asApiError(error);
            // Not mine any more: there is nothing to read.
            if (problem.code === 'not_found') return null;
            throw problem;
          });
          if (!answer) await ledger.remove(id, true);
          else if (await ledger.read(id, Math.max(answer.read_seq, upTo), true)) conversations.refresh(id);
        }
      }
    } catch {
      // Kept in the store, and told at the next connection.
    }
  }

  /** Follows the page's life: what it holds is acked before it goes, and a dead link is noticed when it comes back. */
  #watchPage(): () => void {
    if (typeof document === 'undefined' || typeof window === 'undefined') return () => undefined;
    const leave = () => this.#inbox.acks.part();
    const turn = () => (document.visibilityState === 'hidden' ? leave() : this.#link.nudge());
    const back = () => this.#link.nudge();
    window.addEventListener('pagehide', leave);
    window.addEventListener('online', back);
    document.addEventListener('visibilitychange', turn);
    return () => {
      window.removeEventListener('pagehide', leave);
      window.removeEventListener('online', back);
      document.removeEventListener('visibilitychange', turn);
    };
  }

  /** An ack that outlives the page. Its loss does no harm. */
  #part(body: unknown): void {
    const { base, fetch, session } = this.#options;
    const token = session.tokenNow;
    if (!token) return;
    fetch(`${base}/v1/mailbox/ack`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      keepalive: true,
    }).catch(() => undefined);
  }
}
