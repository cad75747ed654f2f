import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MemoryStore, processTabs, systemClock } from '../src/index.js';
import { dice, idOf, insist, numbered, person, received, stranger } from './people.js';
import { proxyTo } from './proxy.js';
import { realRedis, realServer, until } from './real.js';

const backends: [name: string, env: Record<string, string>][] = [['SQLite', {}]];
const [mysql, redis] = [process.env['ACKBOX_SDK_MYSQL_DSN'], process.env['ACKBOX_SDK_REDIS_URL']];
if (mysql && redis) {
  backends.push(['MariaDB and Redis', { ACKBOX_MYSQL_DSN: mysql, ACKBOX_REDIS_URL: redis }]);
}

for (const [backend, env] of backends) {
  test(`${backend}: frames and answers are lost and doubled, and a clock is set all the time; each message is heard once, in order`, async (t) => {
    const server = await realServer(t, { ...env, ACKBOX_HEARTBEAT: '1s', ACKBOX_ACK_TIMEOUT: '500ms' });
    const proxy = await proxyTo(t, server);
    const roll = dice(7);
    proxy.frame = ({ type }) => {
      if (type !== 'message') return 'pass';
      const n = roll();
      return n < 0.25 ? 'drop' : n < 0.5 ? 'twice' : 'pass';
    };
    proxy.call = (method, path) => {
      if (method !== 'POST' || !/\/(messages|ack|sync)$/.test(path)) return 'pass';
      const n = roll();
      return n < 0.1 ? 'lost' : n < 0.2 ? 'unanswered' : 'pass';
    };
    const clock = { ...systemClock, wall: () => Date.now() + (roll() - 0.5) * 172_800_000 };
    const [ann, ben] = [await person(t, proxy.url, { clock }), await person(t, proxy.url)];
    const [atAnn, atBen] = [received(ann), received(ben)];
    const cuts = setInterval(() => proxy.cut(), 1_500);
    t.after(() => clearInterval(cuts));
    const write = async (from: typeof ann, to: typeof ann) => {
      for (const text of numbered(1, 60)) await insist(from, idOf(to), text);
    };
    await Promise.all([write(ann, ben), write(ben, ann)]);
    clearInterval(cuts);
    await until('everything has arrived', () => atAnn.length >= 60 && atBen.length >= 60);
    assert.deepEqual(atBen, numbered(1, 60));
    assert.deepEqual(atAnn, numbered(1, 60));
  });

  test(`${backend}: the server is killed in the middle, and starts again`, async (t) => {
    const server = await realServer(t, env);
    const [ann, ben] = [await person(t, server.url), await person(t, server.url)];
    const atBen = received(ben);
    const writing = (async () => {
      for (const text of numbered(1, 40)) await insist(ann, idOf(ben), text);
    })();
    await until('some have arrived', () => atBen.length >= 10);
    await server.kill();
    await until('ann has noticed', () => ann.connection.get().state !== 'online');
    await server.start();
    ann.retryNow();
    ben.retryNow();
    await writing;
    await until('all have arrived', () => atBen.length >= 40);
    assert.deepEqual(atBen, numbered(1, 40));
    assert.deepEqual(ann.outbox.get(), []);
  });
}

test('Redis goes and comes back: messages still arrive, each once', async (t) => {
  const redis = await realRedis(t);
  const server = await realServer(t, { ACKBOX_REDIS_URL: redis.url, ACKBOX_HEARTBEAT: '1s' });
  const [ann, ben] = [await person(t, server.url), await person(t, server.url)];
  const atBen = received(ben);
  await insist(ann, idOf(ben), 'n1');
  await until('the first has arrived', () => atBen.length === 1);
  await redis.kill();
  for (const text of numbered(2, 6)) await insist(ann, idOf(ben), text);
  await until('they arrive without Redis', () => atBen.length === 6);
  await redis.start();
  for (const text of numbered(7, 10)) await insist(ann, idOf(ben), text);
  await until('they arrive with it', () => atBen.length === 10);
  assert.deepEqual(atBen, numbered(1, 10));
});

test('offline: not sent after a second; back: sent with the same key, and what was missed comes', async (t) => {
  const server = await realServer(t);
  const proxy = await proxyTo(t, server);
  const [ann, ben] = [await person(t, proxy.url), await person(t, server.url)];
  const [atAnn, atBen] = [received(ann), received(ben)];
  await insist(ben, idOf(ann), 'n1');
  await until('ann is online', () => ann.connection.get().state === 'online' && atAnn.length === 1);
  proxy.cut(true);
  await until('ann waits', () => ann.connection.get().state === 'waiting');
  const sent = await ann.send({ to: idOf(ben), type: 'text', body: { text: 'n1' } });
  await until('it is not sent', () => sent.get().state === 'failed');
  assert.equal(sent.get().error?.code, 'no_answer');
  for (const text of numbered(2, 5)) await insist(ben, idOf(ann), text);
  proxy.up();
  ann.retryNow();
  await sent.resend();
  await until('both have everything', () => atAnn.length === 5 && atBen.length === 1);
  assert.deepEqual(atAnn, numbered(1, 5));
  assert.deepEqual(atBen, ['n1']);
  await until('it is delivered', () => sent.get().state === 'delivered');
  const stored = sent.get().message;
  await ben.read(stored?.conversation_id ?? '', stored?.conversation_seq ?? 0);
  await until('it is read', () => sent.get().state === 'read');
});

test('every answer to a send is lost: the mailbox tells, and the message is one', async (t) => {
  const server = await realServer(t);
  const proxy = await proxyTo(t, server);
  const [ann, ben] = [await person(t, proxy.url), await person(t, server.url)];
  const atBen = received(ben);
  proxy.call = (method, path) => (method === 'POST' && path === '/v1/messages' ? 'unanswered' : 'pass');
  const sent = await ann.send({ to: idOf(ben), type: 'text', body: { text: 'n1' } });
  await until('the mailbox tells that it is sent', () => sent.get().message !== null);
  assert.ok(proxy.calls.filter((call) => call === 'POST /v1/messages').length >= 1);
  proxy.call = () => 'pass';
  await insist(ann, idOf(ben), 'n2');
  await until('both have arrived', () => atBen.length >= 2);
  assert.deepEqual(atBen, ['n1', 'n2']);
});

test('access tokens expire: refreshed without anybody noticing', async (t) => {
  const server = await realServer(t, { ACKBOX_ACCESS_TOKEN_TTL: '2s' });
  const [ann, ben] = [await person(t, server.url), await person(t, server.url)];
  const atBen = received(ben);
  const states = new Set<string>();
  ben.on('connection', ({ state }) => states.add(state));
  let connected = 0;
  ben.on('connection', ({ state }) => (connected += state === 'online' ? 1 : 0));
  let n = 0;
  while (connected < 3) await insist(ann, idOf(ben), `n${++n}`);
  await until('all have arrived', () => atBen.length >= n);
  assert.deepEqual(atBen, numbered(1, n));
  assert.equal(states.has('signed_out'), false);
});

test('the database is restored from a copy: the device steps back, and the lost message can be sent again', async (t) => {
  const server = await realServer(t);
  const [ann, ben] = [await person(t, server.url), await person(t, server.url)];
  const atBen = received(ben);
  for (const text of numbered(1, 5)) await insist(ann, idOf(ben), text);
  await until('five have arrived', () => atBen.length === 5);
  await server.stop();
  const copy = `${server.dir}-copy`;
  const files = () => readdirSync(server.dir).filter((name) => name.includes('.db'));
  assert.ok(files().length > 0, 'a database file');
  mkdirSync(copy);
  t.after(() => rmSync(copy, { recursive: true, force: true }));
  for (const name of files()) copyFileSync(join(server.dir, name), join(copy, name));
  await server.start();
  for (const client of [ann, ben]) client.retryNow();
  const lost = await insist(ann, idOf(ben), 'lost');
  await until('it has arrived', () => atBen.includes('lost'));

  await server.stop();
  for (const name of files()) rmSync(join(server.dir, name));
  for (const name of readdirSync(copy)) copyFileSync(join(copy, name), join(server.dir, name));
  const resets: string[] = [];
  for (const client of [ann, ben]) client.on('reset', () => resets.push(idOf(client)));
  await server.start();
  for (const client of [ann, ben]) client.retryNow();
  await until('both have stepped back', () => resets.length >= 2);
  assert.deepEqual(resets.sort(), [idOf(ann), idOf(ben)].sort());
  assert.deepEqual(ann.outbox.get().map((item) => [item.clientMsgID, item.error?.code]), [[lost.client_msg_id, 'lost']]);
  await ann.resend(lost.client_msg_id);
  await insist(ann, idOf(ben), 'after');
  await until('ben has both', () => atBen.includes('after'));
  assert.deepEqual(atBen, [...numbered(1, 5), 'lost', 'lost', 'after']);
  const list = ben.messages({ to: idOf(ann) });
  await until('the list has settled', () => list.get().loading === null && list.get().items.length === 7);
  assert.deepEqual(list.get().items.map((item) => item.message?.body['text']), [...numbered(1, 5), 'lost', 'after']);
});

test('a large group: heard live, and after being away; history by scrolling', async (t) => {
  const server = await realServer(t, { ACKBOX_MAILBOX_GROUP_LIMIT: '2' });
  const proxy = await proxyTo(t, server);
  const [ann, ben, cat] = [await person(t, server.url), await person(t, server.url), await person(t, proxy.url)];
  const { data } = await ann.rest.POST('/v1/groups', { body: { name: 'all', member_ids: [idOf(ben), idOf(cat)] } });
  assert.equal(data?.delivery, 'log');
  const group = data?.conversation_id ?? '';
  const say = (text: string) => insist(ann, { conversation: group }, text);
  const said = (texts: string[]) => texts.filter((text) => text !== 'undefined'); // but for notices
  const [atBen, atCat] = [received(ben), received(cat)];
  for (const text of numbered(1, 30)) await say(text);
  await until('thirty are heard', () => said(atBen).length === 30 && said(atCat).length === 30);
  proxy.cut(true);
  for (const text of numbered(31, 60)) await say(text);
  proxy.up();
  cat.retryNow();
  await until('sixty are heard', () => said(atBen).length === 60 && said(atCat).length === 60);
  assert.deepEqual(said(atBen), numbered(1, 60));
  assert.deepEqual(said(atCat), numbered(1, 60));
  const list = ben.messages({ conversation: group }, { pageSize: 20 });
  await until('the newest are shown', () => list.get().items.length >= 20 && list.get().loading === null);
  while (list.get().hasOlder) await list.loadOlder();
  const shown = list.get().items.filter((item) => item.message?.type === 'text').map((item) => String(item.message?.body['text']));
  assert.deepEqual(shown, numbered(1, 60));
});

test('the same device twice: the first stops, and takes it back when asked', async (t) => {
  const server = await realServer(t);
  const store = new MemoryStore();
  const first = await person(t, server.url, { store, deviceID: 'one', tabs: processTabs() });
  await until('the first is online', () => first.connection.get().state === 'online');
  const second = await stranger(t, server.url, { store, deviceID: 'one', tabs: processTabs() });
  await second.connect();
  await until('the first has stopped', () => first.connection.get().state === 'stopped');
  await first.connect();
  await until('the second has stopped', () => second.connection.get().state === 'stopped');
  await until('the first is online again', () => first.connection.get().state === 'online');
});
