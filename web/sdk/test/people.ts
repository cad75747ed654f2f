import type { TestContext } from 'node:test';
import { type Client, type ClientOptions, createClient, type Message } from '../src/index.js';

let count = 0;

/** A client of a real server, registered and connected; it ends with the test. */
export async function person(t: TestContext, baseURL: string, options: Partial<ClientOptions> = {}): Promise<Client> {
  const client = await stranger(t, baseURL, options);
  await client.register({ username: `user-${process.pid}-${++count}`, password: 'a long password' });
  await client.connect();
  return client;
}

/** A client that nobody is signed in to. */
export async function stranger(t: TestContext, baseURL: string, options: Partial<ClientOptions> = {}): Promise<Client> {
  const client = createClient({ baseURL, name: `client-${++count}`, ...options });
  client.on('fault', ({ error }) => {
    throw error;
  });
  t.after(() => client.close());
  await client.ready;
  return client;
}

export function idOf(client: Client): string {
  const session = client.session.get();
  if (!session) throw new Error('nobody is signed in');
  return session.user.user_id;
}

/** What others have written, as the application hears it. */
export function received(client: Client): string[] {
  const texts: string[] = [];
  client.on('message', ({ message }: { message: Message }) => {
    if (message.sender_id !== idOf(client)) texts.push(String(message.body['text']));
  });
  return texts;
}

/** Sends, and presses *send again* until it is sent, as a patient person does. */
export async function insist(client: Client, where: string | { conversation: string }, text: string): Promise<Message> {
  const sent = await client.send({ ...(typeof where === 'string' ? { to: where } : where), type: 'text', body: { text } });
  let outcome = sent.sent;
  for (let tries = 0; ; tries++) {
    try {
      return await outcome;
    } catch (error) {
      if (tries === 30) throw error;
      outcome = sent.resend();
    }
  }
}

/** A generator of the same numbers each time: 0 ≤ n < 1. */
export function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

export const numbered = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, i) => `n${from + i}`);
