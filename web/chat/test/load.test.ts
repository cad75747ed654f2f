import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { account } from './account.js';
import { Person, stage } from './browser.js';

/** What the browser itself has measured of a page. */
interface Measured {
  /** The sum of all layout shifts that no press or key has made. */
  readonly shift: number;
  /** The longest time for which a script has held the page up, in ms. */
  readonly task: number;
}

interface Watched {
  measured?: { shift: number; task: number; moved: string[] };
}

/** Watches a page from its first line on. */
async function watch(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const measured = { shift: 0, task: 0, moved: [] as string[] };
    (window as Watched).measured = measured;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean; sources: { node: Element | null }[] })[]) {
        if (entry.hadRecentInput) continue;
        measured.shift += entry.value;
        measured.moved.push(`${entry.value.toFixed(3)}: ${entry.sources.map(({ node }) => node?.className ?? '').join(', ')}`);
      }
    }).observe({ type: 'layout-shift', buffered: true });
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) measured.task = Math.max(measured.task, duration);
    }).observe({ type: 'longtask', buffered: true });
  });
}

/** Asserts that nothing has jumped and nothing has stuck since the page began. */
async function steady(page: Page, when: string): Promise<Measured> {
  const measured = await page.evaluate(async () => {
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    return (window as Watched).measured;
  });
  assert.ok(measured);
  assert.ok(measured.shift <= 0.05, `${when}: a layout shift of ${measured.shift}:\n${measured.moved.join('\n')}`);
  assert.ok(measured.task <= 1_500, `${when}: a task of ${measured.task} ms`);
  return measured;
}

test('budgets: a first visit is small and in few requests; neither loading nor what arrives makes the page jump', async (t) => {
  const on = await stage(t);
  const me = await account(on, 'Ann');
  const eve = await account(on, 'Eve');
  const ann = await Person.arrive(on, 'Ann');
  const { page } = ann;
  const network = await ann.context.newCDPSession(page);
  await network.send('Network.enable');
  await network.send('Network.setCacheDisabled', { cacheDisabled: true });
  let bytes = 0;
  const requests: string[] = [];
  network.on('Network.requestWillBeSent', ({ request }) => requests.push(`${request.method} ${new URL(request.url).pathname}`));
  network.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
  await watch(page);

  await page.reload({ waitUntil: 'networkidle' });
  await page.getByLabel('User name').waitFor();
  await steady(page, 'signing in');
  assert.ok(bytes <= 200 * 1024, `a first visit takes ${bytes} bytes`);
  assert.ok(requests.length <= 16, `a first visit takes ${requests.length} requests: ${requests.join(', ')}`);
  t.diagnostic(`a first visit: ${requests.length} requests, ${(bytes / 1024).toFixed(0)} KiB`);

  const to = { to_user_id: me.userID };
  const picture = await page.evaluate(async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 400, height: 300 });
    canvas.getContext('2d')?.fillRect(50, 50, 200, 200);
    return canvas.toDataURL('image/png').split(',')[1] ?? '';
  });
  const image = async (name: string) => {
    const file = await eve.upload(name, 'image/png', Buffer.from(picture, 'base64'));
    await eve.send(to, { type: 'image', body: file });
  };
  for (let i = 1; i <= 30; i++) await (i % 6 === 0 ? image(`picture ${i}.png`) : eve.write(to, `message ${i}. ${'and more words '.repeat(i % 9)}`));
  await ann.signIn(me.username);
  await ann.openLine('Eve');
  await page.getByRole('button', { name: 'Jump to newest' }).click({ timeout: 2_000 }).catch(() => undefined); // it may be in sight
  await page.getByRole('img', { name: 'picture 30.png' }).waitFor();
  await ann.page.locator('a.line', { hasText: 'Eve' }).getByLabel(/unread/).waitFor({ state: 'detached' });
  requests.length = 0;
  await page.reload();
  await page.getByRole('img', { name: 'picture 30.png' }).waitFor();
  await ann.state('online');
  const loaded = await steady(page, 'a conversation is loaded');
  assert.ok(requests.length <= 60, `a conversation takes ${requests.length} requests: ${requests.join(', ')}`);
  t.diagnostic(`a conversation with 5 pictures: ${requests.length} requests, a shift of ${loaded.shift.toFixed(4)}, the longest task ${loaded.task.toFixed(0)} ms`);

  for (let i = 31; i <= 36; i++) await (i % 2 === 0 ? image(`picture ${i}.png`) : eve.write(to, `message ${i}.`));
  await page.getByRole('img', { name: 'picture 36.png' }).waitFor();
  const gap = await page.locator('.messages-list').evaluate((list) => list.scrollHeight - list.scrollTop - list.clientHeight);
  assert.ok(gap < 2, `the end stays in sight: it is ${gap} pixels away`);
  const arrived = await steady(page, 'messages arrive');
  t.diagnostic(`3 pictures and 3 messages arrive: a shift of ${arrived.shift.toFixed(4)}`);
  assert.deepEqual(ann.faults, []);
});
