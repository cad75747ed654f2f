import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../src/index.js';
import { settle } from './clock.js';
import { FakeServer, online, problem } from './fake.js';

const file = new Blob(['{"of":"a file"}'], { type: 'application/json' });

test('an upload refreshes the token once, tells what is wrong, and can be broken off', async () => {
  const server = new FakeServer();
  const client = await online(server);
  const answers = [problem(401, 'token_expired'), { status: 201, json: { file_id: '7', name: 'a file', type: 'application/json', size: 15 } }];
  server.replies.set('POST /v1/files', () => answers.shift() ?? problem(413, 'file_too_large'));
  let sent = 0;
  const stored = await client.upload(file, { name: 'a/b c?.json', onProgress: (bytes) => (sent = bytes) });
  assert.equal(stored.file_id, '7');
  assert.equal(sent, file.size);
  assert.deepEqual(server.made('POST /v1/files').map((call) => call.query.get('name')), ['a/b c?.json', 'a/b c?.json']);
  assert.equal(server.made('POST /v1/auth/refresh').length, 1);

  await assert.rejects(client.upload(file, { name: 'x' }), (error) => error instanceof ApiError && error.code === 'file_too_large');
  server.replies.set('POST /v1/files', () => 'broken');
  await assert.rejects(client.upload(file, { name: 'x' }), (error) => error instanceof ApiError && error.status === 0);

  server.replies.set('POST /v1/files', () => 'silent');
  for (const begun of [false, true]) {
    const ended = new AbortController();
    const waiting = client.upload(file, { name: 'x', signal: ended.signal });
    if (begun) await settle();
    ended.abort();
    await assert.rejects(waiting, { name: 'AbortError' });
  }
  await client.close();
});
