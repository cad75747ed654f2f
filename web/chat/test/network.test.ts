import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backends, Person, stage } from './browser.js';

for (const backend of backends) {
  test(`${backend.name}: offline and back; the server killed and started again in mid-conversation`, async (t) => {
    const on = await stage(t, backend);
    const [ann, bob] = await Promise.all([Person.register(on, 'Ann'), Person.register(on, 'Bob')]);
    await ann.openChat(bob);
    await ann.write('before');
    await ann.ticked('before', 'delivered', 'read');
    await bob.openLine('Ann');

    await ann.context.setOffline(true);
    await ann.write('written offline');
    await ann.page.getByText('Not sent').waitFor();
    await bob.write('meanwhile');
    await bob.ticked('meanwhile', 'sent');
    await ann.context.setOffline(false);
    await ann.sees('meanwhile');
    await ann.page.getByRole('button', { name: 'Send again' }).click();
    await ann.ticked('written offline', 'read');
    await bob.sees('written offline');

    await ann.server.kill();
    await ann.state('waiting');
    await ann.page.getByText('Connection lost. Trying again…').waitFor();
    await ann.write('written while it was down');
    await ann.page.getByText('Not sent').waitFor();
    await ann.shot('not-sent');
    await ann.server.start();
    await ann.back();
    await ann.page.getByRole('button', { name: 'Send again' }).click();
    await ann.ticked('written while it was down', 'read');
    assert.equal(await bob.bubble('written while it was down').count(), 1);
    assert.deepEqual([...ann.faults, ...bob.faults], []);
  });

  test(`${backend.name}: two tabs show the same, share one socket, and a reload keeps it all`, async (t) => {
    const on = await stage(t, backend);
    const [ann, bob] = await Promise.all([Person.register(on, 'Ann'), Person.register(on, 'Bob')]);
    await ann.openChat(bob);
    await ann.write('from the first tab');
    await ann.ticked('from the first tab', 'delivered');
    const second = await ann.tab();
    let sockets = 0;
    second.page.on('websocket', () => sockets++);
    await second.page.goto(ann.server.url);
    await second.openLine('Bob');
    await second.sees('from the first tab');
    await second.write('from the second tab');
    await ann.sees('from the second tab');
    await bob.openLine('Ann');
    await bob.write('to both');
    await Promise.all([ann.sees('to both'), second.sees('to both')]);
    assert.equal(sockets, 0);
    assert.equal(await ann.bubble('from the second tab').count(), 1);

    await ann.page.close();
    await bob.write('to the one that is left');
    await second.sees('to the one that is left');
    await second.page.reload();
    await second.sees('from the first tab');
    await second.sees('to the one that is left');
    assert.deepEqual(second.faults, []);
  });
}
