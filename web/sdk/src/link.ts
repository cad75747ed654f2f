import type { Connection, ClientOptions, Rest, SocketLike } from './api.js';
import { backoff } from './backoff.js';
import type { Clock } from './clock.js';
import type { Position } from './ledger.js';
import type { Bye, Frame } from './object.js';
import { asApiError } from './problem.js';
import { ask } from './rest.js';
import type { SessionKeeper } from './session.js';

/** How long opening may take, up to the hello, in ms. */
const openTimeout = 20_000;
/** A connection that has lasted so long, in ms, was a good one: the backoff begins anew. */
const goodAfter = 10_000;
/** How long a bye may wait for its close, in ms. */
const byeTimeout = 5_000;

export interface LinkOptions {
  readonly base: string;
  readonly deviceID: string;
  readonly rest: Rest;
  readonly session: SessionKeeper;
  readonly WebSocket: NonNullable<ClientOptions['WebSocket']>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly position: () => Position | null;
  readonly onFrame: (frame: Frame) => void;
  readonly onDown: () => void;
  readonly onState: (connection: Connection) => void;
  /** The browser knows of no network. */
  readonly offline: () => boolean;
}

/** Keeps one socket open: connects, notices when it is dead, and connects again. */
export class Link {
  readonly #options: LinkOptions;
  #socket: SocketLike | null = null;
  /** Counts tries: what comes from an earlier one is not heard. */
  #try = 0;
  #attempt = 0;
  #openedAt = 0;
  #heardAt = 0;
  #heartbeat = 0;
  #bye: Bye | null = null;
  #token: string | null = null;
  #timer: (() => void) | null = null;
  #waiting = false;
  #down = true;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Connects, unless it is connected or connecting. */
  start(): void {
    if (!this.#down) return;
    this.#down = false;
    void this.#open();
  }

  /** Tries again at once, if it is waiting. */
  retry(): void {
    if (this.#waiting) void this.#open();
  }

  /** The page has come back, or the network: timers may have slept. */
  nudge(): void {
    if (this.#waiting) this.retry();
    else if (this.#socket && this.#heartbeat > 0) this.#checkHeart();
  }

  /** Closes, and stays closed. */
  stop(): void {
    this.#down = true;
    this.#drop(1000);
  }

  async #open(): Promise<void> {
    this.#drop();
    const attempt = this.#try;
    const current = () => attempt === this.#try && !this.#down;
    const { rest, session, base, deviceID, position, onState } = this.#options;
    onState({ state: 'connecting' });
    this.#arm(openTimeout, () => this.#lost(0));
    let ticket: string;
    try {
      this.#token = await session.token();
      ticket = (await ask(rest.POST('/v1/auth/ws-ticket'))).ticket;
      this.#token = await session.token();
    } catch (error) {
      if (!current()) return;
      const problem = asApiError(error);
      if (problem.code === 'banned') return this.#end(session.banned());
      if (problem.status === 401 && !session.session.get()) return this.#end(Promise.resolve());
      return this.#wait(0, problem.retryAfter);
    }
    if (!current()) return;
    const query = new URLSearchParams({ device_id: deviceID });
    const at = position();
    if (at) query.set('last_seq', String(at.seq));
    if (at?.id) query.set('last_id', at.id);
    const url = `${base.replace(/^http/, 'ws')}/v1/ws?${query.toString()}`;
    let socket: SocketLike;
    try {
      socket = new this.#options.WebSocket(url, ['ackbox.v1', `ticket.${ticket}`]);
    } catch {
      return this.#wait(0, null); // the page may not open it, such as ws: from https:
    }
    this.#socket = socket;
    socket.onmessage = (event: { data: unknown }) => current() && this.#heard(event.data);
    socket.onclose = (event: { code: number }) => current() && this.#lost(event.code);
    socket.onerror = () => undefined; // the close says the same, later
  }

  #heard(data: unknown): void {
    const { clock, onFrame, onState } = this.#options;
    this.#heardAt = clock.now();
    const frame = parse(data);
    if (!frame) return;
    if (frame.type === 'hello') {
      this.#openedAt = clock.now();
      this.#heartbeat = frame.heartbeat_ms;
      this.#bye = null;
      onState({ state: 'catching_up' });
      this.#arm(2 * this.#heartbeat, () => this.#checkHeart());
    }
    if (frame.type === 'bye') {
      this.#bye = frame;
      this.#arm(byeTimeout, () => this.#lost(frame.code));
    } else {
      onFrame(frame);
    }
  }

  /** Two heartbeats without a frame: the link is dead. */
  #checkHeart(): void {
    const silent = this.#options.clock.now() - this.#heardAt;
    const left = 2 * this.#heartbeat - silent;
    if (left <= 0) this.#lost(0);
    else this.#arm(left, () => this.#checkHeart());
  }

  /** The socket is gone; code is 0 if nobody said why. */
  #lost(code: number): void {
    const { session, clock, onDown, onState } = this.#options;
    const bye = this.#bye;
    const token = this.#token;
    if (this.#openedAt > 0 && clock.now() - this.#openedAt >= goodAfter) this.#attempt = 0;
    this.#drop();
    onDown();
    switch (code) {
      case 1003:
        this.#down = true;
        return onState({ state: 'stopped', reason: 'refused' });
      case 4002:
        this.#down = true;
        return onState({ state: 'stopped', reason: 'device_taken' });
      case 4003:
        return this.#end(session.banned());
      case 4001:
        return void this.#reauthorise(token);
      default:
        this.#wait(code, bye ? bye.retry_after_ms : null);
    }
  }

  async #reauthorise(token: string | null): Promise<void> {
    const attempt = this.#try;
    const { session, onState } = this.#options;
    onState({ state: 'connecting' });
    try {
      await session.refresh(token ?? (await session.token()));
    } catch (error) {
      if (attempt !== this.#try || this.#down) return;
      if (!session.session.get()) return this.#end(Promise.resolve());
      return this.#wait(4001, asApiError(error).retryAfter);
    }
    if (attempt !== this.#try || this.#down) return;
    // Once at once; should the server go on like this, slower and slower.
    if (this.#attempt === 0) {
      this.#attempt++;
      void this.#open();
    } else {
      this.#wait(4001, null);
    }
  }

  #wait(code: number, told: number | null): void {
    const { random, onState, offline } = this.#options;
    const retryIn = Math.round(told ?? backoff(this.#attempt, random));
    this.#attempt++;
    this.#waiting = true;
    this.#arm(retryIn, () => void this.#open());
    onState({ state: 'waiting', retryIn, offline: offline(), code });
  }

  /** Nobody is signed in any more. */
  #end(done: Promise<void>): void {
    this.#down = true;
    this.#drop();
    const { session, onState } = this.#options;
    void done.finally(() => onState({ state: 'signed_out', reason: session.reason }));
  }

  #arm(ms: number, fn: () => void): void {
    this.#timer?.();
    this.#timer = this.#options.clock.after(ms, fn);
  }

  /** Lets go of the socket and of all that waits. */
  #drop(code?: number): void {
    this.#try++;
    this.#timer?.();
    this.#timer = null;
    this.#waiting = false;
    this.#bye = null;
    this.#openedAt = 0;
    this.#heartbeat = 0;
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close(code);
  }
}

/** A frame; null for what is none, or of a type that is not known. */
function parse(data: unknown): Frame | null {
  if (typeof data !== 'string') return null;
  try {
    const frame: unknown = JSON.parse(data);
    return typeof frame === 'object' && frame !== null && 'type' in frame ? (frame as Frame) : null;
  } catch {
    return null;
  }
}
