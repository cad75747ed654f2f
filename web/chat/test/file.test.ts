import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Person, stage } from './browser.js';

/** A PNG image of 1 by 1 pixel. */
const image = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

test('an image is shown, a page is only ever saved', async (t) => {
  const on = await stage(t);
  const [ann, bob] = await Promise.all([Person.register(on, 'Ann'), Person.register(on, 'Bob')]);
  await ann.openChat(bob);
  const input = ann.page.locator('input[type=file]');
  await input.setInputFiles({ name: 'lake.png', mimeType: 'image/png', buffer: image });
  await bob.openLine('Ann');
  const shown = bob.page.getByRole('img', { name: 'lake.png' });
  await shown.waitFor();
  assert.match((await shown.getAttribute('src')) ?? '', /^blob:/);

  const html = '<script>document.title = "taken over"</script>';
  await input.setInputFiles({ name: 'page.html', mimeType: 'text/html', buffer: Buffer.from(html) });
  await bob.sees('page.html');
  const saved = bob.page.waitForEvent('download');
  await bob.page.getByRole('button', { name: 'Download' }).click();
  assert.equal((await saved).suggestedFilename(), 'page.html');
  assert.equal(readFileSync(await (await saved).path(), 'utf8'), html);
  assert.deepEqual([...ann.faults, ...bob.faults], []);
});

test('pinned, muted, searched; who has read it; the keyboard alone', async (t) => {
  const on = await stage(t);
  const [ann, bob] = await Promise.all([Person.register(on, 'Ann'), Person.register(on, 'Bob')]);
  await ann.openChat(bob);
  await ann.page.getByLabel('Write a message').focus();
  await ann.page.keyboard.type('by keys');
  await ann.page.keyboard.press('Enter');
  await ann.ticked('by keys', 'delivered');
  const line = ann.page.locator('a.line', { hasText: 'Bob' });
  for (const [action, mark] of [['Pin', 'Pinned'], ['Mute', 'Muted']] as const) {
    await ann.page.getByRole('button', { name: 'Conversation actions' }).focus();
    await ann.page.keyboard.press('Enter');
    await ann.page.getByRole('menuitem', { name: action, exact: true }).press('Enter');
    await line.getByLabel(mark).waitFor();
  }
  await ann.page.getByLabel('Search conversations').fill('nobody');
  await ann.page.getByText('Nothing found').waitFor();
  await ann.page.getByLabel('Search conversations').fill('bo');
  await line.waitFor();

  await bob.openLine('Ann');
  await ann.ticked('by keys', 'read');
  await ann.bubble('by keys').getByRole('button', { name: 'Message actions' }).focus();
  await ann.page.keyboard.press('Enter');
  await ann.page.getByRole('menuitem', { name: 'Who has read it' }).press('Enter');
  await ann.page.getByRole('dialog').getByText('Bob').waitFor();
  await ann.page.keyboard.press('Escape');
  await ann.page.getByRole('dialog').waitFor({ state: 'detached' });
  // Whatever can be pressed or filled in has a name.
  const nameless = await ann.page.evaluate(
    () => [...document.querySelectorAll('button, input:not([type=file]), textarea, a')].filter((element) => !element.textContent.trim() && !element.getAttribute('aria-label') && !element.id).length,
  );
  assert.equal(nameless, 0);
  assert.deepEqual(ann.faults, []);
});
