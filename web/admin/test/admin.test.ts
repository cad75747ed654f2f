import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Operator, stage } from './browser.js';
import { User } from './user.js';

test('operators look after users, groups and nodes', async (t) => {
  // The phone of this test does not ack: its socket would be closed after some seconds, and on a slow machine before it is looked at.
  const on = await stage(t, { ACKBOX_ACK_TIMEOUT: '5m' });
  const root = await Operator.come(on);
  const { page } = root;
  await page.getByLabel('User name').fill('root');
  await page.getByLabel('Password', { exact: true }).fill('not the password');
  await root.button('Sign in').click();
  await page.getByText('User name or password is wrong.').waitFor();
  await root.shot('sign-in');
  assert.deepEqual(await root.faint(), []);
  await root.signIn();

  const [ann, bob] = await Promise.all(['ann', 'bob'].map((name) => User.register(on.server.url, name)));
  assert.ok(ann && bob);
  const group = await ann.group('Lake trip', [bob]);
  const phone = await bob.connect('phone');
  for (let n = 1; n <= 5; n++) await ann.send({ conversation_id: group }, `message ${n}`);

  // The overview measures it, node by node too.
  const rates = page.locator('.chart', { hasText: 'Messages per second' });
  await rates.locator('canvas').waitFor();
  await page.locator('.chart', { hasText: 'Open sessions' }).getByText(/sessions\s*1/).waitFor();
  await page.getByLabel('Show').selectOption('Each node');
  await rates.getByText(/Node \d+ · sends/).waitFor();
  await page.getByLabel('Show').selectOption('All nodes together');
  await root.shot('overview');
  assert.deepEqual(await root.faint(), []);

  // Users.
  await root.to('Users');
  await root.button('New user').click();
  const form = page.getByRole('dialog');
  await form.getByLabel('User name').fill('carol');
  await form.getByLabel('Display name').fill('Carol');
  await form.getByLabel('Password', { exact: true }).fill('correct horse battery');
  await form.getByRole('button', { name: 'Create' }).click();
  await page.getByRole('heading', { name: 'Carol' }).waitFor();
  await root.button('Ban').click();
  await page.getByLabel('Reason').fill('spam');
  await root.confirm('Ban');
  await root.told('carol is banned.');
  await root.button('Lift the ban').click();
  await root.confirm('Lift the ban');
  await root.button('Make admin').click();
  await root.confirm('Make admin');
  await root.button('Make user').waitFor();
  await root.button('Reset password').click();
  await root.confirm('Reset password');
  await root.told(/The new password is: \S{10}/);
  await root.to('Users');
  await page.getByLabel('Search').fill('bo');
  await root.row('ann').waitFor({ state: 'detached' });
  assert.match(page.url(), /q=bo/);
  await root.button('User name').click();
  await page.getByRole('columnheader', { name: 'User name' }).and(page.locator('[aria-sort="descending"]')).waitFor();
  await page.getByRole('link', { name: 'bob' }).click();
  await root.row('phone').getByText('live').waitFor();
  await root.shot('user');
  await root.button('Actions for phone').click();
  await page.getByRole('menuitem', { name: 'Close the socket' }).click();
  await root.told('The socket of phone is closed.');
  phone.close();
  await root.row('phone').getByText('offline').waitFor();
  await root.button('Actions for phone').click();
  await page.getByRole('menuitem', { name: 'Forget the device' }).click();
  await root.confirm('Forget the device');
  await page.getByText('This user has no devices yet.').waitFor();

  // A group.
  await root.to('Conversations');
  await page.getByRole('link', { name: 'Lake trip' }).click();
  await root.row('ann').getByText('Owner').waitFor();
  await root.button('Show the messages').click();
  await root.row('message 5').waitFor();
  await root.shot('conversation');
  await root.button('Mute all').click();
  await root.button('Unmute all').waitFor();
  await root.button('Dissolve').click();
  assert.ok(await page.getByRole('dialog').getByRole('button', { name: 'Dissolve' }).isDisabled());
  await page.getByLabel('Type “Lake trip” to confirm').fill('Lake trip');
  await root.shot('dissolve');
  await root.confirm('Dissolve');
  await page.locator('.tag', { hasText: 'dissolved' }).waitFor();

  // Everybody.
  await root.to('Announcements');
  await page.getByLabel('Text', { exact: true }).fill('Maintenance on Sunday at six.');
  await root.button('Announce').click();
  await page.getByLabel('Type “everybody” to confirm').fill('everybody');
  await root.confirm('Announce');
  await root.row('Maintenance on Sunday').waitFor();
  await root.shot('announcements');

  // The node, its jobs and its log.
  await root.to('Nodes');
  await root.button('Drain').click();
  await root.confirm('Drain');
  await page.locator('.tag', { hasText: 'draining' }).waitFor();
  await root.button('Undrain').click();
  await page.locator('.tag', { hasText: /^up$/ }).waitFor();
  await root.to('Jobs');
  await page.getByRole('button', { name: /^Run sweep on node/ }).click();
  await root.told(/^sweep was started/);
  await root.shot('jobs');
  await root.to('Settings');
  await root.button('Set').click();
  await root.told('The log level is debug now.');
  await page.locator('.tag', { hasText: 'debug' }).waitFor();
  await root.row('ACKBOX_JWT_SECRET').locator('.tag', { hasText: 'secret' }).waitFor();
  assert.equal(await page.getByText('a secret of the tests').count(), 0);
  await root.shot('settings');

  // All of it is in the audit log, and a link keeps its filters.
  await root.open('audit?action=user.ban');
  await root.row('spam').getByRole('link', { name: /^User/ }).waitFor();
  await page.getByLabel('Action').fill('conversation.dissolve');
  await root.row('spam').waitFor({ state: 'detached' });
  await root.row('conversation.dissolve').waitFor();

  await root.button('Account root').click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await root.button('Sign in').waitFor();
  await root.open('users');
  await root.button('Sign in').waitFor();
  assert.deepEqual(root.faults, []);
});

test('a phone, the dark and 简体中文: every page fits, and can be read', async (t) => {
  const on = await stage(t);
  const [ann, bob] = await Promise.all(['ann', 'bob'].map((name) => User.register(on.server.url, name)));
  assert.ok(ann && bob);
  const device = await bob.connect('phone');
  t.after(() => device.close());
  await ann.send({ to_user_id: bob.id }, 'hello');
  const root = await Operator.signedIn(on, { viewport: { width: 375, height: 760 }, hasTouch: true, isMobile: true, colorScheme: 'dark' });
  const { page } = root;
  await root.button('Account root').click();
  await page.getByRole('menuitem', { name: '简体中文' }).click();
  await page.getByRole('heading', { name: '概览' }).waitFor();
  await page.locator('.chart canvas').first().waitFor();
  const names = ['概览', '节点', '用户', '会话', '消息追踪', '积压', '连接', '定时任务', '公告', '审计日志', '设置'];
  for (const [n, name] of names.entries()) {
    await page.getByRole('button', { name: '导航' }).click();
    if (n === 0) await root.shot('phone-navigation');
    await page.getByRole('navigation', { name: '导航' }).getByRole('link', { name, exact: true }).click();
    await page.getByRole('heading', { name, level: 1 }).waitFor();
    await page.locator('.loading').first().waitFor({ state: 'detached' });
    assert.equal(await page.getByRole('alert').count(), 0, name);
    assert.ok((await root.overflow()) <= 0, `${name} is wider than the phone`);
    assert.deepEqual(await root.faint(), [], name);
    await root.shot(`phone-${n}`);
  }
  await root.open(`users/${bob.id}`);
  await page.getByText('phone').first().waitFor();
  assert.ok((await root.overflow()) <= 0, 'a user is wider than the phone');
  await root.shot('phone-user');
  assert.deepEqual(root.faults, []);
});

test('the overview asks every two seconds, and not while nobody looks', async (t) => {
  const on = await stage(t);
  const root = await Operator.come(on);
  const { page } = root;
  await page.clock.install();
  await root.signIn();
  let asked = 0;
  page.on('request', (request) => {
    if (request.url().includes('/v1/admin/series')) asked++;
  });
  const answered = () => page.waitForResponse((answer) => answer.url().includes('/v1/admin/series'));
  for (let n = 0; n < 2; n++) {
    const next = answered();
    await page.clock.runFor(2_100);
    await next;
  }
  await page.evaluate(() => Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'hidden' }));
  await page.clock.runFor(2_100); // the poll that was due finds nobody
  asked = 0;
  await page.clock.runFor(60_000);
  assert.equal(asked, 0, 'nobody looks');
  const back = answered();
  await page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'visible' });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await back;
  assert.equal(asked, 1);
});
