import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settle } from './clock.js';
import { direct, FakeServer, online, peer } from './fake.js';

test('typing is told every three seconds, and at once after a send', async () => {
  const server = new FakeServer();
  const client = await online(server);
  const told = () => server.made(`POST /v1/conversations/${direct}/typing`).length;
  client.typing(direct);
  client.typing(direct);
  await settle();
  assert.equal(told(), 1);
  await server.clock.advance(2_999);
  client.typing(direct);
  await settle();
  assert.equal(told(), 1);
  await server.clock.advance(1);
  client.typing(direct);
  await settle();
  assert.equal(told(), 2);
  // A direct conversation is sent to by its peer, or by its own id.
  for (const at of [{ to: peer }, { conversation: direct }]) {
    const before = told();
    await client.send({ ...at, type: 'text', body: { text: 'hi' } });
    await settle();
    client.typing(direct);
    client.typing(direct);
    await settle();
    assert.equal(told(), before + 1);
  }
  await client.close();
});
