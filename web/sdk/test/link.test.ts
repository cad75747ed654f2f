import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryStore, processTabs } from '../src/index.js';
import { settle } from './clock.js';
import { fakeClient, FakeServer, heard, online, problem, texts } from './fake.js';

test('a ticket opens the socket, with the position and its id; the ticket is not in the address', async () => {
  const server = new FakeServer();
  server.fill(2);
  const store = new MemoryStore();
  const first = await online(server, { store, tabs: processTabs() });
  assert.equal(server.socket.url.searchParams.has('last_seq'), false);
  assert.deepEqual(server.socket.protocols, ['ackbox.v1', 'ticket.ticket']);
  server.socket.push(server.frame(1), server.frame(2));
  await settle();
  await first.close();
  assert.equal(server.socket.closedWith, 1000);

  const second = await online(server, { store, tabs: processTabs() });
  assert.equal(server.socket.url.pathname, '/v1/ws');
  assert.deepEqual(Object.fromEntries(server.socket.url.searchParams), { device_id: 'device', last_seq: '2', last_id: '1002' });
  await second.close();
});

test('reconnects with full jitter, ever later, up to 30 s; a good connection begins anew', async () => {
  const server = new FakeServer();
  const client = await online(server);
  const waits: number[] = [];
  for (let i = 0; i < 9; i++) {
    server.socket.end(1006);
    await settle();
    const state = client.connection.get();
    assert.equal(state.state, 'waiting');
    const wait = state.state === 'waiting' ? state.retryIn : 0;
    waits.push(wait);
    const before = server.sockets.length;
    await server.clock.advance(wait - 1);
    assert.equal(server.sockets.length, before);
    await server.clock.advance(1);
    assert.equal(server.sockets.length, before + 1);
  }
  assert.deepEqual(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  server.socket.push(server.hello());
  await server.clock.advance(10_000);
  server.socket.end(1006);
  await settle();
  assert.deepEqual(client.connection.get(), { state: 'waiting', retryIn: 250, offline: false, code: 1006 });
  client.retryNow();
  await settle();
  assert.equal(client.connection.get().state, 'connecting');
  await client.close();
});

test('a bye says how long to wait', async () => {
  for (const code of [1001, 1012, 1013]) {
    const server = new FakeServer();
    const client = await online(server);
    server.socket.push({ type: 'bye', code, retry_after_ms: 7_777 });
    server.socket.end(code);
    await settle();
    assert.deepEqual(client.connection.get(), { state: 'waiting', retryIn: 7_777, offline: false, code });
    await client.close();
  }
});

test('a bye whose close does not come is a close', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.socket.push({ type: 'bye', code: 1012, retry_after_ms: 1_234 });
  await server.clock.advance(5_000);
  assert.deepEqual(client.connection.get(), { state: 'waiting', retryIn: 1_234, offline: false, code: 1012 });
  await client.close();
});

test('Retry-After of a refused ticket is kept', async () => {
  const server = new FakeServer();
  server.replies.set('POST /v1/auth/ws-ticket', () => problem(503, 'draining', {}, { 'Retry-After': '3' }));
  const client = await fakeClient(server);
  await client.connect();
  await settle();
  assert.deepEqual(client.connection.get(), { state: 'waiting', retryIn: 3_000, offline: false, code: 0 });
  await client.close();
});

test('other close codes: connects again', async () => {
  for (const code of [1000, 1006, 4008, 4009, 4010]) {
    const server = new FakeServer();
    const client = await online(server);
    server.socket.end(code);
    await server.clock.advance(250);
    assert.equal(server.sockets.length, 2, `after ${code}`);
    await client.close();
  }
});

test('4001: refreshes the token and connects at once', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.socket.end(4001);
  await settle();
  assert.equal(server.made('POST /v1/auth/refresh').length, 1);
  assert.equal(server.sockets.length, 2);
  await client.close();
});

test('4001 and no refresh: signed out, and what is on the device stays', async () => {
  for (const [code, reason] of [
    ['token_expired', 'ended'],
    ['token_revoked', 'ended'],
    ['refresh_token_reused', 'reused'],
  ] as const) {
    const server = new FakeServer();
    server.fill(1);
    const client = await online(server);
    server.socket.push(server.frame(1));
    await settle();
    server.replies.set('POST /v1/auth/refresh', () => problem(401, code));
    server.socket.end(4001);
    await settle();
    assert.deepEqual(client.connection.get(), { state: 'signed_out', reason });
    assert.equal(client.session.get(), null);
    await server.clock.advance(600_000);
    assert.equal(server.sockets.length, 1);
    await client.login({ username: 'me', password: 'a password' });
    await settle();
    assert.equal(server.socket.url.searchParams.get('last_seq'), '1');
    await client.close();
  }
});

test('4003: signed out, banned', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.socket.end(4003);
  await settle();
  assert.deepEqual(client.connection.get(), { state: 'signed_out', reason: 'banned' });
  await client.close();
});

test('4002: stops, until connect() takes the device back; 1003 stops', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.socket.end(4002);
  await server.clock.advance(600_000);
  assert.deepEqual(client.connection.get(), { state: 'stopped', reason: 'device_taken' });
  assert.equal(server.sockets.length, 1);
  await client.connect();
  await settle();
  assert.equal(server.sockets.length, 2);
  server.socket.end(1003);
  await server.clock.advance(600_000);
  assert.deepEqual(client.connection.get(), { state: 'stopped', reason: 'refused' });
  await client.close();
});

test('two heartbeats of silence: the link is dead, whatever the wall clock says', async () => {
  const server = new FakeServer();
  const client = await online(server);
  const { socket } = server;
  await server.clock.advance(40_000);
  socket.push({ type: 'ping', at: 'now', head: 0 });
  server.clock.jump(86_400_000);
  await server.clock.advance(49_999);
  assert.equal(client.connection.get().state, 'online');
  server.clock.jump(-86_400_000);
  await server.clock.advance(1);
  assert.equal(client.connection.get().state, 'waiting');
  assert.notEqual(socket.closedWith, null);
  await client.close();
});

test('what an old socket says is not heard', async () => {
  const server = new FakeServer();
  const client = await online(server);
  server.fill(1);
  const seen = heard(client);
  const old = server.socket;
  const late = old.onmessage;
  old.end(1006);
  await server.clock.advance(250);
  late?.({ data: JSON.stringify(server.frame(1)) } as never);
  await settle();
  assert.deepEqual(seen, []);
  server.socket.push(server.hello(), server.frame(1));
  await settle();
  assert.deepEqual(seen, texts(1, 1));
  await client.close();
});

test('one expired token is refreshed once, for all calls and all tabs', async () => {
  const server = new FakeServer();
  const store = new MemoryStore();
  const tabs = processTabs();
  const a = await online(server, { store, tabs });
  const b = await fakeClient(server, { store, tabs });
  const expired = problem(401, 'token_expired');
  const guard = server.fetch;
  const strict = async (input: RequestInfo | URL, init?: RequestInit) => {
    const request = new Request(input, init);
    if (request.headers.get('Authorization') === 'Bearer access-1') return new Response(JSON.stringify((expired as { json: unknown }).json), { status: 401 });
    return guard(request);
  };
  await a.close();
  await b.close();
  const c = await fakeClient(server, { store, tabs, fetch: strict as typeof fetch });
  const d = await fakeClient(server, { store, tabs, fetch: strict as typeof fetch });
  const answers = await Promise.all([c, d, c, d].map((client) => client.rest.GET('/v1/conversations')));
  assert.deepEqual(answers.map((answer) => answer.response.status), [200, 200, 200, 200]);
  assert.equal(server.made('POST /v1/auth/refresh').length, 1);
  await c.close();
  await d.close();
});

test('two tabs share one socket; when the first goes, the second connects where it stood', async () => {
  const server = new FakeServer();
  const store = new MemoryStore();
  const tabs = processTabs();
  const a = await online(server, { store, tabs });
  const b = await fakeClient(server, { store, tabs });
  await b.connect();
  await settle();
  assert.equal(server.sockets.length, 1);
  assert.equal(b.connection.get().state, 'online');
  server.fill(3);
  const [atA, atB] = [heard(a), heard(b)];
  server.socket.push(server.frame(1), server.frame(2), server.frame(3));
  await settle();
  assert.deepEqual(atA, texts(1, 3));
  assert.deepEqual(atB, texts(1, 3));
  assert.equal(b.connection.get().state, 'online');

  const sent = await b.send({ to: '2', type: 'text', body: { text: 'from b' } });
  assert.equal((await sent.sent).body['text'], 'from b');
  await a.close();
  await settle();
  assert.equal(server.sockets.length, 2);
  assert.equal(server.socket.url.searchParams.get('last_seq'), '3');
  server.socket.push(server.hello(), server.frame(4));
  await settle();
  assert.deepEqual(atB, [...texts(1, 3), 'from b']);
  assert.equal(b.connection.get().state, 'online');
  await b.close();
});
