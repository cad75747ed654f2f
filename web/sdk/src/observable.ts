import type { Observable, Unsubscribe } from './api.js';

/** A set of listeners. A listener that throws is reported and disturbs nobody else. */
export class Listeners<T> {
  readonly #all = new Set<(value: T) => void>();

  add(fn: (value: T) => void): Unsubscribe {
    // Wrapped, so that the same function may be added twice.
    const listener = (value: T) => fn(value);
    this.#all.add(listener);
    return () => this.#all.delete(listener);
  }

  call(value: T): void {
    for (const listener of [...this.#all]) {
      try {
        listener(value);
      } catch (error) {
        reportError(error);
      }
    }
  }

  clear(): void {
    this.#all.clear();
  }
}

/** Throws error where the host reports what nobody has caught, and not into the caller. */
function reportError(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** An observable whose owner sets it. */
export class Value<T> implements Observable<T> {
  #value: T;
  readonly #listeners = new Listeners<void>();

  constructor(value: T) {
    this.#value = value;
  }

  readonly get = (): T => this.#value;

  readonly subscribe = (fn: () => void): Unsubscribe => this.#listeners.add(fn);

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    this.#listeners.call();
  }

  clear(): void {
    this.#listeners.clear();
  }
}
