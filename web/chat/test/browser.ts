import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launch } from '../../sdk/test/chromium.js';
import { type RealServer, startServer, until } from '../../sdk/test/real.js';

const chat = join(import.meta.dirname, '../../..');
/** Where screenshots are put, to be looked at; without it there are none. */
const shots = process.env['ACKBOX_SHOTS'];

/** What the servers of a test keep their data in, and how many there are. */
export interface Backend {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly nodes: number;
}

export const sqlite: Backend = { name: 'SQLite', env: {}, nodes: 1 };

const [mysql, redis] = [process.env['ACKBOX_CHAT_MYSQL_DSN'], process.env['ACKBOX_CHAT_REDIS_URL']];

/** Those that there are here: SQLite, and two nodes on MariaDB and Redis where the caller names them. */
export const backends: readonly Backend[] =
  mysql && redis ? [sqlite, { name: 'MariaDB and Redis, two nodes', env: { ACKBOX_MYSQL_DSN: mysql, ACKBOX_REDIS_URL: redis }, nodes: 2 }] : [sqlite];

/** Members above which a group is a large one, to the servers of these tests. */
export const smallGroup = 4;

/** Servers with the page in them, and a browser. Those of one file and one backend are the same in all its tests. */
export interface Stage {
  readonly server: RealServer;
  /** The nodes; people take turns in which of them they open. */
  readonly nodes: readonly RealServer[];
  readonly browser: Browser;
  /** Ends with the test. */
  readonly t: TestContext;
}

let built = process.env['ACKBOX_TEST_BINARY'] ?? '';
let launched: Promise<Browser> | null = null;
const clusters = new Map<Backend, Promise<readonly RealServer[]>>();

after(async () => {
  await (await launched)?.close();
  for (const cluster of clusters.values()) {
    for (const node of await cluster) await node.end();
  }
});

/** The servers of a backend, and the browser. */
export async function stage(t: TestContext, backend: Backend = sqlite): Promise<Stage> {
  if (!built) {
    built = join(chat, '.build', 'ackbox');
    execFileSync('go', ['build', '-buildvcs=false', '-o', built, '.'], { cwd: join(chat, '../..'), stdio: 'inherit' });
    process.env['ACKBOX_TEST_BINARY'] = built;
  }
  launched ??= launch();
  let cluster = clusters.get(backend);
  if (!cluster) {
    const env = { ...backend.env, ACKBOX_MAILBOX_GROUP_LIMIT: String(smallGroup) };
    cluster = Promise.all(Array.from({ length: backend.nodes }, () => startServer(env)));
    clusters.set(backend, cluster);
  }
  const [nodes, browser] = await Promise.all([cluster, launched]);
  const [server] = nodes;
  if (!server) throw new Error('no node');
  return { server, nodes, browser, t };
}

export const password = 'correct horse battery';
/** How long is waited for anything in a page, in ms. */
const patience = 120_000;
const names = new Map<string, number>();

/** A user name that nobody has yet, on any server of this run. */
export function username(name: string): string {
  const count = names.get(name) ?? 0;
  names.set(name, count + 1);
  return `${name.toLowerCase()}-${process.pid}${count ? `-${count}` : ''}`;
}

let arrivals = 0;

/** Somebody with a browser of their own. */
export class Person {
  readonly name: string;
  readonly username: string;
  /** Whose page they have opened. */
  readonly server: RealServer;
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the page did that it must not: policy violations, uncaught errors, requests to other hosts. */
  readonly faults: string[] = [];

  private constructor(name: string, username: string, server: RealServer, context: BrowserContext, page: Page) {
    this.name = name;
    this.username = username;
    this.server = server;
    this.context = context;
    this.page = page;
    this.watch(page);
  }

  /** Opens a page that nobody is signed in to. It is closed with the test. */
  static async arrive({ nodes, browser, t }: Stage, name: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<Person> {
    const server = nodes[arrivals++ % nodes.length];
    if (!server) throw new Error('no node');
    const context = await browser.newContext({ viewport: { width: 1100, height: 720 }, locale: 'en-GB', reducedMotion: 'reduce', ...options });
    t.after(() => context.close());
    context.setDefaultTimeout(patience);
    const person = new Person(name, username(name), server, context, await context.newPage());
    await person.page.goto(server.url);
    return person;
  }

  /** Signs in with an account that is there. */
  async signIn(name: string): Promise<void> {
    await this.page.getByLabel('User name').fill(name);
    await this.page.getByLabel('Password', { exact: true }).fill(password);
    await this.page.getByRole('button', { name: 'Sign in' }).click();
    await this.state('online');
  }

  /** Opens the page and makes an account. */
  static async register(on: Stage, name: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<Person> {
    const person = await Person.arrive(on, name, options);
    const { page } = person;
    await page.getByRole('button', { name: 'No account yet? Create one' }).click();
    await page.getByLabel('User name').fill(person.username);
    await page.getByLabel('Display name').fill(name);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Create account' }).click();
    await page.getByRole('navigation', { name: 'Conversations' }).waitFor();
    await person.state('online');
    return person;
  }

  /** The same person in another tab, where nothing is open yet. */
  async tab(): Promise<Person> {
    return new Person(this.name, this.username, this.server, this.context, await this.context.newPage());
  }

  private watch(page: Page): void {
    page.on('pageerror', (error) => this.faults.push(String(error)));
    page.on('console', (message) => {
      if (/Content Security Policy|React|Warning/.test(message.text())) this.faults.push(message.text());
    });
    const own = new URL(this.server.url).host;
    const stays = (url: string) => {
      const { host, protocol } = new URL(url);
      if (host !== own && protocol !== 'blob:') this.faults.push(`a request to ${url}`);
    };
    page.on('request', (request) => stays(request.url()));
    page.on('websocket', (socket) => stays(socket.url()));
  }

  /** Waits until the connection is in a state. */
  async state(state: string): Promise<void> {
    await this.page.locator(`[data-state="${state}"][role="status"]`).waitFor({ state: 'attached' });
  }

  /** Waits until the connection is back, and does not wait for the next try. */
  async back(): Promise<void> {
    const again = this.page.getByRole('button', { name: 'Try now' });
    const online = this.page.locator('[data-state="online"][role="status"]');
    await until('the connection is back', async () => {
      if (await again.isVisible()) await again.click({ timeout: 500 }).catch(() => undefined); // it may have come back by itself
      return (await online.count()) > 0;
    });
  }

  async openChat(other: Person): Promise<void> {
    await this.page.getByRole('button', { name: 'New chat' }).click();
    await this.page.getByRole('menuitem', { name: 'New chat' }).click();
    await this.page.getByLabel('Find by user name or id').fill(other.username);
    await this.page.getByRole('button', { name: `${other.name} @${other.username}` }).click();
    await this.page.getByRole('heading', { name: other.name }).waitFor();
  }

  /** A line in the list of conversations. */
  line(name: string) {
    return this.page.locator('a.line', { has: this.page.locator('.line-name', { hasText: name }) });
  }

  async openLine(name: string): Promise<void> {
    await this.line(name).click();
    await this.page.getByRole('heading', { name }).waitFor();
  }

  async write(text: string): Promise<void> {
    await this.page.getByLabel('Write a message').fill(text);
    await this.page.getByRole('button', { name: 'Send', exact: true }).click();
  }

  bubble(text: string) {
    return this.page.locator('.message', { hasText: text });
  }

  /** Waits for a message that somebody else has sent. */
  async sees(text: string): Promise<void> {
    await this.bubble(text).first().waitFor();
  }

  /** Waits until a message of mine has come that far. */
  async ticked(text: string, ...states: string[]): Promise<void> {
    await this.page.locator(states.map((state) => `.message[data-state="${state}"]`).join(','), { hasText: text }).waitFor();
  }

  async shot(name: string): Promise<void> {
    if (!shots) return;
    mkdirSync(shots, { recursive: true });
    await this.page.screenshot({ path: join(shots, `${name}.png`), animations: 'disabled' });
  }
}
