import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../sdk/test/real.js';
import { account, userID } from './account.js';
import { Person, stage } from './browser.js';

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
  assert.ok((await ann.page.locator('.message').count()) < 100, 'the page holds what is in sight, and not everything');
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
