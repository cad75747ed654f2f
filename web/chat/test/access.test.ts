import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Account, account, userID } from './account.js';
import { audit } from './audit.js';
import { password, Person, stage } from './browser.js';

/** What the page calls what the audit presses. */
const words = {
  'en-GB': {
    toSignUp: 'No account yet? Create one', toSignIn: 'I have an account: sign in', username: 'User name', password: 'Password', signIn: 'Sign in',
    start: 'New chat', chat: 'New chat', group: 'New group', find: 'Find by user name or id', menu: 'Menu', write: 'Write a message', send: 'Send',
    actions: 'Message actions', info: 'Who has read it', reply: 'Reply', recall: 'Recall', conversation: 'Conversation actions', details: 'Group details',
    search: 'Search conversations', notSent: 'Not sent', groupName: 'Group name',
  },
  'zh-CN': {
    toSignUp: '没有账号？注册一个', toSignIn: '已有账号，去登录', username: '用户名', password: '密码', signIn: '登录',
    start: '发起聊天', chat: '发起聊天', group: '新建群聊', find: '按用户名或编号查找', menu: '菜单', write: '输入消息', send: '发送',
    actions: '消息操作', info: '查看已读', reply: '回复', recall: '撤回', conversation: '会话操作', details: '群详情',
    search: '搜索会话', notSent: '未发送', groupName: '群名称',
  },
} as const;

for (const locale of ['en-GB', 'zh-CN'] as const) {
  test(`no screen has a fault of accessibility: ${locale}`, async (t) => {
    const on = await stage(t);
    const text = words[locale];
    const me = await account(on, 'Ann');
    const ann = await Person.arrive(on, 'Ann', { locale, reducedMotion: 'reduce', ...(locale === 'zh-CN' ? { hasTouch: true, isMobile: true } : {}) });
    const { page } = ann;
    const faults: string[] = [];
    // Another language is other words in the same screens: those that show the most.
    const looks: ReadonlySet<string> | null = locale === 'en-GB' ? null : new Set(['signing up', 'conversations', 'a new group', 'a group', 'the details of a group', 'offline']);
    const look = async (screen: string) => {
      if (!looks || looks.has(screen)) faults.push(...(await audit(page, screen, locale === 'en-GB')));
    };
    const button = (name: string) => page.getByRole('button', { name, exact: true });
    const closed = async () => {
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.getByRole('menu').waitFor({ state: 'detached' });
    };

    await page.getByLabel(text.username).waitFor();
    await look('signing in');
    await button(text.toSignUp).click();
    await look('signing up');
    await button(text.toSignIn).click();
    await page.getByLabel(text.username).fill(me.username);
    await page.getByLabel(text.password, { exact: true }).fill('a wrong password');
    await button(text.signIn).click();
    await page.getByRole('alert').waitFor();
    await look('a wrong password');
    await page.getByLabel(text.password, { exact: true }).fill(password);
    await button(text.signIn).click();
    await ann.state('online');
    await look('no conversation yet');

    const eve = await account(on, 'Eve');
    await conversations(me, eve);
    await page.locator('a.line', { hasText: 'Lake trip' }).waitFor();
    await look('conversations');
    await button(text.menu).click();
    await page.getByRole('menu').waitFor();
    await look('the main menu');
    if (locale === 'en-GB') {
      await page.getByRole('menuitem', { name: 'Settings' }).click();
      await page.getByText('This device').waitFor();
      await page.getByText('You have blocked nobody.').waitFor();
      await page.getByRole('button', { name: 'Block somebody' }).click();
      await look('the settings');
      await closed();
      await ann.openLine('Eve');
      await button('About this person').click();
      await page.getByRole('dialog').getByText(`@${eve.username}`).waitFor();
      await look('a person');
    }
    await closed();
    await button(text.start).click();
    await page.getByRole('menuitem', { name: text.group }).click();
    await page.getByLabel(text.groupName).fill('Team');
    await page.getByLabel(text.find).fill(eve.username);
    await page.getByRole('dialog').locator('button.person').click();
    await page.getByLabel(text.find).fill(eve.username.slice(0, 3));
    await look('a new group');
    await closed();
    await page.getByLabel(text.search).fill('nobody of that name');
    await look('a search that finds nothing');
    await page.getByLabel(text.search).fill('');

    await ann.openLine('Lake trip');
    await ann.sees('in the garage');
    await look('a group');
    await ann.bubble('Who brings').last().hover();
    await ann.bubble('Who brings').last().getByRole('button', { name: text.actions }).click();
    await page.getByRole('menu').waitFor();
    await look('the menu of a message');
    await page.getByRole('menuitem', { name: text.reply }).click();
    await look('a reply');
    await page.getByLabel(text.write).fill('@');
    await page.getByRole('listbox').waitFor();
    await look('members to mention');
    await page.getByLabel(text.write).fill('');
    await button(text.conversation).click();
    await page.getByRole('menu').waitFor();
    await look('the menu of a conversation');
    await closed();
    await button(text.details).click();
    await page.getByRole('dialog').getByText('Eve').first().waitFor();
    await look('the details of a group');
    await closed();
    await ann.bubble('written by me').hover();
    await ann.bubble('written by me').getByRole('button', { name: text.actions }).click();
    await page.getByRole('menuitem', { name: text.info }).click();
    await page.getByRole('dialog').getByText('Eve').waitFor();
    await look('who has read a message');
    await closed();
    await ann.context.setOffline(true);
    await page.getByLabel(text.write).fill('written offline');
    await page.getByLabel(text.write).press('Enter');
    await page.getByText(text.notSent).first().waitFor();
    await look('offline');
    if (faults.length > 0) assert.fail(faults.join('\n'));
    assert.deepEqual(ann.faults, []);
  });
}

/** A direct conversation and a group with whatever messages there can be, newest in the group. */
async function conversations(me: Account, eve: Account): Promise<void> {
  const ann = { to_user_id: await userID(eve, me.username) };
  await eve.write(ann, 'Nice to be here');
  const made = await eve.call('/v1/groups', { name: 'Lake trip', member_ids: [ann.to_user_id] });
  const here = { conversation_id: String(made['conversation_id']) };
  await me.write(here, 'written by me: see https://example.org/mine');
  const asked = await eve.send(here, { type: 'text', body: { text: 'Who brings the boat? See https://example.org/lake' }, mentions: 'all' });
  await me.send(here, { type: 'text', body: { text: 'I do' }, reply_to: asked });
  await eve.send(here, { type: 'text', body: { text: 'It is in the garage' }, reply_to: asked });
  await eve.send(here, { type: 'location', body: { latitude: 1, longitude: 2 } });
  await eve.send(here, { type: 'image', body: { url: 'https://example.org/boat.jpg', name: 'boat.jpg' } });
  const slip = await eve.send(here, { type: 'text', body: { text: 'a slip' } });
  await eve.call(`/v1/messages/${slip}/recall`, {});
}

test('the keyboard alone: signing in, a conversation, menus and dialogs; the focus is seen, and comes back', async (t) => {
  const on = await stage(t);
  const me = await account(on, 'Ann');
  const eve = await account(on, 'Eve');
  await eve.write({ to_user_id: me.userID }, 'Good morning');
  const ann = await Person.arrive(on, 'Ann');
  const { page } = ann;
  const { keyboard } = page;
  /** Moves on by Tab until what has the focus has that in its name; all on the way must be seen to have it. */
  async function tabTo(name: string): Promise<void> {
    const way: string[] = [];
    for (let presses = 0; presses < 40; presses++) {
      const focus = await page.evaluate(() => {
        const at = document.activeElement;
        if (!at || at === document.body) return null;
        const { outlineStyle, outlineWidth } = getComputedStyle(at);
        const { width, height, bottom, right } = at.getBoundingClientRect();
        const label = at.getAttribute('aria-label') ?? (at.id ? document.querySelector(`label[for="${at.id}"]`)?.textContent : null) ?? at.textContent;
        return { label: label.trim(), seen: outlineStyle !== 'none' && outlineWidth !== '0px' && width > 0 && height > 0 && bottom > 0 && right > 0 };
      });
      if (focus) {
        way.push(focus.label);
        assert.ok(focus.seen, `the focus on “${focus.label}” is not seen`);
        if (focus.label.includes(name)) return;
      }
      await keyboard.press('Tab');
    }
    assert.fail(`Tab does not reach “${name}”: ${way.join(' · ')}`);
  }
  const focused = (name: string) => page.waitForFunction((name) => document.activeElement?.getAttribute('aria-label') === name, name);

  await page.getByLabel('User name').waitFor();
  await tabTo('User name');
  await keyboard.type(me.username);
  await tabTo('Password');
  await keyboard.type(password);
  await keyboard.press('Enter');
  await ann.state('online');
  await page.locator('a.line', { hasText: 'Eve' }).waitFor();
  for (const name of ['New chat', 'Menu']) {
    await tabTo(name);
    await keyboard.press('Enter');
    await page.getByRole('menu').waitFor();
    await keyboard.press('ArrowDown');
    await keyboard.press('Escape');
    await page.getByRole('menu').waitFor({ state: 'detached' });
    await focused(name);
  }
  await tabTo('Search conversations');
  await tabTo('Eve');
  await keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Eve' }).waitFor();
  await ann.sees('Good morning');
  await tabTo('Write a message');
  await keyboard.type('By keys alone');
  await keyboard.press('Enter');
  await ann.ticked('By keys alone', 'sent', 'delivered');
  await focused('Write a message');

  await keyboard.press('Shift+Tab');
  await keyboard.press('Shift+Tab');
  await focused('Message actions');
  await keyboard.press('Enter');
  await page.getByRole('menuitem', { name: 'Who has read it' }).press('Enter');
  await page.getByRole('dialog').getByText('Eve').waitFor();
  await keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await focused('Message actions');
  await keyboard.press('Enter');
  await page.getByRole('menuitem', { name: 'Recall' }).press('Enter');
  await page.getByText('You recalled a message').first().waitFor();
  await ann.bubble('By keys alone').waitFor({ state: 'detached' });
  assert.deepEqual(ann.faults, []);
});
