import type { Draft, OutboxItem, Rest } from './api.js';
import { backoff } from './backoff.js';
import type { Clock } from './clock.js';
import type { Conversations } from './conversations.js';
import type { Hub } from './hub.js';
import type { Ledger } from './ledger.js';
import { type ApiError, asApiError, NotSentError, type SendError } from './problem.js';
import { ask } from './rest.js';
import type { OutboxRow, Store } from './store.js';
import type { components } from './schema.gen.js';

/** Messages in the outbox at most; send() refuses more. */
export const mostWaiting = 1_000;
/** Conversations that are sent to at the same time: a browser has six connections for all. */
const mostLanes = 3;
/** How long a conversation waits, in ms, when the device cannot store what was answered. */
const rest = 5_000;
/** A message of an earlier page is sent by itself if it is no older than this, in ms; later, a person shall say so. */
const resumeWithin = 60_000;

/** The part of the outbox that each tab has: it puts messages in, and tells whoever leads. */
export class OutboxTable {
  readonly #store: Store;
  readonly #hub: Hub;
  readonly #clock: Clock;
  #order = 0;

  constructor(store: Store, hub: Hub, clock: Clock) {
    this.#store = store;
    this.#hub = hub;
    this.#clock = clock;
  }

  /** All of it, oldest first. */
  async items(): Promise<OutboxRow[]> {
    const rows = await this.#store.read(['outbox'], (tx) => tx.range('outbox', {}));
    return rows.map(({ value }) => value).sort((a, b) => a.order - b.order);
  }

  async item(key: string): Promise<OutboxItem | null> {
    return (await this.#store.read(['outbox'], (tx) => tx.get('outbox', key))) ?? null;
  }

  async put(clientMsgID: string, draft: Draft): Promise<OutboxItem> {
    const at = this.#clock.wall();
    // One after the other, also within a millisecond and when the clock is set back.
    this.#order = Math.max(this.#order + 0.001, at);
    const item: OutboxRow = { clientMsgID, draft, state: 'sending', error: null, at, order: this.#order };
    await this.#store.write(['meta', 'outbox'], async (tx) => {
      if ((await tx.get('meta', 'tokens')) === undefined) throw new NotSentError(signedOut);
      const rows = await tx.range('outbox', {});
      if (rows.length >= mostWaiting) throw new Error(`the outbox is full: ${mostWaiting} messages are not sent`);
      const last = rows.reduce((most, { value }) => Math.max(most, value.order), 0);
      const order = Math.max(item.order, last + 0.001);
      this.#order = order;
      tx.put('outbox', clientMsgID, { ...item, order });
    });
    this.#tell(item);
    this.#hub.ask('kick');
    return item;
  }

  /** A failed message is to be sent again. Throws NotSentError if it is not in the outbox. */
  async again(key: string): Promise<void> {
    const item = await this.update(key, (row) => ({ ...row, state: 'sending', error: null, at: this.#clock.wall() }));
    if (!item) throw new NotSentError(unknown);
    this.#hub.ask('kick');
  }

  /** Changes a message, if it is still there. */
  async update(key: string, change: (row: OutboxRow) => OutboxRow): Promise<OutboxItem | null> {
    const item = await this.#store.write(['outbox'], async (tx) => {
      const row = await tx.get('outbox', key);
      if (!row) return null;
      const next = change(row);
      tx.put('outbox', key, next);
      return next;
    });
    if (item) this.#tell(item);
    return item;
  }

  async discard(key: string): Promise<void> {
    await this.#store.write(['outbox'], async (tx) => tx.delete('outbox', key));
    this.#hub.publish('outbox', { clientMsgID: key, item: null, message: null });
  }

  #tell(item: OutboxItem): void {
    this.#hub.publish('outbox', { clientMsgID: item.clientMsgID, item, message: null });
  }
}

export const signedOut: SendError = { code: 'signed_out', status: 401, detail: 'nobody is signed in', retryable: true };
export const unknown: SendError = { code: 'unknown', status: 0, detail: 'it is not in the outbox', retryable: false };
export const discarded: SendError = { code: 'discarded', status: 0, detail: 'it was discarded', retryable: false };
const interrupted: SendError = { code: 'interrupted', status: 0, detail: 'the page went away before an answer came', retryable: true };

export interface OutboxOptions {
  readonly table: OutboxTable;
  readonly ledger: Ledger;
  readonly conversations: Conversations;
  readonly hub: Hub;
  readonly rest: Rest;
  readonly clock: Clock;
  readonly random: () => number;
  /** In ms. */
  readonly window: number;
}

/** Sends what is in the outbox: in each conversation one message at a time, in the order of writing. Runs in one tab. */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #lanes = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();
  #looking: Promise<void> | null = null;
  #again = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Takes over what an earlier page, or tab, has left. */
  async start(): Promise<void> {
    const { table, clock } = this.#options;
    for (const item of await table.items()) {
      if (item.state === 'sending' && Math.abs(clock.wall() - item.at) > resumeWithin) {
        await table.update(item.clientMsgID, (row) => ({ ...row, state: 'failed', error: interrupted }));
      }
    }
    this.kick();
  }

  /** There may be something to send. */
  kick(): void {
    this.#again = true;
    this.#looking ??= this.#look()
      .catch((error: unknown) => this.#fault(error))
      .finally(() => {
        this.#looking = null;
        if (this.#again && !this.#stop.signal.aborted) this.kick();
      });
  }

  /** What is on its way is given up; another tab, or the next page, sends it with the same key. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#looking;
    await Promise.all(this.#lanes.values());
  }

  async #look(): Promise<void> {
    this.#again = false;
    for (const item of await this.#waiting()) {
      if (this.#lanes.size >= mostLanes || this.#stop.signal.aborted) return;
      const lane = await this.#lane(item.draft);
      if (this.#lanes.has(lane)) continue;
      const run = this.#run(lane)
        .catch((error: unknown) => {
          this.#fault(error);
          return this.#sleep(rest);
        })
        .finally(() => {
          this.#lanes.delete(lane);
          if (!this.#stop.signal.aborted) this.kick();
        });
      this.#lanes.set(lane, run);
    }
  }

  async #waiting(): Promise<OutboxRow[]> {
    return (await this.#options.table.items()).filter((item) => item.state === 'sending');
  }

  /** A direct conversation has two names: its own, and the other user's. */
  async #lane(draft: Draft): Promise<string> {
    if (draft.to !== undefined) return `to ${draft.to}`;
    const known = await this.#options.conversations.stored(draft.conversation ?? '');
    return known?.peer_id ? `to ${known.peer_id}` : `in ${draft.conversation}`;
  }

  async #run(lane: string): Promise<void> {
    for (;;) {
      let next: OutboxRow | null = null;
      for (const item of await this.#waiting()) {
        if ((await this.#lane(item.draft)) === lane) {
          next = item;
          break;
        }
      }
      if (!next || this.#stop.signal.aborted) return;
      await this.#send(next);
    }
  }

  /** Tries for as long as the window is open. */
  async #send(item: OutboxRow): Promise<void> {
    const { clock, random, window, ledger, table, conversations } = this.#options;
    const end = clock.now() + window;
    for (let attempt = 0; ; attempt++) {
      let problem: ApiError;
      try {
        // The last try may begin as the window ends, and gets a little time.
        const { message, mailbox_seq } = await this.#post(item, Math.max(end - clock.now(), window / 4));
        if (!(await ledger.sent(message, mailbox_seq))) conversations.refresh(message.conversation_id);
        return;
      } catch (error) {
        problem = asApiError(error);
      }
      if (this.#stop.signal.aborted) return;
      const wait = problem.retryAfter ?? backoff(attempt, random) / 4;
      if (!retryable(problem) || clock.now() + wait > end) {
        const error = notSent(problem);
        // It may have been discarded, or have come by the mailbox: then there is nothing to update.
        await table.update(item.clientMsgID, (row) => ({ ...row, state: 'failed', error }));
        return;
      }
      await this.#sleep(wait);
      if (this.#stop.signal.aborted || !(await table.item(item.clientMsgID))) return;
    }
  }

  async #post(item: OutboxRow, timeout: number) {
    const late = new AbortController();
    const abort = () => late.abort();
    const cancel = this.#options.clock.after(timeout, abort);
    this.#stop.signal.addEventListener('abort', abort, { once: true });
    try {
      return await ask(this.#options.rest.POST('/v1/messages', { body: wire(item), signal: late.signal }));
    } finally {
      cancel();
      this.#stop.signal.removeEventListener('abort', abort);
    }
  }

  #sleep(ms: number): Promise<void> {
    const { signal } = this.#stop;
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, () => {
        signal.removeEventListener('abort', abort);
        resolve();
      });
      const abort = () => {
        cancel();
        resolve();
      };
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  #fault(error: unknown): void {
    this.#options.hub.emit('fault', { error: error instanceof Error ? error : new Error(String(error)) });
  }
}

/** The send's body. A repeat must be the same. */
function wire({ clientMsgID, draft }: OutboxItem): components['schemas']['Send'] {
  return {
    client_msg_id: clientMsgID,
    type: draft.type,
    body: draft.body,
    ext: draft.ext ?? {},
    reply_to: draft.replyTo ?? null,
    ...(draft.to === undefined ? {} : { to_user_id: draft.to }),
    ...(draft.conversation === undefined ? {} : { conversation_id: draft.conversation }),
    ...(draft.mentions === undefined ? {} : { mentions: draft.mentions }),
  };
}

/** Whether the same request can succeed: no answer, too many requests, or a part of the system (or what is before it) is down. */
function retryable(problem: ApiError): boolean {
  return problem.status === 0 || problem.status === 408 || problem.status === 429 || problem.status >= 500;
}

function notSent(problem: ApiError): SendError {
  if (problem.status === 401) return signedOut;
  return { code: problem.code ?? 'no_answer', status: problem.status, detail: problem.message, retryable: retryable(problem) };
}
