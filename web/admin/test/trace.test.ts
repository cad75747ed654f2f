import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Operator, stage } from './browser.js';
import { User } from './user.js';

test('the trace of a message says for each device what happened: pushed, pushed again, acked, read', async (t) => {
  const on = await stage(t, { ACKBOX_ACK_TIMEOUT: '300ms', ACKBOX_ACK_MAX_ATTEMPTS: '200' });
  const [ann, bob, eve] = await Promise.all(['ann', 'bob', 'eve'].map((name) => User.register(on.server.url, name)));
  assert.ok(ann && bob && eve);
  const group = await ann.group('Lake trip', [bob, eve]);
  const [laptop, phone] = await Promise.all([ann.connect('laptop'), bob.connect('phone')]);
  const message = await ann.send({ conversation_id: group }, 'Who brings the boat?');
  const own = await laptop.frame((frame) => frame.message?.message_id === message.message_id);
  await ann.call('POST', '/v1/mailbox/ack', { device_id: 'laptop', up_to: own.seq });
  const late = await phone.frame((frame) => frame.message?.message_id === message.message_id && (frame.attempt ?? 0) >= 2);
  await bob.call('POST', '/v1/mailbox/ack', { device_id: 'phone', up_to: late.seq });
  await bob.call('POST', `/v1/conversations/${group}/read`, { up_to: message.conversation_seq });

  const root = await Operator.signedIn(on);
  const { page } = root;
  await root.to('Messages');
  await page.getByLabel('Message id').fill(message.message_id);
  await page.getByRole('button', { name: 'Show the trace' }).first().click();
  await page.getByRole('heading', { name: `Message ${message.message_id}` }).waitFor();
  const picture = page.getByRole('group', { name: 'Timeline' });
  for (const name of ['accepted', 'committed', 'pushed', 'pushed again', 'acked', 'read']) await picture.locator('.dot-name', { hasText: new RegExp(`^${name}$`) }).first().waitFor();
  assert.deepEqual(await picture.locator('.lane-title').allTextContents().then((names) => names.slice(1).sort()), ['ann', 'bob', 'eve']);
  const events = page.getByRole('table', { name: 'Events' });
  assert.match((await events.getByRole('row').filter({ hasText: 'pushed again' }).first().textContent()) ?? '', /bobphone/);
  const recipients = page.getByRole('table', { name: 'Recipients' });
  assert.match((await recipients.getByRole('row').filter({ hasText: 'bob' }).textContent()) ?? '', /phone acked/);
  assert.match((await recipients.getByRole('row').filter({ hasText: 'eve' }).textContent()) ?? '', /not yet/);
  await root.shot('trace');
  assert.deepEqual(await root.faint(), []);
  await page.emulateMedia({ colorScheme: 'dark' });
  await root.shot('trace-dark');
  assert.deepEqual(await root.faint(), []);
  await page.emulateMedia({ colorScheme: 'light' });

  // Found again by what its sender knows of it; its content is shown on demand, as that is audited.
  await root.to('Messages');
  await page.getByLabel('Sender (user id)').fill(ann.id);
  await page.getByLabel('Key of the client').fill(message.client_msg_id);
  await page.getByRole('button', { name: 'Find' }).first().click();
  await root.row('Who brings the boat?').getByRole('link', { name: 'Show the trace' }).click();
  await page.getByRole('heading', { name: `Message ${message.message_id}` }).waitFor();
  assert.equal(await page.getByText('Who brings the boat?').count(), 0);
  await root.button('Show the content').click();
  await page.getByText('Who brings the boat?').waitFor();
  await root.button('Remove').click();
  await page.getByLabel('Reason').fill('a test');
  await root.confirm('Remove');
  await root.told('The message is removed.');
  await root.to('Audit log');
  await root.row('a test').getByRole('link', { name: `Message ${message.message_id}` }).waitFor();
  await root.shot('audit');
  assert.deepEqual(root.faults, []);
});
