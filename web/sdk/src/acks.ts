import type { Rest } from './api.js';
import { backoff } from './backoff.js';
import type { Clock } from './clock.js';
import type { Position } from './ledger.js';
import { asApiError } from './problem.js';
import { ask } from './rest.js';

/** So many entries are acked at once … */
const batch = 20;
/** … or after so many ms, whichever comes first. */
const delay = 200;
/** Log conversations in one call, as the server allows. */
const mostLogs = 200;

export interface AckOptions {
  readonly rest: Rest;
  readonly clock: Clock;
  readonly random: () => number;
  readonly deviceID: string;
  /** Sends an ack from a page that goes away. */
  readonly parting: (body: unknown) => void;
  /** The mailbox holds something else at a position that was acked, or ends before it. */
  readonly positionLost: (position: Position, head: number) => void;
  /** The conversation ends before what we hold. */
  readonly logLost: (conversationID: string, head: number) => void;
}

/** Acks what is stored. One call is on its way at a time; what fails is acked again later, and by the next connection's last_seq. */
export class Acks {
  readonly #options: AckOptions;
  #position: Position | null = null;
  readonly #logs = new Map<string, number>();
  #waiting = 0;
  #failures = 0;
  #cancel: (() => void) | null = null;
  #running: Promise<void> | null = null;
  #stopped = false;

  constructor(options: AckOptions) {
    this.#options = options;
  }

  /** Everything up to the position is stored; count entries came with it. */
  mailbox(position: Position, count: number): void {
    if (position.id === null) return;
    this.#position = position;
    this.#noted(count);
  }

  /** Everything of a log conversation is stored up to there. */
  log(conversationID: string, upTo: number, count: number): void {
    this.#logs.set(conversationID, upTo);
    this.#noted(count);
  }

  /** The position is not to be acked: it is in doubt, or the server knows it. */
  forget(): void {
    this.#position = null;
  }

  /** Acks now. */
  async flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = null;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
      if (!this.#position && this.#logs.size === 0) return;
      this.#arm(delay + (this.#failures ? backoff(this.#failures, this.#options.random) : 0));
    });
    await this.#running;
  }

  /** Acks now, in a way that outlives the page. */
  part(): void {
    const body = this.#mailboxBody();
    if (body) this.#options.parting(body);
    const logs = [...this.#logs].slice(0, mostLogs);
    if (logs.length > 0) this.#options.parting(this.#logBody(logs));
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = null;
  }

  #noted(count: number): void {
    this.#waiting += count;
    if (this.#stopped) return;
    if (this.#waiting >= batch && this.#failures === 0) void this.flush();
    else this.#arm(delay);
  }

  #arm(ms: number): void {
    if (this.#cancel || this.#running || this.#stopped) return;
    this.#cancel = this.#options.clock.after(ms, () => {
      this.#cancel = null;
      void this.flush();
    });
  }

  async #run(): Promise<void> {
    this.#waiting = 0;
    try {
      await this.#ackMailbox();
      await this.#ackLogs();
      this.#failures = 0;
    } catch {
      // No answer, or none that helps: once more, later. Nothing is lost meanwhile but time.
      this.#failures++;
    }
  }

  async #ackMailbox(): Promise<void> {
    const position = this.#position;
    const body = this.#mailboxBody();
    if (!position || !body) return;
    try {
      await ask(this.#options.rest.POST('/v1/mailbox/ack', { body }));
    } catch (error) {
      const problem = asApiError(error);
      if (problem.code !== 'position_lost') throw problem;
      if (this.#position === position) this.#position = null;
      this.#options.positionLost(position, problem.problem?.head ?? 0);
      return;
    }
    if (this.#position === position) this.#position = null;
  }

  async #ackLogs(): Promise<void> {
    while (this.#logs.size > 0) {
      const logs = [...this.#logs].slice(0, mostLogs);
      try {
        await ask(this.#options.rest.POST('/v1/mailbox/ack', { body: this.#logBody(logs) }));
        this.#done(logs);
      } catch (error) {
        const problem = asApiError(error);
        if (problem.code !== 'position_lost' && problem.code !== 'not_found') throw problem;
        // One of them is at fault, and nothing was acked: which one?
        for (const log of logs) await this.#ackLog(log);
      }
    }
  }

  async #ackLog(log: readonly [string, number]): Promise<void> {
    try {
      await ask(this.#options.rest.POST('/v1/mailbox/ack', { body: this.#logBody([log]) }));
    } catch (error) {
      const problem = asApiError(error);
      if (problem.code === 'position_lost') this.#options.logLost(log[0], problem.problem?.head ?? 0);
      else if (problem.code !== 'not_found') throw problem;
    }
    this.#done([log]);
  }

  #done(logs: readonly (readonly [string, number])[]): void {
    for (const [id, upTo] of logs) if (this.#logs.get(id) === upTo) this.#logs.delete(id);
  }

  #mailboxBody() {
    const position = this.#position;
    if (!position || position.id === null) return null;
    return { device_id: this.#options.deviceID, up_to: position.seq, up_to_id: position.id };
  }

  #logBody(logs: readonly (readonly [string, number])[]) {
    return {
      device_id: this.#options.deviceID,
      conversations: logs.map(([conversation_id, up_to]) => ({ conversation_id, up_to })),
    };
  }
}
