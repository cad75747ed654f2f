import assert from 'node:assert/strict';
import { password, type Stage, username } from './browser.js';

export type Target = { readonly to_user_id: string } | { readonly conversation_id: string };

/** Somebody who has no page open, and calls the server. */
export interface Account {
  readonly userID: string;
  readonly username: string;
  /** Calls the API: POSTs a body if there is one. Throws unless the answer is a good one. */
  call(path: string, body?: unknown): Promise<Record<string, unknown>>;
  /** PATCHes. */
  change(path: string, body: unknown): Promise<Record<string, unknown>>;
  /** Sends a message to a user or into a conversation. Answers its id. */
  send(to: Target, content: Record<string, unknown>): Promise<string>;
  /** Uploads a file. Answers the body of a message that shows it. */
  upload(name: string, type: string, bytes: Buffer): Promise<Record<string, unknown>>;
  /** Sends a text. */
  write(to: Target, text: string): Promise<void>;
}

/** Makes an account at the first node. */
export async function account({ server }: Stage, name: string, displayName = name): Promise<Account> {
  let token = '';
  const request = async (method: string, path: string, body?: unknown, type = 'application/json'): Promise<Record<string, unknown>> => {
    const answer = await fetch(server.url + path, {
      method,
      headers: { 'Content-Type': type, ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      ...(body === undefined ? {} : { body: body instanceof Buffer ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
    return text ? (JSON.parse(text) as Record<string, unknown>) : {};
  };
  const call: Account['call'] = (path, body) => request(body === undefined ? 'GET' : 'POST', path, body);
  const own = username(name);
  const grant = (await call('/v1/auth/register', { username: own, password, display_name: displayName })) as { access_token: string; user: { user_id: string } };
  token = grant.access_token;
  let count = 0;
  const send: Account['send'] = async (to, content) => {
    const { message } = (await call('/v1/messages', { client_msg_id: `${own}-${count++}`, ...to, ...content })) as { message: { message_id: string } };
    return message.message_id;
  };
  const write: Account['write'] = async (to, text) => {
    await send(to, { type: 'text', body: { text } });
  };
  return { userID: grant.user.user_id, username: own, call, change: (path, body) => request('PATCH', path, body), upload: (file, type, bytes) => request('POST', `/v1/files?name=${encodeURIComponent(file)}`, bytes, type), send, write };
}

/** A user's id, by their name. */
export async function userID(asking: Account, name: string): Promise<string> {
  const { users } = (await asking.call(`/v1/users?username=${name}`)) as { users: { user_id: string; username: string }[] };
  const found = users.find((user) => user.username === name);
  assert.ok(found, `no user ${name}`);
  return found.user_id;
}
