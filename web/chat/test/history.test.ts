import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { until } from '../../sdk/test/real.js';
import { account, userID } from './account.js';
import { type Backend, Person, stage } from './browser.js';
import { heap, quantile, travel } from './scrolling.js';

test('history by scrolling, the mark of what is new, and back to the newest', async (t) => {
  const on = await stage(t);
  const ann = await Person.register(on, 'Ann');
  const writer = await account(on, 'Writer');
  const to = { to_user_id: await userID(writer, ann.username) };
  const write = (text: string) => writer.write(to, text);
  for (let i = 1; i <= 260; i++) await write(`message number ${i}.`);
  await ann.page.locator('a.line', { hasText: 'message number 260.' }).getByLabel('260 unread messages').waitFor();
  await ann.openLine('Writer');
  await ann.page.getByText('New messages').waitFor(); // it opens where what is new begins
  await ann.sees('message number 1.');
  assert.equal(await ann.bubble('message number 260.').count(), 0);
  await ann.page.getByRole('button', { name: 'Jump to newest' }).click();
  await ann.sees('message number 260.');
  const list = ann.page.locator('.messages-list');
  const top = () => list.evaluate((element) => (element.scrollTop = 0));
  await until('the first message is in sight', async () => {
    await top();
    return ann.bubble('message number 1.').isVisible();
  });
  await ann.page.getByText('Today').waitFor();
  assert.ok((await ann.page.locator('.message').count()) < 260, 'the page holds what is in sight, and not everything');
  await ann.page.getByRole('button', { name: 'Jump to newest' }).click();
  await ann.sees('message number 260.');
  await ann.page.locator('a.line', { hasText: 'Writer' }).getByLabel(/unread/).waitFor({ state: 'detached' });

  await ann.page.goto(ann.server.url);
  await ann.page.getByText('Choose a conversation').waitFor();
  await write('the first new one');
  await write('the second new one');
  await ann.page.locator('a.line', { hasText: 'Writer' }).getByLabel('2 unread messages').waitFor();
  await ann.openLine('Writer');
  await ann.page.getByText('New messages').waitFor();
  await ann.sees('the second new one');
  await ann.shot('unread-mark');
  assert.deepEqual(ann.faults, []);
});

/** As many as web/chat_history_test.go makes. */
const many = 10_000;

/** A server's data with that conversation in it: the Go test makes it, and without it there is none. */
const folder = process.env['ACKBOX_CHAT_HISTORY'];
if (folder) test('10,000 messages: from the newest to the oldest, each seen, and some of the way back, in a page that stays small', (t) => throughAll(t, folder));

async function throughAll(t: TestContext, folder: string): Promise<void> {
  const long: Backend = { name: 'long history', env: { ACKBOX_DATA_DIR: folder, ACKBOX_MAILBOX_GROUP_LIMIT: '1' }, nodes: 1 };
  const reader = await Person.arrive(await stage(t, long), 'Reader', { viewport: { width: 900, height: 2_000 } });
  const { page } = reader;
  await reader.signIn('reader');
  await reader.openLine('Long history');
  await reader.sees(`number ${many}.`);
  await staysInSight(reader);
  await newest(reader);
  const before = await heap(page);
  const up = await travel(page, -1, 1_500, 1);
  const back = 2_000;
  const down = await travel(page, 1, 1_500, back);
  for (const [{ seen, frames, jumps, elements, messages }, count] of [[up, many], [down, back]] as const) {
    assert.deepEqual(jumps, [], 'nothing in sight has jumped');
    const numbers = new Set(seen);
    assert.deepEqual(Array.from({ length: count }, (_, i) => i + 1).filter((number) => !numbers.has(number)), [], 'each message was in sight');
    assert.ok(messages <= 250 && elements < 6_000, `${messages} messages and ${elements} elements were in the page`);
    const [usual, slow] = [quantile(frames, 0.5), quantile(frames, 0.98)];
    assert.ok(usual < 400 && slow < 4_000, `half of the frames took ${usual} ms, and 1 of 50 more than ${slow} ms`);
    t.diagnostic(`${frames.length} frames; half took ${usual.toFixed(1)} ms, 1 of 50 ${slow.toFixed(1)} ms; ${messages} messages, ${elements} elements`);
  }
  const more = ((await heap(page)) - before) / (1 << 20);
  t.diagnostic(`${more.toFixed(1)} MiB more in the heap`);
  assert.ok(more < 16, `after it the page holds ${more} MiB more`);
  await newest(reader);
  assert.deepEqual(reader.faults, []);
}

async function newest(reader: Person): Promise<void> {
  await reader.page.getByRole('button', { name: 'Jump to newest' }).click();
  await reader.sees(`number ${many}.`);
}

/** The server goes while somebody reads what is older, and comes back: bars come and go, more is loaded, and the text stays where it is. */
async function staysInSight(reader: Person): Promise<void> {
  const { page, server } = reader;
  const list = page.locator('.messages-list');
  const loaded = (number: number) => reader.bubble(`number ${number}.`).waitFor({ state: 'attached' });
  /** Where a message is in the window. */
  const place = (number: number) => reader.bubble(`number ${number}.`).evaluate((element) => element.getBoundingClientRect().top);
  const toTop = () => list.evaluate((element) => (element.scrollTop = 0));
  let [read, top] = [many - 45, 0];
  const stays = async (when: string) => {
    const moved = (await place(read)) - top;
    assert.ok(Math.abs(moved) <= 1, `${when}: what is read has moved by ${moved}`);
  };
  await toTop();
  await loaded(many - 99);
  top = await place(read);
  await server.stop();
  await reader.state('waiting');
  await stays('the connection is lost');
  await toTop();
  read = many - 95;
  top = await place(read);
  await page.getByRole('alert').waitFor();
  await stays('older messages cannot be loaded');
  await server.start();
  await reader.back();
  await page.getByRole('alert').waitFor({ state: 'detached' });
  await loaded(many - 149);
  await stays('the connection is back');
}
