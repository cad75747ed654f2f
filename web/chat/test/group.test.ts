import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Person, stage } from './browser.js';

test('a group: made, called, replied to, recalled, ruled and left, at desktop and phone width', async (t) => {
  const on = await stage(t);
  const [ann, bob, eve] = await Promise.all([
    Person.register(on, 'Ann'),
    Person.register(on, 'Bob', { viewport: { width: 375, height: 720 }, hasTouch: true, isMobile: true }),
    Person.register(on, 'Eve'),
  ]);
  await eve.openChat(ann);
  await eve.write('Hello Ann, nice to be here');
  await bob.openChat(ann);
  await bob.write('See you on Saturday');
  await ann.page.locator('a.line').nth(1).waitFor();
  await bob.page.getByRole('button', { name: 'Back to conversations' }).click();
  await ann.page.getByRole('button', { name: 'New chat' }).click();
  await ann.page.getByRole('menuitem', { name: 'New group' }).click();
  await ann.page.getByLabel('Group name').fill('Lake trip');
  for (const { name, username } of [bob, eve]) {
    await ann.page.getByLabel('Find by user name or id').fill(username);
    await ann.page.getByRole('button', { name: `${name} @${username}` }).click();
  }
  await ann.shot('new-group');
  await ann.page.getByRole('button', { name: 'Create', exact: true }).click();
  await ann.page.getByRole('heading', { name: 'Lake trip' }).waitFor();
  await ann.page.getByText('3 members').waitFor();

  await ann.page.getByLabel('Write a message').fill('Who brings the boat? @Bo');
  await ann.page.getByRole('option', { name: '@Bob' }).click();
  await ann.page.getByLabel('Write a message').press('Enter');
  await ann.ticked('Who brings', 'delivered');
  await bob.page.locator('a.line', { hasText: 'Lake trip' }).getByLabel('You were mentioned').waitFor();
  await bob.shot('phone-list');
  await bob.openLine('Lake trip');
  await bob.bubble('Who brings').getByRole('button', { name: 'Message actions' }).click();
  assert.equal(await bob.page.getByRole('menuitem', { name: 'Recall' }).count(), 0, 'a member does not recall what others wrote');
  await bob.page.getByRole('menuitem', { name: 'Reply' }).click();
  await bob.write('I do, it is in the garage');
  await eve.openLine('Lake trip');
  await eve.page.locator('.quote', { hasText: 'Who brings' }).waitFor();
  await bob.ticked('in the garage', 'read', 'delivered');
  await bob.page.getByRole('button', { name: /^Read/ }).first().waitFor();
  await bob.shot('phone-group');

  await eve.write('I bring sandwiches and a map: https://example.org/lake');
  await ann.sees('sandwiches');
  await ann.write('Perfect. Saturday at nine, at the station.');
  await ann.ticked('Perfect', 'read');
  await ann.shot('desktop-group');
  await ann.page.emulateMedia({ colorScheme: 'dark' });
  await ann.shot('desktop-group-dark');
  await ann.page.emulateMedia({ colorScheme: 'light' });

  await eve.write('a slip');
  await ann.sees('a slip');
  await eve.bubble('a slip').hover();
  await eve.bubble('a slip').getByRole('button', { name: 'Message actions' }).click();
  await eve.page.getByRole('menuitem', { name: 'Recall' }).click();
  await ann.page.getByText('This message was recalled').first().waitFor();
  await ann.bubble('a slip').waitFor({ state: 'detached' });

  await ann.page.getByRole('button', { name: 'Group details' }).click();
  await ann.page.getByRole('button', { name: 'Actions for Bob' }).click();
  await ann.page.getByRole('menuitem', { name: 'Make admin' }).click();
  await ann.page.locator('.person', { hasText: 'Bob' }).getByText('Admin').waitFor();
  await ann.shot('group-details');
  await ann.page.getByRole('button', { name: 'Close' }).click();
  await eve.page.getByRole('button', { name: 'Group details' }).click();
  await eve.page.getByRole('button', { name: 'Leave group' }).click();
  await eve.page.getByRole('dialog', { name: 'Leave group' }).getByRole('button', { name: 'Leave group' }).click();
  await eve.page.locator('a.line', { hasText: 'Lake trip' }).waitFor({ state: 'detached' });
  await ann.page.getByText('Eve left').first().waitFor();
  await ann.page.getByText('2 members').waitFor();

  await bob.page.getByRole('button', { name: 'Back to conversations' }).click();
  await bob.page.getByRole('button', { name: 'Menu' }).click();
  await bob.page.getByRole('menuitem', { name: '简体中文' }).click();
  await bob.page.getByRole('navigation', { name: '会话' }).waitFor();
  await bob.openLine('Lake trip');
  await bob.page.locator('.notice', { hasText: 'Eve 退出了群聊' }).waitFor();
  await bob.shot('phone-chinese');
  const sideways = await bob.page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  assert.equal(sideways, false);
  assert.deepEqual([...ann.faults, ...bob.faults, ...eve.faults], []);
});
