import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Person, stage } from './browser.js';

test('two people talk, with ticks, unread counts and no fault of the page', async (t) => {
  const on = await stage(t);
  const [ann, bob] = await Promise.all([Person.register(on, 'Ann'), Person.register(on, 'Bob')]);
  await ann.openChat(bob);
  await ann.write('Hello Bob');
  await ann.ticked('Hello Bob', 'delivered');
  const line = bob.page.locator('a.line', { hasText: 'Ann' });
  await line.getByLabel('1 unread message').waitFor();
  assert.equal(await bob.page.title(), '(1) Ackbox');
  await bob.openLine('Ann');
  await bob.sees('Hello Bob');
  await ann.ticked('Hello Bob', 'read');
  await line.getByLabel('1 unread message').waitFor({ state: 'detached' });

  await bob.page.getByLabel('Write a message').pressSequentially('Hi');
  await ann.page.getByText('Bob is writing…').waitFor();
  await bob.write('<img src=x onerror="document.title=1"> see https://example.org/x, please');
  await ann.sees('<img src=x');
  assert.equal(await ann.page.locator('.bubble img').count(), 0);
  const link = ann.page.locator('.bubble a');
  assert.equal(await link.getAttribute('href'), 'https://example.org/x');
  assert.match((await link.getAttribute('rel')) ?? '', /noopener/);

  await ann.write('What do you think of Thursday, by the lake, at half past six?');
  await bob.sees('Thursday');
  await bob.write('Good idea, I am in.');
  await ann.sees('Good idea');
  await ann.ticked('Thursday', 'read');
  await ann.page.getByText('online', { exact: true }).waitFor();
  await ann.shot('desktop-light');
  await ann.page.emulateMedia({ colorScheme: 'dark' });
  await ann.shot('desktop-dark');
  assert.deepEqual([...ann.faults, ...bob.faults], []);
});

test('a double click on send, and Enter on top, send once', async (t) => {
  const on = await stage(t);
  const [ann, bob] = await Promise.all([Person.register(on, 'Ann'), Person.register(on, 'Bob')]);
  await ann.openChat(bob);
  await ann.page.getByLabel('Write a message').fill('only once');
  await ann.page.getByRole('button', { name: 'Send', exact: true }).dblclick({ force: true });
  await ann.page.getByLabel('Write a message').press('Enter');
  await ann.ticked('only once', 'delivered');
  await ann.write('after it');
  await bob.openLine('Ann');
  await bob.sees('after it');
  assert.equal(await bob.bubble('only once').count(), 1);
  assert.equal(await ann.bubble('only once').count(), 1);
});
