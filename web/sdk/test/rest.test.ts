import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idOf, person } from './people.js';
import { realServer } from './real.js';

test('a list in a query reaches the server as a whole', async (t) => {
  const server = await realServer(t);
  const [a, b] = [await person(t, server.url), await person(t, server.url)];
  const { data } = await a.rest.GET('/v1/users/profiles', { params: { query: { user_ids: [idOf(a), idOf(b)] } } });
  assert.deepEqual(data?.users.map((user) => user.user_id), [idOf(a), idOf(b)].sort((x, y) => Number(BigInt(x) - BigInt(y))));
});
