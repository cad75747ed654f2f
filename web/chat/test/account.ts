import assert from 'node:assert/strict';
import { password, type Stage, username } from './browser.js';

/** Somebody who has no page open, and calls the server. */
export interface Account {
  readonly userID: string;
  readonly username: string;
  /** Calls the API: POSTs a body if there is one. Throws unless the answer is a good one. */
  call(path: string, body?: unknown): Promise<Record<string, unknown>>;
  /** Sends a text to a user or into a conversation. */
  write(to: { readonly to_user_id: string } | { readonly conversation_id: string }, text: string): Promise<void>;
}

/** Makes an account at the first node. */
export async function account({ server }: Stage, name: string): Promise<Account> {
  let token = '';
  const call: Account['call'] = async (path, body) => {
    const answer = await fetch(server.url + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
    return text ? (JSON.parse(text) as Record<string, unknown>) : {};
  };
  const own = username(name);
  const grant = (await call('/v1/auth/register', { username: own, password, display_name: name })) as { access_token: string; user: { user_id: string } };
  token = grant.access_token;
  let count = 0;
  const write: Account['write'] = async (to, text) => {
    await call('/v1/messages', { client_msg_id: `${own}-${count++}`, ...to, type: 'text', body: { text } });
  };
  return { userID: grant.user.user_id, username: own, call, write };
}

/** A user's id, by their name. */
export async function userID(asking: Account, name: string): Promise<string> {
  const { users } = (await asking.call(`/v1/users?username=${name}`)) as { users: { user_id: string; username: string }[] };
  const found = users.find((user) => user.username === name);
  assert.ok(found, `no user ${name}`);
  return found.user_id;
}
