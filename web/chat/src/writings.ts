import type { Client, Message } from '@ackbox/client';
import { createContext, useContext, useSyncExternalStore } from 'react';
import type { Called } from './mentions';

/** What a reply needs of the message that it answers. */
export type Answered = Pick<Message, 'message_id' | 'sender_id' | 'type' | 'body' | 'recalled_at'>;

/** What was written and not sent yet. */
export interface Writing {
  readonly text: string;
  readonly called: readonly Called[];
  readonly reply: Answered | null;
}

const nothing: Writing = { text: '', called: [], reply: null };
const prefix = 'ackbox:writing:';
/** Conversations with something unsent; of more, the longest unchanged is forgotten. */
const mostKept = 50;
/** Characters that are kept of one; the server takes no longer text. */
const mostCharacters = 10_000;
/** How long nobody has typed before it is stored, in ms. */
const pause = 300;

/** What was written in each conversation and not sent, kept on the device for one user. The places are named by placeOf. */
export class Writings {
  readonly #client: Client;
  readonly #listeners = new Set<() => void>();
  /** The longest unchanged first. */
  #kept = new Map<string, Writing>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(client: Client) {
    this.#client = client;
    client.on('session', () => this.#load());
    client.ready.then(() => this.#load(), () => undefined);
    window.addEventListener('pagehide', () => this.#store());
    window.addEventListener('storage', ({ key }) => {
      if (key === this.#key && !this.#timer) this.#load();
    });
  }

  readonly subscribe = (fn: () => void): (() => void) => {
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  };

  get(place: string): Writing {
    return this.#kept.get(place) ?? nothing;
  }

  set(place: string, writing: Writing): void {
    this.#kept.delete(place);
    if (writing.text || writing.reply) this.#kept.set(place, { ...writing, text: writing.text.slice(0, mostCharacters) });
    for (const other of this.#kept.keys()) {
      if (this.#kept.size <= mostKept) break;
      this.#kept.delete(other);
    }
    this.#timer ??= setTimeout(() => this.#store(), pause);
    this.#tell();
  }

  /** Forgets everything of everybody: who signs out leaves nothing behind. */
  erase(): void {
    this.#stop();
    this.#kept = new Map();
    for (const key of Object.keys(localStorage)) if (key.startsWith(prefix)) localStorage.removeItem(key);
    this.#tell();
  }

  get #key(): string | null {
    const me = this.#client.session.get()?.user.user_id;
    return me ? prefix + me : null;
  }

  #load(): void {
    this.#stop();
    const key = this.#key;
    // Another user's are not kept, as the client keeps none of their messages.
    for (const other of Object.keys(localStorage)) if (key && other.startsWith(prefix) && other !== key) localStorage.removeItem(other);
    this.#kept = key ? parse(localStorage.getItem(key)) : new Map();
    this.#tell();
  }

  #store(): void {
    if (!this.#timer) return;
    this.#stop();
    const key = this.#key;
    if (!key) return;
    try {
      localStorage.setItem(key, JSON.stringify([...this.#kept]));
    } catch {
      // No room: it stays in this page.
    }
  }

  #stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function parse(text: string | null): Map<string, Writing> {
  const kept = new Map<string, Writing>();
  try {
    const all: unknown = JSON.parse(text ?? '[]');
    for (const pair of Array.isArray(all) ? all.slice(-mostKept) : []) {
      const [place, writing]: readonly unknown[] = Array.isArray(pair) ? pair : [];
      if (typeof place === 'string' && isWriting(writing)) kept.set(place, writing);
    }
  } catch {
    // Not ours, or of an older page.
  }
  return kept;
}

function isWriting(value: unknown): value is Writing {
  if (typeof value !== 'object' || value === null || !('text' in value) || typeof value.text !== 'string') return false;
  if (!('called' in value) || !Array.isArray(value.called) || !value.called.every(isCalled)) return false;
  return 'reply' in value && (value.reply === null || isAnswered(value.reply));
}

function isCalled(value: unknown): value is Called {
  return typeof value === 'object' && value !== null && 'userID' in value && (value.userID === null || typeof value.userID === 'string') && 'name' in value && typeof value.name === 'string';
}

function isAnswered(value: unknown): value is Answered {
  if (typeof value !== 'object' || value === null) return false;
  return 'message_id' in value && typeof value.message_id === 'string' && 'sender_id' in value && typeof value.sender_id === 'string' && 'type' in value && typeof value.type === 'string' && 'body' in value && typeof value.body === 'object' && value.body !== null;
}

/** The little of a message that a reply is shown by. */
export function answeredOf({ message_id, sender_id, type, body, recalled_at }: Message): Answered {
  const { text, name } = body;
  return { message_id, sender_id, type, recalled_at, body: { ...(typeof text === 'string' ? { text: text.slice(0, 200) } : {}), ...(typeof name === 'string' ? { name: name.slice(0, 200) } : {}) } };
}

/** Where something is written: a direct conversation is the same place before and after it has an id. */
export function placeOf(conversationID: string | null, peerID: string | null | undefined): string {
  return peerID ? `u${peerID}` : `c${conversationID ?? ''}`;
}

const Context = createContext<Writings | null>(null);

export const WritingsProvider = Context.Provider;

export function useWritings(): Writings {
  const writings = useContext(Context);
  if (!writings) throw new Error('outside of WritingsProvider');
  return writings;
}

/** What is written at a place, and how to change it. */
export function useWriting(place: string): [Writing, (change: Partial<Writing>) => void] {
  const writings = useWritings();
  const writing = useSyncExternalStore(writings.subscribe, () => writings.get(place));
  return [writing, (change) => writings.set(place, { ...writings.get(place), ...change })];
}
