import type { ClientEvents, Tabs, Unsubscribe } from './api.js';
import { Listeners } from './observable.js';

/** What tabs ask of the one that leads. `hello`: how do things stand? `kick`: look into the outbox. */
export type Request = 'hello' | 'kick' | 'retry' | 'takeover' | 'reads';

type Posted =
  | { readonly kind: 'event'; readonly event: keyof ClientEvents; readonly value: unknown }
  | { readonly kind: 'request'; readonly request: Request };

/** Carries events to the listeners of this tab and of all others. */
export class Hub {
  readonly #listeners = new Map<keyof ClientEvents, unknown>();
  readonly #requests = new Listeners<Request>();
  readonly #channel: ReturnType<Tabs['channel']>;

  constructor(tabs: Tabs, name: string) {
    this.#channel = tabs.channel(name, (message) => this.#heard(message as Posted));
  }

  on<E extends keyof ClientEvents>(event: E, fn: (value: ClientEvents[E]) => void): Unsubscribe {
    let listeners = this.#listeners.get(event) as Listeners<ClientEvents[E]> | undefined;
    if (!listeners) {
      listeners = new Listeners<ClientEvents[E]>();
      this.#listeners.set(event, listeners);
    }
    return listeners.add(fn);
  }

  /** Tells this tab. */
  emit<E extends keyof ClientEvents>(event: E, value: ClientEvents[E]): void {
    (this.#listeners.get(event) as Listeners<ClientEvents[E]> | undefined)?.call(value);
  }

  /** Tells all tabs. */
  publish<E extends keyof ClientEvents>(event: E, value: ClientEvents[E]): void {
    this.#channel.post({ kind: 'event', event, value } satisfies Posted);
    this.emit(event, value);
  }

  /** Asks whoever leads, in this tab or another. */
  ask(request: Request): void {
    this.#channel.post({ kind: 'request', request } satisfies Posted);
    this.#requests.call(request);
  }

  onRequest(fn: (request: Request) => void): Unsubscribe {
    return this.#requests.add(fn);
  }

  close(): void {
    this.#channel.close();
    this.#listeners.clear();
    this.#requests.clear();
  }

  #heard(message: Posted): void {
    if (message.kind === 'event') this.emit(message.event, message.value as never);
    else this.#requests.call(message.request);
  }
}
