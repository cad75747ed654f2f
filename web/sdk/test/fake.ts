import type { Client, ClientOptions, Conversation, Frame, Message, SocketLike } from '../src/index.js';
import { createClient, MemoryStore, processTabs } from '../src/index.js';
import { FakeClock, settle } from './clock.js';

export const me = '1';
export const peer = '2';
export const direct = '900';

/** A message of the direct conversation of me and peer. */
export function message(seq: number, change: Partial<Message> = {}): Message {
  return {
    message_id: String(1_000 + seq),
    conversation_id: direct,
    conversation_seq: seq,
    sender_id: peer,
    client_msg_id: `key-${seq}`,
    type: 'text',
    body: { text: `text ${seq}` },
    ext: {},
    reply_to: null,
    created_at: '2026-01-01T00:00:00.000Z',
    recalled_at: null,
    ...change,
  };
}

export function conversation(change: Partial<Conversation> = {}): Conversation {
  return {
    conversation_id: direct,
    kind: 'direct',
    name: '',
    avatar_url: '',
    announcement: '',
    mute_all: false,
    peer_id: peer,
    history: 'joined',
    member_count: 2,
    head: 0,
    delivery: 'mailbox',
    last_message: null,
    unread: 0,
    unread_mentions: 0,
    read_seq: 0,
    joined_seq: 0,
    receipts: true,
    muted: false,
    pinned: false,
    updated_at: '2026-01-01T00:00:00.000Z',
    ...change,
  };
}

/** A call that the client has made. */
export interface Call {
  readonly name: string;
  readonly query: URLSearchParams;
  readonly body: Record<string, unknown>;
  readonly at: number;
}

/** An answer: status, JSON, headers; or a connection that breaks, or never answers. */
export type Reply = { status?: number; json?: unknown; headers?: Record<string, string> } | 'broken' | 'silent';

export function problem(status: number, code: string, more: Record<string, unknown> = {}, headers: Record<string, string> = {}): Reply {
  return { status, json: { type: `/docs/errors#${code}`, title: code, status, detail: code, code, request_id: 'r', ...more }, headers };
}

export class FakeSocket implements SocketLike {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly url: URL;
  readonly protocols: string[];
  closedWith: number | undefined | null = null;

  constructor(url: string, protocols: string[]) {
    this.url = new URL(url);
    this.protocols = protocols;
  }

  close(code?: number): void {
    this.closedWith = code;
  }

  push(...frames: (Frame | Record<string, unknown>)[]): void {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) } as never);
  }

  end(code: number): void {
    this.onclose?.({ code } as never);
  }
}

/** A server that answers as a test says, and keeps a mailbox. */
export class FakeServer {
  readonly clock = new FakeClock();
  readonly calls: Call[] = [];
  readonly sockets: FakeSocket[] = [];
  /** The mailbox: the entry with seq 1 is the first. */
  mailbox: Message[] = [];
  /** Log conversations by id. */
  readonly logs = new Map<string, Message[]>();
  conversations: Conversation[] = [conversation()];
  /** Overrides by name, such as `POST /v1/messages`. */
  readonly replies = new Map<string, (call: Call) => Reply>();
  readonly #silent: Request[] = [];
  #tokens = 0;

  readonly fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const url = new URL(request.url);
    const text = await request.text();
    const name = `${request.method} ${url.pathname}`;
    const call: Call = { name, query: url.searchParams, body: text ? (JSON.parse(text) as Record<string, unknown>) : {}, at: this.clock.now() };
    this.calls.push(call);
    const reply = this.replies.get(name)?.(call) ?? this.#answer(call);
    if (reply === 'broken') throw new TypeError('fetch failed');
    if (reply === 'silent') {
      this.#silent.push(request); // as a real connection does: a request that nobody holds is not aborted
      return new Promise((_, reject) => request.signal.addEventListener('abort', () => reject(request.signal.reason as Error)));
    }
    const status = reply.status ?? 200;
    return new Response(status === 204 ? null : JSON.stringify(reply.json ?? {}), { status, headers: { 'Content-Type': 'application/json', ...reply.headers } });
  };

  readonly WebSocket: NonNullable<ClientOptions['WebSocket']>;

  constructor() {
    const { sockets } = this;
    this.WebSocket = class extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    };
  }

  made(name: string): Call[] {
    return this.calls.filter((call) => call.name === name);
  }

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error('no socket was opened');
    return socket;
  }

  hello(change: Record<string, unknown> = {}): Record<string, unknown> {
    return {
      type: 'hello',
      connection_id: 'c',
      user_id: me,
      device_id: 'device',
      node: '0',
      acked: 0,
      head: this.mailbox.length,
      floor: 1,
      heartbeat_ms: 25_000,
      ack_timeout_ms: 3_000,
      token_expires_at: '2026-01-01T00:15:00.000Z',
      ...change,
    };
  }

  /** The frame of a mailbox entry. */
  frame(seq: number): Record<string, unknown> {
    return { type: 'message', seq, attempt: 1, message: this.mailbox[seq - 1] };
  }

  /** Puts messages of peer into the mailbox: conversation_seq goes on. */
  fill(count: number): void {
    for (let i = 0; i < count; i++) this.mailbox.push(message(this.mailbox.length + 1));
  }

  grant() {
    this.#tokens++;
    return {
      user: { user_id: me, username: 'me', display_name: 'Me', avatar_url: '', created_at: '2026-01-01T00:00:00.000Z' },
      access_token: `access-${this.#tokens}`,
      refresh_token: `refresh-${this.#tokens}`,
      expires_at: '2026-01-01T00:15:00.000Z',
    };
  }

  #answer(call: Call): Reply {
    switch (call.name) {
      case 'POST /v1/auth/login':
      case 'POST /v1/auth/refresh':
        return { json: this.grant() };
      case 'POST /v1/auth/ws-ticket':
        return { json: { ticket: 'ticket', expires_at: '2026-01-01T00:00:30.000Z' } };
      case 'POST /v1/mailbox/sync':
        return this.#sync(call.body);
      case 'POST /v1/mailbox/ack':
        return { json: { acked: call.body['up_to'] ?? 0 } };
      case 'GET /v1/conversations':
        return { json: { conversations: this.conversations, has_more: false } };
      case 'GET /v1/messages/deleted':
        return { json: { deleted: [], has_more: false } };
      case 'POST /v1/messages':
        return this.accept(call);
    }
    const history = /^GET \/v1\/conversations\/(\d+)\/messages$/.exec(call.name)?.[1];
    if (history) return this.#history(history, call.query);
    const one = /^GET \/v1\/conversations\/(\d+)$/.exec(call.name)?.[1];
    const found = this.conversations.find((c) => c.conversation_id === one);
    if (found) return { json: found };
    if (/receipts$/.test(call.name)) return { json: { members: [], has_more: false } };
    return problem(404, 'not_found');
  }

  /** Takes a send: one key is one message. */
  accept(call: Call): Reply {
    const key = String(call.body['client_msg_id']);
    const known = this.mailbox.find((m) => m.client_msg_id === key);
    if (known) return { status: 200, json: { message: known, mailbox_seq: this.mailbox.indexOf(known) + 1, duplicate: true } };
    const fresh = message(this.mailbox.length + 1, { sender_id: me, client_msg_id: key, body: call.body['body'] as Message['body'] });
    this.mailbox.push(fresh);
    return { status: 201, json: { message: fresh, mailbox_seq: this.mailbox.length, duplicate: false } };
  }

  #sync(body: Record<string, unknown>): Reply {
    const after = Number(body['after']);
    const limit = Number(body['limit']);
    const head = this.mailbox.length;
    const id = body['after_id'];
    if (after > head || (id !== undefined && this.mailbox[after - 1]?.message_id !== id)) {
      return problem(409, 'position_lost', { head, floor: 1 });
    }
    const entries = this.mailbox.map((m, i) => ({ seq: i + 1, message: m })).slice(after, after + limit);
    return { json: { entries, head, floor: 1, has_more: after + entries.length < head } };
  }

  #history(id: string, query: URLSearchParams): Reply {
    const all = this.logs.get(id) ?? this.mailbox.filter((m) => m.conversation_id === id);
    const head = all.at(-1)?.conversation_seq ?? 0;
    const limit = Number(query.get('limit'));
    const after = query.get('after_seq');
    if (after !== null) {
      const holds = query.get('after_id');
      if (holds !== null && all.find((m) => m.conversation_seq === Number(after))?.message_id !== holds) return problem(409, 'position_lost', { head, floor: 1 });
      const rest = all.filter((m) => m.conversation_seq > Number(after));
      return { json: { messages: rest.slice(0, limit), head, has_more: rest.length > limit } };
    }
    const before = Number(query.get('before_seq') ?? head + 1);
    const rest = all.filter((m) => m.conversation_seq < before).reverse();
    return { json: { messages: rest.slice(0, limit), head, has_more: rest.length > limit } };
  }
}

/** A client of a fake server, signed in; its jitter is always half of what it could be. */
export async function fakeClient(server: FakeServer, options: Partial<ClientOptions> = {}): Promise<Client> {
  const client = createClient({
    baseURL: 'http://server.test',
    name: 'test',
    store: new MemoryStore(),
    tabs: processTabs(),
    deviceID: 'device',
    fetch: server.fetch as typeof fetch,
    WebSocket: server.WebSocket,
    clock: server.clock,
    random: () => 0.5,
    ...options,
  });
  client.on('fault', ({ error }) => {
    throw error;
  });
  await client.ready;
  if (!client.session.get()) await client.login({ username: 'me', password: 'a password' });
  return client;
}

/** The same, connected and greeted. */
export async function online(server: FakeServer, options: Partial<ClientOptions> = {}): Promise<Client> {
  const client = await fakeClient(server, options);
  await client.connect();
  await settle();
  server.socket.push(server.hello(), { type: 'synced', up_to: server.mailbox.length });
  await settle();
  return client;
}

/** Collects the texts of the messages as the application hears them. */
export function heard(client: Client): string[] {
  const texts: string[] = [];
  client.on('message', ({ message: { body } }) => texts.push(String(body['text'])));
  return texts;
}

export function texts(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => `text ${from + i}`);
}
