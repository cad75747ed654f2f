import type { Draft, Rest } from './api.js';
import type { Clock } from './clock.js';
import type { Conversations } from './conversations.js';

/** A typing call is made at most every so many ms. */
const every = 3_000;
/** Conversations whose last typing call is remembered. */
const mostKept = 100;

/** Tells the others that somebody writes: at the first key, and again every 3 s while keys come. */
export class Typing {
  readonly #rest: Rest;
  readonly #conversations: Conversations;
  readonly #clock: Clock;
  /** When it was told last, by conversation. */
  readonly #told = new Map<string, number>();

  constructor(rest: Rest, conversations: Conversations, clock: Clock) {
    this.#rest = rest;
    this.#conversations = conversations;
    this.#clock = clock;
  }

  /** A key was pressed. */
  key(conversationID: string): void {
    const now = this.#clock.now();
    const before = this.#told.get(conversationID);
    if (before !== undefined && now - before < every) return;
    this.#told.delete(conversationID);
    this.#told.set(conversationID, now);
    const [oldest] = this.#told.keys();
    if (this.#told.size > mostKept && oldest !== undefined) this.#told.delete(oldest);
    this.#rest.POST('/v1/conversations/{conversation_id}/typing', { params: { path: { conversation_id: conversationID } } }).catch(() => undefined);
  }

  /** What was written is sent: who gets it takes the writer for done, so the next key is told at once. */
  async done(draft: Draft): Promise<void> {
    if (draft.conversation !== undefined) this.#told.delete(draft.conversation);
    if (draft.to === undefined) return;
    for (const id of [...this.#told.keys()]) {
      if ((await this.#conversations.stored(id))?.peer_id === draft.to) this.#told.delete(id);
    }
  }
}
