import assert from 'node:assert/strict';
import { test } from 'node:test';
import { account, userID } from './account.js';
import { Person, stage } from './browser.js';

/** What a page that interpreted it would run, load, draw or follow. */
const hostile = [
  '<img src=x onerror="window.taken=1">',
  '<script>window.taken=2</script>',
  '<svg onload="window.taken=3"><a xlink:href="javascript:window.taken=3">x</a></svg>',
  '<a href="javascript:window.taken=4">press</a>',
  'javascript:window.taken=5',
  'https://example.org/"onmouseover="window.taken=6',
  '[press](javascript:window.taken=7) ![x](https://example.org/x.png)',
  '**bold** _slanted_ `code` # heading',
  '{{constructor.constructor("window.taken=8")()}} ${window.taken=9}',
  '<iframe srcdoc="<script>parent.taken=10</script>"></iframe>',
  '</textarea><style>body{display:none}</style>',
  '&lt;b&gt; &amp; &#60;',
  'data:text/html,<script>window.taken=11</script>',
];

test('what people write is text: in messages, names, groups, files, quotes and the search', async (t) => {
  const on = await stage(t);
  const ann = await Person.register(on, 'Ann');
  const { page } = ann;
  let dialogs = 0;
  page.on('dialog', (dialog) => {
    dialogs++;
    void dialog.dismiss();
  });
  const name = '<b onclick="window.taken=12">Eve</b>';
  const eve = await account(on, 'Eve', name);
  const to = { to_user_id: await userID(eve, ann.username) };
  for (const text of hostile) await eve.write(to, text);
  const title = '<img src=x onerror="window.taken=13"> team';
  const group = await eve.call('/v1/groups', { name: title, member_ids: [to.to_user_id] });
  await eve.change(`/v1/groups/${String(group['conversation_id'])}`, { announcement: hostile.join('\n') });

  // The list of conversations, with a name, a group's name and the newest message of each.
  await ann.line(name).waitFor();
  await ann.line(title).waitFor();
  await ann.openLine(name);
  for (const text of hostile) await ann.sees(text);
  assert.equal((await page.locator('.bubble .text').allTextContents()).join('\n'), hostile.join('\n'));
  await ann.write(hostile.join('\n'));
  await ann.ticked('window.taken=1', 'sent', 'delivered');
  await ann.bubble('[press]').first().hover();
  await ann.bubble('[press]').first().getByRole('button', { name: 'Message actions' }).click();
  await page.getByRole('menuitem', { name: 'Reply' }).click();
  await ann.write('an answer');
  await page.locator('.quote', { hasText: '[press](javascript:' }).waitFor();
  const file = '"><img src=x onerror=window.taken=14>.txt';
  await page.locator('input[type=file]').setInputFiles({ name: file, mimeType: 'text/plain', buffer: Buffer.from('<script>window.taken=15</script>') });
  await ann.bubble(file).getByRole('button', { name: 'Download' }).waitFor();
  await page.getByLabel('Search conversations').fill(hostile[0] ?? '');
  await ann.line(title).waitFor({ state: 'detached' });
  await page.getByLabel('Search conversations').fill('');

  await ann.openLine(title);
  await page.locator('.notice', { hasText: `created the group “${title}”` }).waitFor();
  await page.getByRole('button', { name: 'Group details' }).click();
  await page.getByRole('dialog').getByText(name).waitFor();
  await page.keyboard.press('Escape');
  await ann.openLine(name);

  // Whatever can be pressed is pressed, and then nothing has run, and nothing is there that the page did not make.
  for (const link of await page.locator('.bubble a').all()) await link.hover();
  const found = await page.evaluate(() => ({
    taken: (window as { taken?: number }).taken ?? 0,
    made: document.querySelectorAll('.text *:not(a), .quote img, .quote a, .notice :is(a, b, img), .line :is(b, img), .head :is(b, img), iframe, object, embed, svg a').length,
    scripts: [...document.scripts].filter((script) => new URL(script.src, location.href).origin !== location.origin || !script.src).length,
    links: [...document.querySelectorAll('a')].map((link) => link.protocol).filter((protocol) => protocol !== 'http:' && protocol !== 'https:'),
    handlers: [...document.querySelectorAll('*')].filter((element) => element.getAttributeNames().some((attribute) => attribute.startsWith('on'))).length,
  }));
  assert.deepEqual(found, { taken: 0, made: 0, scripts: 0, links: [], handlers: 0 });
  assert.equal(dialogs, 0);
  assert.deepEqual(ann.faults, []);
});
