import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryStore, NotSentError, processTabs } from '../src/index.js';
import { settle } from './clock.js';
import { direct, FakeServer, message, online, peer, problem } from './fake.js';

const text = (to: string, words: string) => ({ to, type: 'text' as const, body: { text: words } });
const sends = (server: FakeServer) => server.made('POST /v1/messages');
const keys = (server: FakeServer) => new Set(sends(server).map((call) => call.body['client_msg_id']));

test('a send without an answer is tried for one second with one key, then not sent; a resend has the same key', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.replies.set('POST /v1/messages', () => 'broken');
  const sent = await client.send(text(peer, 'hi'));
  await settle();
  assert.equal(sent.get().state, 'sending');
  await server.clock.advance(999);
  const tries = sends(server).length;
  assert.ok(tries >= 3, `${tries} tries in one second`);
  await server.clock.advance(60_000);
  assert.equal(sends(server).length <= tries + 1, true, 'nothing is tried after the window');
  assert.ok(sends(server).every((call) => call.at <= 1_000));
  assert.equal(sent.get().state, 'failed');
  assert.deepEqual([sent.get().error?.code, sent.get().error?.retryable], ['no_answer', true]);
  await assert.rejects(sent.sent, NotSentError);

  server.replies.delete('POST /v1/messages');
  const stored = await sent.resend();
  assert.equal(stored.client_msg_id, sent.clientMsgID);
  assert.equal(sent.get().state, 'sent');
  assert.equal(keys(server).size, 1);
  assert.deepEqual(client.outbox.get(), []);
  await client.close();
});

test('a silent server is given up when the window ends', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.replies.set('POST /v1/messages', () => 'silent');
  const sent = await client.send(text(peer, 'hi'));
  await server.clock.advance(999);
  assert.equal(sent.get().state, 'sending');
  await server.clock.advance(1);
  assert.equal(sent.get().state, 'failed');
  await client.close();
});

test('an answer that says no is not repeated; Retry-After beyond the window is not waited for', async () => {
  const server = new FakeServer();
  const client = await online(server);
  for (const [reply, retryable] of [
    [problem(403, 'blocked'), false],
    [problem(422, 'validation_failed'), false],
    [problem(429, 'rate_limited', {}, { 'Retry-After': '5' }), true],
    [problem(503, 'unavailable', {}, { 'Retry-After': '2' }), true],
  ] as const) {
    server.calls.length = 0;
    server.replies.set('POST /v1/messages', () => reply);
    const sent = await client.send(text(peer, 'hi'));
    await server.clock.advance(10_000);
    assert.equal(sends(server).length, 1);
    assert.equal(sent.get().error?.retryable, retryable);
  }
  await client.close();
});

test('Retry-After within the window is waited for', async () => {
  const server = new FakeServer();
  const client = await online(server);
  let first = true;
  server.replies.set('POST /v1/messages', (call) => {
    const reply = first ? problem(503, 'unknown_outcome', {}, { 'Retry-After': '1' }) : server.accept(call);
    first = false;
    return reply;
  });
  const sent = await client.send(text(peer, 'hi'));
  await server.clock.advance(999);
  assert.equal(sends(server).length, 1);
  await server.clock.advance(1);
  assert.equal(sent.get().state, 'sent');
  await client.close();
});

test('one send is on its way in a conversation, in the order of writing, under both of its names', async () => {
  const server = new FakeServer();
  const client = await online(server);
  const release: (() => void)[] = [];
  const fetch = server.fetch;
  let [now, most] = [0, 0];
  server.replies.set('POST /v1/messages', (call) => server.accept(call));
  const slow = async (input: RequestInfo | URL, init?: RequestInit) => {
    if (!String(input instanceof Request ? input.url : input).endsWith('/v1/messages')) return fetch(input, init);
    most = Math.max(most, ++now);
    await new Promise<void>((resolve) => release.push(resolve));
    now--;
    return fetch(input, init);
  };
  await client.close();

  const other = await online(server, { fetch: slow as typeof globalThis.fetch });
  const all = [];
  for (let i = 0; i < 6; i++) {
    const where = i % 2 ? { to: peer } : { conversation: direct };
    all.push(await other.send({ ...where, type: 'text', body: { text: `m${i}` } }));
  }
  for (let i = 0; i < 6; i++) {
    await settle();
    release.shift()?.();
  }
  await Promise.all(all.map((sent) => sent.sent));
  assert.equal(most, 1);
  assert.deepEqual(server.mailbox.map((m) => m.body['text']), ['m0', 'm1', 'm2', 'm3', 'm4', 'm5']);
  await other.close();
});

test('the mailbox tells that a message is sent, when the answer was lost', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.replies.set('POST /v1/messages', (call) => {
    server.accept(call);
    return 'broken';
  });
  const sent = await client.send(text(peer, 'hi'));
  await server.clock.advance(2_000);
  assert.equal(sent.get().state, 'failed');
  assert.equal(server.mailbox.length, 1);
  server.socket.push(server.frame(1));
  await settle();
  assert.equal(sent.get().state, 'sent');
  assert.deepEqual(client.outbox.get(), []);
  await client.close();
});

test('what was on its way when the page went is sent by the next one with the same key; what is old waits for a person', async () => {
  const server = new FakeServer();
  const store = new MemoryStore();
  server.replies.set('POST /v1/messages', () => 'silent');
  const first = await online(server, { store, tabs: processTabs() });
  const sent = await first.send(text(peer, 'hi'));
  await settle();
  await first.close();
  server.replies.delete('POST /v1/messages');

  const second = await online(server, { store, tabs: processTabs() });
  await server.clock.advance(10);
  assert.equal(server.mailbox.length, 1);
  assert.equal(server.mailbox[0]?.client_msg_id, sent.clientMsgID);
  server.replies.set('POST /v1/messages', () => 'silent');
  const old = await second.send(text(peer, 'later'));
  await settle();
  await second.close();
  server.clock.jump(3_600_000);
  server.replies.delete('POST /v1/messages');

  const third = await online(server, { store, tabs: processTabs() });
  await server.clock.advance(10);
  assert.equal(server.mailbox.length, 1);
  assert.equal(third.outbox.get()[0]?.error?.code, 'interrupted');
  await third.resend(old.clientMsgID);
  assert.equal(server.mailbox[1]?.client_msg_id, old.clientMsgID);
  await third.close();
});

test('a clock that is set does not make the window longer or shorter', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.replies.set('POST /v1/messages', () => 'silent');
  for (const jump of [-86_400_000, 86_400_000]) {
    const sent = await client.send(text(peer, 'hi'));
    await server.clock.advance(500);
    server.clock.jump(jump);
    await server.clock.advance(499);
    assert.equal(sent.get().state, 'sending');
    await server.clock.advance(1);
    assert.equal(sent.get().state, 'failed');
  }
  await client.close();
});

test('states go from sent to delivered to read', async () => {
  const server = new FakeServer();
  const client = await online(server);
  const sent = await client.send(text(peer, 'hi'));
  const stored = await sent.sent;
  const list = client.messages({ conversation: direct });
  const states: string[] = [];
  sent.subscribe(() => states.push(sent.get().state));
  await settle();
  for (const kind of ['delivered', 'read'] as const) {
    server.socket.push({ type: 'receipt', kind, conversation_id: direct, user_id: peer, up_to: stored.conversation_seq, at: 'now' });
    await settle();
    assert.equal(list.get().items.at(-1)?.state, kind);
  }
  assert.deepEqual([...new Set(states)].slice(-2), ['delivered', 'read']);
  await client.close();
});

test('a discarded message is gone, and one that is stored is found by its key', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.replies.set('POST /v1/messages', () => problem(403, 'blocked'));
  const sent = await client.send(text(peer, 'hi'));
  await assert.rejects(sent.sent, /blocked/);
  assert.equal(client.outbox.get().length, 1);
  await sent.discard();
  assert.equal(client.outbox.get().length, 0);
  await assert.rejects(client.resend(sent.clientMsgID), NotSentError);
  assert.equal(server.mailbox.includes(message(1)), false);
  await client.close();
});
