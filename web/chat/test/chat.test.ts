import assert from 'node:assert/strict';
import { test } from 'node:test';
import { account, userID } from './account.js';
import { backends, Person, smallGroup, stage } from './browser.js';

/** The width of a small phone. */
const phone = { viewport: { width: 375, height: 720 }, hasTouch: true, isMobile: true };

for (const backend of backends) {
  test(`${backend.name}: two people talk, one on a phone: ticks, unread counts, writing; a double click sends once`, async (t) => {
    const on = await stage(t, backend);
    const [ann, bob] = await Promise.all([Person.register(on, 'Ann'), Person.register(on, 'Bob', phone)]);
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
    await bob.write('See https://example.org/x, please');
    await ann.sees('See https');
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
    await bob.shot('phone-light');
    assert.equal(await bob.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0);

    await ann.page.getByLabel('Write a message').fill('only once');
    await ann.page.getByRole('button', { name: 'Send', exact: true }).dblclick({ force: true });
    await ann.page.getByLabel('Write a message').press('Enter');
    await ann.ticked('only once', 'read');
    await ann.write('after it');
    await bob.sees('after it');
    assert.equal(await bob.bubble('only once').count(), 1);
    assert.equal(await ann.bubble('only once').count(), 1);
    assert.deepEqual([...ann.faults, ...bob.faults], []);
  });

  test(`${backend.name}: a large group: read, written, called in, and caught up with`, async (t) => {
    const on = await stage(t, backend);
    const [ann, bob] = await Promise.all([Person.register(on, 'Ann'), Person.register(on, 'Bob')]);
    const host = await account(on, 'Host');
    const members = await Promise.all([userID(host, ann.username), userID(host, bob.username), ...['Cleo', 'Dan'].map((name) => account(on, name).then((made) => made.userID))]);
    assert.ok(members.length + 1 > smallGroup);
    const group = await host.call('/v1/groups', { name: 'Town hall', member_ids: members });
    assert.equal(group['delivery'], 'log');
    const here = { conversation_id: String(group['conversation_id']) };
    await host.write(here, 'Welcome everybody');
    for (const person of [ann, bob]) {
      await person.openLine('Town hall');
      await person.page.getByText('5 members').waitFor();
      await person.sees('Welcome everybody');
    }
    await ann.write('Hello from Ann @all');
    await bob.sees('Hello from Ann');
    await ann.ticked('Hello from Ann', 'sent', 'delivered', 'read');

    await bob.context.setOffline(true);
    const missed = Array.from({ length: 30 }, (_, i) => `missed ${i + 1}.`);
    for (const text of missed) await host.write(here, text);
    await ann.sees('missed 30.');
    await bob.context.setOffline(false);
    await bob.sees('missed 30.');
    const shown = await bob.page.locator('.message', { hasText: 'missed' }).allTextContents();
    const numbers = shown.map((text) => Number(/missed (\d+)\./.exec(text)?.[1]));
    assert.deepEqual(numbers, numbers.map((_, i) => 31 - numbers.length + i), 'in order, none missing, none twice');
    await bob.write('Back again');
    await ann.sees('Back again');
    await ann.shot('large-group');
    assert.deepEqual([...ann.faults, ...bob.faults], []);
  });
}
