import type {
  Client,
  ClientEvents,
  ClientOptions,
  Connection,
  ConversationList,
  Draft,
  FeedEntry,
  MessageList,
  Observable,
  OutboxItem,
  Progress,
  ReceiptsState,
  Rest,
  SentMessage,
  Session,
  Tabs,
  Unsubscribe,
  Upload,
} from './api.js';
import { type Clock, systemClock } from './clock.js';
import { ConversationLines } from './conversationlist.js';
import { Conversations } from './conversations.js';
import { feed } from './feed.js';
import { History } from './history.js';
import { Hub } from './hub.js';
import { IndexedDBStore } from './indexeddb.js';
import { newKey } from './key.js';
import { Leader } from './leader.js';
import { Ledger } from './ledger.js';
import { MemoryStore } from './memory.js';
import { MessageWindow } from './messagelist.js';
import type { Conversation, Message, UploadedFile } from './object.js';
import { Value } from './observable.js';
import { OutboxTable, signedOut } from './outbox.js';
import { ApiError, asApiError, NotSentError } from './problem.js';
import { Receipts } from './receipts.js';
import { ask, authorised, createRest, timed } from './rest.js';
import { SentMessages } from './sent.js';
import { SessionKeeper } from './session.js';
import type { Store } from './store.js';
import { browserTabs, processTabs } from './tabs.js';
import { Typing } from './typing.js';
import { byFetch, byRequest, upload } from './upload.js';

/** How long an answer to one of the client's own calls may take, in ms. */
const answerWithin = 15_000;

/** Makes a client. It opens its store at once, and nothing else before connect(). */
export function createClient(options: ClientOptions = {}): Client {
  return new AckboxClient(options);
}

class AckboxClient implements Client {
  readonly session: Observable<Session | null>;
  readonly ready: Promise<void>;
  readonly connection: Observable<Connection>;
  readonly outbox: Observable<readonly OutboxItem[]>;
  readonly rest: Rest;

  readonly #base: string;
  readonly #name: string;
  readonly #store: Store;
  readonly #tabs: Tabs;
  readonly #clock: Clock;
  readonly #hub: Hub;
  readonly #keeper: SessionKeeper;
  readonly #call: (request: Request) => Promise<Response>;
  /** The calls that the client makes for itself. */
  readonly #quick: Rest;
  readonly #ledger: Ledger;
  readonly #conversations: Conversations;
  readonly #history: History;
  readonly #receipts: Receipts;
  readonly #table: OutboxTable;
  readonly #sent: SentMessages;
  readonly #options: ClientOptions;
  readonly #fetch: typeof globalThis.fetch;
  readonly #connection = new Value<Connection>({ state: 'idle' });
  readonly #outbox = new Value<readonly OutboxItem[]>([]);
  readonly #lists = new Set<ConversationLines>();
  readonly #windows = new Set<MessageWindow>();
  readonly #typing: Typing;
  readonly #closing = new AbortController();
  /** What this tab does if connect() was called: leads, or waits until it may. */
  #election: Promise<void> | null = null;
  #resign: AbortController | null = null;
  #leader: Leader | null = null;
  #cursor: string | null = null;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#base = (options.baseURL ?? pageOrigin()).replace(/\/+$/, '');
    this.#name = options.name ?? 'ackbox';
    this.#store = options.store ?? (typeof indexedDB === 'undefined' ? new MemoryStore() : new IndexedDBStore(this.#name));
    this.#tabs = options.tabs ?? (hasTabs() ? browserTabs : processTabs());
    this.#clock = options.clock ?? systemClock;
    this.#hub = new Hub(this.#tabs, `${this.#name}:tabs`);
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    this.#keeper = new SessionKeeper({
      store: this.#store,
      hub: this.#hub,
      tabs: this.#tabs,
      name: this.#name,
      base: this.#base,
      fetch: this.#fetch,
      deviceID: options.deviceID,
    });
    this.#call = authorised(this.#fetch, this.#keeper);
    this.rest = createRest(this.#base, this.#call);
    this.#quick = createRest(this.#base, timed(this.#call, this.#clock, answerWithin));
    const me = () => this.#keeper.session.get()?.user.user_id ?? null;
    this.#ledger = new Ledger(this.#store, this.#hub, me, Math.max(500, options.keepMessages ?? 2_000));
    this.#conversations = new Conversations(this.#store, this.#ledger, this.#quick, this.#hub);
    this.#history = new History(this.#store, this.#ledger, this.#quick);
    this.#receipts = new Receipts(this.#store, this.#ledger, this.#conversations, this.#quick, this.#hub, me);
    this.#typing = new Typing(this.rest, this.#conversations, this.#clock);
    this.#table = new OutboxTable(this.#store, this.#hub, this.#clock);
    this.#sent = new SentMessages(this.#hub, this.#table, this.#receipts);
    this.session = this.#keeper.session;
    this.connection = this.#connection;
    this.outbox = this.#outbox;
    this.#follow();
    this.ready = this.#load();
    this.ready.catch(() => undefined);
  }

  async register(credentials: { username: string; password: string; displayName?: string }): Promise<Session> {
    const { username, password, displayName } = credentials;
    const body = { username, password, ...(displayName === undefined ? {} : { display_name: displayName }) };
    return this.#signIn('/v1/auth/register', body);
  }

  async login(credentials: { username: string; password: string }): Promise<Session> {
    return this.#signIn('/v1/auth/login', { username: credentials.username, password: credentials.password });
  }

  async logout(): Promise<void> {
    await this.#resignNow();
    await this.#keeper.logout();
    this.#outbox.set([]);
  }

  async connect(): Promise<void> {
    this.#closing.signal.throwIfAborted();
    await this.ready;
    if (this.#election) {
      this.#hub.ask('takeover');
      return;
    }
    if (!this.#keeper.session.get()) {
      this.#connection.set({ state: 'signed_out', reason: this.#keeper.reason });
      return;
    }
    const resign = new AbortController();
    this.#resign = resign;
    this.#connection.set({ state: 'connecting' });
    this.#election = this.#tabs
      .exclusive(`${this.#name}:leader`, () => this.#lead(resign.signal), resign.signal)
      .catch((error: unknown) => {
        if (!resign.signal.aborted) this.#fault(error);
      })
      .finally(() => {
        if (this.#resign === resign) this.#election = null;
      });
    this.#hub.ask('hello');
  }

  retryNow(): void {
    this.#hub.ask('retry');
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    await this.ready.catch(() => undefined);
    for (const list of this.#lists) list.close();
    for (const window of this.#windows) window.close();
    await this.#resignNow();
    this.#connection.set({ state: 'idle' });
    this.#sent.close();
    this.#receipts.close();
    this.#hub.close();
    await this.#store.close();
  }

  async send(draft: Draft): Promise<SentMessage> {
    if (!this.#election) {
      if (!this.#keeper.session.get()) throw new NotSentError(signedOut);
      throw new Error('connect() first: nobody sends what is in the outbox');
    }
    const key = newKey();
    const handle = this.#sent.follow(key);
    await this.#table.put(key, draft);
    this.#typing.done(draft).catch((error: unknown) => this.#fault(error));
    return handle;
  }

  sentMessage(clientMsgID: string): SentMessage {
    return this.#sent.find(clientMsgID);
  }

  resend(clientMsgID: string): Promise<Message> {
    return this.#sent.resend(clientMsgID);
  }

  discard(clientMsgID: string): Promise<void> {
    return this.#sent.discard(clientMsgID);
  }

  messages(of: { conversation: string } | { to: string }, options: { pageSize?: number; limit?: number } = {}): MessageList {
    const pageSize = Math.min(200, Math.max(1, options.pageSize ?? 50));
    const window = new MessageWindow({
      of,
      pageSize,
      limit: Math.max(2 * pageSize, options.limit ?? 500),
      history: this.#history,
      conversations: this.#conversations,
      outbox: this.#table,
      receipts: this.#receipts,
      hub: this.#hub,
      me: () => this.#keeper.session.get()?.user.user_id ?? null,
      onClose: () => this.#windows.delete(window),
    });
    this.#windows.add(window);
    return window;
  }

  conversations(): ConversationList {
    const list = new ConversationLines(this.#conversations, this.#hub, (error) => this.#fault(error), () => this.#lists.delete(list));
    list.more(this.#cursor);
    this.#lists.add(list);
    return list;
  }

  async conversation(conversationID: string): Promise<Conversation> {
    const conversation = await this.#conversations.get(conversationID);
    if (!conversation) throw new ApiError(404, null, null, new Error('no such conversation'));
    return conversation;
  }

  directConversation(userID: string): Promise<Conversation | null> {
    return this.#conversations.direct(userID);
  }

  receipts(conversationID: string): Observable<ReceiptsState> & { close(): void } {
    return this.#receipts.follow(conversationID);
  }

  progress(message: Message): Progress | null {
    return this.#receipts.progress(message);
  }

  async read(conversationID: string, upTo: number): Promise<void> {
    await this.#conversations.get(conversationID);
    const recount = await this.#ledger.read(conversationID, upTo, false);
    this.#hub.ask('reads');
    if (recount) this.#conversations.refresh(conversationID);
  }

  typing(conversationID: string): void {
    this.#typing.key(conversationID);
  }

  async recall(messageID: string): Promise<Message> {
    const { message } = await ask(this.rest.POST('/v1/messages/{message_id}/recall', { params: { path: { message_id: messageID } } }));
    await this.#ledger.recalled(message);
    return message;
  }

  async deleteForMe(message: Message): Promise<void> {
    await ask(this.rest.DELETE('/v1/messages/{message_id}', { params: { path: { message_id: message.message_id } } }));
    await this.#ledger.deleted(message.conversation_id, message.conversation_seq, message.message_id);
  }

  async prefer(conversationID: string, change: { muted?: boolean; pinned?: boolean; hidden?: boolean }): Promise<Conversation> {
    const conversation = await ask(
      this.rest.PATCH('/v1/conversations/{conversation_id}', { params: { path: { conversation_id: conversationID } }, body: change }),
    );
    if (change.hidden) await this.#ledger.remove(conversationID, false);
    else await this.#ledger.conversations([conversation]);
    return conversation;
  }

  async fetch(path: string, init?: RequestInit): Promise<Response> {
    return this.#call(new Request(new URL(path, `${this.#base}/`), init));
  }

  upload(file: Blob, options: Upload): Promise<UploadedFile> {
    const carry = this.#options.fetch || typeof XMLHttpRequest === 'undefined' ? byFetch(this.#fetch) : byRequest;
    return upload(this.#base, this.#keeper, carry, file, options);
  }

  on<E extends keyof ClientEvents>(event: E, fn: (value: ClientEvents[E]) => void): Unsubscribe {
    return this.#hub.on(event, fn);
  }

  entries(options: { after?: number; signal?: AbortSignal } = {}): AsyncIterableIterator<FeedEntry> {
    const { signal } = this.#closing;
    return feed(this.#store, this.#hub, options.after, options.signal ? [signal, options.signal] : [signal]);
  }

  async #signIn(path: '/v1/auth/register' | '/v1/auth/login', body: unknown): Promise<Session> {
    await this.ready;
    await this.#resignNow();
    const session = await this.#keeper.signIn(path, body);
    this.#outbox.set(await this.#table.items());
    return session;
  }

  async #load(): Promise<void> {
    await this.#keeper.load();
    this.#outbox.set(await this.#table.items());
  }

  /** Listens to what the tabs tell each other. */
  #follow(): void {
    const hub = this.#hub;
    hub.on('connection', (connection) => {
      if (this.#election) this.#connection.set(connection);
    });
    hub.on('listed', ({ next }) => {
      this.#cursor = next;
    });
    hub.on('session', (session) => void this.#sessionChanged(session));
    hub.on('outbox', ({ clientMsgID, item }) => {
      const others = this.#outbox.get();
      if (!item) this.#outbox.set(others.filter((other) => other.clientMsgID !== clientMsgID));
      else if (others.some((other) => other.clientMsgID === clientMsgID)) {
        this.#outbox.set(others.map((other) => (other.clientMsgID === clientMsgID ? item : other)));
      } else this.#outbox.set([...others, item]);
    });
    hub.onRequest((request) => {
      const leader = this.#leader;
      if (!leader) return;
      if (request === 'hello') hub.publish('connection', this.#connection.get());
      leader.asked(request);
    });
  }

  /** Somebody has signed in or out, here or in another tab. */
  async #sessionChanged(session: Session | null): Promise<void> {
    const wanted = this.#election !== null;
    if (!wanted) {
      if (!session && this.#connection.get().state !== 'idle') {
        this.#connection.set({ state: 'signed_out', reason: this.#keeper.reason });
      } else if (session && this.#connection.get().state === 'signed_out') {
        await this.connect().catch((error: unknown) => this.#fault(error));
      }
      return;
    }
    await this.#resignNow();
    this.#connection.set({ state: 'signed_out', reason: this.#keeper.reason });
    if (session) await this.connect().catch((error: unknown) => this.#fault(error));
  }

  /** Runs while this tab is the one that leads. */
  async #lead(resign: AbortSignal): Promise<void> {
    const session = this.#keeper.session.get();
    if (!session) return;
    const leader = new Leader({
      base: this.#base,
      session: this.#keeper,
      deviceID: session.deviceID,
      userID: session.user.user_id,
      rest: this.#quick,
      ledger: this.#ledger,
      conversations: this.#conversations,
      table: this.#table,
      store: this.#store,
      hub: this.#hub,
      clock: this.#clock,
      random: this.#options.random ?? Math.random,
      WebSocket: this.#options.WebSocket ?? globalThis.WebSocket,
      fetch: this.#fetch,
      sendWindow: this.#options.sendWindow ?? 1_000,
      logBacklog: this.#options.logBacklog ?? Infinity,
      onState: (connection) => this.#hub.publish('connection', connection),
    });
    this.#leader = leader;
    try {
      await leader.run(resign);
    } finally {
      this.#leader = null;
    }
  }

  /** Stops leading, or waiting for it. */
  async #resignNow(): Promise<void> {
    const election = this.#election;
    this.#resign?.abort();
    this.#resign = null;
    this.#election = null;
    await election;
  }

  #fault(error: unknown): void {
    this.#hub.emit('fault', { error: error instanceof Error ? error : asApiError(error) });
  }
}

function pageOrigin(): string {
  if (typeof location === 'undefined') throw new Error('baseURL is needed outside a browser');
  return location.origin;
}

/** Web Locks are missing on pages that came by plain http from another machine. */
function hasTabs(): boolean {
  return typeof navigator !== 'undefined' && 'locks' in navigator && typeof BroadcastChannel !== 'undefined' && typeof document !== 'undefined';
}
