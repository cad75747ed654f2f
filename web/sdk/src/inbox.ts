import type { Rest } from './api.js';
import { Acks } from './acks.js';
import { backoff } from './backoff.js';
import type { Clock } from './clock.js';
import type { Conversations } from './conversations.js';
import type { Hub } from './hub.js';
import { type Arrival, type Ledger, OtherAccountError, type Position } from './ledger.js';
import type { Frame, Hello, MailboxPage, Message } from './object.js';
import { asApiError } from './problem.js';
import { ask } from './rest.js';

/** So many frames wait for the store at most; what comes beyond that is pulled later. */
const mostFrames = 512;
/** Applied in one transaction. */
const mostApplied = 200;
const pageSize = 200;

export interface InboxOptions {
  readonly ledger: Ledger;
  readonly conversations: Conversations;
  readonly hub: Hub;
  readonly rest: Rest;
  readonly clock: Clock;
  readonly random: () => number;
  readonly deviceID: string;
  readonly logBacklog: number;
  readonly parting: (body: unknown) => void;
  /** Everything that the server has told of has arrived, or there is something to come. */
  readonly caughtUp: (yes: boolean) => void;
}

/**
 * Brings what the server pushes into the store, in order and without holes, and acks it. One loop does one thing
 * at a time: frames in their order; where something is missing, pulls; where the server has lost its tail, steps back.
 */
export class Inbox {
  readonly acks: Acks;
  readonly #options: InboxOptions;
  #frames: Frame[] = [];
  #position: Position | null = null;
  /** The highest mailbox seq that the server has told of. */
  #goal = 0;
  #pull = false;
  /** The position is in doubt: the entry at or before this seq is the next to be checked. */
  #doubt: number | null = null;
  #stride = 1;
  /** Stepped back: what is ahead in the trail is not believed until it has come again. */
  #stepped = false;
  readonly #logPulls = new Set<string>();
  #failures = 0;
  #cancel: (() => void) | null = null;
  #running: Promise<void> | null = null;
  /** Somebody has called while the loop ran: it may have looked already. */
  #woken = false;
  #me: string | null = null;
  #connected = false;
  #stopped = false;

  constructor(options: InboxOptions) {
    this.#options = options;
    this.acks = new Acks({
      rest: options.rest,
      clock: options.clock,
      random: options.random,
      deviceID: options.deviceID,
      parting: options.parting,
      positionLost: (position, head) => {
        // A late answer about a position that the device has left already says nothing.
        if (this.#doubt === null && position.seq === this.#position?.seq && position.id === this.#position.id) this.#lose(head);
      },
      logLost: (id, head) => void this.#logLost(id, head),
    });
  }

  /** Reads the position. */
  async load(): Promise<Position | null> {
    this.#position = await this.#options.ledger.position();
    return this.#position;
  }

  /** Where the device stands, for the connection. */
  get position(): Position | null {
    return this.#position;
  }

  /** The socket has brought something. */
  take(frame: Frame): void {
    if (frame.type === 'hello') this.#connected = true;
    if (this.#frames.length >= mostFrames && frame.type === 'message') {
      if (frame.seq === undefined) this.#logPulls.add(frame.message.conversation_id);
      else this.#pull = true;
    } else {
      this.#frames.push(frame);
    }
    this.#wake();
  }

  /** The socket is gone: what it has brought is still applied, and pulls wait for the next one. */
  disconnected(): void {
    this.#connected = false;
    this.#cancel?.();
    this.#cancel = null;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#connected = false;
    this.#cancel?.();
    await this.#running;
    await this.acks.flush();
    this.acks.stop();
  }

  #wake(): void {
    this.#woken = this.#running !== null;
    if (this.#running || this.#stopped) return;
    // Begun in a turn of its own: what it does may call here, and must find it running.
    this.#running = Promise.resolve()
      .then(() => this.#run())
      .finally(() => {
        this.#running = null;
        if (this.#frames.length > 0 || this.#woken) this.#wake();
      });
  }

  async #run(): Promise<void> {
    try {
      while (await this.#step());
      if (this.#cancel) return; // a pull waits for its next try
      this.#failures = 0;
      if (this.#connected) this.#options.caughtUp((this.#position?.seq ?? 0) >= this.#goal);
    } catch (error) {
      if (error instanceof OtherAccountError) return; // this tab will hear of it
      const problem = asApiError(error);
      if (problem !== error) this.#options.hub.emit('fault', { error: problem }); // the store, and no call
      if (!this.#connected || this.#cancel) return;
      const wait = problem.retryAfter ?? backoff(this.#failures++, this.#options.random);
      this.#cancel = this.#options.clock.after(wait, () => {
        this.#cancel = null;
        this.#wake();
      });
    }
  }

  /** Does one thing; false if there is nothing to do. */
  async #step(): Promise<boolean> {
    if (this.#stopped) return false;
    if (this.#frames.length > 0) {
      await this.#applyFrames();
      return true;
    }
    if (!this.#connected || this.#cancel) return false;
    if (this.#doubt !== null) {
      await this.#stepBack(this.#doubt);
      return true;
    }
    if (this.#pull) {
      await this.#pullPage();
      return true;
    }
    const [log] = this.#logPulls;
    if (log !== undefined) {
      await this.#pullLog(log);
      return true;
    }
    return false;
  }

  /** Applies the messages at the front of the queue in one transaction, or does what one other frame says. */
  async #applyFrames(): Promise<void> {
    const arrivals: Arrival[] = [];
    while (arrivals.length < mostApplied) {
      const frame = this.#frames[0];
      if (frame?.type !== 'message') break;
      this.#frames.shift();
      arrivals.push({ message: frame.message, seq: frame.seq ?? null });
    }
    if (arrivals.length > 0) {
      // A position in doubt: what comes now may be at other places, and is pulled afterwards.
      await this.#apply(this.#doubt === null ? arrivals : arrivals.filter(({ seq }) => seq === null));
      return;
    }
    const frame = this.#frames.shift();
    if (frame) await this.#obey(frame);
  }

  async #obey(frame: Frame): Promise<void> {
    switch (frame.type) {
      case 'hello':
        return this.#greet(frame);
      case 'behind':
        this.#options.caughtUp(false);
        if (frame.conversation_id !== undefined) {
          this.#logPulls.add(frame.conversation_id);
        } else {
          this.#goal = Math.max(this.#goal, frame.head);
          this.#pull = true;
        }
        return;
      case 'synced':
        return this.#expect(frame.up_to);
      case 'ping':
        return this.#expect(frame.head);
      case 'receipt': {
        const { ledger } = this.#options;
        await ledger.receipt(frame.conversation_id, frame.user_id, frame.kind, frame.up_to);
        if (frame.kind === 'read' && frame.user_id === this.#me) {
          if (await ledger.read(frame.conversation_id, frame.up_to, true)) this.#options.conversations.refresh(frame.conversation_id);
        }
        return;
      }
      case 'deleted':
        return this.#options.ledger.deleted(frame.conversation_id, frame.conversation_seq, frame.message_id);
      case 'conversation':
        if (frame.event === 'removed') await this.#options.ledger.remove(frame.conversation_id, true);
        else this.#options.conversations.refresh(frame.conversation_id);
        return;
      case 'typing':
        this.#options.hub.publish('typing', frame);
        return;
      case 'presence':
        this.#options.hub.publish('presence', frame);
        return;
    }
  }

  async #greet(hello: Hello): Promise<void> {
    this.#me = hello.user_id;
    this.#goal = hello.head;
    this.#failures = 0;
    if (!this.#position) {
      this.#position = { seq: hello.acked, id: null };
      await this.#options.ledger.setPosition(this.#position);
    }
    if (hello.reset) this.#lose(hello.head);
    // A step back was interrupted; or a send was answered that the server may have lost: a pull tells.
    else if (this.#doubt !== null || this.#stepped || (await this.#options.ledger.isAhead(hello.head))) this.#pull = true;
  }

  /** The server has told of entries up to seq, and they were pushed before: what is missing now was lost on the way. */
  #expect(seq: number): void {
    this.#goal = Math.max(this.#goal, seq);
    if (seq > (this.#position?.seq ?? 0)) this.#pull = true;
  }

  async #apply(arrivals: readonly Arrival[]): Promise<void> {
    if (arrivals.length === 0) return;
    const { ledger, conversations } = this.#options;
    const applied = await ledger.apply(arrivals);
    this.#position = applied.position ?? this.#position;
    if (applied.gap) this.#pull = true;
    if (applied.lost) this.#lose(this.#position?.seq ?? 0);
    else if (applied.taken > 0 && this.#position) this.acks.mailbox(this.#position, applied.taken);
    for (const id of applied.logGaps) this.#logPulls.add(id);
    for (const [id, held] of applied.logs) this.acks.log(id, held, arrivals.length);
    for (const id of applied.unknown) conversations.refresh(id);
  }

  /** Pulls what is after the position; that acks the position. */
  async #pullPage(): Promise<void> {
    const sends = await this.#options.ledger.sends();
    const page = await this.#sync(this.#position ?? { seq: 0, id: null });
    if (page) await this.#takePage(page, sends);
  }

  /** Asks for what is after a position. null: the server says that it is lost. */
  async #sync(after: Position): Promise<MailboxPage | null> {
    const { rest, deviceID } = this.#options;
    const body = { device_id: deviceID, after: after.seq, limit: pageSize, ...(after.id === null ? {} : { after_id: after.id }) };
    try {
      return await ask(rest.POST('/v1/mailbox/sync', { body }));
    } catch (error) {
      const problem = asApiError(error);
      if (problem.code !== 'position_lost') throw problem;
      if (this.#doubt === null) this.#lose(problem.problem?.head ?? 0);
      return null;
    }
  }

  async #takePage(page: MailboxPage, sends: number): Promise<void> {
    this.#goal = page.head;
    const first = page.entries[0];
    if (first && first.seq > (this.#position?.seq ?? 0) + 1) {
      // What is between was acked by all devices, and pruned: it is history.
      this.#position = { seq: first.seq - 1, id: null };
      await this.#options.ledger.setPosition(this.#position);
    }
    await this.#apply(page.entries);
    if (page.has_more) return;
    this.#pull = false;
    const beyond = await this.#options.ledger.endsAt(page.head, sends);
    if (!this.#stepped && !beyond) return;
    this.#stepped = false;
    this.#options.hub.publish('reset', { position: this.#position?.seq ?? 0 });
  }

  #lose(head: number): void {
    this.acks.forget();
    this.#doubt = Math.min(this.#position?.seq ?? 0, head);
    this.#stride = 1;
    this.#options.caughtUp(false);
    this.#wake();
  }

  /** Looks for the last entry that the server still has, in steps that double, and pulls from there. */
  async #stepBack(seq: number): Promise<void> {
    const entry = seq > 0 ? await this.#options.ledger.entryBefore(seq) : null;
    const sends = await this.#options.ledger.sends();
    const page = await this.#sync(entry ?? { seq: 0, id: null });
    if (!page && entry) {
      this.#doubt = entry.seq - this.#stride;
      this.#stride *= 2;
      return;
    }
    this.#doubt = null;
    if (!page) return;
    this.#stepped = true;
    this.#pull = true;
    const start = entry ?? { seq: Math.max(0, page.floor - 1), id: null };
    this.#position = start;
    await this.#options.ledger.setPosition(start);
    await this.#takePage(page, sends);
  }

  /** Pulls a page of a log conversation, after what is held of it. */
  async #pullLog(id: string): Promise<void> {
    const { ledger, conversations, rest, logBacklog } = this.#options;
    let held = await ledger.log(id);
    if (held === null) {
      const conversation = await conversations.get(id);
      if (!conversation) {
        this.#logPulls.delete(id);
        return;
      }
      held = Math.max(conversation.read_seq, conversation.joined_seq);
      await ledger.setLog(id, held);
    }
    const read = (after: number, holds: string | null = null) =>
      ask(
        rest.GET('/v1/conversations/{conversation_id}/messages', {
          params: { path: { conversation_id: id }, query: { after_seq: after, limit: pageSize, ...(holds === null ? {} : { after_id: holds }) } },
        }),
      );
    let page;
    try {
      page = await read(held, await ledger.messageID(id, held));
      if (page.head - held > logBacklog) {
        held = page.head - logBacklog;
        await ledger.setLog(id, held);
        page = await read(held);
      }
    } catch (error) {
      const problem = asApiError(error);
      if (problem.code === 'position_lost') {
        await this.#stepBackLog(id, held, read);
        return;
      }
      if (problem.code !== 'not_found') throw problem;
      this.#logPulls.delete(id);
      await ledger.remove(id, true);
      return;
    }
    if (page.head < held) {
      await this.#logLost(id, page.head);
      this.#logPulls.delete(id);
      return;
    }
    const last = page.has_more ? (page.messages.at(-1)?.conversation_seq ?? page.head) : page.head;
    const unknown = await ledger.applyLog(id, page.messages, held, last);
    if (unknown) conversations.refresh(id);
    this.acks.log(id, last, page.messages.length);
    if (!page.has_more) this.#logPulls.delete(id);
  }

  /** Finds the last message of a log conversation that the server has too, below held, which it has not, and forgets what is after it. */
  async #stepBackLog(id: string, held: number, read: (after: number) => Promise<{ messages: readonly Message[]; head: number }>): Promise<void> {
    let [from, upTo] = [held, held];
    while (upTo === from && from > 0) {
      from = Math.max(from - pageSize, 0);
      const page = await read(from);
      upTo = Math.min(await this.#options.ledger.agreesUpTo(id, page.messages, from), page.head);
    }
    await this.#logLost(id, Math.min(upTo, held - 1));
  }

  async #logLost(id: string, head: number): Promise<void> {
    await this.#options.ledger.conversationEndsAt(id, head);
    this.#options.conversations.refresh(id);
  }
}
