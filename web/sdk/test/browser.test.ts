import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { Client, SentMessage } from '../src/index.js';
import { launch } from './chromium.js';
import { idOf, insist, numbered, person, received } from './people.js';
import { type Proxy, proxyTo } from './proxy.js';
import { realServer, until } from './real.js';

// What runs in the page sees these.
declare global {
  interface Window {
    client: Client;
    seen: string[];
    states: string[];
    sent: SentMessage;
  }
}

let browser: Browser;

before(async () => {
  browser = await launch();
});

after(() => browser.close());

/** The package's files and its two dependencies, as the page of the tests loads them. */
function serveSDK(proxy: Proxy): void {
  const root = join(import.meta.dirname, '../..');
  const modules = join(root, '../node_modules');
  const type = 'text/javascript';
  for (const name of readdirSync(join(root, '.build/src'))) {
    if (name.endsWith('.js')) proxy.pages.set(`/test/sdk/${name}`, { type, body: readFileSync(join(root, '.build/src', name)) });
  }
  proxy.pages.set('/test/idb.js', { type, body: readFileSync(join(modules, 'idb/build/index.js')) });
  const fetching = readdirSync(join(modules, 'openapi-fetch/dist')).includes('index.mjs') ? 'dist/index.mjs' : 'dist/index.js';
  proxy.pages.set('/test/openapi-fetch.js', { type, body: readFileSync(join(modules, 'openapi-fetch', fetching)) });
  const imports = { idb: '/test/idb.js', 'openapi-fetch': '/test/openapi-fetch.js' };
  const body = `<!doctype html><title>test</title><script type="importmap">${JSON.stringify({ imports })}</script><script type="module">
    import { createClient } from '/test/sdk/index.js';
    const client = window.client = createClient();
    window.seen = [];
    window.states = [];
    client.on('message', ({ message }) => message.sender_id !== client.session.get().user.user_id && window.seen.push(message.body.text));
    client.on('connection', ({ state }) => window.states.push(state));
    client.on('fault', ({ error }) => window.seen.push('fault ' + error));
    await client.ready;
    document.title = 'ready';
  </script>`;
  proxy.pages.set('/test/', { type: 'text/html', body });
}

async function open(context: BrowserContext, proxy: Proxy): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${proxy.url}/test/`);
  await page.waitForFunction(() => document.title === 'ready');
  return page;
}

interface Stage {
  readonly context: BrowserContext;
  readonly proxy: Proxy;
  readonly page: Page;
  /** Signed in in the page. */
  readonly me: string;
  /** Somebody else, in this process. */
  readonly friend: Client;
}

async function stage(t: TestContext, env: Record<string, string> = {}): Promise<Stage> {
  const server = await realServer(t, env);
  const proxy = await proxyTo(t, server);
  serveSDK(proxy);
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await open(context, proxy);
  const me = await page.evaluate(async () => {
    const session = await window.client.register({ username: 'in-the-page', password: 'a long password' });
    await window.client.connect();
    return session.user.user_id;
  });
  await online(page);
  return { context, proxy, page, me, friend: await person(t, server.url) };
}

const online = (page: Page) => until('the page is online', () => page.evaluate(() => window.client.connection.get().state === 'online'));
const seen = (page: Page) => page.evaluate(() => window.seen);
const seenCount = (page: Page, count: number) => until(`the page has seen ${count}`, async () => (await seen(page)).length >= count);
const sockets = (proxy: Proxy) => proxy.calls.filter((call) => call === 'POST /v1/auth/ws-ticket').length;

test('two tabs: one socket and one device; each hears everything once; the leader goes, and the other goes on', async (t) => {
  const { context, proxy, page, me, friend } = await stage(t);
  const other = await open(context, proxy);
  await other.evaluate(() => window.client.connect());
  await online(other);
  for (const text of numbered(1, 5)) await insist(friend, me, text);
  for (const tab of [page, other]) {
    await seenCount(tab, 5);
    assert.deepEqual(await seen(tab), numbered(1, 5));
  }
  assert.equal(sockets(proxy), 1);
  const devices = await page.evaluate(async () => (await window.client.rest.GET('/v1/devices')).data?.devices.length);
  assert.equal(devices, 1);

  // The one that does not lead sends, and the one that leads sees it.
  const to = idOf(friend);
  const atFriend = received(friend);
  await other.evaluate(async (to) => {
    window.sent = await window.client.send({ to, type: 'text', body: { text: 'from the other' } });
  }, to);
  await until('it is sent', () =>
    other.evaluate(() => {
      const { state, message } = window.sent.get();
      if (state === 'failed') void window.sent.resend().catch(() => undefined); // a busy machine
      return message !== null;
    }),
  );
  await until('the friend has it', () => atFriend.length === 1);

  await page.close();
  await until('the other tab has connected', () => sockets(proxy) === 2);
  for (const text of numbered(6, 8)) await insist(friend, me, text);
  await seenCount(other, 8);
  assert.deepEqual(await seen(other), numbered(1, 8));
  await online(other);
});

test('a reload in the middle of a send: the message is sent once, with its key', async (t) => {
  const { proxy, page, friend } = await stage(t);
  const atFriend = received(friend);
  proxy.call = (method, path) => (method === 'POST' && path === '/v1/messages' ? 'lost' : 'pass');
  const key = await page.evaluate(
    async (to) => (await window.client.send({ to, type: 'text', body: { text: 'survives' } })).clientMsgID,
    idOf(friend),
  );
  await page.reload();
  await page.waitForFunction(() => document.title === 'ready');
  const waiting = await page.evaluate(() => window.client.outbox.get().map((item) => item.clientMsgID));
  assert.deepEqual(waiting, [key]);
  proxy.call = () => 'pass';
  await page.evaluate(() => window.client.connect());
  await until('it has arrived', () => atFriend.length === 1);
  await until('the outbox is empty', () => page.evaluate(() => window.client.outbox.get().length === 0));
  assert.deepEqual(atFriend, ['survives']);
});

test('a page that goes away acks what it holds', async (t) => {
  const { proxy, page, me, friend } = await stage(t);
  const acks = () => proxy.calls.filter((call) => call === 'POST /v1/mailbox/ack').length;
  await insist(friend, me, 'n1');
  await seenCount(page, 1);
  await until('it is acked', () => acks() >= 1);
  // Held back until the page goes: the timer of 200 ms never comes.
  await page.evaluate(() => {
    const later = window.setTimeout.bind(window);
    window.setTimeout = ((fn: () => void, ms?: number) => (ms === 200 ? 0 : later(fn, ms))) as typeof window.setTimeout;
  });
  const before = acks();
  await insist(friend, me, 'n2');
  await seenCount(page, 2);
  assert.equal(acks(), before);
  await page.goto('about:blank');
  await until('it is acked on leaving', () => acks() > before);
});

test('offline and back: nothing is lost, nothing is doubled, and IndexedDB holds it over a reload', async (t) => {
  const { context, proxy, page, me, friend } = await stage(t);
  await insist(friend, me, 'n1');
  await seenCount(page, 1);
  await context.setOffline(true);
  proxy.cut();
  await until('the page waits', () => page.evaluate(() => window.client.connection.get().state === 'waiting'));
  for (const text of numbered(2, 30)) await insist(friend, me, text);
  await context.setOffline(false);
  await page.evaluate(() => window.client.retryNow());
  await seenCount(page, 30);
  assert.deepEqual(await seen(page), numbered(1, 30));

  await online(page);
  await page.reload();
  await page.waitForFunction(() => document.title === 'ready');
  proxy.cut(true); // everything from the store
  const shown = await page.evaluate(async (to) => {
    const conversation = (await window.client.directConversation(to))?.conversation_id ?? '';
    const list = window.client.messages({ conversation }, { pageSize: 100 });
    await new Promise<void>((resolve) => list.subscribe(() => list.get().items.length === 30 && resolve()));
    return list.get().items.map((item) => item.message?.body['text']);
  }, idOf(friend));
  assert.deepEqual(shown, numbered(1, 30));
  proxy.up();
});

test('tokens are refreshed once for two tabs', async (t) => {
  const { context, proxy, page } = await stage(t, { ACKBOX_ACCESS_TOKEN_TTL: '3s' });
  const other = await open(context, proxy);
  await other.evaluate(() => window.client.connect());
  const refreshes = () => proxy.calls.filter((call) => call === 'POST /v1/auth/refresh').length;
  const ask = (tab: Page) => tab.evaluate(async () => (await window.client.rest.GET('/v1/users/me')).response.status);
  await until('the tokens have been refreshed twice', async () => {
    assert.deepEqual(await Promise.all([ask(page), ask(other), ask(page), ask(other)]), [200, 200, 200, 200]);
    return refreshes() >= 2;
  });
  assert.deepEqual(await Promise.all([page, other].map((tab) => tab.evaluate(() => window.client.session.get() !== null))), [true, true]);
});
