import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryStore, processTabs } from '../src/index.js';
import { settle } from './clock.js';
import { conversation, direct, fakeClient, FakeServer, heard, me, message, online, texts } from './fake.js';

const acks = (server: FakeServer) => server.made('POST /v1/mailbox/ack').map((call) => call.body);
const pulls = (server: FakeServer) => server.made('POST /v1/mailbox/sync').map((call) => call.body['after']);

test('acks after 200 ms, with the id of the last entry', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.fill(3);
  server.socket.push(server.frame(1), server.frame(2));
  await settle();
  await server.clock.advance(150);
  server.socket.push(server.frame(3));
  await server.clock.advance(49);
  assert.deepEqual(acks(server), []);
  await server.clock.advance(1);
  assert.deepEqual(acks(server), [{ device_id: 'device', up_to: 3, up_to_id: '1003' }]);
  await client.close();
});

test('acks at once after 20 entries', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.fill(20);
  for (let seq = 1; seq <= 19; seq++) server.socket.push(server.frame(seq));
  await settle();
  assert.deepEqual(acks(server), []);
  server.socket.push(server.frame(20));
  await settle();
  assert.deepEqual(acks(server).map((ack) => ack['up_to']), [20]);
  await client.close();
});

test('acks nothing that is not stored', async () => {
  const server = new FakeServer();
  class Slow extends MemoryStore {
    gate: Promise<void> | null = null;
    override async write<R>(...args: Parameters<MemoryStore['write']>): Promise<R> {
      await this.gate;
      return super.write(...args) as Promise<R>;
    }
  }
  const store = new Slow();
  const client = await online(server, { store });
  server.fill(30);
  let open: () => void = () => undefined;
  store.gate = new Promise((resolve) => (open = resolve));
  for (let seq = 1; seq <= 30; seq++) server.socket.push(server.frame(seq));
  await server.clock.advance(5_000);
  assert.deepEqual(acks(server), []);
  open();
  store.gate = null;
  await server.clock.advance(200);
  assert.equal(acks(server).at(-1)?.['up_to'], 30);
  await client.close();
});

test('an ack that fails is made again', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.fill(1);
  let down = true;
  server.replies.set('POST /v1/mailbox/ack', () => (down ? 'broken' : { json: { acked: 1 } }));
  server.socket.push(server.frame(1));
  await server.clock.advance(200);
  assert.equal(acks(server).length, 1);
  down = false;
  await server.clock.advance(5_000);
  assert.equal(acks(server).length, 2);
  await server.clock.advance(60_000);
  assert.equal(acks(server).length, 2);
  await client.close();
});

test('duplicates are dropped, and acked again', async () => {
  const server = new FakeServer();
  const client = await online(server);
  const seen = heard(client);
  server.fill(2);
  server.socket.push(server.frame(1), server.frame(1), server.frame(2), server.frame(1), server.frame(2));
  await server.clock.advance(200);
  server.socket.push(server.frame(1));
  await server.clock.advance(200);
  assert.deepEqual(seen, texts(1, 2));
  assert.deepEqual(acks(server).map((ack) => ack['up_to']), [2, 2]);
  await client.close();
});

test('a gap is pulled, and what came after it is heard once, in order', async () => {
  const server = new FakeServer();
  const client = await online(server);
  const seen = heard(client);
  server.fill(6);
  server.socket.push(server.frame(1), server.frame(4), server.frame(3), server.frame(6));
  await settle();
  assert.deepEqual(seen, texts(1, 6));
  assert.deepEqual(pulls(server), [1]);
  await client.close();
});

test('a ping whose head is ahead, and a synced, mean a lost tail: pulls', async () => {
  for (const frame of [
    { type: 'ping', at: 'now', head: 2 },
    { type: 'synced', up_to: 2 },
  ]) {
    const server = new FakeServer();
    const client = await online(server);
    const seen = heard(client);
    server.fill(2);
    server.socket.push(frame);
    await settle();
    assert.deepEqual(seen, texts(1, 2));
    await client.close();
  }
});

test('behind: pulls page by page, and is online afterwards', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.fill(450);
  const seen = heard(client);
  const states: string[] = [];
  client.on('connection', ({ state }) => states.push(state));
  server.socket.push({ type: 'behind', head: 450 });
  await settle();
  assert.deepEqual(seen.length === 450 ? seen : [], texts(1, 450));
  assert.deepEqual(pulls(server).slice(-3), [0, 200, 400]);
  assert.equal(client.connection.get().state, 'online');
  await server.clock.advance(200);
  assert.equal(acks(server).at(-1)?.['up_to'], 450);
  await client.close();
});

test('a pull that fails is made again, with jitter', async () => {
  const server = new FakeServer();
  const client = await online(server);
  const seen = heard(client);
  server.fill(3);
  let down = true;
  server.replies.set('POST /v1/mailbox/sync', (call) => {
    if (down) return 'broken';
    server.replies.clear();
    return { json: { entries: server.mailbox.map((m, i) => ({ seq: i + 1, message: m })).slice(Number(call.body['after'])), head: 3, floor: 1, has_more: false } };
  });
  server.socket.push(server.frame(3));
  await settle();
  assert.deepEqual(seen, []);
  down = false;
  await server.clock.advance(250);
  assert.deepEqual(seen, texts(1, 3));
  await client.close();
});

test('a pull that is never answered is given up, and made again; and does not hold up the end', async () => {
  const server = new FakeServer();
  const client = await online(server);
  const seen = heard(client);
  server.fill(3);
  server.replies.set('POST /v1/mailbox/sync', () => 'silent');
  server.socket.push(server.frame(3), { type: 'ping', at: 'now', head: 3 });
  await server.clock.advance(14_000);
  assert.equal(pulls(server).length, 1);
  server.replies.clear();
  await server.clock.advance(1_250);
  assert.deepEqual(seen, texts(1, 3));

  server.fill(1);
  server.replies.set('POST /v1/mailbox/sync', () => 'silent');
  server.socket.push({ type: 'ping', at: 'now', head: 4 });
  await settle();
  let closed = false;
  const closing = client.close().then(() => (closed = true));
  await server.clock.advance(1_999);
  assert.equal(closed, false);
  await server.clock.advance(1);
  assert.equal(closed, true);
  await closing;
});

test('a flood of frames is bounded, and nothing of it is lost', async () => {
  const server = new FakeServer();
  const client = await online(server);
  const seen = heard(client);
  server.fill(3_000);
  for (let seq = 1; seq <= 3_000; seq++) server.socket.push(server.frame(seq));
  await settle();
  await settle();
  assert.equal(seen.length, 3_000);
  assert.deepEqual(seen, texts(1, 3_000));
  assert.ok(pulls(server).length > 0, 'what did not fit was pulled');
  await client.close();
});

test('a new device begins where the server says', async () => {
  const server = new FakeServer();
  const client = await fakeClient(server);
  await client.connect();
  await settle();
  const seen = heard(client);
  server.fill(300);
  server.socket.push(server.hello({ acked: 298 }), server.frame(299), server.frame(300));
  await settle();
  assert.deepEqual(seen, texts(299, 300));
  assert.deepEqual(pulls(server), []);
  await client.close();
});

test('a server that lost its tail: steps back, hears the new entries, and puts my lost message back into the outbox', async () => {
  const server = new FakeServer();
  const store = new MemoryStore();
  const client = await online(server, { store, tabs: processTabs() });
  server.fill(50);
  const mine = message(51, { sender_id: me, client_msg_id: 'mine' });
  server.mailbox.push(mine);
  for (let seq = 1; seq <= 51; seq++) server.socket.push(server.frame(seq));
  await server.clock.advance(200);

  // Restored from before 41, and others have gone on.
  server.mailbox = server.mailbox.slice(0, 40);
  for (let seq = 41; seq <= 45; seq++) server.mailbox.push(message(seq, { message_id: `9${seq}`, body: { text: `new ${seq}` } }));
  const seen = heard(client);
  const resets: number[] = [];
  client.on('reset', ({ position }) => resets.push(position));
  server.socket.end(4010);
  await server.clock.advance(250);
  assert.equal(server.socket.url.searchParams.get('last_id'), '1051');
  server.socket.push(server.hello({ reset: true, acked: 40 }));
  await settle();
  assert.deepEqual(seen, ['new 41', 'new 42', 'new 43', 'new 44', 'new 45']);
  assert.deepEqual(resets, [45]);
  assert.deepEqual(client.outbox.get().map((item) => [item.clientMsgID, item.error?.code]), [['mine', 'lost']]);
  const list = client.messages({ conversation: direct }, { pageSize: 10 });
  await settle();
  assert.deepEqual(list.get().items.filter((item) => item.message).map((item) => item.message?.conversation_seq), [36, 37, 38, 39, 40, 41, 42, 43, 44, 45]);
  await client.resend('mine');
  assert.equal(server.mailbox.at(-1)?.client_msg_id, 'mine');
  await client.close();
});

test('another message at a seq that is held: steps back too', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.fill(5);
  for (let seq = 1; seq <= 5; seq++) server.socket.push(server.frame(seq));
  await server.clock.advance(200);
  const seen = heard(client);
  server.mailbox = [...server.mailbox.slice(0, 3), message(4, { message_id: '5004', body: { text: 'another' } })];
  server.socket.push(server.frame(4));
  await settle();
  assert.deepEqual(seen, ['another']);
  assert.equal(client.connection.get().state, 'online');
  await client.close();
});

test('a message whose send was answered, and that no mailbox ever brought, is found to be lost too', async () => {
  for (const left of [1, 2]) {
    const server = new FakeServer();
    const client = await online(server);
    server.fill(2);
    server.socket.push(server.frame(1), server.frame(2));
    const sent = await client.send({ conversation: direct, type: 'text', body: { text: 'mine' } });
    await sent.sent;
    await server.clock.advance(200);
    server.mailbox = server.mailbox.slice(0, left);
    server.socket.end(4010);
    await server.clock.advance(250);
    server.socket.push(server.hello(left < 2 ? { reset: true, acked: left } : { acked: left }));
    await settle();
    assert.deepEqual(client.outbox.get().map((item) => [item.clientMsgID, item.error?.code]), [[sent.clientMsgID, 'lost']]);
    assert.equal(sent.get().state, 'failed');
    await sent.resend();
    assert.equal(sent.get().state, 'sent');
    await client.close();
  }
});

test('an ack that says that the position is lost: steps back too', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.fill(30);
  for (let seq = 1; seq <= 30; seq++) server.socket.push(server.frame(seq));
  await server.clock.advance(200);
  const seen = heard(client);
  server.mailbox = server.mailbox.slice(0, 10);
  server.replies.set('POST /v1/mailbox/ack', () => {
    server.replies.clear();
    return { status: 409, json: { code: 'position_lost', head: 10, floor: 1, detail: '', status: 409, title: '', type: '', request_id: '' } };
  });
  server.socket.push({ type: 'message', seq: 30, attempt: 2, message: message(30) });
  await server.clock.advance(200);
  server.mailbox.push(message(11, { message_id: '5011', body: { text: 'again' } }));
  server.socket.push(server.frame(11));
  await server.clock.advance(200);
  assert.deepEqual(seen, ['again']);
  await client.close();
});

test('a log conversation: in order, gaps pulled, acked by its own number', async () => {
  const server = new FakeServer();
  const id = '901';
  const said = (seq: number) => message(seq, { conversation_id: id, message_id: `7${seq}` });
  server.logs.set(id, Array.from({ length: 700 }, (_, i) => said(i + 1)));
  server.conversations = [conversation({ conversation_id: id, kind: 'group', delivery: 'log', head: 400, read_seq: 390 })];
  const client = await online(server);
  const seen = heard(client);
  server.socket.push({ type: 'behind', conversation_id: id, head: 700 });
  await server.clock.advance(200);
  assert.deepEqual(seen, texts(391, 700));
  const logAcks = () => acks(server).flatMap((ack) => (ack['conversations'] as { up_to: number }[] | undefined) ?? []);
  assert.equal(logAcks().at(-1)?.up_to, 700);

  for (let seq = 701; seq <= 705; seq++) server.logs.get(id)?.push(said(seq));
  const push = (seq: number) => server.socket.push({ type: 'message', attempt: 1, message: said(seq) });
  push(701);
  push(701);
  push(704);
  await settle();
  push(705);
  await server.clock.advance(200);
  assert.deepEqual(seen, texts(391, 705));
  assert.equal(logAcks().at(-1)?.up_to, 705);
  await client.close();
});

test('a log conversation that has lost its end: what is gone is given up, and what came in its place is there', async () => {
  const server = new FakeServer();
  const id = '901';
  const said = (seq: number, run: number) => message(seq, { conversation_id: id, message_id: `${run}${1000 + seq}`, body: { text: `${seq} of ${run}` } });
  const stretch = (first: number, last: number, run: number) => Array.from({ length: last - first + 1 }, (_, i) => said(first + i, run));
  server.logs.set(id, stretch(1, 300, 1));
  server.conversations = [conversation({ conversation_id: id, kind: 'group', delivery: 'log', head: 300, read_seq: 0 })];
  const store = new MemoryStore();
  const client = await online(server, { store });
  const behind = async (head: number) => {
    server.socket.push({ type: 'behind', conversation_id: id, head });
    await server.clock.advance(200);
  };
  const held = async () => (await store.read(['messages'], (tx) => tx.range('messages', { from: [id, 0], to: [id, Infinity] }))).map(({ value }) => value.message_id);
  await behind(300);
  server.logs.set(id, [...stretch(1, 120, 1), ...stretch(121, 310, 2)]);
  await behind(310);
  assert.deepEqual(await held(), server.logs.get(id)?.map((m) => m.message_id));

  server.logs.set(id, [...stretch(1, 120, 1), ...stretch(121, 300, 2), ...stretch(301, 305, 3)]); // and a push tells
  server.socket.push({ type: 'message', attempt: 1, message: said(305, 3) });
  await server.clock.advance(200);
  assert.deepEqual(await held(), server.logs.get(id)?.map((m) => m.message_id));
  await client.close();
});

test('a log conversation that is far ahead: the newest of it are pulled, the rest is history', async () => {
  const server = new FakeServer();
  const id = '901';
  server.logs.set(id, Array.from({ length: 900 }, (_, i) => message(i + 1, { conversation_id: id, message_id: `7${i}` })));
  server.conversations = [conversation({ conversation_id: id, kind: 'group', delivery: 'log', head: 900 })];
  const client = await online(server, { logBacklog: 100 });
  const seen = heard(client);
  server.socket.push({ type: 'behind', conversation_id: id, head: 900 });
  await server.clock.advance(200);
  assert.deepEqual(seen, texts(801, 900));
  const list = client.messages({ conversation: id }, { pageSize: 150 });
  await settle();
  assert.deepEqual(list.get().items.map((item) => item.message?.body['text']), texts(751, 900));
  await client.close();
});

test('a recall empties the message and the quotes of it, also those that come later', async () => {
  const server = new FakeServer();
  const client = await online(server);
  const quote = { message_id: '1001', conversation_seq: 1, sender_id: '2', type: 'text' as const, text: 'text 1', recalled: false };
  server.mailbox = [message(1), message(2, { reply_to: '1001', quote })];
  server.mailbox.push(message(3, { type: 'recall', reply_to: '1001', body: { message_id: '1001', conversation_seq: 1 } }));
  const list = client.messages({ conversation: direct });
  await settle();
  server.socket.push(server.frame(1), server.frame(2));
  await settle();
  assert.deepEqual(list.get().items[1]?.message?.quote?.text, 'text 1');
  server.socket.push(server.frame(3));
  await settle();
  const [first, second] = list.get().items;
  assert.deepEqual(first?.message?.body, {});
  assert.ok(first?.message?.recalled_at);
  assert.deepEqual([second?.message?.quote?.recalled, second?.message?.quote?.text], [true, '']);
  const again = client.messages({ conversation: direct });
  await settle();
  assert.deepEqual(again.get().items.map((item) => item.message?.quote?.recalled), [undefined, true, undefined]);
  await client.close();
});

test('deleted for me: hidden at once, and kept hidden', async () => {
  const server = new FakeServer();
  server.fill(2);
  const client = await online(server);
  const list = client.messages({ conversation: direct });
  server.socket.push(server.frame(1), server.frame(2));
  await settle();
  server.socket.push({ type: 'deleted', conversation_id: direct, message_id: '1001', conversation_seq: 1 }, server.frame(1));
  await settle();
  assert.deepEqual(list.get().items.map((item) => item.message?.message_id), ['1002']);
  await client.close();
});

test('unread counts follow messages and reads; a read without a connection is told later', async () => {
  const server = new FakeServer();
  const client = await online(server);
  const list = client.conversations();
  server.fill(5);
  for (let seq = 1; seq <= 5; seq++) server.socket.push(server.frame(seq));
  await settle();
  assert.equal(list.get().conversations[0]?.unread, 5);
  assert.equal(list.get().conversations[0]?.head, 5);
  let down = true;
  server.replies.set(`POST /v1/conversations/${direct}/read`, (call) => (down ? 'broken' : { json: { read_seq: call.body['up_to'] } }));
  await client.read(direct, 3);
  await settle();
  assert.deepEqual([list.get().unread, list.get().conversations[0]?.read_seq], [2, 3]);
  down = false;
  server.socket.end(1006);
  await server.clock.advance(250);
  server.socket.push(server.hello());
  await settle();
  assert.deepEqual(server.made(`POST /v1/conversations/${direct}/read`).map((call) => call.body['up_to']), [3, 3]);
  server.socket.push({ type: 'receipt', kind: 'read', conversation_id: direct, user_id: me, up_to: 5, at: 'now' });
  await settle();
  assert.equal(list.get().unread, 0);
  await client.close();
});

test('the iterator gives everything once, in order, from where it is told, and a slow reader holds nothing', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.fill(250);
  for (let seq = 1; seq <= 120; seq++) server.socket.push(server.frame(seq));
  await settle();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const entry of client.entries({ after: 0 })) {
      assert.equal(entry.n, seen.length + 1);
      seen.push(String(entry.message.body['text']));
      if (seen.length === 250) return;
    }
  })();
  await settle();
  assert.deepEqual(seen, texts(1, 120));
  for (let seq = 121; seq <= 250; seq++) server.socket.push(server.frame(seq));
  await reading;
  assert.deepEqual(seen, texts(1, 250));
  const end = client.entries();
  const last = end.next();
  await client.close();
  assert.equal((await last).done, true);
});
