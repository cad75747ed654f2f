import type { Observable, Progress, ReceiptsState, Rest, Unsubscribe } from './api.js';
import type { Conversations } from './conversations.js';
import type { Hub } from './hub.js';
import type { Ledger } from './ledger.js';
import type { MemberPosition, Message } from './object.js';
import { Value } from './observable.js';
import { asApiError } from './problem.js';
import { ask } from './rest.js';
import type { Store } from './store.js';

/** Conversations whose positions are in memory at most; those that nobody follows make room first. */
const mostKept = 64;

interface Known {
  readonly value: Value<ReceiptsState>;
  /** Of the other members; the positions may lack some. */
  others: number;
  followers: number;
  /** Asked of the server since the connection began. */
  fresh: boolean;
}

/** Knows how far the members of conversations have received and read. */
export class Receipts {
  readonly #store: Store;
  readonly #ledger: Ledger;
  readonly #conversations: Conversations;
  readonly #rest: Rest;
  readonly #me: () => string | null;
  readonly #known = new Map<string, Known>();
  readonly #ends: Unsubscribe[];

  constructor(store: Store, ledger: Ledger, conversations: Conversations, rest: Rest, hub: Hub, me: () => string | null) {
    this.#store = store;
    this.#ledger = ledger;
    this.#conversations = conversations;
    this.#rest = rest;
    this.#me = me;
    this.#ends = [
      hub.on('receipt', ({ conversationID, position }) => this.#moved(conversationID, position)),
      hub.on('conversation', ({ conversationID, conversation }) => {
        const known = this.#known.get(conversationID);
        if (known && conversation && known.others !== conversation.member_count - 1) {
          known.others = conversation.member_count - 1;
          known.fresh = false;
          if (known.followers > 0) void this.#load(conversationID, known);
        }
      }),
      hub.on('connection', ({ state }) => {
        // What was told while we were away is lost.
        if (state === 'online') for (const [id, known] of this.#known) if (known.followers > 0) void this.#load(id, known);
        if (state === 'waiting') for (const known of this.#known.values()) known.fresh = false;
      }),
      hub.on('session', () => this.#known.clear()),
    ];
  }

  /** Follows a conversation until close(). */
  follow(id: string): Observable<ReceiptsState> & { close(): void } {
    const known = this.#get(id);
    known.followers++;
    void this.#load(id, known);
    let open = true;
    return {
      get: known.value.get,
      subscribe: known.value.subscribe,
      close: () => {
        if (open) known.followers--;
        open = false;
      },
    };
  }

  /** How far a message of mine is; null where nothing is known, or receipts are off. */
  progress(message: Message): Progress | null {
    const known = this.#known.get(message.conversation_id);
    if (!known) return null;
    const { members, available } = known.value.get();
    if (!available || known.others < 1 || members.size === 0) return null;
    let [delivered, read] = [0, 0];
    for (const [user, position] of members) {
      if (user === message.sender_id) continue;
      if (position.delivered_seq >= message.conversation_seq) delivered++;
      if (position.read_seq >= message.conversation_seq) read++;
    }
    return { delivered, read, of: known.others };
  }

  close(): void {
    for (const end of this.#ends) end();
    this.#known.clear();
  }

  #get(id: string): Known {
    let known = this.#known.get(id);
    if (known) {
      this.#known.delete(id);
    } else {
      known = { value: new Value<ReceiptsState>({ members: new Map(), available: true }), others: 0, followers: 0, fresh: false };
      for (const [other, { followers }] of this.#known) {
        if (this.#known.size < mostKept) break;
        if (followers === 0) this.#known.delete(other);
      }
    }
    this.#known.set(id, known);
    return known;
  }

  #moved(id: string, position: MemberPosition): void {
    const value = this.#known.get(id)?.value;
    if (!value) return;
    const state = value.get();
    const old = state.members.get(position.user_id);
    const members = new Map(state.members).set(position.user_id, {
      user_id: position.user_id,
      delivered_seq: Math.max(old?.delivered_seq ?? 0, position.delivered_seq),
      read_seq: Math.max(old?.read_seq ?? 0, position.read_seq),
    });
    value.set({ ...state, members });
  }

  /** What is stored, then what the server says. */
  async #load(id: string, known: Known): Promise<void> {
    try {
      const conversation = await this.#conversations.get(id);
      if (!conversation) return;
      known.others = conversation.member_count - 1;
      if (!conversation.receipts) {
        known.value.set({ members: new Map(), available: false });
        return;
      }
      if (known.value.get().members.size === 0) {
        const stored = await this.#store.read(['receipts'], (tx) => tx.get('receipts', id));
        for (const [user_id, [delivered_seq, read_seq]] of Object.entries(stored ?? {})) {
          this.#moved(id, { user_id, delivered_seq, read_seq });
        }
      }
      if (known.fresh || this.#me() === null) return;
      known.fresh = true;
      const answer = await ask(
        this.#rest.GET('/v1/conversations/{conversation_id}/receipts', { params: { path: { conversation_id: id } } }),
      );
      await this.#ledger.receipts(id, answer.members);
      const present = new Set(answer.members.map((member) => member.user_id));
      const { members } = known.value.get();
      known.value.set({ available: true, members: new Map([...members].filter(([user]) => present.has(user))) });
      for (const member of answer.members) this.#moved(id, member);
    } catch (error) {
      known.fresh = false; // not reached: at the next connection
      if (asApiError(error).code === 'receipts_off') known.value.set({ members: new Map(), available: false });
    }
  }
}
