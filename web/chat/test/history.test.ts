import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../sdk/test/real.js';
import { Person, stage, type Stage } from './browser.js';

/** Sends as somebody who has no page open. */
async function sender({ server }: Stage, username: string, toUser: string) {
  const call = async (path: string, body: unknown, token = ''): Promise<Record<string, unknown>> => {
    const answer = await fetch(server.url + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      body: JSON.stringify(body),
    });
    assert.ok(answer.ok, `${path}: ${answer.status}`);
    return (await answer.json()) as Record<string, unknown>;
  };
  const grant = await call('/v1/auth/register', { username, password: 'correct horse battery', display_name: 'Writer' });
  const token = String(grant['access_token']);
  const found = await fetch(`${server.url}/v1/users?username=${toUser}`, { headers: { Authorization: `Bearer ${token}` } });
  const { users } = (await found.json()) as { users: { user_id: string }[] };
  let n = 0;
  return (text: string) => call('/v1/messages', { client_msg_id: `${username}-${n++}`, to_user_id: users[0]?.user_id, type: 'text', body: { text } }, token);
}

test('history by scrolling, the mark of what is new, and back to the newest', async (t) => {
  const on = await stage(t);
  const ann = await Person.register(on, 'Ann');
  const write = await sender(on, 'writer', 'ann');
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

  await ann.page.goto(on.server.url);
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
