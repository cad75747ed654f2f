import { randomUUID } from 'node:crypto';

/** What the tests read of an answer of the public API. */
interface Signed {
  readonly access_token: string;
  readonly user: { readonly user_id: string };
}

interface Sent {
  readonly message: { readonly message_id: string; readonly conversation_id: string; readonly conversation_seq: number; readonly client_msg_id: string };
}

interface Pushed {
  readonly type: string;
  readonly seq?: number;
  readonly attempt?: number;
  readonly message?: { readonly message_id: string };
}

/** A user of the public API. */
export class User {
  readonly id: string;
  readonly name: string;
  readonly #url: string;
  readonly #token: string;

  private constructor(url: string, name: string, signed: Signed) {
    this.#url = url;
    this.name = name;
    this.id = signed.user.user_id;
    this.#token = signed.access_token;
  }

  static async register(url: string, name: string): Promise<User> {
    const answer = await fetch(`${url}/v1/auth/register`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ username: name, password: 'correct horse battery', display_name: name[0]?.toUpperCase() + name.slice(1) }) });
    if (!answer.ok) throw new Error(`register ${name}: ${answer.status} ${await answer.text()}`);
    return new User(url, name, (await answer.json()) as Signed);
  }

  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await fetch(this.#url + path, { method, headers: { Authorization: `Bearer ${this.#token}`, 'Content-Type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (answer.status === 204 ? undefined : await answer.json()) as T;
  }

  /** Sends a text, to a user or into a conversation. */
  async send(to: { readonly to_user_id: string } | { readonly conversation_id: string }, text: string): Promise<Sent['message']> {
    const { message } = await this.call<Sent>('POST', '/v1/messages', { client_msg_id: randomUUID(), ...to, type: 'text', body: { text } });
    return message;
  }

  /** Connects a device. Its frames wait until they are asked for. */
  async connect(device: string): Promise<Device> {
    const { ticket } = await this.call<{ ticket: string }>('POST', '/v1/auth/ws-ticket');
    const socket = new WebSocket(`${this.#url.replace('http', 'ws')}/v1/ws?device_id=${device}&ticket=${ticket}`);
    const connected = new Device(socket);
    await connected.frame(({ type }) => type === 'hello');
    return connected;
  }

  async group(name: string, members: readonly User[]): Promise<string> {
    const { conversation_id } = await this.call<{ conversation_id: string }>('POST', '/v1/groups', { name, member_ids: members.map(({ id }) => id) });
    return conversation_id;
  }
}

/** A socket of a user. */
export class Device {
  readonly #frames: Pushed[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
      this.#frames.push(JSON.parse(String(data)) as Pushed);
      for (const look of this.#waiting) look();
    });
  }

  /** The first frame that is so, of those that came and those that come within two minutes. */
  frame(is: (frame: Pushed) => boolean): Promise<Pushed> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.#frames.find(is);
        if (!found) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`no such frame among ${JSON.stringify(this.#frames)}`));
      }, 120_000);
      this.#waiting.add(look);
      look();
    });
  }

  close(): void {
    this.#socket.close();
  }
}
