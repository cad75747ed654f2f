import type { Session, SignedOutReason, Tabs } from './api.js';
import type { Hub } from './hub.js';
import type { Grant, User } from './object.js';
import { ApiError, apiError, asApiError } from './problem.js';
import type { Store, Table } from './store.js';
import { newKey } from './key.js';
import { Value } from './observable.js';

/** What is kept of a session. */
interface Tokens {
  readonly user: User;
  readonly access: string;
  readonly refresh: string;
}

const everything: Table[] = [
  'meta',
  'messages',
  'replies',
  'holdings',
  'conversations',
  'receipts',
  'trail',
  'feed',
  'outbox',
];

export interface SessionOptions {
  readonly store: Store;
  readonly hub: Hub;
  readonly tabs: Tabs;
  readonly name: string;
  readonly base: string;
  readonly fetch: typeof globalThis.fetch;
  readonly deviceID: string | undefined;
}

/** Who is signed in, with the tokens. They are in the store before they are used, and refreshed by one tab at a time. */
export class SessionKeeper {
  readonly session = new Value<Session | null>(null);
  /** Why nobody is signed in. */
  reason: SignedOutReason = 'none';
  readonly #options: SessionOptions;
  #tokens: Tokens | null = null;
  #refreshing: Promise<void> | null = null;

  constructor(options: SessionOptions) {
    this.#options = options;
    options.hub.on('session', (session) => {
      // What another tab has done; its tokens are in the store.
      if (session?.user.user_id !== this.session.get()?.user.user_id) {
        if (!session) this.#tokens = null;
        this.session.set(session);
      }
    });
  }

  /** Reads what is on the device. */
  async load(): Promise<void> {
    this.#tokens = await this.#stored();
    this.session.set(this.#tokens ? { user: this.#tokens.user, deviceID: await this.#device() } : null);
  }

  /** The access token, refreshed or not. Throws ApiError 401 if nobody is signed in. */
  async token(): Promise<string> {
    this.#tokens ??= await this.#stored();
    if (!this.#tokens) throw signedOut();
    return this.#tokens.access;
  }

  /** The access token if one is known at this moment, for calls of a page that goes away. */
  get tokenNow(): string | null {
    return this.#tokens?.access ?? null;
  }

  async signIn(path: '/v1/auth/register' | '/v1/auth/login', body: unknown): Promise<Session> {
    const grant = await this.#grant(path, body);
    const { store, hub } = this.#options;
    const device = await this.#device();
    const tokens: Tokens = { user: grant.user, access: grant.access_token, refresh: grant.refresh_token };
    await store.write(everything, async (tx) => {
      const owner = await tx.get('meta', 'owner');
      if (owner !== grant.user.user_id) {
        for (const table of everything) tx.deleteRange(table);
        tx.put('meta', 'device', device);
        tx.put('meta', 'owner', grant.user.user_id);
      }
      tx.put('meta', 'tokens', tokens);
    });
    this.#tokens = tokens;
    const session: Session = { user: grant.user, deviceID: device };
    this.session.set(session);
    hub.publish('session', session);
    return session;
  }

  /** Ends the session here, and at the server if it can be reached. */
  async logout(): Promise<void> {
    const { store, base, fetch } = this.#options;
    const tokens = await this.#stored();
    if (tokens) {
      const call = (access: string, refresh: string) =>
        fetch(`${base}/v1/auth/logout`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${access}`, 'Content-Type': 'application/json' },
          body: JSON.stringify({ refresh_token: refresh }),
        });
      try {
        const answer = await call(tokens.access, tokens.refresh);
        if (answer.status === 401) {
          await this.refresh(tokens.access);
          const fresh = await this.#stored();
          if (fresh) await call(fresh.access, fresh.refresh);
        }
      } catch {
        // Not reached: the tokens are forgotten here, and end by themselves there.
      }
    }
    const device = await this.#device();
    await store.write(everything, async (tx) => {
      for (const table of everything) tx.deleteRange(table);
      tx.put('meta', 'device', device);
    });
    this.#end('logout');
  }

  /** Gets a new access token instead of used, once for all tabs. Throws ApiError; 401 and 403 mean that the session has ended. */
  refresh(used: string): Promise<void> {
    this.#refreshing ??= this.#refresh(used).finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async #refresh(used: string): Promise<void> {
    const { store, tabs, name } = this.#options;
    await tabs.exclusive(`${name}:refresh`, async () => {
      const stored = await this.#stored();
      if (!stored) throw signedOut();
      this.#tokens = stored;
      if (stored.access !== used) return; // another tab was here
      let grant: Grant;
      try {
        grant = await this.#grant('/v1/auth/refresh', { refresh_token: stored.refresh });
      } catch (error) {
        const problem = asApiError(error);
        if (problem.status === 401 || problem.code === 'banned') {
          await store.write(['meta'], async (tx) => tx.delete('meta', 'tokens'));
          this.#end(reasonOf(problem));
        }
        throw error;
      }
      const tokens: Tokens = { user: grant.user, access: grant.access_token, refresh: grant.refresh_token };
      await store.write(['meta'], async (tx) => {
        if ((await tx.get('meta', 'owner')) === grant.user.user_id) tx.put('meta', 'tokens', tokens);
      });
      this.#tokens = tokens;
    });
  }

  /** The server does not want this account: what is stored stays, the tokens go. */
  async banned(): Promise<void> {
    await this.#options.store.write(['meta'], async (tx) => tx.delete('meta', 'tokens'));
    this.#end('banned');
  }

  #end(reason: SignedOutReason): void {
    this.reason = reason;
    this.#tokens = null;
    this.session.set(null);
    this.#options.hub.publish('session', null);
  }

  async #grant(path: string, body: unknown): Promise<Grant> {
    const { base, fetch } = this.#options;
    let response: Response;
    try {
      response = await fetch(base + path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
        keepalive: true, // a page that goes away must not lose the new refresh token's request half way
      });
    } catch (error) {
      throw asApiError(error);
    }
    const answer: unknown = await response.json().catch(() => null);
    if (!response.ok || !answer) throw apiError(response, answer);
    return answer as Grant;
  }

  async #stored(): Promise<Tokens | null> {
    const value = await this.#options.store.read(['meta'], (tx) => tx.get('meta', 'tokens'));
    return (value as Tokens | undefined) ?? null;
  }

  async #device(): Promise<string> {
    const { deviceID, store } = this.#options;
    if (deviceID) return deviceID;
    const fresh = `web-${newKey()}`;
    return store.write(['meta'], async (tx) => {
      const known = await tx.get('meta', 'device');
      if (typeof known === 'string') return known;
      tx.put('meta', 'device', fresh);
      return fresh;
    });
  }
}

function signedOut(): ApiError {
  return new ApiError(401, null, null, new Error('nobody is signed in'));
}

function reasonOf(problem: ApiError): SignedOutReason {
  if (problem.code === 'banned') return 'banned';
  return problem.code === 'refresh_token_reused' ? 'reused' : 'ended';
}
