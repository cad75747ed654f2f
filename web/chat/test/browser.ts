import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { realServer, type RealServer } from '../../sdk/test/real.js';

const chat = join(import.meta.dirname, '../../..');
/** Where screenshots are put, to be looked at. */
const shots = process.env['ACKBOX_SHOTS'] ?? join(chat, '.build', 'shots');

/** The server with the page in it, and a browser. */
export interface Stage {
  readonly server: RealServer;
  readonly browser: Browser;
}

let built = process.env['ACKBOX_TEST_BINARY'] ?? '';

/** Starts a server and a browser; both end with the test. */
export async function stage(t: TestContext): Promise<Stage> {
  if (!built) {
    built = join(chat, '.build', 'ackbox');
    execFileSync('go', ['build', '-buildvcs=false', '-o', built, '.'], { cwd: join(chat, '../..'), stdio: 'inherit' });
  }
  process.env['ACKBOX_TEST_BINARY'] = built;
  const server = await realServer(t);
  const browser = await chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
  t.after(() => browser.close());
  return { server, browser };
}

/** Somebody with a browser of their own. */
export class Person {
  readonly name: string;
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the page did that it must not: policy violations and uncaught errors. */
  readonly faults: string[] = [];

  private constructor(name: string, context: BrowserContext, page: Page) {
    this.name = name;
    this.context = context;
    this.page = page;
    this.watch(page);
  }

  /** Opens the page and makes an account. */
  static async register({ server, browser }: Stage, name: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<Person> {
    const context = await browser.newContext({ viewport: { width: 1100, height: 720 }, locale: 'en-GB', ...options });
    context.setDefaultTimeout(15_000);
    const person = new Person(name, context, await context.newPage());
    const { page } = person;
    await page.goto(server.url);
    await page.getByRole('button', { name: 'No account yet? Create one' }).click();
    await page.getByLabel('User name').fill(name.toLowerCase());
    await page.getByLabel('Display name').fill(name);
    await page.getByLabel('Password', { exact: true }).fill('correct horse battery');
    await page.getByRole('button', { name: 'Create account' }).click();
    await page.getByRole('navigation', { name: 'Conversations' }).waitFor();
    await person.state('online');
    return person;
  }

  /** The same person in another tab, where nothing is open yet. */
  async tab(): Promise<Person> {
    return new Person(this.name, this.context, await this.context.newPage());
  }

  private watch(page: Page): void {
    page.on('pageerror', (error) => this.faults.push(String(error)));
    page.on('console', (message) => {
      if (/Content Security Policy|React|Warning/.test(message.text())) this.faults.push(message.text());
    });
  }

  /** Waits until the connection is in a state. */
  async state(state: string): Promise<void> {
    await this.page.locator(`[data-state="${state}"][role="status"]`).waitFor({ state: 'attached' });
  }

  async openChat(other: Person): Promise<void> {
    await this.page.getByRole('button', { name: 'New chat' }).click();
    await this.page.getByRole('menuitem', { name: 'New chat' }).click();
    await this.page.getByLabel('Find by user name or id').fill(other.name.toLowerCase());
    await this.page.getByRole('button', { name: `${other.name} @` }).click();
    await this.page.getByRole('heading', { name: other.name }).waitFor();
  }

  async openLine(name: string): Promise<void> {
    await this.page.locator('a.line', { hasText: name }).click();
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
    mkdirSync(shots, { recursive: true });
    await this.page.screenshot({ path: join(shots, `${name}.png`), animations: 'disabled' });
  }
}
