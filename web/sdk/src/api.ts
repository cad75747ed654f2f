import type { Client as FetchClient } from 'openapi-fetch';
import type { Clock } from './clock.js';
import type { ApiError, SendError } from './problem.js';
import type {
  Conversation,
  MemberPosition,
  Mentions,
  Message,
  PresenceFrame,
  SendType,
  TypingFrame,
  UploadedFile,
  User,
} from './object.js';
import type { paths } from './schema.gen.js';
import type { Store } from './store.js';

/** Ends a subscription. Calling it again does nothing. */
export type Unsubscribe = () => void;

/**
 * A value that changes. `get` answers the same object until something has changed, so both fit React's
 * `useSyncExternalStore(value.subscribe, value.get)`; they need no `this`.
 */
export interface Observable<T> {
  readonly get: () => T;
  /** Calls fn after each change. fn must not throw. */
  readonly subscribe: (fn: () => void) => Unsubscribe;
}

/** What {@link createClient} takes. Everything is optional in a browser page that the server itself serves. */
export interface ClientOptions {
  /** The server's origin, such as `https://chat.example.org`. In a browser the page's own when absent. */
  baseURL?: string;
  /** Names what is kept on this device, and what tabs share: tabs of one origin with the same name are one device. `ackbox` when absent; another name per account that is signed in at once. */
  name?: string;
  /** Where everything is kept. IndexedDB where there is one, else memory. */
  store?: Store;
  /** The device's own stable name, 1 to 64 of `A-Z a-z 0-9 . _ -`. Made once and kept in the store when absent. */
  deviceID?: string;
  /** For how long a send is tried by itself before it is *not sent*, in ms. 1,000, the server's window, when absent. */
  sendWindow?: number;
  /** How many messages of a large (`log`) group are pulled at most when the device was away; older ones are history then, read when somebody scrolls there. Everything when absent. */
  logBacklog?: number;
  /** How many of a conversation's messages are kept on the device; older ones are read from the server again. 2,000 when absent, at least 500. */
  keepMessages?: number;
  /** For tests and for hosts without these globals. */
  fetch?: typeof globalThis.fetch;
  WebSocket?: new (url: string, protocols: string[]) => SocketLike;
  clock?: Clock;
  /** 0 ≤ random() < 1, for the jitter. */
  random?: () => number;
  /** Shares one socket among tabs. The browser's Web Locks and BroadcastChannel when absent; alone where there are none. */
  tabs?: Tabs;
}

/** What of the WebSocket is used. */
export interface SocketLike {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  close(code?: number): void;
}

/** How the tabs of one device find each other. */
export interface Tabs {
  /** Calls fn as soon as this tab is the only one that holds the named lock, and holds it until fn's promise ends. Rejects with an AbortError if signal is aborted before. */
  exclusive<T>(name: string, fn: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Opens a channel on which each tab hears what the other tabs post; not what it posts itself. */
  channel(name: string, onMessage: (message: unknown) => void): { post(message: unknown): void; close(): void };
}

/** How the client stands with the server; the same in all tabs. */
export type Connection =
  /** connect() has not been called, or close() has. */
  | { readonly state: 'idle' }
  | { readonly state: 'connecting' }
  /** Connected, and still pulling what was missed. */
  | { readonly state: 'catching_up' }
  /** Connected, and everything has arrived. */
  | { readonly state: 'online' }
  /** The link was lost; the next try is in `retryIn` ms (counted from the change to this state), or at once by {@link Client.retryNow}. `offline` says that the browser knows of no network. `code` is the close code, 0 if there was none. */
  | { readonly state: 'waiting'; readonly retryIn: number; readonly offline: boolean; readonly code: number }
  /** Nobody is signed in, and why. connect() after a login or registration. */
  | { readonly state: 'signed_out'; readonly reason: SignedOutReason }
  /** Another program uses the same device name (`device_taken`; connect() takes it back), or the server found fault with this client (`refused`). */
  | { readonly state: 'stopped'; readonly reason: 'device_taken' | 'refused' };

/** `none`: nobody was signed in; `logout`: by the user; `ended`: the tokens are expired or revoked; `reused`: a refresh token was used twice (perhaps by a thief); `banned`. */
export type SignedOutReason = 'none' | 'logout' | 'ended' | 'reused' | 'banned';

/** Who is signed in. */
export interface Session {
  readonly user: User;
  readonly deviceID: string;
}

/** A message to send: `to` a user or into a `conversation`, one of the two. */
export interface Draft {
  to?: string;
  conversation?: string;
  type: SendType;
  body: Record<string, unknown>;
  ext?: Record<string, unknown>;
  replyTo?: string | null;
  mentions?: Mentions;
}

/** How a file is uploaded. */
export interface Upload {
  /** What it is called, for people; at most 200 characters. */
  readonly name: string;
  /** The media type; the file's own when absent. */
  readonly type?: string;
  /** Hears how many bytes of the file's size are on their way, in browsers as it goes. */
  readonly onProgress?: (sent: number, size: number) => void;
  /** Ends the upload. */
  readonly signal?: AbortSignal;
}

/**
 * How far a message of mine has come.
 * - `sending`: on its way, or waiting for its turn in the conversation
 * - `sent`: durable at the server
 * - `delivered`, `read`: by everybody whom it was for, as far as the conversation has receipts
 * - `failed`: *not sent*; it is kept, and resend() tries again with the same key
 */
export type SendState = 'sending' | 'sent' | 'delivered' | 'read' | 'failed';

/** How many of those whom a message was for have received and read it. */
export interface Progress {
  readonly delivered: number;
  readonly read: number;
  readonly of: number;
}

/** What is known of a message of mine. */
export interface SentStatus {
  readonly state: SendState;
  /** What the server made of it; null before `sent`. */
  readonly message: Message | null;
  /** Why it is `failed`; null otherwise. */
  readonly error: SendError | null;
  /** null before `sent`, and where receipts are off. */
  readonly progress: Progress | null;
}

/** A message of mine on its way. It can be let go of at any time: the outbox goes on without it. */
export interface SentMessage extends Observable<SentStatus> {
  /** The idempotency key: the message is one message, however often it is resent, also after a reload. */
  readonly clientMsgID: string;
  /** Resolves with the stored message. Rejects with a NotSentError when it is not sent; a later resend is seen in the state, and in {@link Client.resend}'s promise. Its rejection needs no handler. */
  readonly sent: Promise<Message>;
  /** Tries a failed message again, with the same key. */
  resend(): Promise<Message>;
  /** Forgets a failed message. Was its outcome unknown, it may still have been sent, and appears then. */
  discard(): Promise<void>;
}

/** A message that is not at the server, or not known to be. It is in the outbox on the device. */
export interface OutboxItem {
  readonly clientMsgID: string;
  readonly draft: Draft;
  readonly state: 'sending' | 'failed';
  readonly error: SendError | null;
  /** When it was written, by this device's clock, in ms since 1970. */
  readonly at: number;
}

/** A line of a {@link MessageList}. */
export interface MessageItem {
  /** Stays the same while a message goes from the outbox into the conversation: a key for rendering. */
  readonly key: string;
  readonly mine: boolean;
  /** null as long as it is only in the outbox. */
  readonly message: Message | null;
  /** Set as long as it is only in the outbox. */
  readonly pending: OutboxItem | null;
  /** Of mine only; null for others' messages and for notices. */
  readonly state: SendState | null;
}

export interface MessageListState {
  /** Ascending; what is in the outbox comes last. At most `limit` stored messages. */
  readonly items: readonly MessageItem[];
  /** The conversation; null until the first message of a new direct conversation is sent. */
  readonly conversation: string | null;
  /** There is something before the first item. */
  readonly hasOlder: boolean;
  /** There is something between the last stored item and the end. False while the list follows the end. */
  readonly hasNewer: boolean;
  readonly loading: 'older' | 'newer' | 'start' | null;
  /** Why the last load has failed; null after one that has not. */
  readonly error: ApiError | null;
}

/**
 * A window on a conversation, read from the store, and from the server where the store has holes. It follows
 * the end until loadOlder has pushed the end out of its limit, or loadAround has gone elsewhere.
 */
export interface MessageList extends Observable<MessageListState> {
  loadOlder(): Promise<void>;
  loadNewer(): Promise<void>;
  /** Goes to a place in the conversation, such as a quoted message or the first unread one. */
  loadAround(conversationSeq: number): Promise<void>;
  /** Goes to the end, and follows it. */
  loadNewest(): Promise<void>;
  /** Stops following. A list that is not closed costs memory. */
  close(): void;
}

export interface ConversationListState {
  /** Pinned ones first, then by newest activity. */
  readonly conversations: readonly Conversation[];
  readonly hasMore: boolean;
  /** Of all that are loaded and not muted. */
  readonly unread: number;
}

/** My conversations, read from the store, and kept fresh. */
export interface ConversationList extends Observable<ConversationListState> {
  /** Reads the next page from the server. */
  loadMore(): Promise<void>;
  close(): void;
}

/** How far the members of a conversation have received and read. */
export interface ReceiptsState {
  /** By user id; at most 500 members, my own position among them. */
  readonly members: ReadonlyMap<string, MemberPosition>;
  /** False where the conversation has no receipts (large groups). */
  readonly available: boolean;
}

/** What {@link Client.on} tells; each event in every tab. */
export interface ClientEvents {
  /** A message has taken its place: each one once, in the order of the mailbox (of the conversation, in large groups), the own ones of all devices too. `seq` is its mailbox seq, null in large groups. It is stored already. */
  message: { readonly message: Message; readonly seq: number | null };
  /** A message was recalled: what is left of it. The quotes of it are emptied as well. */
  recalled: { readonly message: Message };
  /** I deleted a message for me, on any device. */
  deleted: { readonly conversationID: string; readonly conversationSeq: number; readonly messageID: string };
  /** Something of a conversation has changed: its last message, unread count, name … `conversation` is null when it is not mine any more. */
  conversation: { readonly conversationID: string; readonly conversation: Conversation | null };
  /** A member has received or read everything up to a conversation_seq. */
  receipt: { readonly conversationID: string; readonly position: MemberPosition; readonly kind: 'delivered' | 'read' };
  /** Somebody is writing; holds for a few seconds. */
  typing: TypingFrame;
  presence: PresenceFrame;
  /** A message in the outbox has changed; `message` is set when it was sent. */
  outbox: { readonly clientMsgID: string; readonly item: OutboxItem | null; readonly message: Message | null };
  connection: Connection;
  session: Session | null;
  /** The server lost its newest messages (restored from a backup) and the device has stepped back: read lists again. Own lost messages are in the outbox as `failed`. */
  reset: { readonly position: number };
  /** The history of a conversation was read or pruned; message lists use it. */
  history: { readonly conversationID: string };
  /** The newest page of my conversations was read; `next` is the cursor after it. Conversation lists use it. */
  listed: { readonly next: string | null };
  /** Something in the client has failed that it could not repair by itself, such as a full disk. */
  fault: { readonly error: Error };
}

/** An entry of {@link Client.entries}. */
export interface FeedEntry {
  /** Counts what this device has applied, from 1, mailbox and large groups together: a place to go on from. */
  readonly n: number;
  /** The mailbox seq; null in large groups. */
  readonly seq: number | null;
  readonly message: Message;
}

/** The typed REST calls; tokens are added and refreshed. See openapi-fetch for its use. */
export type Rest = FetchClient<paths>;

export interface Client {
  /** Makes an account and signs in. Throws ApiError: `username_taken`, `validation_failed` … */
  register(credentials: { username: string; password: string; displayName?: string }): Promise<Session>;
  /** Signs in. Another user than before: what the device held of that one is erased. Throws ApiError: `invalid_credentials` … */
  login(credentials: { username: string; password: string }): Promise<Session>;
  /** Ends the session at the server if it can be reached, and erases everything from the device, the outbox too. */
  logout(): Promise<void>;
  /** Who is signed in; null before `ready`, too. */
  readonly session: Observable<Session | null>;
  /** Resolves when what is stored on the device has been looked at: afterwards `session` is right. */
  readonly ready: Promise<void>;

  /** Connects, and stays connected until close(). In all but one of several tabs it only takes part. Does nothing if connected; after `device_taken` it takes the device back. */
  connect(): Promise<void>;
  /** Tries again at once, when the connection is `waiting`. */
  retryNow(): void;
  /** Acks what is stored, closes the socket and all subscriptions; another tab takes over. The client is of no use afterwards. */
  close(): Promise<void>;
  readonly connection: Observable<Connection>;

  /** Puts a message into the outbox and sends it; sends of one conversation go one after the other, in this order. Returns once it is stored on the device. Throws if it cannot be stored there. */
  send(draft: Draft): Promise<SentMessage>;
  /** Follows a message of mine by its key: one that is in the outbox, or was sent since this page was opened. Of any other, `sent` rejects with `unknown`. */
  sentMessage(clientMsgID: string): SentMessage;
  resend(clientMsgID: string): Promise<Message>;
  discard(clientMsgID: string): Promise<void>;
  /** What is not sent, oldest first. */
  readonly outbox: Observable<readonly OutboxItem[]>;

  /** Opens a window on a conversation, or on the direct conversation with a user, which may not exist yet. `pageSize` 50, `limit` 500 when absent. */
  messages(of: { conversation: string } | { to: string }, options?: { pageSize?: number; limit?: number }): MessageList;
  conversations(): ConversationList;
  /** Reads one conversation from the store, or else from the server. Throws ApiError `not_found`. */
  conversation(conversationID: string): Promise<Conversation>;
  /** The direct conversation with a user, null if there is none on this device or among the newest 200. */
  directConversation(userID: string): Promise<Conversation | null>;
  /** Follows how far the members are. Read from the server when needed; close() ends it. */
  receipts(conversationID: string): Observable<ReceiptsState> & { close(): void };
  /** A message of mine: how far it is, from what receipts() knows. */
  progress(message: Message): Progress | null;

  /** Moves my read position forward, here at once and at the server as soon as it can be reached. Throws ApiError if the device does not know the conversation, and cannot ask. */
  read(conversationID: string, upTo: number): Promise<void>;
  /** Tells the others that I am writing; call it at each key: it tells every 3 s at most (and at once after a send), and its failure is no error. */
  typing(conversationID: string): void;
  /** Takes a message back for everybody. Throws ApiError: `recall_too_late`, `forbidden` … */
  recall(messageID: string): Promise<Message>;
  /** Deletes a message for me, on all my devices. */
  deleteForMe(message: Message): Promise<void>;
  /** Mutes, pins or hides a conversation, for me. */
  prefer(conversationID: string, change: { muted?: boolean; pinned?: boolean; hidden?: boolean }): Promise<Conversation>;

  readonly rest: Rest;
  /** fetch to a path of the server, such as an upload, with the token, refreshed if need be. Rejects as fetch does; an error answer is an answer. */
  fetch(path: string, init?: RequestInit): Promise<Response>;

  /** Uploads a file, to be named by a message within a day. Throws ApiError: `file_too_large`, `file_refused`, `quota_exceeded` …; the signal's reason when it was aborted. Nothing is repeated by itself. */
  upload(file: Blob, options: Upload): Promise<UploadedFile>;

  on<E extends keyof ClientEvents>(event: E, fn: (value: ClientEvents[E]) => void): Unsubscribe;
  /**
   * Everything that arrives, each message once, in order, read from the store: a slow reader costs no memory.
   * It begins after `after` (an `n` of before; now when absent) and ends with close(). Throws if more than the
   * newest 10,000 entries lie between.
   */
  entries(options?: { after?: number; signal?: AbortSignal }): AsyncIterableIterator<FeedEntry>;
}
