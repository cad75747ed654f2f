import assert from 'node:assert/strict';
import { test } from 'node:test';
import { password, Person, stage } from './browser.js';

test('a group is given a picture, an announcement and rules, its members are muted, and it is handed over', async (t) => {
  const on = await stage(t);
  const [ann, bob] = await Promise.all([Person.register(on, 'Ann'), Person.register(on, 'Bob')]);
  await ann.page.getByRole('button', { name: 'New chat' }).click();
  await ann.page.getByRole('menuitem', { name: 'New group' }).click();
  await ann.page.getByLabel('Group name').fill('Lake trip');
  await ann.page.getByLabel('Find by user name or id').fill(bob.username);
  await ann.page.getByRole('button', { name: `Bob @${bob.username}` }).click();
  await ann.page.getByRole('button', { name: 'Create', exact: true }).click();
  await bob.openLine('Lake trip');

  await ann.page.getByRole('button', { name: 'Group details' }).click();
  const panel = ann.page.getByRole('dialog', { name: 'Lake trip' });
  await panel.getByLabel('Change picture').and(ann.page.locator('input')).setInputFiles({ name: 'p.png', mimeType: 'image/png', buffer: await ann.page.screenshot() });
  await bob.page.locator('.head img').waitFor();
  assert.match((await bob.page.locator('.head img').getAttribute('src')) ?? '', /^blob:/);
  await panel.getByRole('textbox', { name: 'Announcement' }).fill('Bring warm clothes');
  await panel.getByRole('button', { name: 'Save: Announcement' }).click();
  await bob.page.locator('.announcement', { hasText: 'Bring warm clothes' }).waitFor();
  await panel.getByLabel('New members see what was written before').check();
  await panel.getByLabel('Only the owner and admins may write').check();
  await bob.page.getByText('Only the owner and admins may write here.').waitFor();
  await bob.write('may I?');
  await bob.page.getByText('You are muted in this group.').waitFor();
  await bob.page.getByRole('button', { name: 'Discard' }).click();
  await panel.getByLabel('Only the owner and admins may write').uncheck();
  await bob.page.getByText('Only the owner and admins may write here.').waitFor({ state: 'detached' });

  for (const words of ['Mute for an hour', 'Let them write again']) {
    await panel.getByRole('button', { name: 'Actions for Bob' }).click();
    await ann.page.getByRole('menuitem', { name: words }).click();
    await bob.page.locator('.notice', { hasText: words.startsWith('Mute') ? 'Ann muted You' : 'Ann unmuted You' }).waitFor();
  }
  await panel.getByRole('button', { name: 'Actions for Bob' }).click();
  await ann.page.getByRole('menuitem', { name: 'Hand over the group' }).click();
  await ann.page.getByRole('dialog', { name: 'Hand over the group' }).getByRole('button', { name: 'Hand over the group' }).click();
  await panel.locator('.person', { hasText: 'Bob' }).getByText('Owner').waitFor();
  await panel.getByRole('button', { name: 'Actions for Bob' }).waitFor({ state: 'detached' });
  await ann.shot('group-panel');

  await bob.page.getByRole('button', { name: 'Group details' }).click();
  await bob.page.getByRole('button', { name: 'Actions for Ann' }).click();
  await bob.page.getByRole('menuitem', { name: 'Remove' }).click();
  await bob.page.getByRole('dialog', { name: 'Remove' }).getByRole('button', { name: 'Remove' }).click();
  await ann.page.locator('a.line', { hasText: 'Lake trip' }).waitFor({ state: 'detached' });
  await bob.page.getByRole('button', { name: 'Dissolve group' }).click();
  await bob.page.getByRole('dialog', { name: 'Dissolve group' }).getByRole('button', { name: 'Dissolve group' }).click();
  await bob.page.locator('a.line', { hasText: 'Lake trip' }).waitFor({ state: 'detached' });
  assert.deepEqual([...ann.faults, ...bob.faults], []);
});

test('a group of 2,500: its members are read as they are looked at, and the last one of them is found and made its owner', async (t) => {
  const on = await stage(t);
  const [ann, zoe] = await Promise.all([Person.register(on, 'Ann'), Person.register(on, 'Zoe')]);
  await ann.page.getByRole('button', { name: 'New chat' }).click();
  await ann.page.getByRole('menuitem', { name: 'New group' }).click();
  await ann.page.getByLabel('Group name').fill('Everybody');
  await ann.page.getByLabel('Find by user name or id').fill(zoe.username);
  await ann.page.getByRole('button', { name: `Zoe @${zoe.username}` }).click();
  await ann.page.getByRole('button', { name: 'Create', exact: true }).click();
  await ann.page.getByText('2 members').waitFor();
  // Between the two real members stand many that the server does not know.
  const groups = /\/v1\/groups\/[0-9]+\/members(\?|$)/;
  let pages = 0;
  await ann.page.route(groups, async (route) => {
    const real = (await (await route.fetch({ url: route.request().url().replace(/\?.*/, '') })).json()) as { members: { user_id: string; role: string; joined_at: string }[] };
    const [first, last] = [real.members.find(({ role }) => role === 'owner'), real.members.find(({ role }) => role === 'member')];
    const all = [first, ...Array.from({ length: 2_498 }, (_, i) => ({ user_id: String(1_000 + i), role: 'member', joined_at: first?.joined_at })), last];
    const from = Number(new URL(route.request().url()).searchParams.get('cursor') ?? 0);
    pages++;
    await route.fulfill({ json: { members: all.slice(from, from + 200), has_more: from + 200 < all.length, next_cursor: String(from + 200) } });
  });
  await ann.page.getByRole('button', { name: 'Group details' }).click();
  const panel = ann.page.getByRole('dialog', { name: 'Everybody' });
  await panel.locator('.person', { hasText: 'Ann' }).waitFor();
  await panel.locator('.person', { hasText: 'Ann' }).waitFor();
  await panel.getByText('Loading…').waitFor({ state: 'detached' });
  assert.equal(pages, 5);
  assert.ok((await panel.locator('.person').count()) < 60);
  await panel.getByRole('searchbox', { name: 'Find a member' }).fill(zoe.username);
  await panel.locator('.person', { hasText: 'Zoe' }).waitFor();
  await ann.page.unroute(groups);
  await panel.getByRole('button', { name: 'Actions for Zoe' }).click();
  await ann.page.getByRole('menuitem', { name: 'Hand over the group' }).click();
  await ann.page.getByRole('dialog', { name: 'Hand over the group' }).getByRole('button', { name: 'Hand over the group' }).click();
  await zoe.openLine('Everybody');
  await zoe.page.locator('.notice', { hasText: 'Ann made You Owner' }).waitFor();
  assert.deepEqual([...ann.faults, ...zoe.faults], []);
});

test('settings: name, picture, who may write first, blocked people, and devices that are signed out', async (t) => {
  const on = await stage(t);
  const [ann, bob] = await Promise.all([Person.register(on, 'Ann'), Person.register(on, 'Bob')]);
  await bob.openChat(ann);
  await bob.write('Hello Ann');
  await ann.openLine('Bob');
  await ann.page.getByRole('button', { name: 'Menu', exact: true }).click();
  await ann.page.getByRole('menuitem', { name: 'Settings' }).click();
  const settings = ann.page.getByRole('dialog', { name: 'Settings' });
  await settings.getByRole('textbox', { name: 'Your name' }).fill('Anna Maria');
  await settings.getByRole('button', { name: 'Save' }).click();
  await ann.page.locator('.column-head').getByText('Anna Maria').waitFor();
  await settings.getByLabel('Change picture').and(ann.page.locator('input')).setInputFiles({ name: 'p.png', mimeType: 'image/png', buffer: await ann.page.screenshot() });
  await settings.locator('img').waitFor();
  await settings.getByLabel('Change picture').and(ann.page.locator('input')).setInputFiles({ name: 'p.png', mimeType: 'image/png', buffer: Buffer.from('no image') });
  await settings.getByText('This browser cannot read it as an image.').waitFor();
  await settings.getByLabel('Only people I know may write to me first').check();
  await settings.getByRole('button', { name: 'Block somebody' }).click();
  await settings.getByLabel('Find by user name or id').fill(bob.username);
  await settings.getByRole('button', { name: `Bob @${bob.username}` }).click();
  await settings.getByRole('button', { name: 'Unblock: Bob' }).waitFor();
  await bob.write('are you there?');
  await bob.page.getByText('This person does not take messages from you.').waitFor();
  await ann.shot('settings');

  // What was set is there on another device, and that one can be signed out.
  const phone = await Person.arrive(on, 'Phone', { viewport: { width: 375, height: 720 } });
  await phone.page.getByLabel('User name').fill(ann.username);
  await phone.page.getByLabel('Password', { exact: true }).fill(password);
  await phone.page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await phone.state('online');
  await phone.page.locator('.column-head').getByText('Anna Maria').waitFor();
  await phone.page.locator('.column-head img').waitFor();
  await phone.page.getByRole('button', { name: 'Menu', exact: true }).click();
  await phone.page.getByRole('menuitem', { name: 'Settings' }).click();
  assert.equal(await phone.page.getByLabel('Only people I know may write to me first').isChecked(), true);
  await phone.page.getByRole('button', { name: 'Unblock: Bob' }).click();
  await phone.page.getByText('You have blocked nobody.').waitFor();
  await phone.shot('phone-settings');
  await bob.page.getByRole('button', { name: 'Send again' }).click();
  await ann.sees('are you there?');
  await ann.page.keyboard.press('Escape');
  await ann.page.getByRole('button', { name: 'Menu', exact: true }).click();
  await ann.page.getByRole('menuitem', { name: 'Settings' }).click();
  await settings.getByText('This device').waitFor();
  await settings.getByRole('button', { name: /^Sign out: Browser/ }).click();
  await ann.page.getByRole('dialog', { name: 'Sign out' }).getByRole('button', { name: 'Sign out' }).click();
  await phone.page.getByText('Your session has ended. Please sign in again.').waitFor();
  await settings.getByRole('button', { name: /^Sign out: Browser/ }).waitFor({ state: 'detached' });

  // A new password: only by the old one, and it is the one that counts then.
  const chosen = 'another horse, another battery';
  await settings.getByLabel('Current password').fill('not this one');
  await settings.getByLabel('New password').fill(chosen);
  await settings.getByRole('button', { name: 'Change password' }).click();
  await settings.getByText('The current password is wrong.').waitFor();
  await settings.getByLabel('Current password').fill(password);
  await settings.getByRole('button', { name: 'Change password' }).click();
  await settings.getByText('Your password is changed. All other sessions have ended.').waitFor();
  await ann.shot('settings-password');
  await settings.getByRole('button', { name: 'Sign out everywhere' }).click();
  await ann.page.getByRole('dialog', { name: 'Sign out everywhere' }).getByRole('button', { name: 'Sign out everywhere' }).click();
  await ann.page.getByLabel('User name').fill(ann.username);
  await ann.page.getByLabel('Password', { exact: true }).fill(chosen);
  await ann.page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await ann.state('online');
  assert.deepEqual([...ann.faults, ...bob.faults, ...phone.faults], []);
});
