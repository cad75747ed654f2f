import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { launch } from '../../sdk/test/chromium.js';
import { realServer, type RealServer } from '../../sdk/test/real.js';

const admin = join(import.meta.dirname, '../../..');
/** Where screenshots are put, to be looked at; without it there are none. */
const shots = process.env['ACKBOX_SHOTS'];

/** How long is waited for anything in a page, in ms. */
const patience = 120_000;

const operator = { username: 'root', password: 'correct horse battery' };

/** The server with the page in it, and a browser. */
export interface Stage {
  readonly server: RealServer;
  readonly browser: Browser;
}

let built = process.env['ACKBOX_TEST_BINARY'] ?? '';
let launched: Promise<Browser> | null = null;

after(async () => (await launched)?.close());

/** Starts a server with an admin account, which ends with the test. The browser is that of all tests of a file. */
export async function stage(t: TestContext, env: Record<string, string> = {}): Promise<Stage> {
  if (!built) {
    built = join(admin, '.build', 'ackbox');
    execFileSync('go', ['build', '-buildvcs=false', '-o', built, '.'], { cwd: join(admin, '../..'), stdio: 'inherit' });
  }
  process.env['ACKBOX_TEST_BINARY'] = built;
  launched ??= launch();
  const server = await realServer(t, { ACKBOX_ADMIN_USERNAME: operator.username, ACKBOX_ADMIN_PASSWORD: operator.password, ...env });
  return { server, browser: await launched };
}

/** Somebody at the dashboard. */
export class Operator {
  readonly context: BrowserContext;
  readonly page: Page;
  readonly url: string;
  /** What the page did that it must not: policy violations and uncaught errors. */
  readonly faults: string[] = [];

  private constructor(context: BrowserContext, page: Page, url: string) {
    this.context = context;
    this.page = page;
    this.url = url;
    page.on('pageerror', (error) => this.faults.push(String(error)));
    page.on('console', (message) => {
      if (/Content Security Policy|React|Warning/.test(message.text())) this.faults.push(message.text());
    });
  }

  /** Opens the dashboard, where nobody is signed in. */
  static async come({ server, browser }: Stage, options: Parameters<Browser['newContext']>[0] = {}): Promise<Operator> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, locale: 'en-GB', reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(patience);
    const at = new Operator(context, await context.newPage(), server.url);
    await at.page.goto(`${server.url}/admin`);
    return at;
  }

  static async signedIn(on: Stage, options: Parameters<Browser['newContext']>[0] = {}): Promise<Operator> {
    const at = await Operator.come(on, options);
    await at.signIn();
    return at;
  }

  /** Signs in, to where one was. */
  async signIn(section = 'Overview'): Promise<void> {
    await this.page.getByLabel('User name').fill(operator.username);
    await this.page.getByLabel('Password', { exact: true }).fill(operator.password);
    await this.page.getByRole('button', { name: 'Sign in' }).click();
    await this.page.getByRole('heading', { name: section, level: 1 }).waitFor();
  }

  /** Goes to a page by its name in the navigation. */
  async to(section: string): Promise<void> {
    await this.page.getByRole('navigation', { name: 'Navigation' }).getByRole('link', { name: section, exact: true }).click();
    await this.page.getByRole('heading', { name: section, level: 1 }).waitFor();
  }

  /** Opens an address of the dashboard, as from a link in a chat. */
  async open(path: string): Promise<void> {
    await this.page.goto(`${this.url}/admin/${path}`);
  }

  button(name: string) {
    return this.page.getByRole('button', { name, exact: true });
  }

  row(text: string) {
    return this.page.getByRole('row').filter({ hasText: text });
  }

  /** Answers the question that is open with its button. */
  async confirm(action: string): Promise<void> {
    await this.page.getByRole('dialog').getByRole('button', { name: action, exact: true }).click();
    await this.page.getByRole('dialog').waitFor({ state: 'detached' });
  }

  /** Waits until the page says what came of an action. */
  async told(text: string | RegExp): Promise<void> {
    await this.page.locator('.notice', { hasText: text }).waitFor();
  }

  async shot(name: string): Promise<void> {
    if (!shots) return;
    mkdirSync(shots, { recursive: true });
    await this.page.screenshot({ path: join(shots, `${name}.png`), animations: 'disabled' });
  }

  /** The texts of the page with less contrast than WCAG AA wants, and how much they have. */
  async faint(): Promise<string[]> {
    return this.page.evaluate(() => {
      type Color = readonly [r: number, g: number, b: number, a: number];
      const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
      if (!canvas) throw new Error('no canvas');
      const read = (text: string): Color => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = text;
        canvas.fillRect(0, 0, 1, 1);
        const [r = 0, g = 0, b = 0, a = 0] = canvas.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
      };
      const over = (top: Color, below: Color): Color => [0, 1, 2].map((i) => (top[i] ?? 0) * top[3] + (below[i] ?? 0) * (1 - top[3])).concat(1) as unknown as Color;
      const behind = (element: Element | null): Color => {
        if (!element) return [255, 255, 255, 1];
        const own = read(getComputedStyle(element).backgroundColor);
        return own[3] === 1 ? own : over(own, behind(element.parentElement));
      };
      const light = ([r, g, b]: Color) => {
        const [x = 0, y = 0, z = 0] = [r, g, b].map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
      };
      const bad = new Set<string>();
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const text = walker.currentNode.textContent?.trim();
        if (!element || !text || element.closest('[disabled], [data-disabled], .hidden, .skip, script, title') || element.getClientRects().length === 0) continue;
        const style = getComputedStyle(element);
        const svg = element instanceof SVGElement;
        const below = behind(svg ? element.closest('.timeline') : element);
        const a = light(over(read(svg ? style.fill : style.color), below));
        const b = light(below);
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const large = Number.parseFloat(style.fontSize) >= 24 || (Number.parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
        if (ratio < (large ? 3 : 4.5)) bad.add(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
      }
      return [...bad];
    });
  }

  /** By how many px the page is wider than the window. */
  async overflow(): Promise<number> {
    return this.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  }
}
